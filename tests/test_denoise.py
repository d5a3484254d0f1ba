"""Recordings under the mask of a network that is known by heart: everything back, or one band, or one second."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import TINY, Bench, Ran, pipe
from PIL import Image

from benchmark.data import recordings, spectrogram
from benchmark.records import store
from benchmark.scores import separation
from benchmark.tools.denoise import choose_run, cleaner, section
from benchmark.tools.denoise.trained import of_run

# Its logits are given by the rows and columns of the image: everywhere, a band of frequencies, or where it is bright.
KNOWN = '''"""Marks what it is told to."""
import torch
from torch import nn
from benchmark.contract import ArchitectureSpec


class Known(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool, rule: str = "all") -> None:
        super().__init__()
        self.rule = rule
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, image):
        n, _, height, width = image.shape
        logits = torch.full((n, 1, height, width), -20.0, device=image.device) * self.scale.abs().clamp(1, 1)
        if self.rule == "all":
            return -logits
        if self.rule == "band":  # 4 ... 8 kHz of 32 kHz, on both sides
            for low, high in ((0.25, 0.375), (0.625, 0.75)):
                logits[:, :, round(low * height) : round(high * height)] *= -1
            return logits
        bright = image.float().amax(dim=(1, 2), keepdim=True)  # (n, 1, 1, W): any sound in a column
        return torch.where(bright > bright.amin() + 0.5, -logits, logits)


ARCHITECTURE = ArchitectureSpec(build=Known, title="Known", paper="none", citation="@misc{known, title={Known}}")
'''


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with a run of each rule, of 32 kHz, 0.51 s."""
    import sys

    import benchmark
    from benchmark import cli
    from benchmark.plugins import registry

    root = tmp_path_factory.mktemp("trained")
    (root / "architectures").mkdir()
    (root / "architectures" / "known.py").write_text(KNOWN)
    before, modules = list(benchmark.__path__), set(sys.modules)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", str(root))
        registry.add_folder(root)
        for rule in ("all", "band", "bright"):
            size = ("--image-size", 64)
            words = ["run", "--arch", f"known:rule={rule}", *TINY, *size, "--results", root, "--plugins", root]
            with pytest.raises(SystemExit) as end:
                cli.main([str(word) for word in words])
            assert not end.value.code
    benchmark.__path__[:] = before
    for name in set(sys.modules) - modules:
        if name.startswith("benchmark.architectures.known"):
            del sys.modules[name]
    return root


def denoise(bench: Bench, trained: Path, rule: str, out: Path, *arguments: object) -> Ran:
    label = "known" if rule == "all" else f"known:rule={rule}"  # a default is not spelled out
    (path,) = (p for p in trained.glob("runs/*/*/known/*") if store.read(p).architecture.label == label)
    options = ("--run", path, "--results", trained, "--plugins", trained, "--out", out)
    return bench("denoise", *arguments, *options)


def write(path: Path, wave: np.ndarray, rate: int, subtype: str = "FLOAT") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, subtype=subtype)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def noise(samples: int, channels: int = 1, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.3, 0.3, (samples, channels))


