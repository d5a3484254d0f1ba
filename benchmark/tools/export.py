"""Write a trained network as ONNX, with what its input must be like as metadata (`bench export`)."""

import io
import json
import os
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

import benchmark
from benchmark.common import files
from benchmark.common.errors import UserError, first_line
from benchmark.records.trained import TrainedNetwork

if TYPE_CHECKING:
    import onnxruntime

_INSTALL = "bench export needs onnx and onnxruntime: pip install 'birdmask-bench[onnx]'"
OPSET = 17
_TOLERANCE = 1e-3
"""Largest difference of a logit, as a share of the largest logit."""


def export(network: TrainedNetwork, target: Path) -> float:
    """Write the network; returns the largest difference between the logits of onnxruntime and of torch.

    Input `image`: float32 (n, C, H, W), normalised; output `logits`: (n, 1, H, W); n is free.

    Raises:
        UserError: onnx is missing, an operation of the network has no ONNX, the results differ, or the disk refuses.
    """
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise UserError(_INSTALL) from error
    model = onnx.load_model_from_string(_exported(network))
    onnx.helper.set_model_props(model, dict(metadata(network)))
    content = model.SerializeToString()
    try:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # what is wrong is said below
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        largest = max(_difference(network, session, count) for count in (1, 3))
    except Exception as error:  # onnxruntime raises a dozen kinds
        raise UserError(
            f"onnxruntime cannot run the exported network ({first_line(error)}); nothing written"
        ) from error
    if not largest <= _TOLERANCE:
        raise UserError(
            f"onnxruntime and torch differ by {100 * largest:.2g} % of the largest logit ({100 * _TOLERANCE:g} % may); "
            "nothing written: forward() probably decides by the values or the number of its images"
        )
    files.write_atomically(target, lambda temporary: temporary.write_bytes(content))
    return largest


def _exported(network: TrainedNetwork) -> bytes:
    example = _images(network, 2)
    buffer = io.BytesIO()
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # attention in one operation that ONNX does not have
    try:
        with warnings.catch_warnings(), torch.no_grad(), _quiet():
            warnings.simplefilter("ignore")  # that tracing fixes the image size, which is meant
            torch.onnx.export(
                network.core,
                (example,),
                buffer,  # type: ignore[arg-type]  # its stubs leave out what it documents
                input_names=["image"],
                output_names=["logits"],
                dynamic_axes={"image": {0: "n"}, "logits": {0: "n"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except Exception as error:  # torch.onnx raises a dozen kinds
        label = network.record.architecture.label
        raise UserError(f"{label} cannot be written as ONNX: {first_line(error) or type(error).__name__}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return buffer.getvalue()


@contextmanager
def _quiet() -> Iterator[None]:
    """Discard what is written to file 1: torch's C++ prints the whole graph of a network that it cannot export."""
    sys.stdout.flush()
    before = os.dup(1)
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def _images(network: TrainedNetwork, count: int) -> torch.Tensor:
    """Normalised noise (count, C, H, W), darker from image to image."""
    height, width = network.image_size
    random = np.random.default_rng(count)
    noise = random.random((count, network.settings.channels, height, width), dtype=np.float32)
    bright = noise * np.linspace(1, 0.2, count, dtype=np.float32)[:, None, None, None]
    mean, deviation = (torch.tensor(values).view(-1, 1, 1) for values in (network.mean, network.deviation))
    return (torch.from_numpy(bright) - mean) / deviation


def _difference(network: TrainedNetwork, session: "onnxruntime.InferenceSession", count: int) -> float:
    """The largest difference of a logit as a share of the largest one; not a number if a logit is none."""
    given = _images(network, count)
    (found,) = session.run(["logits"], {"image": given.numpy()})
    with torch.inference_mode():
        wanted = network.core(given).numpy()
    return float(np.abs(found - wanted).max() / max(1e-9, np.abs(wanted).max()))


def metadata(network: TrainedNetwork) -> Mapping[str, str]:
    """What a program needs to know to use the network: names and texts; lists and numbers are JSON."""
    record, rendering = network.record, network.record.dataset.rendering
    known = {
        "architecture": record.architecture.label,
        "title": record.architecture.title,
        "paper": record.architecture.paper,
        "weights_licence": record.architecture.weights_licence,
        "protocol": record.protocol.name,
        "dataset": record.dataset.label,
        "run_key": record.run_key,
        "image_size": list(network.image_size),
        "channels": network.settings.channels,
        "input": "(pixels / 255 - mean) / deviation, grey repeated over the channels",
        "mean": list(network.mean),
        "deviation": list(network.deviation),
        "output": "logits; a pixel is bird where 1 / (1 + exp(-logit)) > threshold",
        "threshold": network.threshold,
        "sample_rate": rendering.sample_rate if rendering else None,
        "rendering": {name: getattr(rendering, name) for name in rendering.__slots__} if rendering else None,
        "made_by": f"birdmask-bench {benchmark.__version__}",
    }
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in known.items()
        if value is not None
    }
