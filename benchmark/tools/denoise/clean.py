"""A recording -> the same recording with the bird alone: same rate, channels, length; any length in bounded memory."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import recordings, spectrogram
from benchmark.data.spectrogram import BINS, FFT_LENGTH, HOP

if TYPE_CHECKING:
    from benchmark.tools.denoise.cleaner import Cleaner

Mask = Literal["soft", "hard"]
Above = Literal["remove", "keep"]

_LOWEST_RATE = 1_000  # Hz
_SECTION = 1_000_000  # samples that are worked on at a time
_SUBTYPES = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """What became of a recording; `kept` is the share of its spectrum's bins that the mask keeps."""

    source: Path
    target: Path
    header: recordings.Header
    kept: float
    above: float | None
    """Hz above which the network has never met a sound, where the recording reaches further."""
    silent: bool


def targets(inputs: Sequence[Path], out: Path) -> tuple[dict[Path, Path], list[UserError]]:
    """Every recording below the inputs -> the WAV file that it becomes, and what is wrong with the other inputs.

    Folders keep their structure.

    Raises:
        UserError: no recordings at all, two that would become the same file, one that would be replaced, or one whose
            cleaned file would lie outside of `out`.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file, not a folder")
    found: dict[Path, Path] = {}
    problems: list[UserError] = []
    for given in inputs:
        if given.is_dir() and given.resolve() == out.resolve():
            raise UserError(f"--out {out} is the folder of the recordings themselves; choose another")
        try:
            found.update(_below(given, out))
        except UserError as error:
            problems.append(error)
    if not found:
        raise problems[0] if problems else UserError(f"no recordings but those that were cleaned into {out}")
    _check(found, out)
    return found, problems


def _below(given: Path, out: Path) -> dict[Path, Path]:
    found = {}
    for source in recordings.find(given):
        if given.is_dir() and source.resolve().is_relative_to(out.resolve()):
            continue  # what was cleaned before
        below = source.relative_to(given) if given.is_dir() else Path(source.name)
        found[source] = out / below.with_suffix(".wav")
    return found


def _check(found: Mapping[Path, Path], out: Path) -> None:
    owners: dict[Path, Path] = {}
    originals = {path.resolve() for path in found}
    for source, target in found.items():
        other = owners.setdefault(target, source)
        if other is not source:
            raise UserError(f"{other} and {source} would both become {target}; clean them into folders of their own")
        if not target.parent.resolve().is_relative_to(out.resolve()):
            raise UserError(
                f"{target} lies behind a link that leads out of {out}; remove the link, or choose another --out"
            )
        if target.resolve() in originals:
            raise UserError(f"{target} is a recording that is to be cleaned; choose another --out")


def clean(cleaner: "Cleaner", source: Path, target: Path, *, mask: Mask, above: Above, report: Report) -> Cleaned:
    """Clean one recording, and draw it.

    Raises:
        UserError: it cannot be read, is too short, or the result cannot be written; nothing is left then.
    """
    from benchmark.tools.denoise.overview import Overview  # matplotlib takes a while, and inputs may be refused

    header = recordings.header(source)
    if header.samples < spectrogram.WINDOW_LENGTH:
        raise UserError(
            f"{source} has {header.samples} samples; a spectrogram needs at least {spectrogram.WINDOW_LENGTH}"
        )
    rate = header.sample_rate
    if rate < _LOWEST_RATE:
        raise UserError(f"{source} states a sample rate of {rate} Hz; no bird sings below {_LOWEST_RATE // 2} Hz")
    seconds = max(1, min(30, _SECTION // rate))
    margin = math.ceil(cleaner.window_seconds(rate)) + 1
    overview = Overview(spectrogram.frame_count(header.samples), rate)
    subtype = header.subtype if header.subtype in _SUBTYPES else "PCM_16"
    loudest = 0.0
    pictures = [target.with_suffix(".mask.png"), target.with_suffix(".png")]
    with (
        files.atomic_files([target, *pictures]) as (sound, *drawings),
        recordings.writer(sound, rate, header.channels, subtype) as file,
    ):
        for begin, end, samples in recordings.sections(source, seconds=seconds, margin=margin):
            section = _Section(begin=begin, end=end, first=max(begin - margin * rate, 0), total=header.samples)
            cleaned = np.empty((end - begin, header.channels), np.float32)
            for channel in range(header.channels):
                wave = np.ascontiguousarray(samples[:, channel])
                cleaned[:, channel], shown = section.clean(cleaner, wave, rate, mask, above, show=channel == 0)
                if shown:
                    overview.add(section.frames, *shown)
            loudest = max(loudest, float(np.abs(samples).max()))
            file.write(cleaned)
            report(source.name, end, header.samples, "")
        overview.save(*drawings, title=source.name)
    band = cleaner.band(rate)
    return Cleaned(
        source=source,
        target=target,
        header=header,
        kept=overview.kept,
        above=band if band < rate / 2 else None,
        silent=loudest == 0,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Section:
    """Samples `begin` ... `end` of a recording of `total`; what is at hand starts at sample `first`."""

    begin: int
    end: int
    first: int
    total: int

    @property
    def frames(self) -> slice:
        """Frames of the recording that this section answers for, each in one section only."""
        return slice(-(-self.begin // HOP), -(-self.end // HOP))

    def clean(
        self, cleaner: "Cleaner", samples: NDArray[np.float32], rate: int, mask: Mask, above: Above, *, show: bool
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """The section without what is not bird; with `show` also power before, weights, power after: (K, T) each."""
        # Two frames more on either side, so that what is overlapped at the borders is the same in both neighbours.
        start = max(self.begin // HOP - 2, 0)
        stop = -(-self.end // HOP) + 2  # frames; the last reach beyond the recording's end, into silence
        wave = samples[start * HOP - self.first :][: spectrogram.sample_count(stop - start)]
        wave = np.pad(wave, (0, spectrogram.sample_count(stop - start) - len(wave)))
        weights = self._weights(cleaner, samples, rate, start, stop)
        weights = (weights >= cleaner.protocol.threshold).astype(np.float32) if mask == "hard" else weights
        weights[np.arange(BINS) * rate / FFT_LENGTH > cleaner.band(rate)] = 1.0 if above == "keep" else 0.0
        cleaned = spectrogram.apply(wave, spectrogram.two_sided(weights))
        offset = self.begin - start * HOP
        section = cleaned[offset : offset + self.end - self.begin]
        if not show:
            return section, ()
        inside = slice(self.frames.start - start, self.frames.stop - start)
        before, after = (np.abs(spectrogram.stft(part)[:, inside]) ** 2 for part in (wave, cleaned))
        return section, (before, weights[:, inside], after)

    def _weights(
        self, cleaner: "Cleaner", samples: NDArray[np.float32], rate: int, start: int, stop: int
    ) -> NDArray[np.float32]:
        """The network's weights on the recording's own frames `start` ... `stop` and bins: (K, stop - start)."""
        times = (np.arange(start, stop) + 1) * HOP / rate  # centres of the frames, s
        scale = cleaner.rate(rate) / HOP
        needed = max(math.floor(times[0] * scale) - 2, 0), math.ceil(times[-1] * scale) + 1
        grid = cleaner.grid(samples, rate, start=self.first // rate, frames=needed)
        return grid.at(np.arange(BINS) * rate / FFT_LENGTH, times)
