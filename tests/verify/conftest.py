"""A results folder, made once by the command line, that each test gets a copy of."""

import shutil
from pathlib import Path

import pytest
from helpers import TINY
from tampering import Store

from benchmark import cli
from benchmark.records.store import read


def run(*words: str) -> None:
    """`bench run` in this process, without plugins of the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        with pytest.raises(SystemExit) as end:
            cli.main(["run", *TINY, *words])
    assert not end.value.code


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seeds of a network and one run of a method without parameters."""
    results = tmp_path_factory.mktemp("verify") / "results"
    for arch, seed in (("unet:width=4", "0"), ("unet:width=4", "1"), ("otsu", "0")):
        run("--arch", arch, "--seed", seed, "--results", str(results))
    return results


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    results = tmp_path / "results"
    shutil.copytree(made, results)
    unets = {read(path).seed: path for path in (results / "runs/quick/synthetic/unet").iterdir()}
    (otsu,) = (results / "runs/quick/synthetic/otsu").iterdir()
    return Store(results=results, run=unets[0], other=unets[1], otsu=otsu)
