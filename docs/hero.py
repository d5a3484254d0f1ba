"""Draw the picture on top of README.md, docs/pictures/hero.png, from committed records of synthetic sounds.

    python docs/hero.py

The recording is no choice of ours: of the test images in which the noise is louder than the song, the one at which the
reference network has its median IoU.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from benchmark.datasets import synthetic
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray
from PIL import Image

from benchmark.data.spectrogram import Transform
from benchmark.records import archives, store

RUNS = Path(__file__).parent.parent / "results" / "runs" / "paper" / "synthetic"
NETWORK = RUNS / "custom_resnet34" / "b0f5e50adb4c"
FLOOR = RUNS / "local_features" / "2de51c073c73"
PICTURE = Path(__file__).parent / "pictures" / "hero.png"
KEYS = {"found": "#ffffff", "missed": "#56b4e9", "invented": "#e66100"}  # apart in every kind of colour vision
FOUND, MISSED, INVENTED = KEYS.values()
TRANSFORM = Transform()
GROUND, TEXT = "#16161d", "#e8e8e8"  # a dark card, on a light page and on a dark one
DYNAMICS = 45
"""dB from black to the loudest."""


def scores(run: Path) -> pd.DataFrame:
    """A row per test image: IoU at the size of the file, SI-SDR before and after."""
    rows = pd.read_csv(run / "images.csv")
    return rows.assign(iou=rows.native_tp / (rows.native_tp + rows.native_fp + rows.native_fn))


def chosen() -> int:
    """The number of the test image."""
    rows = scores(NETWORK)
    loud = rows[rows.sisdr_noisy < 0].sort_values("iou", kind="stable")
    return int(loud.index[len(loud) // 2])


def level(samples: NDArray[Any], loudest: float) -> NDArray[Any]:
    """The spectrogram of a recording, 0 Hz in the last row, from 0 (faint) to 1 (as loud as `loudest`): (R / 2, T)."""
    size = np.abs(TRANSFORM.stft(samples))[-2::-1]  # Nyquist has no row
    return np.clip(1 + 20 * np.log10(np.maximum(size / loudest, 1e-9)) / DYNAMICS, 0, 1)


def mask(run: Path, number: int, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """The predicted mask of a test image at the size of the file, (R, T)."""
    small = archives.read_predictions(run / store.PREDICTIONS)[number]
    return np.asarray(Image.fromarray(small).resize(shape[::-1], Image.Resampling.NEAREST))


def coloured(level: NDArray[Any], truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> NDArray[Any]:
    """Found, missed and invented over the grey spectrogram, whose level is 0 to 1: (H, W, 3)."""
    shown = np.repeat(0.75 * level[..., None], 3, axis=-1)
    for where, colour in ((truth & predicted, FOUND), (truth & ~predicted, MISSED), (predicted & ~truth, INVENTED)):
        shown[where] = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return shown


def main(picture: Path = PICTURE) -> None:
    """Write the picture."""
    number = chosen()
    example = synthetic.render("test", number)
    assert example.audio is not None
    noisy = example.audio.noisy
    half = TRANSFORM.rows // 2  # an image has both sides; its upper half is 0 Hz to Nyquist, the highest on top
    truth, learnt, pixelwise = example.mask, *(mask(run, number, example.mask.shape) for run in (NETWORK, FLOOR))
    loudest = float(np.abs(TRANSFORM.stft(noisy)).max())
    before, after = level(noisy, loudest), level(TRANSFORM.apply(noisy, learnt), loudest)
    reached, floor = (scores(run).iloc[number] for run in (NETWORK, FLOOR))
    panels = {
        "A noisy recording;\noutlined: the true bird": before,
        f"Pixel by pixel\n(local_features): IoU {floor.iou:.0%}": coloured(before, truth[:half], pixelwise[:half]),
        f"A neural network\n(custom_resnet34): IoU {reached.iou:.0%}": coloured(before, truth[:half], learnt[:half]),
        f"Cleaned by its mask:\nSI-SDR {reached.sisdr_noisy:+.0f} to {reached.sisdr:+.0f} dB": after,
    }
    figure = Figure(figsize=(9, 3.05), layout="constrained", facecolor=GROUND)
    seconds, kilohertz = len(noisy) / synthetic.SAMPLE_RATE, synthetic.SAMPLE_RATE / 2000
    where = {"extent": (0, seconds, 0, kilohertz), "aspect": "auto"}
    all_axes = figure.subplots(1, len(panels), sharex=True, sharey=True)
    for axes, (title, shown) in zip(all_axes, panels.items(), strict=True):
        axes.imshow(shown, cmap="magma", vmin=0, vmax=1, interpolation="nearest", **where)
        axes.set_title(title, color=TEXT, fontsize=9.5)
        axes.set_xlabel("s", color=TEXT)
        axes.tick_params(colors=TEXT, labelsize=9)
        axes.set(xticks=[0, 0.25, 0.5], yticks=[0, 4, 8, 12, 16])
    all_axes[0].set_ylabel("kHz", color=TEXT)
    outline = {"levels": [0.5], "colors": [FOUND], "linewidths": 1.2, "origin": "upper", "extent": where["extent"]}
    all_axes[0].contour(truth[:half], **outline)
    keys = [Patch(color=colour, label=word) for word, colour in KEYS.items()]
    figure.legend(handles=keys, ncols=3, loc="outside lower center", frameon=False, labelcolor=TEXT, fontsize=9.5)
    drawn = io.BytesIO()
    figure.savefig(drawn, dpi=200)
    Image.open(drawn).convert("RGB").quantize(128, dither=Image.Dither.NONE).save(picture, optimize=True)


if __name__ == "__main__":
    main()
