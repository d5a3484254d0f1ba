"""Two results folders, made once by the command line, of which each test gets a copy that it may alter."""

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


@pytest.fixture(scope="session")
def tuned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that chose among three learning rates, of which the last diverges."""
    results = tmp_path_factory.mktemp("tuned") / "results"
    rates = ("--set", "optimiser=sgd", "--set", "learning_rates=[1e-3, 1e-2, 1e30]")
    run("--arch", "unet:width=4", *rates, "--results", str(results))
    return results


@pytest.fixture
def tuned(tuned_once: Path, tmp_path: Path) -> Store:
    results = tmp_path / "tuned"
    shutil.copytree(tuned_once, results)
    (folder,) = results.glob("runs/*/*/unet/*")
    return Store(results=results, run=folder, other=folder, otsu=folder)