@pytest.mark.parametrize(
    ("rate", "samples", "channels"),
    [(32_000, 40_000, 1), (44_100, 100_001, 2), (8_000, 128, 1), (22_050, 3_333, 3), (96_000, 200_000, 1)],
)
def test_a_network_that_keeps_everything_gives_the_recording_back(
    bench: Bench, trained: Path, tmp_path: Path, rate: int, samples: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At any rate, length and number of channels, over the borders of sections."""
    monkeypatch.setattr(section, "SAMPLES", rate)  # a second each
    wave = noise(samples, channels)
    write(tmp_path / "a.wav", wave, rate)
    ran = denoise(bench, trained, "all", tmp_path / "out", tmp_path / "a.wav", "--above", "keep")
    assert ran.code == 0, ran.err
    found, found_rate = recordings.read(tmp_path / "out" / "a.wav", channel=None)
    assert found_rate == rate
    assert found.shape == wave.shape
    np.testing.assert_allclose(found, wave, atol=1e-5)
    assert soundfile.info(tmp_path / "out" / "a.wav").subtype == "FLOAT"


def test_sections_leave_no_seam(bench: Bench, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wave = noise(44_100 * 5)
    wave[44_100 * 2 : 44_100 * 3] *= 1e-3
    write(tmp_path / "a.wav", wave, 44_100)
    found = []
    for samples in (44_100, 44_100 * 2, 44_100 * 100):
        monkeypatch.setattr(section, "SAMPLES", samples)
        assert denoise(bench, trained, "band", tmp_path / str(samples), tmp_path / "a.wav").code == 0
        found.append(recordings.read(tmp_path / str(samples) / "a.wav")[0])
    np.testing.assert_allclose(found[0], found[2], atol=1e-4)
    np.testing.assert_allclose(found[1], found[2], atol=1e-4)


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 22_050])
def test_the_mask_is_laid_on_in_hertz(bench: Bench, trained: Path, tmp_path: Path, rate: int) -> None:
    """The network keeps 4 ... 8 kHz, whatever the recording's rate; above 16 kHz it has met nothing."""
    time = np.arange(2 * rate) / rate
    tones = [frequency for frequency in (1_000, 3_000, 6_000, 10_000, 20_000) if frequency < rate / 2]
    wave = 0.1 * sum(np.sin(2 * np.pi * frequency * time) for frequency in tones)
    write(tmp_path / "a.wav", wave, rate)
    ran = denoise(bench, trained, "band", tmp_path / "out", tmp_path / "a.wav")
    assert ("frequencies above 16 kHz were not in training: removed" in ran.out) == (rate > 32_000)
    found, _ = recordings.read(tmp_path / "out" / "a.wav")
    power = np.abs(np.fft.rfft(found * np.hanning(len(found)))) ** 2
    frequency = np.fft.rfftfreq(len(found), 1 / rate)
    kept = {tone: power[np.abs(frequency - tone) < 50].sum() for tone in tones}
    assert max(kept, key=lambda tone: kept[tone]) == 6_000
    assert all(kept[tone] < 1e-3 * kept[6_000] for tone in tones if tone != 6_000)
    original = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
    assert kept[6_000] == pytest.approx(original[np.abs(frequency - 6_000) < 50].sum(), rel=0.05)


@pytest.mark.parametrize("rate", [32_000, 44_100])
def test_the_mask_is_laid_on_in_seconds(bench: Bench, trained: Path, tmp_path: Path, rate: int) -> None:
    """Sound from 1.30 to 1.40 s in quiet: the mask's edges lie there, within two columns of the 64 of 0.51 s."""
    wave = 1e-4 * noise(3 * rate)[:, 0]
    inside = slice(round(1.3 * rate), round(1.4 * rate))
    wave[inside] += 0.5 * np.sin(2 * np.pi * 5_000 * np.arange(inside.stop - inside.start) / rate)
    write(tmp_path / "a.wav", wave, rate)
    assert denoise(bench, trained, "bright", tmp_path / "out", tmp_path / "a.wav", "--mask", "hard").code == 0
    mask = pixels(tmp_path / "out" / "a.mask.png")[511 + 100] > 0
    columns = np.flatnonzero(mask) * 64 / rate
    near = columns[(columns > 1.2) & (columns < 1.5)]
    assert near.min() == pytest.approx(1.3, abs=0.02)
    assert near.max() == pytest.approx(1.4, abs=0.02)


def test_known_parts_come_out_better(bench: Bench, trained: Path, tmp_path: Path) -> None:
    """By numbers: the clean part is known, and SI-SDR rises."""
    rate = 44_100
    clean = 0.2 * np.sin(2 * np.pi * 6_000 * np.arange(2 * rate) / rate)
    noisy = clean + noise(2 * rate)[:, 0]
    write(tmp_path / "a.flac", noisy, rate, subtype="PCM_16")
    assert denoise(bench, trained, "band", tmp_path / "out", tmp_path / "a.flac").code == 0
    found, _ = recordings.read(tmp_path / "out" / "a.wav")
    assert separation.si_sdr(found, clean) > separation.si_sdr(noisy, clean) + 5
    assert soundfile.info(tmp_path / "out" / "a.wav").subtype == "PCM_16"
    assert min(pixels(tmp_path / "out" / "a.png").shape[:2]) > 300
    assert pixels(tmp_path / "out" / "a.mask.png").shape == (1024, spectrogram.frame_count(2 * rate))


def test_bad_recordings_are_named_and_the_others_go_on(bench: Bench, trained: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    write(folder / "deep" / "good.wav", noise(20_000), 32_000)
    write(folder / "silent.wav", np.zeros(20_000), 32_000)
    write(folder / "short.wav", noise(10), 32_000)
    write(folder / "nan.wav", np.full(20_000, np.nan), 32_000)
    write(folder / "empty.wav", np.zeros(0), 32_000)
    write(folder / "slow.wav", noise(1_000), 100)
    (folder / "text.wav").write_text("not audio")
    (folder / "nothing.mp3").write_bytes(b"")
    with pipe(folder / "pipe.wav"):
        ran = denoise(bench, trained, "band", tmp_path / "out", folder, tmp_path / "nowhere.wav")
    assert ran.code == 2
    assert "Traceback" not in ran.err
    for name, message in (
        ("short.wav", "has 10 samples; a spectrogram needs at least 128"),
        ("nan.wav", "not finite numbers"),
        ("empty.wav", "holds no samples"),
        ("nothing.mp3", "is empty"),
        ("slow.wav", "states a sample rate of 100 Hz"),
        ("text.wav", "is not a readable recording"),
        ("pipe.wav", "is not a regular file"),
    ):
        (line,) = (line for line in ran.err.splitlines() if f"{name} " in line and line.startswith("bench: "))
        assert message in line
    assert "8 of 10 recording(s) could not be cleaned" in ran.err
    assert {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")} == {
        f"{name}{suffix}" for name in ("deep/good", "silent") for suffix in (".wav", ".png", ".mask.png")
    } | {"report.tsv", "report.html"}
    assert "silent.wav: 0.6 s, 1 channel, 32000 Hz" in ran.out
    assert "silent, left unchanged" in ran.out
    assert not recordings.read(tmp_path / "out" / "silent.wav")[0].any()


def test_what_was_cleaned_is_not_cleaned_again(bench: Bench, trained: Path, tmp_path: Path) -> None:
    write(tmp_path / "a.wav", noise(20_000), 32_000)
    write(tmp_path / "b.wav", noise(20_000), 32_000)
    result = tmp_path / "denoised" / "a.wav"

    def redone(*options: object) -> bool:
        before = result.stat().st_ino if result.exists() else None
        ran = denoise(bench, trained, "band", tmp_path / "denoised", tmp_path, *options)
        assert ran.code == 0, ran.err
        assert [path.name for path in tmp_path.rglob("*.wav")].count("a.wav") == 2
        assert ("2 of 2 recording(s) were cleaned already" in ran.out) == (result.stat().st_ino == before)
        return result.stat().st_ino != before

    residue = tmp_path / "denoised" / "a.residue.wav"
    assert redone()
    assert not redone()
    assert redone("--force")
    assert redone("--residue")
    assert not redone()
    assert residue.is_file()
    assert redone("--strength", "0.5")
    assert not residue.exists(), "what was removed at another strength"
    write(tmp_path / "a.wav", noise(20_000, seed=1), 32_000)
    assert denoise(bench, trained, "band", tmp_path / "denoised", tmp_path, "--strength", "0.5").out.count(" -> ") == 1


def test_frames_are_counted_from_the_beginning(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever part of a recording is at hand, also where a second is no whole number of hops."""
    from benchmark.plugins import registry

    monkeypatch.setenv("BENCH_PLUGINS", str(trained))
    registry.add_folder(trained)
    path, found = next(
        entry for entry in store.read_all(trained)[0] if entry[1].architecture.label == "known:rule=bright"
    )
    rate = 22_050
    known = cleaner.Cleaner(of_run(path, found), "cpu")
    known.rendering = replace(known.rendering, sample_rate=rate)
    wave = np.zeros(12 * rate, np.float32)
    for second in range(12):
        wave[second * rate + 5_000 :][: 1_000 * (1 + second % 3)] = noise(3_000)[: 1_000 * (1 + second % 3), 0]
    frames = (8 * rate // 64, 9 * rate // 64)
    whole = known.grid(wave, rate, start=0, frames=frames)
    for start in (3, 5, 6):
        part = known.grid(wave[start * rate :], rate, start=start, frames=frames)
        np.testing.assert_allclose(part.weights, whole.weights, atol=1e-3)


def test_mistakes(bench: Bench, trained: Path, tmp_path: Path) -> None:
    wave = write(tmp_path / "in" / "a.wav", noise(20_000), 32_000)
    write(tmp_path / "in" / "a.flac", noise(20_000), 32_000, subtype="PCM_16")

    def fails(message: str, *arguments: object) -> None:
        ran = bench("denoise", *arguments)
        assert ran.code == 2
        assert message in ran.err
        assert ran.err.count("\n") == 1

    common = ("--results", trained, "--plugins", trained)
    fails("no file or folder", tmp_path / "nowhere", *common)
    fails("would both become", tmp_path / "in", *common)
    fails("is one of the recordings to clean; choose another --out", wave, "--out", tmp_path / "in", *common)
    fails("have a key that begins with 'zz'", wave, "--run", "zz", *common)
    fails("lies outside of", wave, "--run", tmp_path, *common)
    fails("is the folder of the recordings themselves", tmp_path / "in", "--out", tmp_path / "in", *common)
    fails("is a file, not a folder", wave, "--out", wave, *common)
    best = ("--run", "best")
    fails(f"no finished run in {tmp_path}", wave, "--results", tmp_path, *best)
    fails("has a key that begins with xyz; there are ", wave, "--table", "xyz", *best, *common)
    fails(
        "2 tables have runs that can clean",
        wave,
        *best,
        "--results",
        two_tables(trained, tmp_path),
        "--plugins",
        trained,
    )
    fails(
        "; revision ", wave, *best, "--results", tmp_path / "two", "--plugins", trained
    )  # labels alike are told apart
    write(tmp_path / "twice" / "a.wav", noise(20_000), 32_000)
    write(tmp_path / "twice" / "a.residue.wav", noise(20_000), 32_000)
    fails("a cleaned recording and a residue", tmp_path / "twice", "--residue", "--out", tmp_path / "o", *common)
    fails("a number from 0", wave, "--strength", 2, *common)
    bare = tmp_path / "bare"
    _copy(trained, bare)
    for weights in bare.rglob("model.safetensors"):
        weights.unlink()
    fails("train one: bench run --arch known", wave, *best, "--results", bare, "--plugins", trained)
    for weights in (tmp_path / "two").rglob("model.safetensors"):
        weights.write_bytes(b"broken")
        fails("cannot be used", wave, "--run", weights.parent, "--results", tmp_path / "two", "--plugins", trained)
        break
    (trained / "architectures" / "known.py").write_text(KNOWN.replace("20.0", "21.0"))
    del sys.modules["benchmark.architectures.known"]  # another process
    try:
        fails("known has changed since", wave, *best, "--out", tmp_path / "out", *common)
    finally:
        (trained / "architectures" / "known.py").write_text(KNOWN)


def two_tables(trained: Path, tmp_path: Path) -> Path:
    _copy(trained, tmp_path / "two")
    run = next((tmp_path / "two").glob("runs/*/*/known/*/run.json"))
    content = run.read_text()
    key = content.split('"comparability_key": "')[1][:64]
    run.write_text(content.replace(key, "f" * 64))
    return tmp_path / "two"


def _copy(source: Path, target: Path) -> None:
    import shutil

    shutil.copytree(source / "runs", target / "runs")


def test_the_best_is_the_highest_validation_iou(trained: Path) -> None:
    path, _ = choose_run.choose(trained, choose_run.BEST, "")
    scores = {run.parent: 0.0 for run in trained.glob("runs/*/*/known/*/run.json")}
    for folder in scores:
        scores[folder] = choose_run.validation_iou(folder, store.read(folder))
    assert scores[path] == max(scores.values())
    assert choose_run.choose(trained, "known", "")[0] == path
    assert choose_run.choose(trained, path.name, "")[0] == path


def test_the_weights_lie_between_their_neighbours() -> None:
    grid = cleaner.Grid(
        weights=np.outer(np.arange(513), np.ones(4)).astype(np.float32),
        first=10,
        rate=1_024,
        transform=spectrogram.PUBLISHED,
    )
    found = grid.at(np.array([0.0, 10.5, 512.0]), np.array([0.0, 100.0]))
    np.testing.assert_allclose(found, [[0, 0], [10.5, 10.5], [512, 512]])
    ramp = cleaner.Grid(
        weights=np.tile(np.arange(4, dtype=np.float32), (513, 1)), first=10, rate=1_024, transform=spectrogram.PUBLISHED
    )
    times = (np.array([10, 11.25, 13, 99]) + 1) * 64 / 1_024  # centres of the frames
    np.testing.assert_allclose(ramp.at(np.array([5.0]), times), [[0, 1.25, 3, 3]])
