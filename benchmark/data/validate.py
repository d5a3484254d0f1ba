"""Check the folder, the listing and the examples of a dataset plugin."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.common.errors import UserError
from benchmark.contract import Audio, DatasetSpec, Example, Sample, Splits
from benchmark.data import recordings
from benchmark.data.spectrogram import Transform

SPLITS = ("train", "val", "test")
LONGEST_NAME = 1_000


def check_root(name: str, spec: DatasetSpec, root: Path | None) -> None:
    """Require `--data` for a dataset that is read from a folder, and refuse it for an embedded dataset.

    Raises:
        UserError: the folder is missing, does not exist, or is not needed.
    """
    if spec.needs_root and root is None:
        raise UserError(f"dataset '{name}' is read from a folder: say which with --data ROOT ({spec.title})")
    if root is not None and spec.embedded:
        raise UserError(
            f"dataset '{name}' is embedded and reads no folder: leave out --data, or name the dataset that reads "
            "it, e.g. --dataset folder for images and masks of your own (bench list shows all)"
        )
    check_folder(root)


def check_folder(root: Path | None) -> None:
    """Require that the folder, if one is named, exists.

    Raises:
        UserError: it does not exist.
    """
    if root is not None and not root.is_dir():
        raise UserError(f"no folder {root}; --data wants the folder that holds the dataset")


def checked_listing(splits: object) -> Splits:
    """The listing that `load` gave, if it is valid: train, val and test, none empty, each id once, every field right.

    Raises:
        UserError: the listing is not valid.
    """
    if not isinstance(splits, Mapping):
        raise UserError(f"load() gives a {type(splits).__name__}, not the samples by split; it must give a dict")
    for name in SPLITS:
        if name not in splits:
            raise UserError(f"the dataset has no split '{name}'; it must give train, val and test")
        if isinstance(splits[name], str) or not isinstance(splits[name], Sequence):
            raise UserError(f"split '{name}' is a {type(splits[name]).__name__}; it must be a list of samples")
        if not splits[name]:
            raise UserError(f"split '{name}' is empty; put images with masks into it")
        for sample in splits[name]:
            _check_sample(name, sample)
        twice, most = Counter(sample.id for sample in splits[name]).most_common(1)[0]
        if most > 1:
            raise UserError(f"split '{name}' has two samples '{twice}'; give each sample its own id")
    return splits


def _check_sample(split: str, sample: object) -> None:
    """Ids, slices and groups are names, which are written into tables and the manifest; strata are texts or numbers."""
    if not isinstance(sample, Sample):
        raise UserError(f"split '{split}' holds a {type(sample).__name__}, not a Sample")
    for name, value in (("id", sample.id), ("slice", sample.slice)):
        if not _is_name(value):
            raise UserError(f"split '{split}': the {name} {value!r} of a sample is not {_NAME}")
    where = f"sample '{sample.id}'"
    if not _maps(sample.groups, _is_name):
        raise UserError(f"{where}: groups = {sample.groups!r} do not map names to {_NAME}")
    if not _maps(sample.strata, _is_covariate):
        raise UserError(f"{where}: strata = {sample.strata!r} do not map names to texts or finite numbers")
    if not isinstance(sample.files, tuple) or not all(isinstance(path, Path) for path in sample.files):
        raise UserError(f"{where}: files = {sample.files!r} is not a tuple of paths")
    if not callable(sample.read):
        raise UserError(f"{where}: read = {sample.read!r} is not a function")


_NAME = f"a text of 1 to {LONGEST_NAME} printable characters"


def _maps(values: object, is_valid: Callable[[object], bool]) -> bool:
    return isinstance(values, Mapping) and all(_is_name(key) and is_valid(value) for key, value in values.items())


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value.isprintable() and bool(value.strip()) and len(value) <= LONGEST_NAME


def _is_covariate(value: object) -> bool:
    if isinstance(value, str):
        return value.isprintable() and len(value) <= LONGEST_NAME
    return isinstance(value, int | float) and -1e300 <= value <= 1e300  # neither NaN nor infinite


def check_example(sample: Sample, example: object, transform: Transform) -> None:
    """Require the types and shapes of the contract; the image of a sound has the size that the transform gives it.

    Raises:
        UserError: a type or shape is wrong.
    """
    where = " and ".join(str(path) for path in sample.files) or f"sample '{sample.id}'"
    if not isinstance(example, Example):
        raise UserError(f"{where}: read() gives a {type(example).__name__}, not an Example")
    image, mask = example.image, example.mask
    for name, array in (("image", image), ("mask", mask)):
        if not isinstance(array, np.ndarray):
            raise UserError(f"{where}: the {name} is a {type(array).__name__}; it must be a NumPy array")
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
        _check_audio(where, example.audio, mask.shape, transform)


def _check_audio(where: str, audio: object, shape: tuple[int, ...], transform: Transform) -> None:
    if not isinstance(audio, Audio):
        raise UserError(f"{where}: the sound is a {type(audio).__name__}, not Audio")
    for wave in (audio.noisy, audio.clean):
        if not isinstance(wave, np.ndarray) or not np.issubdtype(wave.dtype, np.floating):
            raise UserError(f"{where}: noisy and clean sound must be NumPy arrays of floats")
    if type(audio.sample_rate) is not int or audio.sample_rate <= 0:
        raise UserError(f"{where}: a sample rate of {audio.sample_rate!r}; it must be a whole number of Hz")
    if audio.noisy.ndim != 1 or audio.noisy.shape != audio.clean.shape:
        raise UserError(
            f"{where}: noisy and clean sound must be (samples,), not {audio.noisy.shape}, {audio.clean.shape}"
        )
    expected = (transform.rows, transform.frame_count(len(audio.noisy)))
    if shape != expected:
        raise UserError(
            f"{where}: the spectrogram of {len(audio.noisy)} samples is {expected[0]} x {expected[1]} pixels, "
            f"the image has {shape[0]} x {shape[1]}; render it again, or give no audio"
        )
    for wave in (audio.noisy, audio.clean):
        recordings.check_numbers(wave, where)
