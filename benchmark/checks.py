"""The plugin contract as executable checks, the same for `bench check`, for our tests and for other people's."""

import inspect
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import network, protocol, registry
from benchmark.contract import ArchitectureSpec
from benchmark.network import Network
from benchmark.protocol import Protocol
from benchmark.registry import Plugin

SIZE = 64
"""Side of the checks' images, small and a multiple of every usual stride."""


class ContractError(Exception):
    """A check's reason to fail, in one line."""


class InapplicableError(Exception):
    """Why a check cannot apply."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The outcome of one check; `reason` is empty where it passed."""

    check: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str = ""


def check_architecture(label: str) -> list[Result]:
    """Every check on one architecture, e.g. "unet:width=8". A failed check does not stop the others.

    Raises:
        UserError: the plugin cannot be found or imported.
    """
    plugin = registry.load("architectures", label)
    return [_result(name, check, plugin) for name, check in _checks()]


def _result(name: str, check: Callable[[Plugin], None], plugin: Plugin) -> Result:
    torch.manual_seed(0)
    try:
        check(plugin)
    except InapplicableError as reason:
        return Result(check=name, outcome="skipped", reason=str(reason))
    except ContractError as reason:
        return Result(check=name, outcome="failed", reason=str(reason))
    except Exception as error:
        lines = str(error).splitlines() or [""]
        return Result(check=name, outcome="failed", reason=f"{type(error).__name__}: {lines[0]}{registry.place(error)}")
    return Result(check=name, outcome="passed")


def _checks() -> Iterator[tuple[str, Callable[[Plugin], None]]]:
    """All functions below that are called `check_...` and take a plugin, in their order."""
    for name, function in globals().items():
        if name.startswith("check_") and name != "check_architecture":
            yield name.removeprefix("check_"), function


# ---------------------------------------------------------------- the checks


def check_signature(plugin: Plugin) -> None:
    """`build(*, in_channels, pretrained, ...)`: keyword-only, further parameters with defaults."""
    parameters = registry.accepted(plugin.spec.build)
    for name in ("in_channels", "pretrained"):
        if name not in parameters:
            raise ContractError(f"build() does not take {name}")
    for name, parameter in parameters.items():
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise ContractError(f"build() takes {name} by position: put a * before it")
        if name not in ("in_channels", "pretrained", "image_size") and parameter.default is inspect.Parameter.empty:
            raise ContractError(f"parameter {name} has no default")


def check_metadata(plugin: Plugin) -> None:
    """Title, paper and a BibTeX citation; every reported number has a source and says whether it compares."""
    spec: ArchitectureSpec = plugin.spec
    for name in ("title", "paper"):
        if not getattr(spec, name).strip():
            raise ContractError(f"{name} is empty")
    if not re.fullmatch(r"\s*@\w+\{[^,\s]+,.*\btitle\s*=.*\}\s*", spec.citation, re.DOTALL):
        raise ContractError("citation is no BibTeX entry with a key and a title")
    if spec.citation.count("{") != spec.citation.count("}"):
        raise ContractError("the citation's braces do not match")
    for number in spec.reported:
        if not number.source.strip() or not number.comparable.startswith(("yes", "no")):
            raise ContractError(
                f"reported {number.metric} {number.value}: name the source; comparable begins with yes or no"
            )


def check_logits(plugin: Plugin) -> None:
    """(N, C, H, W) float -> finite logits (N, 1, H, W), for one and three channels."""
    for channels in (1, 3):
        logits = _network(plugin, channels=channels)(_images(channels=channels))
        if logits.shape != (2, 1, SIZE, SIZE):
            raise ContractError(
                f"{channels} channel(s) in: logits are {tuple(logits.shape)}, not (2, 1, {SIZE}, {SIZE})"
            )
        if not logits.is_floating_point() or not bool(logits.isfinite().all()):
            raise ContractError(f"{channels} channel(s) in: logits are not finite floats")


