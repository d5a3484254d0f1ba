"""The contract of an architecture plugin, check by check. Their order is that of the functions below."""

import ast
import fnmatch
import io
import logging
import math
import re
import socket
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torchvision.ops import StochasticDepth

from benchmark import network, registry
from benchmark.checks.outcome import ContractError, InapplicableError, Result, result
from benchmark.checks.plugin import require_bibtex, require_keywords
from benchmark.checks.subject import SIZE, Subject, images, loss, perturb, run, settings
from benchmark.errors import UserError

Check = Callable[[Subject], str | None]


def check_architecture(label: str, names: Sequence[str] | None = None) -> list[Result]:
    """Every check (or those of these names) on one architecture, e.g. "unet:width=8". A failure stops no other.

    Raises:
        UserError: the plugin cannot be found or imported.
    """
    subject = Subject(label)
    chosen = architecture_checks()
    return [result(check, subject) for name, check in chosen.items() if names is None or name in names]


def architecture_checks() -> dict[str, Check]:
    """All functions of this file that are called `check_...` and take a subject, in their order."""
    return {
        name.removeprefix("check_"): function
        for name, function in globals().items()
        if name.startswith("check_") and function is not check_architecture
    }


# ---------------------------------------------------------------- what is written in the file


def check_signature(subject: Subject) -> None:
    """`build(*, in_channels, pretrained, ...)`: keyword-only, further parameters with defaults."""
    require_keywords("build", subject.spec.build, needed=("in_channels", "pretrained"), given=("image_size",))


def check_metadata(subject: Subject) -> None:
    """Title, paper, and BibTeX that parses, with a key and a title in each entry; a size multiple that is one."""
    spec = subject.spec
    for name in ("title", "paper", "citation"):
        value = getattr(spec, name)
        if not isinstance(value, str) or not value.strip():
            raise ContractError(f"{name} is {value!r}: write a text")
    if not isinstance(spec.size_multiple, int) or spec.size_multiple < 1:
        raise ContractError(f"size_multiple is {spec.size_multiple!r}, not 1, 2, 3 ...")
    names: object = spec.without_gradient
    if isinstance(names, str):
        raise ContractError(f"without_gradient is a text: write ({names!r},)")
    require_bibtex(spec.citation)


def check_reported(subject: Subject) -> None:
    """Every published number is one, has a source, and says whether it may stand beside ours."""
    for number in subject.spec.reported:
        what = f"{number.split} {number.metric} {number.value}"
        if not isinstance(number.value, int | float) or not math.isfinite(number.value):
            raise ContractError(f"{what}: {number.value!r} is no number")
        for name in ("dataset", "split", "metric", "source"):
            if not getattr(number, name).strip():
                raise ContractError(f"{what}: {name} is empty")
        if not re.match(r"yes|no: \S", number.comparable):
            raise ContractError(f"{what}: comparable begins with 'yes' or with 'no: ' and the reason")


def check_weights(subject: Subject) -> str | None:
    """Pretrained weights have a licence; where they cannot be had, building fails: never random ones in their place."""
    spec = subject.spec
    if spec.pretrained is None:
        if spec.licence is not None:
            raise ContractError("licence is given, but pretrained names no weights")
        raise InapplicableError("no pretrained weights")
    if not spec.licence:
        raise ContractError("pretrained names weights, licence does not say under which terms")
    try:
        with _no_network():
            loaded = [_state(subject, seed, "pretrained") for seed in (0, 1)]
    except (UserError, OSError) as error:
        if "in loading state_dict" in str(error):
            raise ContractError(f"the weights do not fit the network: {registry.first_line(error)}") from error
        return "not at hand, and asked for"
    random = [_state(subject, seed, "none") for seed in (0, 1)]
    drawn = [name for name in random[0] if not torch.equal(random[0][name], random[1][name])]
    if all(not torch.equal(loaded[0][name], loaded[1][name]) for name in drawn):
        raise ContractError(
            "with pretrained=True and no network, build() draws all weights at random: let it fail instead"
        )
    return None


