"""What `bench denoise` writes beside the cleaned sound: residue, labels, report, tags; and what it does not redo."""

import csv
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import recordings
from benchmark.data.spectrogram import PUBLISHED, Transform
from benchmark.tools.denoise import arrays, clean, inputs, regions, section, tags, warn
from benchmark.tools.denoise.clean import Cleaned
from benchmark.tools.denoise.cleaner import Grid
from benchmark.tools.denoise.report import Report
from benchmark.tools.denoise.settings import Settings

RATE = 32_000


class Band:
    """A cleaner whose network keeps 4 ... 8 kHz, the whole time or within `seconds`, with the weight `weight`."""

    threshold = 0.5
    transform = PUBLISHED
    lowest = 0.0

    def __init__(self, seconds: tuple[float, float] = (0, 1e9), weight: float = 1.0) -> None:
        self.seconds, self.weight = seconds, weight

    def rate(self, _: int) -> int:
        return RATE

    def window_seconds(self, _: int) -> float:
        return 0.5

    def finest(self, own: int) -> Transform:
        return PUBLISHED.at(own / RATE)

    def band(self, _: int) -> float:
        return RATE / 2

    def highest(self, _: int) -> float:
        return RATE / 2

    def grid(self, _: Any, own: int, *, frames: tuple[int, int], **_others: Any) -> Grid:
        del own
        weights = np.zeros((PUBLISHED.bins, frames[1] - frames[0]), np.float32)
        times = PUBLISHED.centres(np.arange(*frames)) / RATE
        weights[128:257, (times >= self.seconds[0]) & (times < self.seconds[1])] = self.weight
        return Grid(weights=weights, first=frames[0], rate=RATE, transform=PUBLISHED)


def cleaned(source: Path, out: Path, network: Any = None, **settings: Any) -> Cleaned:
    target = out / source.with_suffix(".wav").name
    return clean.clean(network or Band(), source, target, Settings(**settings), report=silent)


