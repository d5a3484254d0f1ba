"""Check an architecture's file: signature, metadata, published numbers, weights, and what only the core may choose."""

import ast
import math
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import torch
from torch import Tensor

from benchmark.common.errors import UserError, first_line
from benchmark.plugins import network
from benchmark.plugins.checks.networks import SIZE, Subject, settings
from benchmark.plugins.checks.outcome import ContractError, InapplicableError, quiet
from benchmark.plugins.checks.signature import require_bibtex, require_keywords


def check_signature(subject: Subject) -> None:
    """`build(*, in_channels, pretrained, ...)` takes keyword arguments only; further ones have defaults."""
    require_keywords("build", subject.spec.build, needed=("in_channels", "pretrained"), given=("image_size",))


def check_metadata(subject: Subject) -> None:
    """Title, paper and citation are not empty; the citation is BibTeX with a key and a title in each entry."""
    for name in ("title", "paper", "citation"):
        if not getattr(subject.spec, name).strip():
            raise ContractError(f"{name} is empty: write a text")
    require_bibtex(subject.spec.citation)


def check_reported(subject: Subject) -> None:
    """Every published number is finite, has a source, and says whether it compares with ours."""
    for number in subject.spec.reported:
        what = f"{number.split} {number.metric} {number.value}"
        if not isinstance(number.value, int | float) or not math.isfinite(number.value):
            raise ContractError(f"{what}: {number.value!r} is not a number")
        for name in ("dataset", "split", "metric", "source"):
            if not getattr(number, name).strip():
                raise ContractError(f"{what}: {name} is empty")
        if not re.match(r"yes|no: \S", number.comparable):
            raise ContractError(f"{what}: comparable must begin with 'yes', or with 'no: ' and the reason")


def check_weights(subject: Subject) -> str | None:
    """Pretrained weights have a licence; if they cannot be loaded, building fails instead of using random ones."""
    spec = subject.spec
    if spec.pretrained is None:
        if spec.licence is not None:
            raise ContractError("there is a licence, but pretrained names no weights")
        raise InapplicableError("no pretrained weights")
    if not spec.licence:
        raise ContractError("pretrained names weights, but licence is empty")
    try:
        with _no_network():
            loaded = [_state(subject, seed, "pretrained") for seed in (0, 1)]
    except (UserError, OSError) as error:
        if "in loading state_dict" in str(error):
            raise ContractError(f"the weights do not fit the network: {first_line(error)}") from error
        return "not on this machine; build() fails, as it should"
    random = [_state(subject, seed, "none") for seed in (0, 1)]
    drawn = [name for name in random[0] if not torch.equal(random[0][name], random[1][name])]
    if drawn and all(not torch.equal(loaded[0][name], loaded[1][name]) for name in drawn):
        raise ContractError(
            "with pretrained=True and without internet, build() uses random weights: let it fail instead"
        )
    return None


def _state(subject: Subject, seed: int, weights: str) -> dict[str, Tensor]:
    return network.build(subject.plugin, settings(3, (SIZE, SIZE), weights), seed).state_dict()


_DEVICE = re.compile(r"(cpu|cuda|mps|xpu)(:\d+)?")
_CORES_CALLS = {"cuda": "device", "cpu": "device", "half": "precision", "bfloat16": "precision"}
_CORES_NAMES = {"autocast": "precision", "optim": "optimiser", "manual_seed": "seed", "set_rng_state": "seed"}


def check_source(subject: Subject) -> None:
    """The file leaves device, precision, optimiser and seed to the core."""
    for node in ast.walk(ast.parse(subject.plugin.code)):
        for what, word in _of_the_core(node):
            raise ContractError(f"the core chooses the {what}: remove {word} (line {getattr(node, 'lineno', 0)})")


def _of_the_core(node: ast.AST) -> Iterator[tuple[str, str]]:
    """Yield what a node of the code chooses although the core does, and how it is written."""
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


@contextmanager
def _no_network() -> Iterator[None]:
    """Let every connection fail at once, silence what libraries print about it, and skip their pauses."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError("the internet is switched off for this check")

    with (
        quiet(),
        mock.patch.object(socket, "getaddrinfo", refuse),
        mock.patch.object(socket.socket, "connect", refuse),
        mock.patch.object(time, "sleep"),
    ):
        yield
