"""Clean a recording: keep its rate, channels and length; work section by section, so memory stays bounded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import recordings
from benchmark.data.recordings import Header
from benchmark.data.spectrogram import Transform
from benchmark.tools.denoise import regions, section, tags
from benchmark.tools.denoise.measures import Measures
from benchmark.tools.denoise.regions import Finder, Region
from benchmark.tools.denoise.section import Part, Section
from benchmark.tools.denoise.settings import Settings

if TYPE_CHECKING:
    from benchmark.tools.denoise.cleaner import Cleaner

_LOWEST_RATE = 1_000  # Hz


@dataclass(frozen=True, kw_only=True, slots=True)
class Cleaned:
    """A cleaned recording, with what was measured on the way."""

    source: Path
    target: Path
    header: Header
    subtype: str
    """The number format of the result."""
    kept: float
    """Share of the spectrogram that the mask keeps, of the frequencies that the network knows."""
    removed: float
    """Share of the energy."""
    song: float
    """Share of the time in which the mask has a region."""
    snr: float | None
    """Estimated, before, in dB."""
    peak: float
    clipped: int
    """Samples of the source."""
    over: int
    """Samples of the result beyond full scale; they are clipped if its number format is PCM."""
    audible: bool
    """Whether there is anything in the frequencies that the network knows."""
    above: float | None
    """Hz above which the network has never met a sound; None if the recording does not reach that high."""
    silent: bool


def residue(target: Path) -> Path:
    """The file of what was removed."""
    return target.with_suffix(".residue.wav")


def labels(target: Path, settings: Settings) -> Path | None:
    """The file of the regions; None if none is asked for."""
    ends = {"none": None, "raven": ".selections.txt", "audacity": ".labels.txt"}
    end = ends[settings.labels]
    return target.with_suffix(end) if end else None


def pictures(target: Path) -> list[Path]:
    """The files of the mask and of the picture before and after."""
    return [target.with_suffix(".mask.png"), target.with_suffix(".png")]


def transform_of(cleaner: "Cleaner", rate: int, samples: int, name: Path | str) -> Transform:
    """The transform that a recording is masked with.

    Raises:
        UserError: its sample rate is impossible, or it is too short.
    """
    if rate < _LOWEST_RATE:
        raise UserError(f"{name} states a sample rate of {rate} Hz; no bird sings below {_LOWEST_RATE // 2} Hz")
    transform = cleaner.finest(rate)
    if samples < transform.window:
        raise UserError(f"{name} has {samples} samples; a spectrogram needs at least {transform.window}")
    return transform


def clean(cleaner: "Cleaner", source: Path, target: Path, settings: Settings, *, report: Report) -> Cleaned:
    """Clean one recording, and draw it.

    Raises:
        UserError: it cannot be read, is too short, or the result cannot be written; no file is left then.
    """
    from benchmark.tools.denoise.overview import Overview  # imports matplotlib, which takes a while

    header = recordings.header(source)
    rate = header.sample_rate
    transform = transform_of(cleaner, rate, header.samples, source)
    subtype = recordings.wav_subtype(header.subtype)
    overview = Overview(transform.frame_count(header.samples), rate, transform)
    band = cleaner.band(rate)
    measures = Measures(transform, rate, cleaner.lowest, band)
    finders = [Finder(transform, rate, channel) for channel in range(header.channels)]
    written = [target, *pictures(target), *([residue(target)] if settings.residue else [])]
    if listed := labels(target, settings):
        written.append(listed)
    with files.atomic_files(written) as temporaries:
        sounds = [temporaries[0], *temporaries[3 : 3 + settings.residue]]
        with recordings.writers(sounds, rate, header, subtype) as outputs:
            seconds, margin = section.seconds(cleaner, rate), section.margin(cleaner, rate)
            for begin, end, samples in recordings.sections(source, seconds=seconds, margin=margin):
                part = Section(begin=begin, end=end, first=max(begin - margin * rate, 0), transform=transform)
                cleaned = np.empty((end - begin, header.channels), np.float32)
                for channel, finder in enumerate(finders):
                    wave = np.ascontiguousarray(samples[:, channel])
                    found = part.clean(cleaner, wave, rate, settings, show=channel == 0)
                    cleaned[:, channel] = found.cleaned
                    measures.add_spectrum(found.before, found.weights)
                    finder.add(part.frames.start, _marked(found, measures, cleaner.threshold))
                    if found.after is not None:
                        overview.add(part.frames, found.before, found.weights, found.after)
                original = samples[begin - part.first : end - part.first]
                measures.add_sound(original, cleaned)
                for output, values in zip(outputs, (cleaned, original - cleaned), strict=False):
                    output.write(recordings.numbers(values, subtype))
                report(source.name, end, header.samples, "")
        found_regions = [region for finder in finders for region in finder.regions(header.seconds)]
        if listed:
            _write_labels(temporaries[-1], found_regions, settings, header.channels)
        overview.save(*temporaries[1:3], title=source.name, channels=header.channels)
        _keep_tags(source, sounds)
    return Cleaned(
        source=source,
        target=target,
        header=header,
        subtype=subtype,
        kept=measures.kept,
        removed=measures.removed,
        song=regions.covered(found_regions) / header.seconds,
        snr=measures.snr,
        peak=measures.peak,
        clipped=measures.clipped,
        over=measures.over,
        audible=measures.audible,
        above=band if band < rate / 2 else None,
        silent=measures.peak == 0,
    )


def _marked(part: Part, measures: Measures, threshold: float) -> NDArray[np.bool_]:
    return np.asarray((part.weights >= threshold) & measures.known[:, None])


def _write_labels(path: Path, found: Sequence[Region], settings: Settings, channels: int) -> None:
    text = regions.raven(found) if settings.labels == "raven" else regions.audacity(found, channels)
    path.write_text(text, encoding="utf-8")


def _keep_tags(source: Path, sounds: Sequence[Path]) -> None:
    chunks = tags.read(source)
    for sound in sounds:
        tags.append(sound, chunks)
        tags.keep_time(source, sound)