def noise(samples: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(1).uniform(-0.3, 0.3, (samples, channels))


def written(path: Path, wave: np.ndarray, subtype: str = "PCM_16", **named: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, RATE, subtype=subtype, **named)
    return path


def samples(path: Path) -> np.ndarray:
    return recordings.read(path, channel=None)[0]


# ---------------------------------------------------------------- strength and residue


def test_strength_is_a_share_of_what_is_removed(tmp_path: Path) -> None:
    source = written(tmp_path / "a.wav", noise(40_000, 2), "FLOAT")
    full, half = (cleaned(source, tmp_path / str(s), strength=s) for s in (1.0, 0.5))
    expected = (samples(full.target) + samples(source)) / 2
    np.testing.assert_allclose(samples(half.target), expected, atol=1e-6)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
def test_strength_0_gives_every_sample_back(tmp_path: Path, subtype: str) -> None:
    wave = noise(40_000)
    wave[:3] = [[1], [-1], [0.99999]]
    source = written(tmp_path / "a.wav", wave, subtype)
    found = cleaned(source, tmp_path / "out", strength=0.0)
    np.testing.assert_array_equal(samples(found.target).astype(np.float32), samples(source).astype(np.float32))
    assert soundfile.info(found.target).subtype == subtype
    assert found.over == 0


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_other_strengths_are_refused(strength: float) -> None:
    with pytest.raises(UserError, match="a number from 0"):
        Settings(strength=strength)


def test_residue_and_result_add_up_to_the_source(tmp_path: Path) -> None:
    source = written(tmp_path / "a.wav", noise(40_000, 2), "PCM_24")
    found = cleaned(source, tmp_path / "out", residue=True)
    left = samples(clean.residue(found.target))
    assert np.abs(left).max() > 0.1
    np.testing.assert_allclose(samples(found.target) + left, samples(source), atol=2.0**-22)


def test_what_is_beyond_full_scale_is_clipped_and_counted(tmp_path: Path) -> None:
    wave = noise(20_000)
    wave[100] = 1.5
    written(tmp_path / "a.wav", wave, "FLOAT")
    float_result = cleaned(tmp_path / "a.wav", tmp_path / "out", strength=0.0)
    assert samples(float_result.target).max() == 1.5
    assert not any("clipped" in warning for warning in warn.of_recording(float_result, RATE / 2))
    assert recordings.numbers(np.array([1.5, -1.5], np.float32), "PCM_16").tolist() == [32767 << 16, -32768 << 16]


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("length", [RATE, 10 * RATE])
def test_regions_are_boxes_in_seconds_and_hertz(tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same in sections of a second, over whose borders the region goes, or in one."""
    monkeypatch.setattr(section, "SAMPLES", length)
    source = written(tmp_path / "a.wav", noise(5 * RATE, 2))
    found = cleaned(source, tmp_path / "out", Band((1.5, 3.25)), labels="raven")
    lines = (tmp_path / "out" / "a.selections.txt").read_text().splitlines()
    table = list(csv.DictReader(lines, delimiter="\t"))
    assert [row["Channel"] for row in table] == ["1", "2"]
    assert float(table[0]["Begin Time (s)"]) == pytest.approx(1.5, abs=0.003)
    assert float(table[0]["End Time (s)"]) == pytest.approx(3.25, abs=0.003)
    assert float(table[0]["Low Freq (Hz)"]) == pytest.approx(4_000, abs=40)
    assert float(table[0]["High Freq (Hz)"]) == pytest.approx(8_000, abs=40)
    assert found.song == pytest.approx(1.75 / 5, abs=0.002)


def test_labels_of_audacity_have_lines_of_frequencies(tmp_path: Path) -> None:
    source = written(tmp_path / "a.wav", noise(2 * RATE))
    cleaned(source, tmp_path / "out", Band((0.5, 1.0)), labels="audacity")
    times, frequencies = (tmp_path / "out" / "a.labels.txt").read_text().splitlines()
    begin, end, name = times.split("\t")
    assert (float(begin), float(end), name) == (pytest.approx(0.5, abs=0.003), pytest.approx(1, abs=0.003), "song")
    assert frequencies.startswith("\\\t")


def test_regions_are_the_same_whole_and_in_pieces() -> None:
    random = np.random.default_rng(0)
    marked = random.random((PUBLISHED.bins, 400)) < 0.6
    marked[:, 100:110] = False
    found = []
    for step in (400, 37, 1):
        finder = regions.Finder(PUBLISHED, RATE, 0)
        for start in range(0, 400, step):
            finder.add(start, marked[:, start : start + step])
        found.append(finder.regions(10.0))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) >= 2, "two halves, and no specks"
    assert regions.covered(found[0]) == pytest.approx(390 * 64 / RATE, abs=0.01)


# ---------------------------------------------------------------- what the recorder wrote


def chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
def test_chunks_of_a_recorder_and_the_time_stay(tmp_path: Path, kind: str) -> None:
    source = written(tmp_path / "a.wav", noise(20_001), "PCM_24", format=kind)
    kept = [
        (b"LIST", b"INFO" + chunk(b"ICMT", b"Recorded at 05:00:00 by AudioMoth\0")),
        (b"guan", b"GUANO|Version: 1.0\nLoc Position: 1 2\n"),
        (b"bext", bytes(602)),
        (b"cue ", struct.pack("<IIIIIII", 1, 1, 500, int.from_bytes(b"data", "little"), 0, 0, 500)),
        (b"iXML", b"<BWFXML/>"),
    ]
    tags.append(source, [*kept, (b"junk", b"12345")])
    os.utime(source, (1e9, 1e9))
    found = cleaned(source, tmp_path / "out", residue=True)
    for path in (found.target, clean.residue(found.target)):
        assert tags.read(path) == kept
        assert path.stat().st_mtime == 1e9
        assert len(samples(path)) == 20_001
    with soundfile.SoundFile(found.target) as file:
        assert file.comment == "Recorded at 05:00:00 by AudioMoth"


@pytest.mark.parametrize(("suffix", "subtype"), [(".flac", "PCM_24"), (".ogg", "VORBIS")])
def test_tags_of_other_formats_become_fields_of_the_wav(tmp_path: Path, suffix: str, subtype: str) -> None:
    with soundfile.SoundFile(tmp_path / f"a{suffix}", "w", RATE, 1, subtype) as file:
        file.title, file.comment = "Amsel", "früh am Morgen"
        file.write(noise(20_000))
    found = cleaned(tmp_path / f"a{suffix}", tmp_path / "out")
    with soundfile.SoundFile(found.target) as file:
        assert (file.title, file.comment) == ("Amsel", "früh am Morgen")


def test_damaged_chunks_are_left_alone(tmp_path: Path) -> None:
    source = written(tmp_path / "a.wav", noise(20_000))
    tags.append(source, [(b"guan", b"whole")])
    content = bytearray(source.read_bytes())
    end = b"LIST" + struct.pack("<I", 2**31) + b"INFO"
    content += end
    content[4:8] = struct.pack("<I", len(content) - 8)
    source.write_bytes(content)
    assert tags.read(source) == [(b"guan", b"whole")]


def test_a_long_result_is_an_rf64(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_LARGEST_WAV", 10_000)
    source = written(tmp_path / "a.wav", noise(20_000))
    tags.append(source, [(b"guan", b"GUANO|Version: 1.0")])
    found = cleaned(source, tmp_path / "out", strength=0.0)
    assert found.target.read_bytes()[:4] == b"RF64"
    np.testing.assert_array_equal(samples(found.target), samples(source))
    assert tags.read(found.target) == [(b"guan", b"GUANO|Version: 1.0")]


# ---------------------------------------------------------------- formats

FORMATS = {
    ".wave": ("WAVEX", "PCM_24", "PCM_24"),
    ".rf64": ("RF64", "PCM_16", "PCM_16"),
    ".w64": ("W64", "FLOAT", "FLOAT"),
    ".flac": ("FLAC", "PCM_24", "PCM_24"),
    ".ogg": ("OGG", "VORBIS", "PCM_16"),
    ".opus": ("OGG", "OPUS", "PCM_16"),
    ".mp3": ("MP3", "MPEG_LAYER_III", "PCM_16"),
    ".aif": ("AIFF", "PCM_16", "PCM_16"),
    ".aiff": ("AIFF", "PCM_S8", "PCM_U8"),
    ".aifc": ("AIFF", "FLOAT", "FLOAT"),
    ".caf": ("CAF", "ALAC_24", "PCM_24"),
    ".bwf": ("WAV", "IMA_ADPCM", "PCM_16"),
}


@pytest.mark.parametrize("suffix", FORMATS)
def test_formats_of_recorders(tmp_path: Path, suffix: str) -> None:
    kind, subtype, result = FORMATS[suffix]
    source = tmp_path / f"a{suffix}"
    rate = 48_000 if suffix == ".opus" else RATE
    soundfile.write(source, noise(48_000)[:, 0], rate, subtype=subtype, format=kind)
    assert recordings.find(tmp_path) == [source]
    found = cleaned(source, tmp_path / "out", strength=0.0)
    assert soundfile.info(found.target).subtype == result
    difference = samples(found.target) - samples(source)
    assert np.abs(difference).max() <= 2.0**-15


def test_what_is_no_recording_is_counted(tmp_path: Path) -> None:
    for name in ("a.M4A", "b.m4a", "c.txt", "README", ".hidden.txt", "out/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert inputs.passed_over([tmp_path], tmp_path / "out") == "2 .m4a, 1 .txt, 1 without suffix"


# ---------------------------------------------------------------- warnings and measures


def warnings(tmp_path: Path, wave: np.ndarray, rate: int = RATE, network: Any = None) -> str:
    soundfile.write(tmp_path / "w.wav", wave, rate, subtype="FLOAT")
    return "; ".join(warn.of_recording(cleaned(tmp_path / "w.wav", tmp_path / "out", network), RATE / 2))


def test_warnings(tmp_path: Path) -> None:
    wave = noise(RATE)
    assert warnings(tmp_path, wave) == ""
    assert warnings(tmp_path, wave * 0) == "silent"
    assert "its peak is -70 dB" in warnings(tmp_path, wave / np.abs(wave).max() * 10**-3.5)
    assert "clipped: 18 samples" in warnings(tmp_path, np.where(np.arange(RATE)[:, None] < 20, 1.0, wave))
    assert "ends at 4 kHz, but the network was trained up to 16 kHz" in warnings(tmp_path, wave, 8_000)
    assert "keeps almost nothing" in warnings(tmp_path, wave, network=Band((9, 9)))
    assert "keeps almost everything" in warnings(tmp_path, wave, 16_000, network=Everything())
    high = np.sin(2 * np.pi * 30_000 * np.arange(96_000) / 96_000) * np.hanning(96_000)
    assert "nothing is audible" in warnings(tmp_path, high, 96_000)


class Everything(Band):
    def grid(self, samples: Any, own: int, *, frames: tuple[int, int], **_others: Any) -> Grid:
        found = super().grid(samples, own, frames=frames)
        found.weights[:] = 1
        return found


@pytest.mark.parametrize("snr", [-5, 5, 15])
@pytest.mark.parametrize("rate", [RATE, 96_000])
def test_the_estimated_snr(tmp_path: Path, snr: int, rate: int) -> None:
    """White noise up to 16 kHz, and a tone in the middle of the mask for half of the time."""
    time = np.arange(4 * rate) / rate
    song = np.sin(2 * np.pi * 6_000 * time) * ((time > 1) & (time < 3))
    back = recordings.low_pass(np.random.default_rng(0).normal(size=4 * rate), rate, 15_500)
    back *= np.sqrt((song**2).mean() / (back**2).mean()) * 10 ** (-snr / 20)
    wave = 0.1 * (song + back) / np.abs(song + back).max()
    soundfile.write(tmp_path / "a.wav", wave, rate, subtype="FLOAT")
    found = cleaned(tmp_path / "a.wav", tmp_path / "out", Band((1, 3)))
    assert found.snr == pytest.approx(snr, abs=0.7)
    assert found.kept == pytest.approx(0.125, abs=0.005), "a share of what the network knows, at any rate"
    expected = 1 - (samples(found.target) ** 2).sum() / (samples(tmp_path / "a.wav") ** 2).sum()
    assert found.removed == pytest.approx(expected, abs=1e-5)


# ---------------------------------------------------------------- the report


def test_the_report_says_what_is_done(tmp_path: Path) -> None:
    out, name = tmp_path / "out", "<b>&\t\"'#?% \n.wav"
    source = written(tmp_path / name, noise(20_000))
    settings = Settings(residue=True)
    key = settings.key(source, "run")
    book = Report(out)
    target = out / name
    assert book.done(target, key, settings) is None
    book.add(clean.clean(Band(), source, target, settings, report=silent), ["one", "two"], key, settings, "known")  # type: ignore[arg-type]
    (tmp_path / "bad.wav").write_text("bad")
    book.refuse(tmp_path / "bad.wav", out / "bad.wav", UserError("is <bad>"))
    book.save()
    again = Report(out)
    assert again.done(target, key, settings)
    assert again.done(target, key, Settings()), "what is not asked for does no harm"
    assert not again.done(target, Settings(strength=0.5).key(source, "run"), settings)
    assert not again.done(target, Settings().key(source, "another"), settings)
    assert not again.done(target, key, Settings(labels="raven"))
    assert not again.done(out / "bad.wav", key, settings)
    page = (out / "report.html").read_text()
    assert "<b>" not in page
    assert "<bad>" not in page
    assert "http" not in page
    assert 'src="../%3Cb%3E%26%5Ct' not in page
    for address in ("../%3Cb%3E%26%09%22%27%23%3F%25%20%0A.wav", "%3Cb%3E%26%09%22%27%23%3F%25%20%0A.residue.wav"):
        assert f'src="{address}"' in page
    with (out / "report.tsv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["refused"] for row in rows} == {"", "is <bad>"}
    clean.residue(target).unlink()
    assert not again.done(target, key, settings)
    target.unlink()
    (tmp_path / "bad.wav").unlink()
    again.save()
    assert len((out / "report.tsv").read_text().splitlines()) == 1, "what has gone is not listed"


def test_another_table_of_that_name_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "report.tsv").write_text("mine\n1\n")
    with pytest.raises(UserError, match="is not a report of bench denoise"):
        Report(tmp_path)


# ---------------------------------------------------------------- samples in memory


def test_samples_are_cleaned_like_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import benchmark

    monkeypatch.setattr(section, "SAMPLES", RATE)
    monkeypatch.setattr(arrays, "loaded", lambda *_: Band())
    source = written(tmp_path / "a.wav", noise(3 * RATE + 7, 2), "DOUBLE")
    wave = samples(source)
    expected = samples(cleaned(source, tmp_path / "out", strength=0.7).target)
    found = benchmark.denoise(wave, RATE, strength=0.7)
    assert found.dtype == wave.dtype
    np.testing.assert_allclose(found, expected, atol=1e-6)
    mono = benchmark.denoise(wave[:, 0].astype(np.float32), RATE, 0.7)
    assert mono.dtype == np.float32
    np.testing.assert_allclose(mono, expected[:, 0], atol=1e-6)
    with pytest.raises(UserError, match="divide 16-bit integers by 32768"):
        benchmark.denoise(np.zeros(99, np.int16), RATE)
    with pytest.raises(UserError, match="the array has 3 samples"):
        benchmark.denoise(np.zeros(3), RATE)
    with pytest.raises(UserError, match="not finite"):
        benchmark.denoise(np.full(9_999, np.nan), RATE)
    with pytest.raises(AttributeError, match="no attribute 'denoize'"):
        benchmark.denoize  # noqa: B018