def _state(subject: Subject, seed: int, weights: str) -> dict[str, Tensor]:
    return network.build(subject.plugin, settings(3, (SIZE, SIZE), weights), seed).state_dict()


_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")
_CORES_CALLS = {"cuda": "device", "cpu": "device", "half": "precision", "bfloat16": "precision"}
_CORES_NAMES = {"autocast": "precision", "optim": "optimiser", "manual_seed": "seed", "set_rng_state": "seed"}


def check_source(subject: Subject) -> None:
    """The file names no device, and leaves precision, optimiser and seed to the core."""
    if subject.import_error is not None:
        raise ContractError(f"its import {subject.import_error}")
    for node in ast.walk(ast.parse(subject.plugin.code)):
        for what, word in _of_the_core(node):
            raise ContractError(f"the core chooses the {what}: take {word} out (line {getattr(node, 'lineno', 0)})")


def _of_the_core(node: ast.AST) -> Iterator[tuple[str, str]]:
    """What in a piece of code is the core's to choose, and how it is written."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and _DEVICE.fullmatch(node.value):
        yield "device", repr(node.value)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CORES_CALLS:
        yield _CORES_CALLS[node.func.attr], f".{node.func.attr}()"
    elif isinstance(node, ast.Attribute) and node.attr in _CORES_NAMES and ast.unparse(node).startswith("torch."):
        yield _CORES_NAMES[node.attr], ast.unparse(node)
    elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "torch":
        for name in (node.module or "").split(".") + [alias.name for alias in node.names]:
            if name in _CORES_NAMES:
                yield _CORES_NAMES[name], f"the import of {name}"


# ---------------------------------------------------------------- shapes


def check_logits(subject: Subject) -> None:
    """(N, 3, H, W) float -> finite logits (N, 1, H, W), without a sigmoid."""
    _finite(subject.logits, (SIZE, SIZE))
    if network.parameter_count(subject.network) == 0:
        return
    seen = []
    for seed in range(3):  # a network far from its beginning, whose logits lie anywhere
        net = subject.copy()
        perturb(net, 0.5, seed)
        with torch.no_grad():
            seen.append(run(net, images()))
    if all(bool(((logits >= 0) & (logits <= 1)).all()) for logits in seen):
        raise ContractError("logits never leave 0 ... 1: take the sigmoid out, the core has its own")


def check_grey(subject: Subject) -> None:
    """One channel as well as three."""
    with torch.no_grad():
        _finite(run(subject.build(channels=1), images(channels=1)), (SIZE, SIZE))


def check_odd_sizes(subject: Subject) -> None:
    """Any size works once it is padded to `size_multiple`."""
    size = (SIZE + 5, SIZE - 9)
    sized = "image_size" in registry.accepted(subject.spec.build)
    net = subject.build(size=size) if sized else subject.network
    with torch.no_grad():
        _finite(run(net, images(size=size)), size)


def check_untouched_input(subject: Subject) -> None:
    """The images are as they were: others use them too."""
    batch = images()
    with torch.no_grad():
        run(subject.network, batch)
    if not torch.equal(batch, images()):
        raise ContractError("forward() changes its input: use no in-place operation on it")


# ---------------------------------------------------------------- training


def check_gradients(subject: Subject) -> None:
    """The loss reaches every trainable parameter, but those in `without_gradient`."""
    subject.needs_parameters()
    # Attention over a map of one place has nothing to learn: a network of large strides sees two of its tiles.
    size = (SIZE, max(SIZE, 2 * subject.spec.size_multiple))
    net = (subject.copy() if size == (SIZE, SIZE) else subject.build(size=size)).train()
    parameters = dict(net.core.named_parameters())
    declared = {name for pattern in subject.spec.without_gradient for name in fnmatch.filter(parameters, pattern)}
    if parameters and declared == set(parameters):
        raise ContractError("without_gradient names every parameter")
    for pattern in subject.spec.without_gradient:
        if not fnmatch.filter(parameters, pattern):
            raise ContractError(f"without_gradient names {pattern}, which is no parameter")
    with _WithoutDropout():
        loss(net, images(size=size)).backward()
    missed = _missed(parameters, declared)
    if missed:  # a unit may be dead at one point
        perturb(net, 0.02, seed=1)
        with _WithoutDropout():
            loss(net, images(size=size)).backward()
        missed = _missed(parameters, declared)
    if missed:
        raise ContractError(f"no gradient reaches {missed[0]}: use it, freeze it, or name it in without_gradient")


def _missed(parameters: Mapping[str, nn.Parameter], declared: Collection[str]) -> list[str]:
    return [
        name
        for name, parameter in parameters.items()
        if parameter.requires_grad
        and name not in declared
        and (parameter.grad is None or not bool(parameter.grad.abs().sum() > 0))
    ]


def check_modes(subject: Subject) -> None:
    """Training and evaluation differ by normalisation and dropout, and by nothing else."""
    net = subject.copy().train()
    for module in net.modules():
        if _depends_on_mode(module):
            module.eval()
    with torch.no_grad(), _WithoutDropout():
        logits = run(net, images())
    _same(logits, subject.logits, "train() and eval() differ by more than normalisation and dropout")


def check_lasting_state(subject: Subject) -> None:
    """An eval pass leaves no trace: parameters and buffers stay."""
    net = subject.copy()
    with torch.no_grad():
        run(net, images() + 1)
    before = subject.network.state_dict()
    changed = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
    if changed:
        raise ContractError(f"an eval pass changes {changed[0].removeprefix('core.')}")
    with torch.no_grad():
        _same(run(net, images()), subject.logits, "an eval pass changes what the next one gives")


def check_independent_images(subject: Subject) -> None:
    """In eval mode an image's logits do not depend on its batch."""
    with torch.no_grad():
        alone = torch.cat([run(subject.network, image[None]) for image in images()])
        among_others = run(subject.network, torch.cat([images(), images().flip(0) + 1]))[:2]
    for logits in (alone, among_others):
        _same(logits, subject.logits, "in eval mode the logits of an image change with its batch")


