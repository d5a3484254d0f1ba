"""Architectures of which anything is wrong, at import, at build, in forward, in what they declare: one line each."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzed_plugins import RAISED, filled, numbers, plugin
from fuzzing import cases, damages, outcome, require_ended
from helpers import Bench
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.plugins import network, registry
from benchmark.plugins.blame import blaming
from benchmark.plugins.source import hash_file

ARCHITECTURE = '''"""A network."""
import sys
import numpy as np
import torch
from torch import nn
from benchmark.contract import ArchitectureSpec, DatasetSpec, Reported


ERRORS


AT_IMPORT


class Net(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool, width: int = 4) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, 3, padding=1)
        AT_BUILD

    def forward(self, image):
        logits = self.layer(image)
        AT_FORWARD
        return logits


ARCHITECTURE = ArchitectureSpec(
    build=BUILD, title=TITLE, paper="none", citation="@misc{n, title={N}}", size_multiple=MULTIPLE, MORE
)
AT_END
'''
PLACES = ("AT_IMPORT", "AT_BUILD", "AT_FORWARD", "AT_END")
USUAL = {**dict.fromkeys(PLACES, "pass"), "BUILD": "Net", "TITLE": "'N'", "MULTIPLE": "2", "MORE": ""}
RETURNED = [
    "return None",
    "return 7",
    "return [logits]",
    "return (logits, logits)",
    "return {'out': logits}",
    "return logits.detach().numpy()",
    "return logits[0]",
    "return logits[:, 0]",
    "return logits.repeat(1, 2, 1, 1)",
    "return logits[..., :-1]",
    "return logits.expand(5, 1, *logits.shape[2:])",
    "return logits > 0",
    "return logits.long()",
    "return logits.to(torch.complex64)",
    "return logits.to('meta')",
    "return logits.to_sparse()",
    "return logits.new_zeros(0)",
]
BUILDS = [
    "Net",
    "None",
    "3",
    "lambda: None",
    "lambda **_: None",
    "lambda **_: 7",
    "lambda **_: Net",
    "sys.exit",
    "print",
    "lambda *, in_channels: Net(in_channels=in_channels, pretrained=False)",
    "Net(in_channels=3, pretrained=False)",
    "lambda *, in_channels, pretrained, more: None",
    "(lambda in_channels, pretrained: Net)",
    "type",
    "len",
    "dict",
]
TITLES = ["'N'", "None", "7", "b'N'", "'a\\nb'", "'<script>'", "['N']"]
MULTIPLES = ["1", "2", "0", "-1", "1.5", "None", "'8'", "True", "10**9", "float('nan')"]
MORE = [
    "",
    "reported=None",
    "reported=(1,)",
    "reported=7",
    "pretrained=7",
    "without_gradient='layer.*'",
    "without_gradient=(7,)",
    "without_gradient=None",
    "resolve=7",
    "resolve=lambda parameters: None",
    "resolve=lambda: None",
    "resolve=lambda parameters: 1 / 0",
    "resolve=lambda parameters: sys.exit(3)",
    "licence=3",
    "nothing=3",
]
ENDS = ["", "ARCHITECTURE = 3", "ARCHITECTURE = Net", "ARCHITECTURE = [ARCHITECTURE]", "del ARCHITECTURE"]
ENDS += ["ARCHITECTURE = DatasetSpec", "sys.modules[__name__] = None", "del sys.modules[__name__]", "__file__ = None"]


def architecture(**parts: str) -> bytes:
    return filled(ARCHITECTURE, {**USUAL, **parts})


@st.composite
def wrong(draw: st.DrawFn) -> bytes:
    """A plugin with one or two things wrong."""
    parts: dict[str, str] = {}
    choices = {
        "AT_IMPORT": RAISED,
        "AT_BUILD": [
            *RAISED,
            "self.layer = nn.LazyConv2d(1, 3)",
            "self.layer = nn.Conv2d(9, 1, 3)",
            "return 7",
            "del self.layer",
        ],
        "AT_FORWARD": [*RAISED, *RETURNED],
        "AT_END": [*RAISED, *ENDS],
        "BUILD": BUILDS,
        "TITLE": TITLES,
        "MULTIPLE": MULTIPLES,
        "MORE": MORE,
    }
    for name in draw(st.lists(st.sampled_from(list(choices)), min_size=1, max_size=2)):
        parts[name] = draw(st.sampled_from(choices[name]))
    return architecture(**parts)


ALL = [architecture(**{place: raised}) for place in PLACES for raised in RAISED]
ALL += [architecture(AT_FORWARD=returned) for returned in RETURNED] + [architecture(AT_END=end) for end in ENDS]
ALL += [architecture(BUILD=build) for build in BUILDS] + [architecture(MULTIPLE=multiple) for multiple in MULTIPLES]
ALL += [architecture(TITLE=title) for title in TITLES] + [architecture(MORE=more) for more in MORE]


def use(name: str) -> torch.Tensor:
    """Import it, build it, and ask it for logits, as a run does."""
    settings = protocols.load("quick").override({"image_size": (10, 14)})
    loaded = registry.load("architectures", name)
    with blaming(loaded):
        net = network.build(loaded, settings, 0)
        network.gigaflops(net, settings)
        logits: torch.Tensor = net(torch.zeros(2, 3, 10, 14))
        return logits


@pytest.mark.parametrize("code", ALL, ids=range(len(ALL)))
def test_one_thing_wrong(folder: Path, code: bytes) -> None:
    with plugin(folder, "architectures", code) as name:
        found = outcome(lambda: use(name))
    if not isinstance(found, UserError):
        assert found.shape == (2, 1, 10, 14)
        assert found.is_floating_point()


@cases(60)
@given(code=wrong())
def test_two_things_wrong(folder: Path, code: bytes) -> None:
    with plugin(folder, "architectures", code) as name:
        found = outcome(lambda: use(name))
    if not isinstance(found, UserError):
        assert found.shape == (2, 1, 10, 14)


@cases(60)
@given(damage=damages())
@example(damage=lambda content: b"\0" + content)
@example(damage=lambda content: content + b"\0")
@example(damage=lambda content: b"\xff\xfe" + content)
@example(damage=lambda content: "é".encode("latin-1") + content)
@example(damage=lambda _: b"# coding: rot13\n")
@example(damage=lambda _: b"# coding: nowhere\n")
@example(damage=lambda _: b"x = " + b"(" * 300)
@example(damage=lambda _: b"x = " + b"-" * 99_999 + b"1")
@example(damage=lambda _: b"x = " + b"9" * 5_000)
@example(damage=lambda _: b"import " + b"a" * 99_999)
@example(damage=lambda _: b"")
@example(damage=lambda content: content.replace(b"def forward(", b"def backward("))
def test_a_damaged_plugin_file(folder: Path, damage: Any) -> None:
    """It is used or refused; where it is used, the hash of the file is that of what ran; a hash it has anyway."""
    with plugin(folder, "architectures", damage(architecture())) as name:
        found = outcome(lambda: use(name))
        (hashed,) = [hash_file(path) for path in registry.sources("architectures", name)]
        assert re.fullmatch("[0-9a-f]{64}", hashed)
        if not isinstance(found, UserError):
            assert found.shape == (2, 1, 10, 14)
            assert hashed == registry.load("architectures", name).source_hash


TINY = ("--dataset", "synthetic:train=2,val=1,test=1,ood=1", "--image-size", 16, "--epochs", 1, "--batch-size", 2)


@cases(6, cost=20, shrink=False)
@given(code=wrong(), check=st.booleans())
@example(code=architecture(AT_FORWARD="sys.exit(0)"), check=False)
@example(code=architecture(AT_FORWARD="return logits * float('nan')"), check=False)
@example(code=architecture(AT_FORWARD="return logits.detach()"), check=False)
@example(code=architecture(AT_FORWARD="raise Abrupt"), check=True)
def test_the_commands(bench: Bench, folder: Path, tmp_path: Path, code: bytes, check: bool) -> None:
    results = tmp_path / f"results-{next(numbers)}"
    with plugin(folder, "architectures", code) as name:
        words = ("check", name) if check else ("run", "--arch", name, *TINY, "--results", results)
        ran = bench(*words, "--plugins", folder)
    require_ended(ran.code, ran.err or ran.out)
    if ran.code == 2 and not ran.err:
        assert check
        assert "failed" in ran.out
    if not check and ran.code == 2:
        assert not list(results.glob("runs/*")), "a refusal leaves nothing"


def test_an_interruption_is_one(bench: Bench, folder: Path, tmp_path: Path) -> None:
    """A plugin that raises what Ctrl-C raises cannot be told from it."""
    with plugin(folder, "architectures", architecture(AT_FORWARD="raise KeyboardInterrupt")) as name:
        ran = bench("run", "--arch", name, *TINY, "--results", tmp_path / "results", "--plugins", folder)
    assert ran.code == 130
    assert ran.err.splitlines()[-1].startswith("bench: interrupted")
