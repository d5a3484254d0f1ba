"""Protocols in which every setting is wrong in every way: a protocol that says what was meant, or one line."""

import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from fuzzing import JSON, TEXTS, cases, damages, outcome
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark import protocols
from benchmark.cli.run import protocol_settings
from benchmark.common.errors import UserError
from benchmark.protocols import Protocol

NAMES = [name for name in Protocol.model_fields if name not in protocols.UNDIGESTED]
GOOD: dict[str, Any] = protocols.load("quick").model_dump(mode="json", exclude=set(protocols.UNDIGESTED))
WORDS = [value for value in GOOD.values() if isinstance(value, str)] + ["sgd", "pretrained", "birdsounds", "cosine"]
VALUES = (
    JSON
    | st.sampled_from(WORDS)
    | st.integers(-1, 600)
    | st.floats(-1, 2)
    | st.lists(st.integers(0, 600) | st.floats(0, 1), max_size=4)
)


FITTING: dict[str, st.SearchStrategy[Any]] = {
    "image_size": st.integers(1, 600) | st.lists(st.integers(1, 600), min_size=2, max_size=2),
    "channels": st.sampled_from([1, 3]),
    "epochs": st.integers(1, 99),
    "batch_size": st.integers(1, 99),
    "threshold": st.floats(0.01, 0.99),
    "weight_decay": st.floats(0, 1),
    "learning_rate": st.floats(1e-9, 1),
    "learning_rates": st.lists(st.floats(1e-6, 1), min_size=1, max_size=3).map(
        lambda rates: [*rates, GOOD["learning_rate"]]
    ),
    "loss": st.sampled_from(["bce", "bce_dice"]),
    "schedule": st.sampled_from(["constant", "cosine"]),
}
ONE = st.sampled_from(NAMES).flatmap(
    lambda name: st.tuples(st.just(name), FITTING.get(name, st.just(GOOD[name])) | VALUES)
)
"""A setting with a value that it may take, or with any."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("protocols")


def require_sound(found: Protocol, given_: dict[str, Any]) -> None:
    """Every number can be computed with, and what was given is what is held, or is the same in another spelling."""
    for size in found.image_size:
        assert type(size) is int
        assert size > 0
    for name in ("epochs", "batch_size"):
        assert type(getattr(found, name)) is int
        assert getattr(found, name) > 0
    rates = (found.learning_rate, *found.learning_rates)
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)
    assert 0 < found.threshold < 1
    assert 0 <= found.weight_decay < math.inf
    assert len(found.digest) == 64
    for name, value in given_.items():
        held = getattr(found, name)
        assert not isinstance(value, bool), name
        if isinstance(value, int | float) and name != "image_size":
            assert held == value or math.isclose(held, float(value))
        if isinstance(value, str) and isinstance(held, str):
            assert held == value
    assert protocols.load("quick").override(found.changes_from(protocols.load("quick"))) is not None


@cases(150)
@given(changes=st.lists(ONE, min_size=1, max_size=2).map(dict))
@example(changes={"epochs": True})
@example(changes={"image_size": [True, True]})
@example(changes={"batch_size": "16"})
@example(changes={"image_size": 10**400})
@example(changes={"image_size": 10**9})
@example(changes={"learning_rates": [1e-4] * 9_999})
@example(changes={"dataset": "a\nb"})
@example(changes={"loss": "x" * 100_000})
def test_every_setting_wrong_in_every_way(changes: dict[str, Any]) -> None:
    found = outcome(lambda: protocols.load("quick").override(changes))
    if not isinstance(found, UserError):
        require_sound(found, changes)


@cases(60)
@given(changes=st.dictionaries(st.sampled_from([*NAMES, *protocols.UNDIGESTED]) | TEXTS, VALUES, max_size=4))
def test_the_settings_of_a_record(changes: dict[str, Any]) -> None:
    found = outcome(lambda: protocols.recorded("mine", {**GOOD, **changes}))
    if not isinstance(found, UserError):
        require_sound(found, {name: value for name, value in changes.items() if name in NAMES})


def toml(value: Any) -> str:
    """A value as TOML writes it, as far as it can."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(str(key))} = {toml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        inside = "".join(
            letter if letter.isprintable() and letter not in '"\\' else f"\\U{ord(letter):08x}" for letter in value
        )
        return f'"{inside}"'
    if isinstance(value, int) and value > 10**4_000:
        return hex(value)  # Python reads so many digits in hexadecimal alone, and writes them in nothing else
    return '""' if value is None else repr(value)


