"""Shared pieces: an isolated cache, the command line in this process, small trees of images."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import benchmark
from benchmark import cli

ROOT = Path(__file__).parent.parent
SMALL = "synthetic:train=8,val=4,test=4,ood=2"


@pytest.fixture(scope="session", autouse=True)
def _isolated_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Decoded data of the tests, apart from the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("BENCH_PLUGINS", raising=False)
        yield


@pytest.fixture(autouse=True)
def _same_plugins(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`--plugins` lasts no longer than its test."""
    before = list(benchmark.__path__)
    monkeypatch.setenv("BENCH_PLUGINS", "")
    yield
    benchmark.__path__[:] = before
    for name in [name for name, module in sys.modules.items() if _is_plugin_elsewhere(name, module)]:
        del sys.modules[name]


def _is_plugin_elsewhere(name: str, module: object) -> bool:
    file = getattr(module, "__file__", None) or ""
    return name.startswith(("benchmark.architectures.", "benchmark.datasets.")) and not file.startswith(str(ROOT))


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`bench("run", "--arch", "otsu")` in this process."""

    def call(*arguments: object) -> Ran:
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(int(end.value.code or 0), captured.out, captured.err)

    return call


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an array as an image file, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return path


def blobs(seed: int, size: tuple[int, int] = (40, 60)) -> tuple[np.ndarray, np.ndarray]:
    """A noisy grey image with a bright rectangle, and its mask in {0, 255}."""
    random = np.random.default_rng(seed)
    image, mask = random.integers(0, 90, size), np.zeros(size, dtype=np.uint8)
    top, left = int(random.integers(0, size[0] // 2)), int(random.integers(0, size[1] // 2))
    box = np.s_[top : top + size[0] // 3, left : left + size[1] // 3]
    image[box] += 150
    mask[box] = 255
    return image.astype(np.uint8), mask


@pytest.fixture
def birdsounds(tmp_path: Path) -> Path:
    """A tiny BirdSoundsDenoising in the published layout: 4/2/2 images."""
    return birdsounds_tree(tmp_path / "birdsounds")


def birdsounds_tree(
    root: Path,
    *,
    splits: tuple[str, str, str] = ("Train", "Valid", "Test"),
    folders: tuple[str, str] = ("Images", "Masks"),
) -> Path:
    """Write such a tree with any spelling of its folders."""
    number = 100
    for split, count in zip(splits, (4, 2, 2), strict=True):
        for _ in range(count):
            number += 1
            image, mask = blobs(number)
            save(root / split / folders[0] / f"XC{number}.png", image)
            save(root / split / folders[1] / f"XC{number}.png", mask)
    return root
