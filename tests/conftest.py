"""Shared fixtures: an isolated cache, the command line in this process, a small tree of images and its cache."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmark.datasets import birdsounds as birdsounds_plugin
from helpers import SETTINGS, TINY, Bench, Ran, birdsounds_tree
from hypothesis import HealthCheck, settings

import benchmark
from benchmark import cli, launch
from benchmark.common.progress import silent
from benchmark.data import cache
from benchmark.plugins import loading
from benchmark.scores import denoisers

ROOT = Path(__file__).parent.parent

# typer and rich decide by these when they are imported how help is coloured and how wide it is.
for name in ("COLUMNS", "FORCE_COLOR", "GITHUB_ACTIONS", "PY_COLORS", "TERMINAL_WIDTH", "TTY_COMPATIBLE"):
    os.environ.pop(name, None)

# Machines are shared and noisy: how long an example takes says nothing about the code.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


@pytest.fixture(scope="session", autouse=True)
def _isolated_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded data of the tests, apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("BENCH_PLUGINS", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _without_denoisers() -> Iterator[None]:
    """Tests of other things do not wait for networks that clean speech; test_denoisers.py has them back."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(denoisers, "_LOADERS", {})
        yield


@pytest.fixture(scope="module", autouse=True)
def _frozen_imports() -> Iterator[None]:
    """What libraries made when they were imported is not looked through whenever something collects garbage."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _same_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`--plugins` lasts no longer than its test."""
    before = list(benchmark.__path__)
    monkeypatch.setenv("BENCH_PLUGINS", "")
    yield
    benchmark.__path__[:] = before
    for name in [name for name, module in sys.modules.items() if _is_plugin_elsewhere(name, module)]:
        del sys.modules[name]
        loading._texts.pop(name, None)


def _is_plugin_elsewhere(name: str, module: object) -> bool:
    file = getattr(module, "__file__", None) or ""
    return name.startswith(("benchmark.architectures.", "benchmark.datasets.")) and not file.startswith(str(ROOT))


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Bench:
    """`bench("run", "--arch", "otsu")` in this process."""

    def call(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with one trained network, to be copied before anything in it is changed."""
    results = tmp_path_factory.mktemp("tiny") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        with pytest.raises(SystemExit) as end:
            cli.main(["run", "--arch", "unet:width=4", *TINY, "--results", str(results)])
    assert not end.value.code
    return results


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several runs of one command are made in this process: a new one each would import torch for seconds."""
    monkeypatch.setattr(launch, "run_in_new_process", launch.run_in_this_process)


@pytest.fixture
def birdsounds(tmp_path: Path) -> Path:
    """A tiny BirdSoundsDenoising in the published layout: 4/2/2 images."""
    return birdsounds_tree(tmp_path / "birdsounds")


@pytest.fixture
def cached(birdsounds: Path) -> cache.Cached:
    splits = birdsounds_plugin.load(root=birdsounds)
    return cache.prepare(
        splits, identity={"root": str(birdsounds)}, size=SETTINGS.image_size, grey=False, report=silent
    )
