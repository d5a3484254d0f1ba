"""Recordings of every kind, whole and damaged, through reading, cleaning and mixing: the right samples, or one line.

WAV files are written here by hand, with headers that no library would write.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fuzzing import cases, damages, outcome, refused
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import recordings, spectrogram
from benchmark.data.spectrogram import PUBLISHED, Transform
from benchmark.tools.denoise import clean
from benchmark.tools.denoise.cleaner import Grid
from benchmark.tools.denoise.settings import Settings
from benchmark.tools.mix import plan, sources
from benchmark.tools.mix.render import render
from benchmark.tools.mix.settings import Settings as MixSettings
from benchmark.tools.mix.settings import checked

KINDS = {"PCM_U8": (1, 8), "PCM_16": (1, 16), "PCM_24": (1, 24), "PCM_32": (1, 32), "FLOAT": (3, 32), "DOUBLE": (3, 64)}
RATES = [1, 7, 999, 1_000, 4_000, 8_000, 11_025, 16_000, 22_050, 44_099, 44_100, 96_000, 192_000, 384_000]
WRONG_RATES = [0, 999_983, 2**31 - 1, 2**31, 2**32 - 1]
CONTENTS = ["noise", "noise", "noise", "silence", "constant", "click", "nan", "inf", "huge", "tiny"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audio")


def wav(samples: NDArray[np.float64], kind: str, rate: int, *, channels: int | None = None, lie: int = 0) -> bytes:
    """A WAV file of samples (S, C) in -1 ... 1; `lie` bytes are added to the length that its header states."""
    tag, bits = KINDS[kind]
    count = samples.shape[1] if channels is None else channels
    if tag == 3:
        with np.errstate(over="ignore"):
            body = samples.astype(f"<f{bits // 8}").tobytes()
    else:
        scaled = np.round(np.nan_to_num(samples).clip(-1, 1) * (2 ** (bits - 1) - 1)).astype(np.int64)
        scaled = scaled + 128 if bits == 8 else scaled
        body = scaled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes()
    frame = max(count, 1) * bits // 8 % 2**16
    form = struct.pack("<HHIIHH", tag, count, rate, rate * frame % 2**32, frame, bits)
    data = b"data" + struct.pack("<I", (len(body) + lie) % 2**32) + body + b"\0" * (len(body) % 2)
    return (
        b"RIFF"
        + struct.pack("<I", (12 + len(form) + len(data) + lie) % 2**32)
        + b"WAVEfmt "
        + (struct.pack("<I", len(form)) + form + data)
    )


@dataclass(frozen=True)
class Wave:
    """Samples (S, C) of some content."""

    frames: int
    channels: int = 1
    content: str = "noise"
    seed: int = 0
    factor: float = 1.0

    def samples(self) -> NDArray[np.float64]:
        random = np.random.default_rng(self.seed)
        wave = random.uniform(-0.9, 0.9, (self.frames, self.channels))
        if self.content in ("nan", "inf") and wave.size:
            wave.flat[random.integers(wave.size)] = {"nan": np.nan, "inf": -np.inf}[self.content]
        if self.content == "click":
            wave[1:] = 0
        if self.content == "constant":
            wave[:] = 0.5
        return wave * {"silence": 0.0, "huge": self.factor, "tiny": 1e-30}.get(self.content, 1.0)


def waves(frames: st.SearchStrategy[int]) -> st.SearchStrategy[Wave]:
    return st.builds(
        Wave,
        frames=frames,
        channels=st.integers(1, 4),
        content=st.sampled_from(CONTENTS),
        seed=st.integers(0, 2**32 - 1),
        factor=st.integers(3, 300).map(lambda power: 10.0**power),
    )


def stored(samples: NDArray[np.float64], kind: str) -> tuple[NDArray[np.float64], float]:
    """What the number format keeps of samples, and how far a reader may be off."""
    if kind in ("FLOAT", "DOUBLE"):
        with np.errstate(over="ignore"):
            return samples.astype(np.float32 if kind == "FLOAT" else np.float64).astype(np.float64), 0.0
    bits = KINDS[kind][1]
    return np.nan_to_num(samples).clip(-1, 1), 2.0 ** (2 - bits)


FRAMES = st.sampled_from([0, 1, 2, 63, 127, 128, 129, 1_000]) | st.integers(0, 4_000)


@cases(120)
@given(
    wave=waves(FRAMES),
    kind=st.sampled_from(list(KINDS)),
    rate=st.sampled_from(RATES + WRONG_RATES),
    channel=st.integers(0, 4),
)
@example(wave=Wave(900), kind="PCM_16", rate=0, channel=0)
@example(wave=Wave(900), kind="FLOAT", rate=2**32 - 1, channel=0)
@example(wave=Wave(900, 1, "huge", 0, 1e300), kind="DOUBLE", rate=8_000, channel=0)
def test_what_is_read_is_what_was_stored(folder: Path, wave: Wave, kind: str, rate: int, channel: int) -> None:
    path = folder / "a.wav"
    path.write_bytes(wav(wave.samples(), kind, rate))
    expected, tolerance = stored(wave.samples(), kind)
    usable = bool(wave.frames) and rate in RATES and bool((np.abs(expected) <= recordings.LOUDEST).all())
    header = outcome(lambda: recordings.header(path))
    read = outcome(lambda: recordings.read(path, channel=channel))
    sections = outcome(lambda: list(recordings.sections(path, seconds=1, margin=1)))
    assert isinstance(header, recordings.Header) == (bool(wave.frames) and rate in RATES)
    if isinstance(header, recordings.Header):
        assert (header.sample_rate, header.channels, header.samples) == (rate, wave.channels, wave.frames)
    assert isinstance(read, tuple) == (usable and channel < wave.channels)
    if isinstance(read, tuple):
        np.testing.assert_allclose(read[0], expected[:, channel], rtol=0, atol=tolerance)
    assert isinstance(sections, list) == usable
    if isinstance(sections, list):
        assert [begin for begin, _, _ in sections] == list(range(0, wave.frames, rate))
        for begin, end, held in sections:
            here = slice(max(begin - rate, 0), end + rate)
            np.testing.assert_allclose(held, expected[here].astype(np.float32), rtol=1e-6, atol=tolerance)


@cases(60)
@given(
    lie=st.sampled_from([-2, -1, 1, 2, 3, 100, 2**31, 2**32 - 200]),
    channels=st.sampled_from([0, 1, 2, 3, 1_024, 1_025, 65_535]),
    rate=st.sampled_from([8_000, 44_100]),
    kind=st.sampled_from(list(KINDS)),
)
def test_a_header_that_lies(folder: Path, lie: int, channels: int, rate: int, kind: str) -> None:
    path = folder / "lie.wav"
    wave = np.random.default_rng(0).uniform(-1, 1, (64, 2))
    path.write_bytes(wav(wave, kind, rate, channels=channels, lie=lie))
    found = outcome(lambda: recordings.read(path, channel=None))
    if not isinstance(found, UserError):
        assert found[0].shape[1] == channels
        assert np.isfinite(found[0]).all()
    if 3 < lie < 2**31:  # from there on, it was written to a stream, or wraps round
        assert isinstance(found, UserError)


@cases(120)
@given(
    suffix=st.sampled_from(["wav", "flac", "ogg", "mp3"]),
    seconds=st.sampled_from([0.05, 0.5]),
    stereo=st.booleans(),
    damage=damages(),
)
def test_a_damaged_recording_is_read_or_refused(
    folder: Path, suffix: str, seconds: float, stereo: bool, damage: Any
) -> None:
    whole, path = folder / f"whole-{seconds}-{stereo}.{suffix}", folder / f"damaged.{suffix}"
    if not whole.exists():
        wave = np.random.default_rng(0).uniform(-0.5, 0.5, (round(seconds * 16_000), 1 + stereo))
        soundfile.write(whole, wave, 16_000)
    path.write_bytes(damage(whole.read_bytes()))
    header = outcome(lambda: recordings.header(path))
    read = outcome(lambda: recordings.read(path, channel=None))
    sections = outcome(lambda: list(recordings.sections(path, seconds=1, margin=1)))
    if not isinstance(read, UserError):
        assert np.isfinite(read[0]).all()
        assert len(read[0]) > 0
    if not (isinstance(read, UserError) or isinstance(sections, UserError) or isinstance(header, UserError)):
        # One length, whoever asks.
        assert sections[-1][1] == header.samples
        assert len(read[0]) == header.samples


def test_rates_with_nothing_in_common() -> None:
    """The filter would have 35 million taps: 2 GB, and a quarter of a minute."""
    assert "export it at a usual rate" in refused(lambda: recordings.resample(np.zeros(1_000), 383_987, 32_000))


@cases(40)
@given(content=st.binary(max_size=90), start=st.sampled_from([b"", b"RIFF", b"fLaC", b"OggS", b"ID3", b"\xff\xfb"]))
def test_what_is_no_recording(folder: Path, content: bytes, start: bytes) -> None:
    path = folder / "b.wav"
    path.write_bytes(start + content)
    assert "b.wav" in refused(lambda: recordings.header(path))
    assert "b.wav" in refused(lambda: recordings.read(path))


# ---------------------------------------------------------------- cleaning


class Transparent:
    """A cleaner whose network keeps everything."""

    threshold = 0.5
    transform = PUBLISHED

    def __init__(self, rate: int | None) -> None:
        self._rate = rate

    def rate(self, own: int) -> int:
        return self._rate or own

    def window_seconds(self, own: int) -> float:
        return spectrogram.sample_count(64) / self.rate(own)

    def finest(self, own: int) -> Transform:
        return PUBLISHED.at(own / self.rate(own))

    lowest = 0.0

    def band(self, own: int) -> float:
        return self.rate(own) / 2

    def grid(self, samples: Any, own: int, *, frames: tuple[int, int], **_: Any) -> Grid:
        recordings.resample(samples.astype(np.float64), own, self.rate(own))
        weights = np.ones((PUBLISHED.bins, frames[1] - frames[0]), np.float32)
        return Grid(weights=weights, first=frames[0], rate=self.rate(own), transform=PUBLISHED)


@cases(40, cost=4)
@given(
    wave=waves(st.integers(100, 6_000)),
    kind=st.sampled_from(list(KINDS)),
    rate=st.sampled_from(RATES),
    own=st.sampled_from([None, 32_000]),
    damage=st.sampled_from([None, None, None, lambda content: content[:-9], lambda content: content[9:]]),
)
@example(wave=Wave(2_000, 1, "huge", 0, 3e38), kind="FLOAT", rate=8_000, own=None, damage=None)
@example(wave=Wave(2_000, 2, "silence"), kind="PCM_16", rate=8_000, own=None, damage=None)
def test_a_network_that_keeps_everything_gives_the_recording_back(
    folder: Path, wave: Wave, kind: str, rate: int, own: int | None, damage: Any
) -> None:
    source, target = folder / "c.wav", folder / "out" / "c.wav"
    content = wav(wave.samples(), kind, rate)
    source.write_bytes(damage(content) if damage else content)
    cleaner: Any = Transparent(own)
    found = outcome(lambda: clean.clean(cleaner, source, target, Settings(above="keep"), report=silent))
    if isinstance(found, UserError):
        assert not list(folder.glob("out/*")), "a refusal leaves nothing"
        return
    cleaned, found_rate = soundfile.read(target, always_2d=True)
    whole, _ = soundfile.read(source, always_2d=True)
    assert cleaned.shape == whole.shape
    assert found_rate == found.header.sample_rate
    scale = np.abs(whole).max()
    # What leaves -1 ... 1 is clipped by number formats that end there.
    np.testing.assert_allclose(cleaned, whole, rtol=0, atol=1e-4 * scale + 2.0 ** (2 - KINDS[kind][1]))
    assert found.silent == (scale == 0)
    for file in folder.glob("out/*"):
        file.unlink()


# ---------------------------------------------------------------- mixing


@cases(40, cost=4)
@given(
    wave=waves(st.sampled_from([900, 3_000, 8_000, 20_000])),
    kind=st.sampled_from(list(KINDS)),
    rate=st.sampled_from(RATES[2:10]),
    role=st.sampled_from(["song", "background"]),
    channel=st.sampled_from([0, 0, 0, 1]),
)
def test_a_mixture_is_of_finite_numbers_at_its_peak(
    tmp_path_factory: pytest.TempPathFactory, wave: Wave, kind: str, rate: int, role: Any, channel: int
) -> None:
    root = tmp_path_factory.mktemp("mix")
    for name in ("song", "background"):
        (root / name).mkdir()
        for number in range(3):
            good = np.random.default_rng([number, len(name)]).uniform(-0.5, 0.5, (4_000, 2))
            (root / name / f"{number}.wav").write_bytes(wav(good, "PCM_16", 8_000))
    for number in range(3):
        (root / role / f"{number}.wav").write_bytes(wav(wave.samples() * (1 + number), kind, rate))
    settings = checked(train=1, val=1, test=1, slice_=1, seconds=0.2, sample_rate=8_000, channel=channel, foreign_db=90)

    def mixed() -> list[Any]:
        songs, backgrounds = (sources.read_all(name, root / name, settings, silent) for name in ("song", "background"))
        sources.refuse_copies([*songs, *backgrounds])
        lowpass = sources.common_lowpass([*songs, *backgrounds], settings)
        mixtures = plan.plan(sources.pools(songs, backgrounds, {}, settings), settings)
        return [(mixture, render(mixture, settings, lowpass)) for mixture in mixtures]

    found = outcome(mixed)
    if isinstance(found, UserError):
        return
    for mixture, rendered in found:
        noisy = rendered.audio.noisy
        assert np.isfinite(noisy).all()
        assert np.isfinite(rendered.audio.clean).all()
        assert np.abs(noisy).max() == pytest.approx(settings.peak * 10 ** (mixture.gain_db / 20), rel=1e-5)
        assert rendered.image.shape == rendered.mask.shape == (PUBLISHED.rows, settings.frames)


@cases(40)
@given(
    names=st.sampled_from(list(MixSettings.model_fields)),
    value=st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
)
def test_any_mixing_setting_is_taken_or_refused(names: str, value: Any) -> None:
    outcome(lambda: checked(**{names: value}))
