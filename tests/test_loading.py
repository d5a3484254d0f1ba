"""The bytes that are hashed and recorded are the bytes that run, in this process and in workers."""

import inspect
import os
import py_compile
import sys
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


def planted(folder: Path, kind: registry.Kind, code: str = CODE) -> Path:
    (folder / kind).mkdir()
    (folder / kind / "numbered.py").write_text(code)
    registry.add_folder(folder)
    return folder / kind / "numbered.py"


@pytest.mark.parametrize("kind", ["architectures", "datasets"])
def test_a_stale_bytecode_cache_is_not_asked(tmp_path: Path, kind: registry.Kind) -> None:
    file = planted(tmp_path, kind)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    py_compile.compile(str(file), doraise=True)
    file.write_text(CODE.replace("NUMBER = 1", "NUMBER = 2"))  # the same size, in the same second
    os.utime(file, (1_700_000_000, 1_700_000_000))
    plugin = registry.load(kind, "numbered")
    function = plugin.spec.build if kind == "architectures" else plugin.spec.load
    assert function(0) == 2
    assert b"NUMBER = 2" in plugin.code
    assert inspect.getsource(function).endswith("return NUMBER\n")


def test_workers_run_what_their_parent_ran(tmp_path: Path) -> None:
    file = planted(tmp_path, "datasets")
    plugin = registry.load("datasets", "numbered")
    file.write_text(CODE.replace("NUMBER = 1", "NUMBER = 3"))
    with workers.pool(1) as pool:
        assert pool.submit(plugin.spec.load, 0).result() == 1
        assert pool.submit(_hash_in_worker).result() == plugin.source_hash


def _hash_in_worker() -> str:
    return registry.load("datasets", "numbered").source_hash


def test_a_worker_imports_no_plugin_that_it_does_not_need(tmp_path: Path) -> None:
    planted(tmp_path, "architectures")
    registry.load("architectures", "numbered")
    with workers.pool(1) as pool:
        assert "benchmark.architectures.numbered" not in pool.submit(_modules).result()


def _modules() -> list[str]:
    return list(sys.modules)


def test_a_plugin_that_cannot_be_imported_is_read_again(tmp_path: Path) -> None:
    file = planted(tmp_path, "datasets", "raise RuntimeError('no')")
    with pytest.raises(UserError, match=r"RuntimeError: no \(.*numbered\.py, line 1\)"):
        registry.load("datasets", "numbered")
    file.write_text(CODE)
    assert registry.load("datasets", "numbered").spec.load(0) == 1
