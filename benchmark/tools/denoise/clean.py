"""Clean a recording: keep its rate, channels and length; work section by section, so memory stays bounded."""

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
from benchmark.data import recordings
from benchmark.data.spectrogram import Transform

if TYPE_CHECKING:
    from benchmark.tools.denoise.cleaner import Cleaner

Mask = Literal["soft", "hard"]
Above = Literal["remove", "keep"]

_LOWEST_RATE = 1_000  # Hz
_SECTION = 1_000_000  # samples per section
_SUBTYPES = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """A cleaned recording; `kept` is the share of its spectrogram that the mask keeps."""

    source: Path
    target: Path
    header: recordings.Header
    kept: float
    above: float | None
    """Hz above which the network has never met a sound; None if the recording does not reach that high."""
    silent: bool


def targets(inputs: Sequence[Path], out: Path) -> tuple[dict[Path, Path], list[UserError]]:
    """Map each recording below the inputs to the WAV file to write, and list the errors of the other inputs.

    Folders keep their structure.

    Raises:
        UserError: there are no recordings, two would become the same file, one would be overwritten, or a cleaned file
            would lie outside of `out`.
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
        raise problems[0] if problems else UserError(f"no recordings except those already cleaned into {out}")
    _check(found, out)
    return found, problems


def _below(given: Path, out: Path) -> dict[Path, Path]:
    found = {}
    for source in recordings.find(given):
        if given.is_dir() and source.resolve().is_relative_to(out.resolve()):
            continue  # cleaned earlier
        below = source.relative_to(given) if given.is_dir() else Path(source.name)
        found[source] = out / below.with_suffix(".wav")
    return found


def _check(found: Mapping[Path, Path], out: Path) -> None:
    owners: dict[Path, Path] = {}
    originals = {path.resolve() for path in found}
    for source, target in found.items():
        other = owners.setdefault(target, source)
        if other is not source:
            raise UserError(f"{other} and {source} would both become {target}; clean them into different folders")
        if not target.parent.resolve().is_relative_to(out.resolve()):
            raise UserError(
                f"{target} is behind a link that leads out of {out}; remove the link, or choose another --out"
            )
        if target.resolve() in originals:
            raise UserError(f"{target} is one of the recordings to clean; choose another --out")


def clean(cleaner: "Cleaner", source: Path, target: Path, *, mask: Mask, above: Above, report: Report) -> Cleaned:
    """Clean one recording, and draw it.

    Raises:
        UserError: it cannot be read, is too short, or the result cannot be written; no file is left then.
    """
    from benchmark.tools.denoise.overview import Overview  # imports matplotlib, which takes a while

    header = recordings.header(source)
    rate = header.sample_rate
    if rate < _LOWEST_RATE:
        raise UserError(f"{source} states a sample rate of {rate} Hz; no bird sings below {_LOWEST_RATE // 2} Hz")
    transform = cleaner.finest(rate)
    if header.samples < transform.window:
        raise UserError(f"{source} has {header.samples} samples; a spectrogram needs at least {transform.window}")
    seconds = max(1, min(30, _SECTION // rate))
    margin = math.ceil(cleaner.window_seconds(rate)) + 1
    overview = Overview(transform.frame_count(header.samples), rate, transform)
    subtype = header.subtype if header.subtype in _SUBTYPES else "PCM_16"
    loudest = 0.0
    pictures = [target.with_suffix(".mask.png"), target.with_suffix(".png")]
    with (
        files.atomic_files([target, *pictures]) as (sound, *drawings),
        recordings.writer(sound, rate, header.channels, subtype) as file,
    ):
        for begin, end, samples in recordings.sections(source, seconds=seconds, margin=margin):
            section = _Section(begin=begin, end=end, first=max(begin - margin * rate, 0), transform=transform)
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
    """Samples `begin` to `end` of a recording; the samples that were read start at `first`."""

    begin: int
    end: int
    first: int
    transform: Transform

    @property
    def frames(self) -> slice:
        """Frames of the recording that belong to this section; every frame belongs to one section only."""
        return slice(-(-self.begin // self.transform.hop), -(-self.end // self.transform.hop))

    def clean(
        self, cleaner: "Cleaner", samples: NDArray[np.float32], rate: int, mask: Mask, above: Above, *, show: bool
    ) -> tuple[NDArray[np.float32], tuple[NDArray[np.float32], ...]]:
        """The cleaned section; with `show` also the power before, the weights and the power after: (K, T) each."""
        # More frames on either side: the overlap at a border is then the same in both sections.
        hop, beyond = self.transform.hop, self.transform.window // self.transform.hop
        start = max(self.begin // hop - beyond, 0)
        stop = -(-self.end // hop) + beyond  # the last frames reach beyond the end of the recording, into silence
        length = self.transform.sample_count(stop - start)
        wave = samples[start * hop - self.first :][:length]
        wave = np.pad(wave, (0, length - len(wave)))
        weights = self._weights(cleaner, samples, rate, start, stop)
        weights = (weights >= cleaner.protocol.threshold).astype(np.float32) if mask == "hard" else weights
        weights[self._frequencies(rate) > cleaner.band(rate)] = 1.0 if above == "keep" else 0.0
        cleaned = self.transform.apply(wave, self.transform.unfold(weights))
        offset = self.begin - start * hop
        section = cleaned[offset : offset + self.end - self.begin]
        if not show:
            return section, ()
        inside = slice(self.frames.start - start, self.frames.stop - start)
        before, after = (np.abs(self.transform.stft(part)[:, inside]) ** 2 for part in (wave, cleaned))
        return section, (before, weights[:, inside], after)

    def _weights(
        self, cleaner: "Cleaner", samples: NDArray[np.float32], rate: int, start: int, stop: int
    ) -> NDArray[np.float32]:
        """The network's weights on frames `start` to `stop` and bins of the recording itself: (K, stop - start)."""
        times = self.transform.centres(np.arange(start, stop)) / rate  # s
        its = cleaner.transform
        first, last = ((time * cleaner.rate(rate) - its.window / 2) / its.hop for time in (times[0], times[-1]))
        needed = max(math.floor(first) - 1, 0), max(math.ceil(last) + 2, 1)
        grid = cleaner.grid(samples, rate, start=self.first // rate, frames=needed)
        return grid.at(self._frequencies(rate), times)

    def _frequencies(self, rate: int) -> NDArray[np.float64]:
        """Hz of the bins."""
        return np.arange(self.transform.bins) * rate / self.transform.fft_length
