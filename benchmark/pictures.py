"""Pictures of a run: ground truth beside prediction (the paper's Figures 1-2), loss over epochs (Figure 3)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

# Okabe & Ito's blue and vermilion: told apart with every kind of colour vision.
_BLUE, _VERMILION = "#0072B2", "#D55E00"


def draw_example(
    path: Path, title: str, image: NDArray[np.uint8], truth: NDArray[np.bool_], prediction: NDArray[np.bool_]
) -> None:
    """Image, truth and prediction side by side: uint8 (H, W[, 3]), bool (H, W), bool (H, W)."""
    figure = Figure(figsize=(6, 2.4), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels: Sequence[tuple[str, NDArray[Any]]] = (("image", image), ("truth", truth), ("prediction", prediction))
    for axes, (name, pixels) in zip(figure.subplots(1, 3), panels, strict=True):
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255 if pixels.dtype == np.uint8 else 1, aspect="auto")
        axes.set_title(name, fontsize=9)
        axes.set_axis_off()
    _save(figure, path)


def draw_curve(path: Path, title: str, losses: Sequence[float], ious: Sequence[float], selected: int) -> None:
    """Training loss and validation IoU over epochs; `selected` is the epoch whose weights were kept, from 1."""
    epochs = np.arange(1, len(losses) + 1)
    figure = Figure(figsize=(6, 3.4), layout="constrained")
    left = figure.subplots()
    left.set_title(title, fontsize=10)
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
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(str(path), metadata={"Software": None})
