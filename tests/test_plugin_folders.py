"""A plugin that is a folder, or lies in an installed package, counts whole: in its hash, its record and its badge."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import NEW_PLUGIN, TINY, Bench

from benchmark.common.errors import UserError
from benchmark.plugins import loading, registry
from benchmark.plugins.source import hash_code, hash_file
from benchmark.records import verify
from benchmark.records.store import read


def net(layers: str) -> str:
    imported = NEW_PLUGIN.replace("from torch", f"from {layers} import SIZE\nfrom torch")
    return imported.replace("kernel_size=9", "kernel_size=SIZE").replace("padding=4", "padding=SIZE // 2")


@pytest.fixture(params=["folder", "package"])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A plugin `toynet` with helpers: in a folder of the user's, or in an installed package that announces it."""
    if request.param == "folder":
        found = tmp_path / "architectures" / "toynet"
        found.mkdir(parents=True)
        (found / "__init__.py").write_text(net(".layers"))
        registry.add_folder(tmp_path)
    else:
        found = tmp_path / "toynet"
        told = tmp_path / "toynet-1.0.dist-info"
        told.mkdir()
        found.mkdir()
        (told / "METADATA").write_text("Metadata-Version: 2.1\nName: toynet\nVersion: 1.0\n")
        (told / "entry_points.txt").write_text("[benchmark.architectures]\ntoynet = toynet.net\n")
        (found / "__init__.py").write_text("")
        (found / "net.py").write_text(net("toynet.layers"))
        monkeypatch.syspath_prepend(tmp_path)
    (found / "parts").mkdir()
    (found / "layers.py").write_text("from .parts.deep import KERNEL as SIZE\n")
    (found / "parts" / "deep.py").write_text("KERNEL = 9\n")
    yield found
    forget()


def forget() -> None:
    """As a new process would begin."""
    for known in (sys.modules, loading._texts):
        for name in [name for name in known if "toynet" in name]:
            del known[name]


def load() -> registry.Plugin:
    forget()
    return registry.load("architectures", "toynet")


def now() -> list[str]:
    return [hash_file(path) for path in registry.sources("architectures", "toynet")]


def test_every_file_counts(folder: Path) -> None:
    plugin = load()
    assert {"layers": b"from .parts.deep import KERNEL as SIZE\n", "parts.deep": b"KERNEL = 9\n"}.items() <= (
        plugin.modules.items()
    )
    assert now() == [plugin.source_hash]
    (folder / "parts" / "deep.py").write_text("KERNEL = 9  # pixels\n")
    assert load().source_hash == plugin.source_hash
    (folder / "parts" / "deep.py").write_text("KERNEL = 3\n")
    changed = load()
    assert now() == [changed.source_hash] != [plugin.source_hash]
    assert changed.spec.build(in_channels=3, pretrained=False).layer.kernel_size == (3, 3)


def test_what_ran_is_recorded_although_the_file_changed(folder: Path) -> None:
    before = load()
    (folder / "parts" / "deep.py").write_text("KERNEL = 3\n")
    again = registry.load("architectures", "toynet")
    assert again.source_hash == before.source_hash
    assert again.modules["parts.deep"] == b"KERNEL = 9\n"


def test_a_plugin_of_one_file_has_the_hash_of_its_code(tmp_path: Path) -> None:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "toynet.py").write_text(NEW_PLUGIN)
    (tmp_path / "architectures" / "other.py").write_text("")
    registry.add_folder(tmp_path)
    assert load().source_hash == hash_code(NEW_PLUGIN.encode()) == now()[0]
    assert load().modules == {}


@pytest.mark.parametrize(
    "code",
    [
        "def build():\n    from . import toynet_layers\n",
        "import benchmark.architectures.toynet_layers as layers\n",
        "from benchmark.architectures import toynet_layers\n",
        "from benchmark.architectures.toynet_layers import SIZE\n",
    ],
)
def test_a_file_beside_the_plugin_is_refused_every_time(tmp_path: Path, code: str) -> None:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "toynet.py").write_text(code + NEW_PLUGIN)
    (tmp_path / "architectures" / "toynet_layers.py").write_text("SIZE = 9\n")
    registry.add_folder(tmp_path)
    for _ in range(2):
        with pytest.raises(UserError, match=r"toynet\.py imports benchmark\.architectures\.toynet_layers.*helpers"):
            registry.load("architectures", "toynet")


def test_a_helper_that_is_not_python_is_named(folder: Path) -> None:
    (folder / "unused.py").write_text("x = (")
    with pytest.raises(UserError, match=r"SyntaxError: .*unused\.py, line 1\)"):
        load()
    assert len(now()) == 1


def test_the_record_holds_it_and_the_badge_sees_it(bench: Bench, folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    ran = bench("run", "--arch", "toynet", *TINY, "--results", results)
    assert ran.code == 0, ran.err
    (run,) = results.glob("runs/*/*/toynet/*")
    assert {"layers.py", "parts.deep.py"} <= {file.name for file in (run / "plugin").iterdir()}
    assert bench("verify", "--results", results).code == 0
    assert verify.badge(run, read(run)) == "self-reported"
    (folder / "parts" / "deep.py").write_text("KERNEL = 3\n")
    assert verify.badge(run, read(run)) == "older source"
    (run / "plugin" / "parts.deep.py").write_text("KERNEL = 3\n")
    assert "SHA256SUMS" in bench("verify", "--results", results).out
    forget()
    again = bench("run", "--arch", "toynet", *TINY, "--results", results)
    assert "finished before" not in again.out
