"""A dataset made by a recipe: here a small one, and the recipe of dawn where its recordings are at hand."""

import csv
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from helpers import Bench

from benchmark.common.progress import silent
from benchmark.data import layout, recipe, recordings
from benchmark.data.manifest import Row
from benchmark.leaderboard import strata
from benchmark.tools.mix import plan, recipe_pools
from benchmark.tools.mix.settings import Settings

RATE = 22_050
MIRROR = Path(__file__).parents[2] / "shared" / "data" / "birds" / "mirror"
SETTINGS = {
    "train": 4,
    "val": 2,
    "test": 4,
    "slice_": 3,
    "seconds": 1.0,
    "sample_rate": RATE,
    "window": 512,
    "hop": 128,
}
ROWS = [
    *(("song", "wren", "train", "main"), ("song", "lark", "train", "main"), ("song", "crow", "val", "main")),
    *(("song", "swift", "test", "main"), ("song", "robin", "test", "main"), ("song", "wren", "test", "known-species")),
    *(("background", kind, split, "main") for split in ("train", "val", "test") for kind in ("rain", "wind")),
    *(("background", "train", "test", "new-noise"), ("background", "swift", "test", "new-noise")),
]


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the recordings of a recipe `tiny`; the songs last 0.4 s, and one background 0.3 s."""
    folder, random, table = tmp_path / "sounds", np.random.default_rng(0), []
    for number, (role, kind, split, part) in enumerate(ROWS):
        path = folder / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        time = np.arange(RATE * (3 if role == "background" else 1)) / RATE
        if number == len(ROWS) - 3:
            time = time[: int(0.5 * RATE)]
        wave = random.standard_normal(len(time)) * (0.1 if role == "background" else 1e-4)
        if role == "song":
            wave += np.sin(2 * np.pi * (2_000 + 300 * number) * time) * (time % 0.2 < 0.1)
        recordings.write(path, wave.astype(np.float32), RATE)
        start, seconds = ("0.3", "0.4") if role == "song" else ("0.0", f"{len(time) / RATE:.2f}")
        values = [role, kind, split, part, path.name, files_sha(path), str(path.stat().st_size), "CC0", "me", "", "yes"]
        table.append([*values, start, seconds, "", ""])
    names = "role kind split slice file sha256 bytes licence attribution xeno_canto redistributable start_s seconds"
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    with (recipes / "tiny.tsv").open("w", newline="") as file:
        csv.writer(file, delimiter="\t").writerows([[*names.split(), "snr_db", "remark"], *table])
    lines = "".join(f"{name} = {value}\n" for name, value in SETTINGS.items())
    (recipes / "tiny.toml").write_text(f'digest = "0"\n[settings]\n{lines}sides = 1\nscale = "decibel"\nown_db = 6\n')
    monkeypatch.setattr(recipe, "_folders", lambda: [recipes])
    return folder


def files_sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_is_the_same_to_the_byte_each_time(bench: Bench, sounds: Path, tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        ran = bench("data", "make", "tiny", "--recordings", sounds, "--out", tmp_path / name)
        assert ran.code == 0, ran.err
        made.append(contents(tmp_path / name))
    assert made[0] == made[1]
    digest = hashlib.sha256(made[0]["samples.csv"]).hexdigest()
    assert "Not the same as everyone's tiny" in ran.out

    toml = recipe._file("tiny", ".toml")
    toml.write_text(toml.read_text().replace('digest = "0"', f'digest = "{digest}"'))
    ran = bench("data", "make", "tiny", "--recordings", sounds, "--out", tmp_path / "a")
    assert f"The same to the byte as everyone's tiny: {digest}" in ran.out
    assert "of which 16 had been made before" in ran.out
    for lost in ("Test/Images/test-00001.png", "samples.csv"):
        (tmp_path / "a" / lost).unlink()
    assert bench("data", "make", "tiny", "--recordings", sounds, "--out", tmp_path / "a").code == 0
    assert contents(tmp_path / "a") == made[0]


def test_species_take_turns_and_no_bird_sings_behind_itself(sounds: Path) -> None:
    settings = Settings(**{**SETTINGS, "test": 8, "slice_": 12})
    mixtures = plan.plan(recipe_pools.pools("tiny", sounds, settings, silent), settings)
    main = [mixture.song.groups["species"] for mixture in mixtures if mixture.id.startswith("test-")]
    assert main == main[:2] * 4
    assert set(main) == {"swift", "robin"}
    behind = [m for m in mixtures if m.slice == "new-noise"]
    assert {m.background.groups["noise"] for m in behind} == {"train", "swift"}
    assert all(m.background.groups["noise"] == "train" for m in behind if m.song.groups["species"] == "swift")


def test_networks_run_on_it(bench: Bench, sounds: Path, tmp_path: Path) -> None:
    """The folder says how its images were made, also to the evaluator."""
    assert bench("data", "make", "tiny", "--recordings", sounds, "--out", tmp_path / "made").code == 0
    words = (
        "run",
        "--arch",
        "unet:width=2",
        "--dataset",
        "dawn",
        "--image-size",
        "32",
        "--batch-size",
        "2",
        "--epochs",
        1,
    )
    ran = bench(*words, "--data", tmp_path / "made", "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    assert "slices" not in ran.err
    shown = bench("leaderboard", "--results", tmp_path / "results", "--full").out
    assert "new-noise" in shown
    by_noise = bench("leaderboard", "--results", tmp_path / "results", "--by", "noise")
    assert re.search(r"main +rain +\d", by_noise.out)
    assert re.search(r"new-noise +train +\d", by_noise.out)
    by_weather = bench("leaderboard", "--results", tmp_path / "results", "--by", "weather")
    assert by_weather.code == 2
    assert "they name: background, noise, song, species" in by_weather.err
    line = next(iter((layout.read_samples(tmp_path / "made") or {}).values()))
    assert line.frames == 169

    (tmp_path / "in").mkdir()
    # A recording and its copy 40 dB down, at another rate than the network's, come out alike.
    time = np.arange(44_100 * 2) / 44_100
    song = np.sin(2 * np.pi * 3_000 * time) * (time % 0.5 < 0.1) + 0.02 * np.random.default_rng(0).normal(
        size=len(time)
    )
    for name, gain in (("loud", 0.5), ("quiet", 0.005)):
        recordings.write(tmp_path / "in" / f"{name}.wav", (gain * song).astype(np.float32), 44_100)
    ran = bench("denoise", tmp_path / "in", "--out", tmp_path / "out", "--results", tmp_path / "results")
    assert ran.code == 0, ran.err
    loud, quiet = (recordings.read(tmp_path / "out" / f"{name}.wav")[0] for name in ("loud", "quiet"))
    assert len(loud) == len(time)
    assert np.abs(loud).max() > 0
    np.testing.assert_allclose(loud, 100 * quiet, atol=0.02 * np.abs(loud).max())


@pytest.mark.parametrize(("species", "kinds"), [(24, ("species", "background")), (23, ("song", "background"))])
def test_many_species_are_the_unit_in_place_of_songs(species: int, kinds: tuple[str, ...]) -> None:
    rows = [
        Row(
            split="test",
            id=f"{number}",
            slice="main",
            groups={"song": f"{number}", "species": f"{number % species}", "background": f"{number % 7}"},
            strata={},
            height=8,
            width=8,
            foreground=1,
            image_sha256="",
            mask_sha256="",
        )
        for number in range(50)
    ]
    found = strata._images(rows)
    assert found.kinds == kinds
    assert len(set(found.groups[0])) == (species if kinds[0] == "species" else 50)


def test_what_is_missing_is_named_with_the_command_that_brings_it(
    bench: Bench, sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sounds / "3.wav").write_bytes(b"another")
    ran = bench("data", "make", "tiny", "--recordings", sounds, "--out", tmp_path / "made")
    assert ran.code == 2
    assert "1 of 14 recordings of tiny are not in" in ran.err
    assert "run: bench data fetch tiny" in ran.err
    assert not (tmp_path / "made").exists()
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    ran = bench("run", "--arch", "otsu", "--dataset", "dawn", "--results", tmp_path / "results")
    assert ran.code == 2
    assert "bench data fetch dawn && bench data make dawn" in ran.err


@pytest.mark.skipif(not MIRROR.is_dir(), reason="the recordings of dawn are not here")
def test_the_beginning_of_dawn(bench: Bench, tmp_path: Path) -> None:
    few = [word for name in ("train", "val", "test", "slice_") for word in ("--set", f"{name}=2")]
    ran = bench("data", "make", "dawn", "--recordings", MIRROR, "--out", tmp_path, *few)
    assert ran.code == 0, ran.err
    table = layout.read_samples(tmp_path) or {}
    assert len(table) == 12
    assert all(0 < line.foreground < 0.6 for line in table.values())
