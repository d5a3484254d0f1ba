"""`bench list` remembers what it showed, as long as nothing that it was learnt from has changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import NEW_PLUGIN, Bench

from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.plugins import catalogue, registry
from benchmark.plugins.catalogue import Entry

LIGHT = """
import sys
from benchmark.cli import main

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "torchvision", "timm", "segmentation_models_pytorch", "pandas", "matplotlib"}:
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refusal())
main(sys.argv[1:])
"""


def test_the_second_call_says_the_same_without_torch(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "150")
    for words in (["list"], ["list", "--citations"]):
        first = bench(*words)
        command = [sys.executable, "-c", LIGHT, *words]
        # Libraries lengthen the path: torch's compiler, if another test called it, by what setuptools has inside.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        again = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert (again.returncode, again.stderr) == (0, "")
        assert again.stdout == first.out
        assert "unet" in first.out


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A plugin folder with a helper; it is the only plugin."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    code = NEW_PLUGIN.replace("from torch import nn", "from torch import nn\nfrom . import aside")
    folder = tmp_path / "architectures" / "planted"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(code.replace("kernel_size=9", "kernel_size=aside.SIZE"))
    (folder / "aside.py").write_text("SIZE = 100\n")
    registry.add_folder(tmp_path)
    monkeypatch.setattr(registry, "find", lambda _: ["planted"])
    return folder / "__init__.py"


def listed() -> Entry:
    """As a new process would see the plugin."""
    for name in ("planted", "planted.aside"):
        sys.modules.pop(f"benchmark.architectures.{name}", None)
    return catalogue.entries("architectures", silent)["planted"]


def imports(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that are loaded from now on."""
    names: list[str] = []
    load = registry.load
    monkeypatch.setattr(registry, "load", lambda kind, name: names.append(name) or load(kind, name))
    return names


def test_what_is_remembered_is_not_imported(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = imports(monkeypatch)
    assert [listed(), loaded] == [listed(), ["planted"]]
    assert listed().note == "0.03 M"


@pytest.mark.parametrize(
    ("file", "old", "new", "field"),
    [("__init__.py", 'title="Blur"', 'title="Blue"', "title"), ("aside.py", "SIZE = 100", "SIZE = 200", "note")],
)
def test_what_was_changed_is_looked_at_anew(alone: Path, file: str, old: str, new: str, field: str) -> None:
    before = listed()
    changed = alone.with_name(file)
    state = changed.stat()
    changed.write_text(changed.read_text().replace(old, new))
    os.utime(changed, ns=(state.st_atime_ns, state.st_mtime_ns))  # neither its time nor its size tells
    after = listed()
    assert [name for name in Entry.__slots__ if getattr(before, name) != getattr(after, name)] == [field]


def test_another_version_of_a_package_counts(alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = imports(monkeypatch)
    for version in ("1.0", "1.1", "1.1"):
        folder = tmp_path / version / f"layers-{version}.dist-info"
        folder.mkdir(parents=True, exist_ok=True)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder.parent)
            listed()
    assert loaded == ["planted", "planted"]


@pytest.mark.parametrize("broken", ["raise RuntimeError('no')", "import nowhere_at_all"])
def test_what_is_broken_is_not_remembered(alone: Path, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = alone.read_text()
    alone.write_text(whole.replace("from torch", f"{broken}\nfrom torch", 1))
    loaded = imports(monkeypatch)
    assert listed().broken
    assert listed().broken
    assert len(loaded) == 2
    alone.write_text(whole.replace("super().__init__()", "raise RuntimeError('when it is built')"))
    assert "when it is built" in listed().broken
    assert listed().title == "Blur"
    assert len(loaded) == 4


def test_a_file_that_changes_while_it_is_looked_at_is_not_remembered(
    alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = registry.load

    def slow(kind: registry.Kind, name: str) -> registry.Plugin:
        found = load(kind, name)
        alone.write_text(alone.read_text().replace("Blur", "Blue"))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(registry, "load", slow)
        alone.write_text(alone.read_text() + "# once\n")
        assert listed().title == "Blur"
    assert listed().title == "Blue"


def test_a_name_that_a_second_place_has_is_not_remembered(alone: Path, tmp_path: Path) -> None:
    assert not listed().broken
    other = tmp_path / "other"
    (other / "architectures").mkdir(parents=True)
    (other / "architectures" / "planted.py").write_text(NEW_PLUGIN)
    registry.add_folder(other)
    assert "two architectures are called 'planted'" in listed().broken


def test_a_damaged_or_unwritable_memory_is_no_obstacle(
    alone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = listed()
    path = tmp_path / "cache" / "listing" / "plugins.json"
    for damage in (b"", b"[1, 2]", path.read_bytes()[:-9], b"\xff"):
        path.write_bytes(damage)
        assert listed() == first

    def refuse(*_: object) -> None:
        raise UserError("the disk is full")

    monkeypatch.setattr("benchmark.common.files.write_atomically", refuse)
    path.unlink()
    assert listed() == first
    assert not path.exists()