def check_seeded(subject: Subject) -> None:
    """The same seed builds the same network."""
    with torch.no_grad():
        again = run(subject.build(), images())
    _same(again, subject.logits, "two networks of one seed differ: draw from torch's global generator only")


def check_state_dict(subject: Subject) -> None:
    """Weights survive a file of safetensors in a network of another seed."""
    subject.needs_parameters()
    other, net = subject.build(seed=1), subject.copy().train()
    with torch.no_grad():
        run(net, images() + 1)  # what training leaves in a network must be in its state
        expected = run(net.eval(), images())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        state = net.core.state_dict()
        save_file({name: value.clone().contiguous() for name, value in state.items()}, path)
        other.core.load_state_dict(load_file(path))
    with torch.no_grad():
        _same(run(other, images()), expected, "a network with another's state_dict gives other logits")


# ---------------------------------------------------------------- devices and arithmetic


def check_device(subject: Subject) -> None:
    """A network moves as a whole, and what forward() makes lies where its input lies."""
    assert subject.logits.numel()  # what fails anywhere fails before here, with its own reason
    for where, module in subject.network.core.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                raise ContractError(
                    f"{where + '.' * bool(where)}{name} stays behind when the network moves: register_buffer"
                )
    batch, net = images(), subject.build()
    try:
        # A default device that computes nothing stands for a device that is not the images'.
        with torch.no_grad(), torch.device("meta"):
            logits = net(batch)
    except Exception as error:
        place = registry.place(error, subject.plugin.source)
        raise ContractError(f"forward() makes a tensor without device=image.device{place}") from error
    if logits.device.type == "meta":
        raise ContractError("forward() returns a tensor that does not lie on the images' device")


