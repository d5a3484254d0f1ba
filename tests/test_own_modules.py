"""What a plugin imports of its own is part of what ran: of its hash, of the record, and of the badge."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import NEW_PLUGIN, TINY, Bench

from benchmark.common.errors import UserError
from benchmark.plugins import registry
from benchmark.plugins.source import hash_code
from benchmark.records import verify
from benchmark.records.store import read

LAYERS = "from toynet.deep import KERNEL as SIZE\n"


def net(layers: str) -> str:
    imported = NEW_PLUGIN.replace("from torch", f"from {layers} import SIZE\nfrom torch")
    return imported.replace("kernel_size=9", "kernel_size=SIZE").replace("padding=4", "padding=SIZE // 2")


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package whose plugin imports a module that imports another."""
    told = tmp_path / "toynet-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: toynet\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("[benchmark.architectures]\ntoynet = toynet.net\n")
    folder = tmp_path / "toynet"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Nothing."""')
    (folder / "net.py").write_text(net(".layers"))
    (folder / "layers.py").write_text(LAYERS)
    (folder / "deep.py").write_text("KERNEL = 9\n")
    (folder / "unused.py").write_text("KERNEL = 7\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    forget()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder whose plugin imports a file beside it."""
    found = tmp_path / "architectures"
    found.mkdir()
    (found / "toynet.py").write_text(net("benchmark.architectures.toy_layers"))
    (found / "toy_layers.py").write_text("SIZE = 9\n")
    registry.add_folder(tmp_path)
    return found


def forget() -> None:
    """As a new process would begin."""
    for name in [name for name in sys.modules if "toy" in name]:
        del sys.modules[name]


def load() -> registry.Plugin:
    forget()
    return registry.load("architectures", "toynet")


def now() -> list[str]:
    return [registry.hash_file(path) for path in registry.sources("architectures", "toynet")]


def test_a_package_counts_with_all_that_its_plugin_imports_of_it(package: Path) -> None:
    plugin = load()
    assert plugin.modules == {
        "toynet": b'"""Nothing."""',
        "toynet.layers": LAYERS.encode(),
        "toynet.deep": b"KERNEL = 9\n",
    }
    assert now() == [plugin.source_hash]
    (package / "unused.py").write_text("KERNEL = 1\n")
    (package / "deep.py").write_text("KERNEL = 9  # pixels\n")
    assert load().source_hash == plugin.source_hash
    (package / "deep.py").write_text("KERNEL = 3\n")
    assert now() != [plugin.source_hash]
    assert load().source_hash == now()[0] != plugin.source_hash
    assert set(registry.installed("architectures")) >= {package / "deep.py", package / "layers.py", package / "net.py"}


def test_so_does_a_folder(folder: Path) -> None:
    plugin = load()
    assert plugin.modules == {"benchmark.architectures.toy_layers": b"SIZE = 9\n"}
    assert now() == [plugin.source_hash]
    (folder / "toy_layers.py").write_text("SIZE = 3\n")
    assert load().source_hash == now()[0] != plugin.source_hash


def test_who_loaded_a_module_first_is_all_one(folder: Path) -> None:
    alone = load().source_hash
    (folder / "toy_first.py").write_text((folder / "toynet.py").read_text())
    forget()
    registry.load("architectures", "toy_first")
    assert registry.load("architectures", "toynet").source_hash == alone


@pytest.mark.parametrize(
    ("code", "relative"),
    [
        ("def build():\n    from . import toy_layers\n", True),
        ("import benchmark.architectures.toy_layers as layers\n", True),
        ("from benchmark.architectures import toy_layers\n", True),
        ("from benchmark.contract import ArchitectureSpec\n", False),
    ],
)
def test_every_way_to_write_an_import_is_seen(folder: Path, code: str, relative: bool) -> None:
    (folder / "toynet.py").write_text(code + NEW_PLUGIN)
    assert list(load().modules) == ["benchmark.architectures.toy_layers"] * relative


def test_a_plugin_of_one_file_has_the_hash_of_its_code(folder: Path) -> None:
    (folder / "toynet.py").write_text(NEW_PLUGIN)
    assert load().source_hash == hash_code(NEW_PLUGIN.encode()) == now()[0]


@pytest.mark.parametrize(
    "code",
    [
        "import importlib\nimportlib.import_module('benchmark.architectures.toy_layers')\n",
        "import sys, pathlib\nsys.path.insert(0, str(pathlib.Path(__file__).parent))\nimport toy_layers\n",
        "import benchmark.toy_library.layers\n",
    ],
)
def test_what_no_import_statement_shows_is_refused_every_time(
    folder: Path, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder.parent / "toy_library").mkdir()
    (folder.parent / "toy_library" / "layers.py").write_text("")
    (folder / "toynet.py").write_text(code + NEW_PLUGIN)
    forget()
    for _ in range(2):
        with pytest.raises(UserError, match=r"architecture 'toynet' imports .*layers.*which no record would hold"):
            registry.load("architectures", "toynet")


def test_the_record_holds_it_and_the_badge_sees_it(bench: Bench, package: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    ran = bench("run", "--arch", "toynet", *TINY, "--results", results)
    assert ran.code == 0, ran.err
    (run,) = results.glob("runs/*/*/toynet/*")
    assert {file.name for file in (run / "plugin").iterdir()} == {"toynet.py", "toynet.layers.py", "toynet.deep.py"}
    assert bench("verify", "--results", results).code == 0
    assert verify.badge(run, read(run)) == "self-reported"
    (package / "deep.py").write_text("KERNEL = 3\n")
    assert verify.badge(run, read(run)) == "older source"
    (run / "plugin" / "toynet.deep.py").write_text("KERNEL = 3\n")
    assert "it is not the file that SHA256SUMS lists" in bench("verify", "--results", results).out
    forget()
    again = bench("run", "--arch", "toynet", *TINY, "--results", results)
    assert "finished before" not in again.out


def test_a_dataset_is_decoded_again_where_its_module_changed(tmp_path: Path) -> None:
    reader = (Path(__file__).parent.parent / "datasets" / "synthetic.py").read_text()
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "toy_data.py").write_text("from benchmark.datasets import toy_reader\n" + reader)
    (tmp_path / "datasets" / "toy_reader.py").write_text("CUT = 1\n")
    registry.add_folder(tmp_path)
    before = registry.load("datasets", "toy_data")
    forget()
    (tmp_path / "datasets" / "toy_reader.py").write_text("CUT = 2\n")
    assert registry.load("datasets", "toy_data").source_hash != before.source_hash