@cases(100)
@given(changes=st.lists(ONE, max_size=3).map(dict), damage=st.none() | damages())
def test_a_file_of_any_values_and_any_damage(folder: Path, changes: dict[str, Any], damage: Any) -> None:
    require_judged(folder / "mine.toml", changes, damage)


def require_judged(path: Path, changes: dict[str, Any], damage: Any) -> None:
    """A protocol of these values is read, or refused."""
    text = "".join(f"{name} = {toml(value)}\n" for name, value in {**GOOD, **changes}.items())
    content = text.encode("utf-8", "replace")
    path.write_bytes(damage(content) if damage else content)
    found = outcome(lambda: protocols.load(str(path)))
    if not isinstance(found, UserError):
        require_sound(found, {} if damage else changes)


@cases(60)
@given(content=st.binary(max_size=60), name=st.sampled_from(["x.toml", ".toml", "a b.toml", "quick.toml", "🐦.toml"]))
@example(content=b"\xff\xfe", name="x.toml")
@example(content=b"a = 1\na = 2", name="x.toml")
@example(content=b"x = " + b"[" * 5_000, name="x.toml")
@example(content=b"x = " + b"{a=" * 5_000, name="x.toml")
@example(content=b"[" + b"a." * 5_000 + b"a]", name="x.toml")
@example(content=b"epochs = " + b"9" * 5_000, name="x.toml")
@example(content=b"threshold = 1e999999", name="x.toml")
@example(content=b"dataset = 1979-05-27", name="x.toml")
def test_what_is_no_protocol(folder: Path, content: bytes, name: str) -> None:
    path = folder / name
    path.write_bytes(content)
    assert isinstance(outcome(lambda: protocols.load(str(path))), UserError)  # none of these names a dataset


@cases(60)
@given(
    name=TEXTS
    | st.sampled_from(["quick", "../protocols/quick", "/etc/passwd", "/dev/null.toml", "x" * 5_000 + ".toml"])
)
@example(name="\0.toml")
@example(name="x" * 300 + ".toml")
@example(name="/tmp.toml/a.toml")
def test_any_name(name: str) -> None:
    found = outcome(lambda: protocols.load(name))
    assert isinstance(found, UserError) or name in protocols.names()


def test_a_folder_called_like_a_protocol(folder: Path) -> None:
    (folder / "folder.toml").mkdir()
    assert isinstance(outcome(lambda: protocols.load(str(folder / "folder.toml"))), UserError)


PAIRS = ONE.map(lambda change: f"{change[0]}={toml(change[1])}") | st.builds(
    "{}={}".format, st.sampled_from([*NAMES, "name", "", " epochs "]) | TEXTS, TEXTS | VALUES.map(toml)
)


@cases(120)
@given(pairs=st.lists(PAIRS | TEXTS, max_size=3), rates=st.sampled_from([0, 0, 2, 5, 9]))
@example(pairs=["epochs=3\nbatch_size=7"], rates=0)
@example(pairs=["epochs=3 # ten"], rates=0)
@example(pairs=["learning_rate=1e300"], rates=9)
@example(pairs=["learning_rate=1e-323"], rates=9)
@example(pairs=["epochs=" + "[" * 3_000], rates=0)
@example(pairs=["epochs=" + "9" * 5_000], rates=0)
@example(pairs=["dataset=folder:group=("], rates=0)
def test_settings_of_the_command_line(pairs: list[str], rates: int) -> None:
    found = outcome(lambda: protocol_settings("quick", {}, pairs, rates=rates))
    if not isinstance(found, UserError):
        settings, overrides = found
        require_sound(settings, {})
        assert protocols.load("quick").override(overrides).digest == settings.digest
        for name, text in {pair.partition("=")[0].strip(): pair.partition("=")[2].strip() for pair in pairs}.items():
            value = getattr(settings, name)
            if isinstance(value, int):
                assert float(read_as_toml(text)) == value


def read_as_toml(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:
        return text
