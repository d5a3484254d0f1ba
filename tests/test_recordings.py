"""Files of every kind, of any length, damaged ones; filters that neither delay nor leak."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import pipe
from hypothesis import given
from hypothesis import strategies as st

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.data import recordings

RATE = 8_000


def tone(seconds: float = 0.5, frequency: float = 1_000, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)


def rms(wave: np.ndarray) -> float:
    return float(np.sqrt(np.mean(wave**2)))


@pytest.mark.parametrize(("suffix", "error"), [(".wav", 1e-4), (".flac", 1e-4), (".ogg", 0.05), (".mp3", 0.05)])
def test_every_format(tmp_path: Path, suffix: str, error: float) -> None:
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, tone(rate=44_100), 44_100)
    samples, rate = recordings.read(path)
    assert rate == 44_100
    assert recordings.header(path).samples == len(samples)
    middle = slice(4_000, 18_000)
    np.testing.assert_allclose(samples[middle], tone(rate=44_100)[middle], atol=error)


def test_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.stack([tone(), -tone()], axis=1), RATE, subtype="FLOAT")
    np.testing.assert_allclose(recordings.read(path, channel=1)[0], -tone(), atol=1e-6)
    assert recordings.read(path, channel=None)[0].shape == (4_000, 2)
    with pytest.raises(UserError, match=r"has 2 channel\(s\), there is no channel 2"):
        recordings.read(path, channel=2)


@given(samples=st.integers(1, 60), seconds=st.integers(1, 5), margin=st.integers(0, 6))
def test_sections_cover_the_recording(
    tmp_path_factory: pytest.TempPathFactory, samples: int, seconds: int, margin: int
) -> None:
    rate = 10
    path = tmp_path_factory.mktemp("sections") / "a.wav"
    whole = np.random.default_rng(samples).standard_normal((samples, 2)).astype(np.float32)
    soundfile.write(path, whole, rate, subtype="FLOAT")
    expected = 0
    for begin, end, held in recordings.sections(path, seconds=seconds, margin=margin):
        assert begin == expected
        np.testing.assert_array_equal(held, whole[max(begin - margin * rate, 0) : end + margin * rate])
        expected = end
    assert expected == samples


def test_what_is_no_recording(tmp_path: Path) -> None:
    text = tmp_path / "text.wav"
    text.write_text("this is not audio")
    with pytest.raises(UserError, match=r"text\.wav is not a readable recording \("):
        recordings.header(text)
    empty = tmp_path / "empty.wav"
    soundfile.write(empty, np.zeros(0), RATE)
    with pytest.raises(UserError, match="holds no samples"):
        recordings.read(empty)
    bad = tmp_path / "nan.wav"
    soundfile.write(bad, np.array([0.0, np.nan, np.inf]), RATE, subtype="FLOAT")
    with pytest.raises(UserError, match=r"has 2 sample\(s\) that are not finite numbers"):
        recordings.read(bad)
    with pytest.raises(UserError, match="not finite numbers"):
        list(recordings.sections(bad, seconds=1, margin=0))
    whole = tmp_path / "whole.flac"
    soundfile.write(whole, np.random.default_rng(0).uniform(-1, 1, 5 * RATE), RATE)
    cut = tmp_path / "cut.flac"
    cut.write_bytes(whole.read_bytes()[:20_000])
    with pytest.raises(UserError, match=r"truncated|not a readable recording"):
        list(recordings.sections(cut, seconds=1, margin=0))
    with pytest.raises(UserError, match="no file or folder"):
        recordings.find(tmp_path / "nowhere")
    (tmp_path / "nothing").mkdir()
    with pytest.raises(UserError, match="holds no recordings"):
        recordings.find(tmp_path / "nothing")


@pytest.mark.parametrize("way", ["named", "in a folder"])
def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path, way: str) -> None:
    with pipe(tmp_path / "x.wav") as path:
        (found,) = recordings.find(path if way == "named" else tmp_path)
        with pytest.raises(UserError, match=r"x\.wav is not a regular file; remove it"):
            recordings.header(found)


def test_a_link_to_nothing_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.wav").symlink_to("nowhere")
    (tmp_path / "folder.wav").mkdir()
    (found,) = recordings.find(tmp_path)
    with pytest.raises(UserError, match=r"x\.wav is not a readable recording \(No such file or directory\)"):
        recordings.header(found)


def test_a_wav_that_lacks_its_end(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", tone(), RATE)
    (tmp_path / "cut.wav").write_bytes((tmp_path / "whole.wav").read_bytes()[:-1_000])
    with pytest.raises(UserError, match=r"cut\.wav is truncated: it ends before its header says"):
        recordings.header(tmp_path / "cut.wav")


def rewritten(content: bytes, riff: int, data: int) -> bytes:
    """A WAV of 44 bytes before its samples, with other sizes in its header."""
    return content[:4] + riff.to_bytes(4, "little") + content[8:40] + data.to_bytes(4, "little") + content[44:]


@pytest.mark.parametrize(
    ("riff", "data"),
    [(0x7FFFFFFF + 36, 0x7FFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (8 * RATE + 80, 8 * RATE + 44)],
    ids=["sox", "ffmpeg", "its own header counted"],
)
def test_a_wav_whose_header_is_a_guess_is_read_whole(tmp_path: Path, riff: int, data: int) -> None:
    """ecoacoustics/known-problems FL005, ffmpeg-python 118, NAudio 688."""
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE)
    soundfile.write(tmp_path / "whole.wav", samples, RATE)
    (tmp_path / "guess.wav").write_bytes(rewritten((tmp_path / "whole.wav").read_bytes(), riff, data))
    np.testing.assert_array_equal(
        recordings.read(tmp_path / "guess.wav")[0], recordings.read(tmp_path / "whole.wav")[0]
    )


def test_a_file_that_is_longer_than_its_header_says_is_refused(tmp_path: Path) -> None:
    """FL003: a recorder that lost power wrote the samples and not their number."""
    soundfile.write(tmp_path / "whole.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE), RATE)
    (tmp_path / "open.wav").write_bytes(rewritten((tmp_path / "whole.wav").read_bytes(), 4036, 4000))
    with pytest.raises(UserError, match=r"open\.wav holds \d+ bytes, of which its header states 4044: .* ffmpeg"):
        recordings.header(tmp_path / "open.wav")


@pytest.mark.parametrize("suffix", [".wav", ".aiff", ".w64", ".rf64", ".ogg", ".opus", ".flac"])
def test_a_file_that_lacks_its_end_is_refused(tmp_path: Path, suffix: str) -> None:
    """FL012; an MP3 states no length, and the end of a CAF is not looked for."""
    given = {".opus": {"format": "OGG", "subtype": "OPUS"}, ".rf64": {"format": "RF64"}}.get(suffix, {})
    whole = tmp_path / f"whole{suffix}"
    soundfile.write(whole, np.random.default_rng(0).uniform(-0.5, 0.5, 48_000), 48_000, **given)
    assert recordings.header(whole).samples == 48_000
    for share in (1 / 2, 2 / 3, 0.99):
        cut = tmp_path / f"cut{suffix}"
        cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
        with pytest.raises(UserError, match=r"cut\.\w+ (is truncated|is not a readable|holds fewer samples)"):
            recordings.read(cut)


def test_a_flac_that_promises_too_much_is_one_line(tmp_path: Path) -> None:
    """FL010."""
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, RATE), RATE)
    content = bytearray(path.read_bytes())
    facts = int.from_bytes(content[18:26], "big")
    content[18:26] = (facts + (facts & (1 << 36) - 1)).to_bytes(8, "big")  # twice the samples
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.flac holds fewer samples than its header promises"):
        recordings.read(path)


def test_links_are_followed_and_litter_is_passed_over(tmp_path: Path) -> None:
    for name in ("here/a.wav", "here/$RECYCLE.BIN/x.wav", "here/@eaDir/a.wav", "here/._a.wav", "there/b.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(tmp_path / name, tone(), RATE)
    (tmp_path / "here" / "other-disk").symlink_to(tmp_path / "there")
    (tmp_path / "here" / "loop").symlink_to(tmp_path / "here")
    found = [path.relative_to(tmp_path / "here").as_posix() for path in recordings.find(tmp_path / "here")]
    assert found == ["a.wav", "other-disk/b.wav"]


def test_an_unwritable_target_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match=r"cannot write .*a\.wav: "),
        files.atomic_file(tmp_path / "file" / "a.wav") as temporary,
        recordings.writer(temporary, RATE, 1, "FLOAT"),
    ):
        pass


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    def write() -> None:
        with (
            files.atomic_file(tmp_path / "a.wav") as temporary,
            recordings.writer(temporary, RATE, 1, "FLOAT") as file,
        ):
            file.write(np.zeros(10))
            raise ValueError("enough")

    with pytest.raises(ValueError, match="enough"):
        write()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("rate", [22_000, 22_050, 24_000])
def test_resampling_is_flat_up_to_the_common_band(rate: int) -> None:
    """Or the fading of the upper end would betray which source a band is of."""
    frequency = 0.94 * rate / 2
    found = recordings.resample(tone(frequency=frequency, rate=rate), rate, 32_000)[4_000:12_000]
    assert 20 * np.log10(rms(found) / (0.5 / np.sqrt(2))) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize(("rate", "to"), [(22_000, 32_000), (44_100, 32_000), (32_000, 8_000)])
def test_resampling_keeps_a_tone_in_place(rate: int, to: int) -> None:
    found = recordings.resample(tone(rate=rate), rate, to)
    middle = slice(len(found) // 4, 3 * len(found) // 4)
    np.testing.assert_allclose(found[middle], tone(rate=to)[: len(found)][middle], atol=0.01)


def test_the_high_pass_keeps_phase_and_removes_dc() -> None:
    middle = slice(1_000, 3_000)
    kept = recordings.high_pass(tone(frequency=2_000) + 0.3, RATE, 500)
    np.testing.assert_allclose(kept[middle], tone(frequency=2_000)[middle], atol=0.01)
    assert rms(recordings.high_pass(tone(frequency=100), RATE, 500)[middle]) < 1e-4
    np.testing.assert_array_equal(recordings.high_pass(tone(), RATE, 0), tone())


def test_the_low_pass_is_steep() -> None:
    middle = slice(1_000, 3_000)
    kept = recordings.low_pass(tone(frequency=1_900), RATE, 2_000)
    np.testing.assert_allclose(kept[middle], tone(frequency=1_900)[middle], atol=0.001)
    assert rms(recordings.low_pass(tone(frequency=2_120), RATE, 2_000)[middle]) < 1e-3 * rms(tone())
    np.testing.assert_array_equal(recordings.low_pass(tone(), RATE, 4_000), tone())