def check_odd_sizes(plugin: Plugin) -> None:
    """Any size works once it is padded to `size_multiple`."""
    size = (SIZE + 5, SIZE - 9)
    logits = _network(plugin, size=size)(_images(size=size))
    if logits.shape[-2:] != size:
        raise ContractError(f"an image of {size} gives logits of {tuple(logits.shape[-2:])}")


def check_gradients(plugin: Plugin) -> None:
    """The loss reaches every trainable parameter, but those in `without_gradient`."""
    net = _with_parameters(plugin).train()
    _loss(net, _images()).backward()
    spec: ArchitectureSpec = plugin.spec
    for name, parameter in net.core.named_parameters():
        reached = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
        if parameter.requires_grad and not reached and name not in spec.without_gradient:
            raise ContractError(f"no gradient reaches {name}: use it, freeze it, or name it in without_gradient")


def check_independent_images(plugin: Plugin) -> None:
    """In eval mode an image's logits do not depend on its batch."""
    net, images = _network(plugin).eval(), _images()
    with torch.no_grad():
        together, alone = net(images), torch.cat([net(image[None]) for image in images])
    _same(together, alone, "in eval mode the logits of an image change with its batch")


def check_seeded(plugin: Plugin) -> None:
    """The same seed builds the same network, whose eval pass repeats itself."""
    images = _images()
    with torch.no_grad():
        first, second = (_network(plugin).eval()(images) for _ in range(2))
    _same(first, second, "two networks of one seed differ: draw random numbers from torch's global generator only")


def check_state_dict(plugin: Plugin) -> None:
    """Weights survive a file of safetensors in a network of another seed."""
    net, images = _with_parameters(plugin).eval(), _images()
    other = _with_parameters(plugin, seed=1).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_file({name: value.clone().contiguous() for name, value in net.core.state_dict().items()}, path)
        other.core.load_state_dict(load_file(path))
    with torch.no_grad():
        _same(net(images), other(images), "a network with another's state_dict gives other logits")


def check_deterministic_mode(plugin: Plugin) -> None:
    """Forward and backward run where torch allows deterministic algorithms only."""
    torch.use_deterministic_algorithms(True)
    try:
        net = _network(plugin).train()
        loss = _loss(net, _images())
        if loss.requires_grad:
            loss.backward()
    finally:
        torch.use_deterministic_algorithms(False)


def check_bf16(plugin: Plugin) -> None:
    """Under bf16 autocast, with channels-last memory, the logits stay finite."""
    net = _network(plugin).eval().to(memory_format=torch.channels_last)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = net(_images().contiguous(memory_format=torch.channels_last))
    if not bool(logits.float().isfinite().all()):
        raise ContractError("logits are not finite under bf16 autocast")


def check_export(plugin: Plugin) -> None:
    """`torch.export` gives the same logits."""
    net, images = _network(plugin).eval(), _images()
    exported = torch.export.export(net.core, (images,)).module()
    with torch.no_grad():
        _same(net(images), exported(images), "the exported network gives other logits")


# ---------------------------------------------------------------- their tools


def _settings(channels: int, size: tuple[int, int]) -> Protocol:
    return protocol.load(protocol.DEFAULT).override({"channels": channels, "image_size": size, "weights": "none"})


def _network(plugin: Plugin, *, channels: int = 3, size: tuple[int, int] = (SIZE, SIZE), seed: int = 0) -> Network:
    return network.build(plugin, _settings(channels, size), seed)


def _with_parameters(plugin: Plugin, *, seed: int = 0) -> Network:
    net = _network(plugin, seed=seed)
    if network.parameter_count(net) == 0:
        raise InapplicableError("no parameters")
    return net


def _images(*, channels: int = 3, size: tuple[int, int] = (SIZE, SIZE)) -> Tensor:
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))


def _loss(net: nn.Module, images: Tensor) -> Tensor:
    logits = net(images)
    return F.binary_cross_entropy_with_logits(logits, (images[:, :1] > 0).float())


def _same(first: Tensor, second: Tensor, message: str) -> None:
    scale = float(first.abs().max()) or 1.0
    difference = float((first - second).abs().max())
    if difference > 1e-4 * scale:
        raise ContractError(f"{message} (by up to {difference:.2g})")
