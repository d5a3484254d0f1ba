"""Draw the pictures of a run: truth and prediction (the paper's Figures 1-2), loss over epochs (Figure 3)."""

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from benchmark.common import files
from benchmark.common.errors import printable
from benchmark.records.tables import History

# Okabe & Ito's blue and vermilion, which differ in every kind of colour vision.
_BLUE, _VERMILION = "#0072B2", "#D55E00"


def draw_example(path: Path, title: str, panels: Mapping[str, NDArray[Any]]) -> None:
    """Draw panels side by side, each an image uint8 (H, W[, 3]) or a mask bool (H, W)."""
    figure = Figure(figsize=(2 * len(panels), 2.4), layout="constrained")
    figure.suptitle(printable(title), fontsize=10 if len(panels) > 2 else 8, parse_math=False)
    for axes, (name, pixels) in zip(figure.subplots(1, len(panels)), panels.items(), strict=True):
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255 if pixels.dtype == np.uint8 else 1, aspect="auto")
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    save(figure, path)


THUMBNAIL = 160
"""Longer side in pixels."""


def pack_thumbnails(images: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Small WebP files of images (N, H, W[, 3]): joined in `thumbnails` (bytes,); `ends` (N,) says where each ends."""
    files = [_thumbnail(image) for image in images]
    return {
        "thumbnails": np.frombuffer(b"".join(files), dtype=np.uint8),
        "ends": np.cumsum([len(file) for file in files], dtype=np.int64),
    }


def _thumbnail(pixels: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    file = io.BytesIO()
    image.save(file, "WEBP", quality=60)
    return file.getvalue()


def draw_curve(path: Path, title: str, losses: Sequence[float], ious: Sequence[float], selected: int) -> None:
    """Draw training loss and validation IoU over epochs; `selected` is the epoch of the stored weights, from 1."""
    epochs = np.arange(1, len(losses) + 1)
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    left = figure.subplots()
    left.set_title(printable(title), fontsize=10, parse_math=False)
    left.set_xlabel("epoch")
    left.set_ylabel("training loss", color=_VERMILION)
    left.plot(epochs, losses, color=_VERMILION, linestyle="--", marker=".")
    left.set_ylim(0, 1.05 * max(losses))
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    right = left.twinx()
    right.set_ylabel("validation IoU (%)", color=_BLUE)
    right.plot(epochs, 100 * np.asarray(ious), color=_BLUE, marker=".", clip_on=False)
    right.axvline(selected, color="0.6", linewidth=1)
    right.annotate("selected", (selected, 2), color="0.4", fontsize=8, ha="right", rotation=90, va="bottom")
    right.set_ylim(0, 100)
    save(figure, path)


def draw_curves(path: Path, title: str, runs: Mapping[str, Sequence[History]]) -> None:
    """Draw training loss and validation IoU of several entries, a colour for each and a line for each of its runs.

    Raises:
        UserError: the file cannot be written.
    """
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    figure.suptitle(printable(title), fontsize=10, parse_math=False)
    left, right = figure.subplots(1, 2)
    for number, (label, histories) in enumerate(runs.items()):
        style: dict[str, Any] = {"color": f"C{number % 10}", "linestyle": "-:"[number // 10 % 2], "linewidth": 1.2}
        for index, history in enumerate(histories):
            left.plot(history.epochs, history.losses, **style)
            right.plot(history.epochs, 100 * np.asarray(history.ious), label="" if index else printable(label), **style)
    left.set_ylabel("training loss")
    right.set_ylabel("validation IoU (%)")
    left.set_ylim(bottom=0)
    right.set_ylim(0, 100)
    for axes in (left, right):
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(color="0.9")
    figure.legend(fontsize=8, loc="outside right upper")
    written = partial(figure.savefig, format=path.suffix.removeprefix("."), dpi=150)
    files.write_atomically(path, written)


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, the same bytes for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(str(path), metadata={"Software": None})
