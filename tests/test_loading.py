"""What runs as a plugin are the bytes that are hashed and recorded, in this process and in workers."""

import inspect
import os
import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmark.common import workers
from benchmark.common.errors import UserError
from benchmark.plugins import registry

CODE = '''"""A constant."""
from benchmark.contract import ArchitectureSpec, DatasetSpec

NUMBER = 1


def number(_: int) -> int:
    return NUMBER


ARCHITECTURE = ArchitectureSpec(build=number, title="N", paper="none", citation="")
DATASET = DatasetSpec(load=number, title="N", paper="none", citation="", licence="none", needs_root=False)
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package that announces an architecture and a dataset, `numbered`, in modules of its own."""
    told = tmp_path / "numbered-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: numbered\nVersion: 1.0\n")
    lines = [f"[benchmark.{kind}]\nnumbered = numbered.plugin" for kind in ("architectures", "datasets")]
    (told / "entry_points.txt").write_text("\n".join(lines))
    (tmp_path / "numbered").mkdir()
    (tmp_path / "numbered" / "__init__.py").write_text("")
    (tmp_path / "numbered" / "plugin.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "numbered"
    for name in [name for name in sys.modules if name.partition(".")[0] == "numbered"]:
        del sys.modules[name]


def outdate(file: Path, old: str, new: str) -> None:
    """Put `new` in the place of `old`, beside a bytecode cache of before that Python takes for fresh."""
    file.write_text(file.read_text().replace(new, old))
    os.utime(file, (1_700_000_000, 1_700_000_000))
    py_compile.compile(str(file), doraise=True)
    file.write_text(file.read_text().replace(old, new))
    os.utime(file, (1_700_000_000, 1_700_000_000))


@pytest.mark.parametrize("kind", ["architectures", "datasets"])
def test_a_stale_bytecode_cache_is_not_asked(tmp_path: Path, kind: registry.Kind) -> None:
    (tmp_path / kind).mkdir()
    file = tmp_path / kind / "numbered.py"
    file.write_text(CODE)
    outdate(file, "NUMBER = 1", "NUMBER = 2")
    registry.add_folder(tmp_path)
    plugin = registry.load(kind, "numbered")
    function = plugin.spec.build if kind == "architectures" else plugin.spec.load
    assert function(0) == 2
    assert b"NUMBER = 2" in plugin.code
    assert inspect.getsource(function).endswith("return NUMBER\n")


def test_nor_for_a_plugin_of_a_package(package: Path) -> None:
    outdate(package / "plugin.py", "NUMBER = 1", "NUMBER = 2")
    plugin = registry.load("architectures", "numbered")
    assert plugin.spec.build(0) == 2
    assert b"NUMBER = 2" in plugin.code


def test_workers_run_what_their_parent_ran(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(package.parent), os.environ.get("PYTHONPATH", "")]))
    plugin = registry.load("datasets", "numbered")
    (package / "plugin.py").write_text(CODE.replace("NUMBER = 1", "NUMBER = 3"))
    with workers.pool(1) as pool:
        assert pool.submit(plugin.spec.load, 0).result() == 1


@pytest.mark.parametrize("trick", ["sys.modules[__name__] = None", "__spec__ = None", "sys.modules[__name__] = sys"])
def test_a_plugin_that_is_another_module_is_refused(tmp_path: Path, trick: str) -> None:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "numbered.py").write_text(f"{CODE}\nimport sys\n{trick}\n")
    registry.add_folder(tmp_path)
    with pytest.raises(UserError, match=r"numbered\.py puts something else in its own place"):
        registry.load("architectures", "numbered")
