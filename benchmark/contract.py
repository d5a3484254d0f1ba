"""The types that a plugin provides and receives; every plugin imports this module.

A plugin is one file, or a folder with an `__init__.py`; helpers go into the plugin's folder.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError

__all__ = [
    "ArchitectureSpec",
    "Audio",
    "DatasetSpec",
    "Example",
    "Rendering",
    "Reported",
    "Sample",
    "Splits",
    "UserError",
]

_LARGEST_MULTIPLE = 1_024
"""Pixels. Images are padded to the multiple that a plugin asks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reported:
    """A published number of an architecture.

    `value` is as printed (IoU in per cent); `source` names paper and table; `comparable` is "yes", or "no: " and the
    reason why the number does not compare with ours.
    """

    dataset: str
    split: str
    metric: str
    value: float
    source: str
    comparable: str

    @classmethod
    def table(
        cls, values: Mapping[str, float], *, dataset: str, source: str, comparable: str
    ) -> "tuple[Reported, ...]":
        """The numbers of one row of a paper's table: "split metric" -> value, e.g. {"test IoU": 62.9}."""
        return tuple(
            cls(dataset=dataset, split=split, metric=metric, value=value, source=source, comparable=comparable)
            for (split, _, metric), value in ((name.partition(" "), value) for name, value in values.items())
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchitectureSpec:
    """The last line of a plugin in `architectures/`: `ARCHITECTURE = ArchitectureSpec(...)`.

    `build(*, in_channels: int, pretrained: bool, ...)` returns a module that maps (N, in_channels, H, W) floats to
    logits (N, 1, H, W). Further keyword arguments with defaults are the plugin's parameters (`--arch unet:width=32`);
    one called `image_size: tuple[int, int]` receives the protocol's (height, width). H and W are multiples of
    `size_multiple`: the core pads and crops.
    """

    build: Callable[..., Any]
    title: str
    paper: str
    citation: str
    size_multiple: int = 1
    pretrained: str | None = None
    """The pretrained weights in words, e.g. "ImageNet-1k, torchvision IMAGENET1K_V1"; None without any."""
    licence: str | None = None
    """The licence of the pretrained weights, e.g. "BSD-3-Clause; trained on ImageNet-1k"."""
    reported: tuple[Reported, ...] = ()
    """Published numbers of the plugin with its parameters at their defaults."""
    without_gradient: tuple[str, ...] = ()
    """Names of parameters, or patterns such as "encoder.*", that are meant to get no gradient."""
    pixelwise: bool = False
    """Whether each pixel is judged by itself and a fixed neighbourhood. A network that sees shapes must do better than
    such baselines; the leaderboard shows whether it does."""
    loss: Callable[[Any, Any], Any] | None = None
    """`loss(outputs, masks) -> Tensor`: a loss of the network's own, one number, for `--arch NAME:loss=own`. `outputs`
    are what `forward` returns in training mode, which may be a list or tuple of which the first are the logits;
    `masks` (N, 1, H, W) are 0 or 1. Without `loss=own` it trains with the protocol's loss of these logits, like all."""
    resolve: "Callable[[Mapping[str, Any]], ArchitectureSpec] | None" = None
    """Parameters -> the spec for them, if title, weights or reported numbers depend on the parameters."""

    def __post_init__(self) -> None:
        """Check the fields here, where the traceback shows the plugin's line.

        Raises:
            UserError: a field has the wrong type or value.
        """
        _require(self, "build", callable(self.build), "a class or function")
        for name in ("title", "paper", "citation"):
            _require(self, name, isinstance(getattr(self, name), str), "a text")
        _require(self, "title", self.title.isprintable(), "one line of printable characters")
        valid = type(self.size_multiple) is int and 1 <= self.size_multiple <= _LARGEST_MULTIPLE
        _require(self, "size_multiple", valid, f"a whole number from 1 to {_LARGEST_MULTIPLE}")
        for name in ("pretrained", "licence"):
            _require(self, name, isinstance(getattr(self, name), str | None), "a text or None")
        _require(self, "reported", _all_are(Reported, self.reported), "a tuple of Reported")
        _require(self, "without_gradient", _all_are(str, self.without_gradient), "a tuple of names or patterns")
        _require(self, "pixelwise", isinstance(self.pixelwise, bool), "True or False")
        _require(self, "loss", self.loss is None or callable(self.loss), "a function or None")
        _require(self, "resolve", self.resolve is None or callable(self.resolve), "a function or None")


@dataclass(frozen=True, kw_only=True, slots=True)
class Audio:
    """The waveforms of an image: the noisy recording and its clean part, each (samples,), at `sample_rate` Hz."""

    noisy: NDArray[np.floating[Any]]
    clean: NDArray[np.floating[Any]]
    sample_rate: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Example:
    """One decoded sample: image (H, W) grey or (H, W, 3) in uint8, mask (H, W) in bool, audio where known.

    `between` counts pixels of the mask's file that were neither background nor foreground, and were thresholded.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    audio: Audio | None = None
    between: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A sample before it is decoded.

    `groups` names every source of dependence between samples (`recording`, `song`, `background`, `species`, ...);
    `slice` names the part of the split that it is scored in ("main" is the headline, others get their own column);
    `strata` are covariates for later analysis (SNR, noise family); `files` are what `read` reads, so that the cache
    notices a change. `read` must be picklable: a module-level function or a partial of one.
    """

    id: str
    groups: Mapping[str, str]
    read: Callable[[], Example]
    slice: str = "main"
    strata: Mapping[str, str | float] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Rendering:
    """How a dataset's images were made from recordings; `bench denoise` treats other recordings in the same way.

    Frequencies in Hz. `sample_rate` None: the recording's own; `frames` None: as many as the recording has.
    The sound is filtered to `highpass` ... `lowpass` (None: no filter) and scaled to the peak `peak` (None: unscaled).
    The last five describe the spectrogram and its image (see `benchmark.data.spectrogram.Transform`); by default they
    are those of BirdSoundsDenoising.
    """

    sample_rate: int | None = None
    frames: int | None = None
    highpass: float | None = None
    lowpass: float | None = None
    peak: float | None = None
    window: int = 128
    hop: int = 64
    fft_length: int = 1024
    sides: int = 2
    scale: str = "linear"

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            UserError: a field has the wrong type or value.
        """
        for name in ("sample_rate", "frames", "highpass", "lowpass", "peak"):
            value = getattr(self, name)
            valid = value is None or (isinstance(value, int | float) and 0 < value < math.inf)
            _require(self, name, valid, "a positive number or None")
        _require(self, "hop", type(self.hop) is int and self.hop > 0, "a positive whole number")
        valid = type(self.window) is int and self.window > 0 and self.window % self.hop == 0
        _require(self, "window", valid, "a multiple of the hop")
        even = type(self.fft_length) is int and self.fft_length % 2 == 0
        _require(self, "fft_length", even and self.fft_length >= self.window, "even, and not below the window")
        _require(self, "sides", self.sides in (1, 2), "1 or 2")
        _require(self, "scale", self.scale in ("linear", "decibel", "contrast"), '"linear", "decibel" or "contrast"')


Splits = Mapping[str, Sequence[Sample]]
"""Split name ("train", "val", "test") -> its samples in a fixed order."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DatasetSpec:
    """The last line of a plugin in `datasets/`: `DATASET = DatasetSpec(...)`.

    `load(*, root: Path | None, ...)` returns the splits without decoding anything. Further keyword arguments with
    defaults are the plugin's parameters (`--dataset synthetic:train=64`).
    """

    load: Callable[..., Splits]
    title: str
    paper: str
    citation: str
    licence: str
    needs_root: bool
    """Whether the user must give the folder of the files with `--data ROOT`."""
    rendering: Rendering | None = None
    """How the images were made from sound; None if that is unknown."""
    takes_root: bool = False
    """Whether `--data ROOT` may name the folder, which lies in the cache otherwise."""
    resolve: "Callable[..., DatasetSpec] | None" = None
    """The arguments of `load` -> the spec for them, if title, licence or rendering depend on the folder."""

    @property
    def embedded(self) -> bool:
        """Whether it reads no folder, so that its images are ours to publish."""
        return not (self.needs_root or self.takes_root)

    def __post_init__(self) -> None:
        """Check the fields here, where the traceback shows the plugin's line.

        Raises:
            UserError: a field has the wrong type or value.
        """
        _require(self, "load", callable(self.load), "a function")
        for name in ("title", "paper", "citation", "licence"):
            _require(self, name, isinstance(getattr(self, name), str), "a text")
        _require(self, "title", self.title.isprintable(), "one line of printable characters")
        _require(self, "needs_root", isinstance(self.needs_root, bool), "True or False")
        _require(self, "takes_root", isinstance(self.takes_root, bool), "True or False")
        _require(self, "rendering", isinstance(self.rendering, Rendering | None), "a Rendering or None")
        _require(self, "resolve", self.resolve is None or callable(self.resolve), "a function or None")


def _require(spec: object, name: str, valid: bool, expected: str) -> None:
    if not valid:
        raise UserError(f"{type(spec).__name__}: {name} = {getattr(spec, name)!r} is not {expected}")


def _all_are(kind: type, values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, kind) for value in values)