def check_deterministic_mode(subject: Subject) -> None:
    """Forward and backward run where torch allows deterministic algorithms only."""
    net = subject.copy().train()
    torch.use_deterministic_algorithms(True)
    try:
        value = loss(net, images())
        if value.requires_grad:
            value.backward()
    finally:
        torch.use_deterministic_algorithms(False)


def check_bf16(subject: Subject) -> None:
    """Under bf16 autocast the logits stay finite and near those in full precision."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = run(subject.network, images()).float()
    _finite(logits, (SIZE, SIZE), " under bf16 autocast")
    correlation = float(torch.corrcoef(torch.stack([logits.flatten(), subject.logits.flatten()]))[0, 1])
    if correlation < 0.9:
        raise ContractError(f"logits under bf16 autocast correlate with those in fp32 by {correlation:.2f} only")


def check_channels_last(subject: Subject) -> None:
    """The memory's order changes nothing."""
    net = subject.copy().to(memory_format=torch.channels_last)
    with torch.no_grad():
        logits = run(net, images().contiguous(memory_format=torch.channels_last))
    _same(logits, subject.logits, "channels-last memory gives other logits")


def check_export(subject: Subject) -> None:
    """`torch.export` gives the same logits."""
    multiple = subject.spec.size_multiple
    size = (SIZE + -SIZE % multiple,) * 2  # the core itself, without the padding around it
    batch = images(size=size)
    with _no_log():
        exported = torch.export.export(subject.network.core, (batch,)).module()
    with torch.no_grad():
        _same(exported(batch), run(subject.network, batch), "the exported network gives other logits")


# ---------------------------------------------------------------- their tools


_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)


class _WithoutDropout(TorchFunctionMode):
    """Dropout that a network calls as a function, also inside an attention, lets everything pass."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func is F.scaled_dot_product_attention:
            args, kwargs = args[:4], {**kwargs, "dropout_p": 0.0}
        return func(*args, **kwargs)


def _depends_on_mode(module: nn.Module) -> bool:
    """Normalisation over a batch, dropout in all its kinds (also timm's and torchvision's), and what has it inside."""
    norm, dropout = nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd
    known = isinstance(module, norm | dropout | nn.MultiheadAttention | nn.RNNBase | nn.RReLU)
    libraries = type(module).__module__.startswith(("timm.", "torchvision."))
    return known or (libraries and "Drop" in type(module).__name__) or isinstance(module, StochasticDepth)


def _finite(logits: Tensor, size: tuple[int, int], where: str = "") -> None:
    if logits.shape != (2, 1, *size):
        raise ContractError(f"logits are {tuple(logits.shape)}, not (2, 1, {size[0]}, {size[1]})")
    if logits.dtype != torch.float32 or not bool(logits.isfinite().all()):
        raise ContractError(f"logits are not finite float32{where}")


def _same(first: Tensor, second: Tensor, message: str) -> None:
    scale = float(second.abs().max()) or 1.0
    difference = float((first - second).abs().max())
    if not difference <= 1e-4 * scale:
        raise ContractError(f"{message} (by up to {difference:.2g})")


@contextmanager
def _no_network() -> Iterator[None]:
    """Every connection fails at once: what libraries say of it is held back, and their pauses between attempts end."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("the network is switched off for this check")

    with (
        _no_log(),
        mock.patch.object(socket, "getaddrinfo", refuse),
        mock.patch.object(socket.socket, "connect", refuse),
        mock.patch.object(time, "sleep"),
        redirect_stdout(io.StringIO()),
        redirect_stderr(io.StringIO()),
    ):
        yield


@contextmanager
def _no_log() -> Iterator[None]:
    """What libraries log of a failure would stand around the one line that says it."""
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
