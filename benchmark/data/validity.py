"""What a dataset plugin must give, said to its user when it does not."""

from collections import Counter
from pathlib import Path

import numpy as np

from benchmark import spectrogram
from benchmark.contract import Audio, DatasetSpec, Example, Sample, Splits
from benchmark.errors import UserError

SPLITS = ("train", "val", "test")


def check_root(name: str, spec: DatasetSpec, root: Path | None) -> None:
    """A folder where the dataset is read from one, and none where it is not.

    Raises:
        UserError: it is the other way round, or there is no such folder.
    """
    if spec.needs_root and root is None:
        raise UserError(f"dataset '{name}' is read from a folder: say which with --data ROOT ({spec.title})")
    if not spec.needs_root and root is not None:
        raise UserError(
            f"dataset '{name}' is embedded and reads no folder: leave --data out, or name the folder's "
            "reader with --dataset (bench list shows them)"
        )
    if root is not None and not root.is_dir():
        raise UserError(f"no folder {root}; --data wants the folder that holds the dataset")


def check_listing(splits: Splits) -> None:
    """Three splits, none of them empty, each id once.

    Raises:
        UserError: it is otherwise.
    """
    for name in SPLITS:
        if name not in splits:
            raise UserError(f"the dataset has no split '{name}'; it must give train, val and test")
        if not splits[name]:
            raise UserError(f"split '{name}' is empty; put images with masks into it")
        counts = Counter(sample.id for sample in splits[name])
        twice, most = counts.most_common(1)[0]
        if most > 1:
            raise UserError(f"sample '{twice}' stands twice in split '{name}'; give each sample its own id")


def check_example(sample: Sample, example: Example) -> None:
    """Types and shapes of what `read` gave.

    Raises:
        UserError: they are not the contract's.
    """
    image, mask = example.image, example.mask
    where = " and ".join(str(path) for path in sample.files) or f"sample '{sample.id}'"
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise UserError(f"{where}: an image must be uint8 (H, W) or (H, W, 3), not {image.dtype} {image.shape}")
    if mask.dtype != np.bool_ or mask.ndim != 2:
        raise UserError(f"{where}: a mask must be bool (H, W), not {mask.dtype} {mask.shape}")
    if image.shape[:2] != mask.shape:
        sizes = [f"{height} x {width}" for height, width in (image.shape[:2], mask.shape)]
        raise UserError(f"{where}: the image is {sizes[0]}, its mask {sizes[1]} pixels; export the mask again")
    if min(mask.shape) == 0:
        raise UserError(f"{where}: the image has no pixels; remove it")
    if example.audio is not None:
        _check_audio(where, example.audio, mask.shape)


def _check_audio(where: str, audio: Audio, shape: tuple[int, ...]) -> None:
    if audio.noisy.ndim != 1 or audio.noisy.shape != audio.clean.shape:
        raise UserError(
            f"{where}: noisy and clean sound must be (samples,), not {audio.noisy.shape}, {audio.clean.shape}"
        )
    expected = (spectrogram.ROWS, spectrogram.frame_count(len(audio.noisy)))
    if shape != expected:
        raise UserError(
            f"{where}: the spectrogram of {len(audio.noisy)} samples is {expected[0]} x {expected[1]} pixels, "
            f"the image has {shape[0]} x {shape[1]}; render it again, or give no audio"
        )
    if not (np.isfinite(audio.noisy).all() and np.isfinite(audio.clean).all()):
        raise UserError(f"{where}: the sound has samples that are no finite numbers; export it again")
