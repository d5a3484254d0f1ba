"""Pieces that several test files build with."""

import hashlib
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from benchmark import protocols
from benchmark.plugins import registry
from benchmark.records import schema, store
from benchmark.training.hardware import Hardware

FP32 = Hardware(device=torch.device("cpu"), kind="test", precision="fp32")
SETTINGS = protocols.load("quick").override(
    {"image_size": (16, 24), "epochs": 3, "batch_size": 3, "learning_rate": 0.01, "loss": "bce"}
)


SMALL = "synthetic:train=8,val=4,test=4,ood=2"


TINY = ("--dataset", SMALL, "--image-size", "32", "--epochs", "2", "--batch-size", "4", "--precision", "fp32")


NEW_PLUGIN = '''"""Blur and threshold: the smallest network that learns."""
from torch import nn
from benchmark.contract import ArchitectureSpec


class Blur(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, kernel_size=9, padding=4)

    def forward(self, image):
        return self.layer(image)


ARCHITECTURE = ArchitectureSpec(build=Blur, title="Blur", paper="none", citation="@misc{blur, title={Blur}}")
'''


def put(content: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Change a record's content by the ways to its values: `{"training__best_epoch": 1}`."""
    for way, value in changes.items():
        *outer, last = way.split("__")
        target = content
        for name in outer:
            target = target[name]
        target[last] = value


def runs(results: Path) -> list[schema.Record]:
    return [found for _, found in store.read_all(results)[0]]


@dataclass(frozen=True)
class Ran:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


Bench = Callable[..., Ran]
"""What the fixture `bench` gives: arguments of the command line -> what the command printed and how it ended."""


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


@contextmanager
def pipe(path: Path) -> Iterator[Path]:
    """A pipe into which nobody writes; whoever opens it nevertheless is woken after a while, and fails."""

    def wake(*_: object) -> None:
        raise TimeoutError("it was opened, and waited for")

    os.mkfifo(path)
    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(20)
    try:
        yield path
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


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


def planted(folder: Path, kind: registry.Kind, code: str) -> str:
    """Put a plugin called "planted" into a folder of the user's, and say its name."""
    (folder / kind).mkdir(parents=True)
    (folder / kind / "planted.py").write_text(code)
    registry.add_folder(folder)
    return "planted"


# Everything that has a state: batch norm, dropout, Python's and NumPy's generators, a buffer that is not saved by a
# state dict, and convolutions whose weights lie channels-last beside Adam's moments.
FORGETFUL = '''"""Remembers everything that can be forgotten."""
import random

import numpy as np
import torch
from torch import nn
from benchmark.contract import ArchitectureSpec


class Forgetful(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(in_channels, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout2d(0.2),
            nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 1, 1),
        )
        self.register_buffer("steps", torch.zeros(()), persistent=False)

    def forward(self, image):
        if self.training:
            self.steps += 1
        noise = (random.random() + float(np.random.rand())) if self.training else 0.0
        return self.body(image + 0.1 * noise) + 0.01 * self.steps


ARCHITECTURE = ArchitectureSpec(build=Forgetful, title="Forgetful", paper="none", citation="@misc{f, title={F}}")
'''


MORTAL = '''"""A small network without batch norm that can be told to die, or to need more memory than there is."""
import os
import signal
import time

import torch
from torch import nn
from benchmark.contract import ArchitectureSpec


class Mortal(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool, room: int = 99) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(in_channels, 8, 3, padding=1), nn.GELU(), nn.Conv2d(8, 1, 3, padding=1))
        self.room = room
        self.seen = 0

    def forward(self, image):
        if self.training:
            if len(image) > self.room:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            self.seen += 1
            time.sleep(float(os.environ.get("SLEEP", "0")))
            if self.seen == int(os.environ.get("DIE_AT", "0")):
                os.kill(os.getpid(), signal.SIGKILL)
        return self.body(image)


ARCHITECTURE = ArchitectureSpec(build=Mortal, title="Mortal", paper="none", citation="@misc{m, title={M}}")
'''


def fingerprint(path: Path) -> str:
    """Of what must not differ between equal runs: weights, counts, losses; the seconds may."""
    names = ("model.safetensors", "images.csv", "logits.csv", "plugin.py")
    digest = hashlib.sha256(b"".join((path / name).read_bytes() for name in names))
    for line in (path / "history.csv").read_text().splitlines():
        digest.update(line.rpartition(",")[0].encode())
    return digest.hexdigest()


def pixelwise(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Dropout(0.1), nn.Conv2d(8, 1, 1))
