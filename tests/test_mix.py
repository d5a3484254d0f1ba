"""Recordings -> mixtures of known parts: splits, loudness, masks, bytes, interruptions; and the reader of them."""

import csv
import json
import platform
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from benchmark.datasets import birdsounds
from helpers import Bench, Ran

from benchmark.common import workers
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import images, layout, recordings, spectrogram
from benchmark.tools.mix import plan, sources
from benchmark.tools.mix.settings import checked

RATE = 16_000
SMALL = ("--train", 6, "--val", 3, "--test", 4, "--slice", 2, "--seconds", 0.5, "--sample-rate", RATE)


def song(path: Path, seed: int, *, seconds: float = 1.2, rate: int = RATE, bird: str = "b") -> None:
    """Chirps with pauses."""
    random = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    beats = np.maximum(np.sin(2 * np.pi * random.uniform(3, 6) * time), 0)
    wave = 0.3 * beats * np.sin(2 * np.pi * (2_500 + 800 * np.sin(2 * np.pi * 5 * time)) * time) + 0.1  # with DC
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path / f"{bird}_{seed:02d}.wav" if path.is_dir() else path, wave, rate, subtype="FLOAT")


def background(path: Path, seed: int, *, foreign: bool = False, rate: int = 12_000) -> None:
    random = np.random.default_rng(1_000 + seed)
    wave = 0.01 * random.standard_normal(2 * rate)
    if foreign:
        wave[5_000:5_600] += 0.5 * np.sin(2 * np.pi * 3_300 * np.arange(600) / rate)
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, rate, subtype="FLOAT")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("recordings")
    for number in range(6):
        song(root / "song" / f"finch_{number:02d}.wav", number)
        background(root / "background" / f"site_{number:02d}.wav", number, foreign=number == 5)
    for number in range(3):
        song(root / "call" / f"other_{number:02d}.wav", 50 + number, seconds=0.12, rate=22_050)
    return root


@pytest.fixture
def in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written by this process: workers would import for seconds what they use for a moment."""
    monkeypatch.setattr(workers, "pool", lambda: ThreadPoolExecutor(1))


def mix(bench: Bench, folders: Path, out: Path, *options: object) -> Ran:
    given = ("--song", folders / "song", "--background", folders / "background", "--other", folders / "call")
    return bench("data", "mix", *given, "--out", out, *SMALL, *options)


@pytest.fixture(scope="module")
def made(folders: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from benchmark.tools.mix import make

    out = tmp_path_factory.mktemp("made") / "mix"
    settings = checked(train=6, val=3, test=4, slice_=2, seconds=0.5, sample_rate=RATE, species="^[a-z]+", site="^site")
    make.make(
        song=folders / "song",
        background=folders / "background",
        others=[folders / "call"],
        out=out,
        settings=settings,
        command="bench data mix",
        report=silent,
    )
    return out


def table(out: Path) -> list[dict[str, str]]:
    with (out / "samples.csv").open() as file:
        return list(csv.DictReader(file))


def contents(out: Path) -> dict[str, bytes]:
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


def test_the_published_layout(made: Path) -> None:
    for split, count in (("Train", 6), ("Valid", 3), ("Test", 8)):
        for kind, suffix in (("Images", "png"), ("Masks", "png"), ("Raw_audios", "wav"), ("Clean_audios", "wav")):
            assert len(list((made / split / kind).glob(f"*.{suffix}"))) == count
    assert {path.name for path in made.iterdir()} == {"Train", "Valid", "Test", "README.md", "mix.json", "samples.csv"}


def test_no_song_and_no_background_in_two_splits(made: Path) -> None:
    rows = table(made)
    for kind in ("song", "background"):
        of = {split: {row[kind] for row in rows if row["split"] == split} for split in ("train", "val", "test")}
        assert not of["train"] & of["val"]
        assert not (of["train"] | of["val"]) & of["test"]
    foreign = {row["slice"] for row in rows if row["background"] == "background/site_05"}
    assert foreign == {"foreign-animal"}
    assert {row["species"] for row in rows if row["slice"] == "call"} == {"other"}
    card = (made / "README.md").read_text()
    own = [row for row in rows if row["slice"] == "main" and row["split"] == "test"]
    songs, backgrounds = (len({row[kind] for row in own}) for kind in ("song", "background"))
    start = (
        f"Slice main, not in training: song {songs} of {songs}, background {backgrounds} of {backgrounds}, species 0"
    )
    assert start in card
    assert "species 1 of 1, site 0 of" in card.partition("Slice call, not in training: ")[2].partition("\n")[0]
    assert "Not stated, so splits may share them: bird (state them with --bird)." in card


def test_image_mask_and_sounds_belong_together(made: Path) -> None:
    """From the two stored sounds anyone can make image and mask again, to the pixel."""
    for row in table(made):
        folder = made / layout.SPLITS[row["split"]][0]
        (noisy, rate), (clean, _) = (
            recordings.read(folder / kind / f"{row['id']}.wav") for kind in ("Raw_audios", "Clean_audios")
        )
        assert rate == RATE
        image, mask = (
            images.read_image(folder / "Images" / f"{row['id']}.png"),
            images.read_mask(folder / "Masks" / f"{row['id']}.png"),
        )
        spectra = spectrogram.stft(noisy), spectrogram.stft(clean)
        np.testing.assert_array_equal(image, spectrogram.render(spectra[0]))
        np.testing.assert_array_equal(mask, spectrogram.mixture_mask(spectra[1], spectra[0] - spectra[1]))
        assert mask.any()


def test_loudness_and_snr_are_what_the_table_says(made: Path) -> None:
    for row in table(made):
        folder = made / layout.SPLITS[row["split"]][0]
        noisy, _ = recordings.read(folder / "Raw_audios" / f"{row['id']}.wav")
        clean, _ = recordings.read(folder / "Clean_audios" / f"{row['id']}.wav")
        assert np.abs(noisy).max() == pytest.approx(0.9 * 10 ** (float(row["gain_db"]) / 20), rel=1e-4)
        rest = noisy - clean
        powers = []
        for wave in (clean, rest):
            loud = np.mean(wave[: len(wave) // 160 * 160].reshape(-1, 160) ** 2, axis=1)  # 10 ms
            powers.append(np.mean(loud[loud > loud.max() / 1_000]))
        ratio = 10 * np.log10(powers[0] / powers[1])
        assert ratio == pytest.approx(float(row["snr_db"]), abs=0.1)
        assert abs(clean.mean()) < 1e-3  # no DC
        # Nothing above the backgrounds' Nyquist frequency of 6 kHz, in either stem.
        for wave in (clean, rest):
            power = np.abs(np.fft.rfft(wave * np.hanning(len(wave)))) ** 2
            assert power[np.fft.rfftfreq(len(wave), 1 / RATE) > 6_000].sum() < 1e-5 * power.sum()


@pytest.mark.usefixtures("in_a_thread")
def test_the_same_seed_gives_the_same_bytes_and_less_is_the_beginning_of_more(
    bench: Bench, folders: Path, tmp_path: Path
) -> None:
    assert mix(bench, folders, tmp_path / "a").code == 0
    assert mix(bench, folders, tmp_path / "b").code == 0
    first = contents(tmp_path / "a")
    assert first == contents(tmp_path / "b")
    assert mix(bench, folders, tmp_path / "c", "--train", 4, "--seed", 0).code == 0
    smaller = contents(tmp_path / "c")
    for name in (name for name in smaller if "/" in name):
        assert smaller[name] == first[name], name
    assert mix(bench, folders, tmp_path / "d", "--seed", 1).code == 0
    assert contents(tmp_path / "d") != first


def test_an_interrupted_run_goes_on(
    bench: Bench, folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.tools.mix import make

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert mix(bench, folders, whole).code == 0
    with monkeypatch.context() as patch:
        patch.setattr(make, "_finish", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        assert mix(bench, folders, killed).code == 130
    with pytest.raises(UserError, match=r"samples\.csv is missing; .* give the same bench data mix again"):
        birdsounds.load(root=killed)
    (killed / ".unfinished" / "train-00003.json").unlink()
    (killed / "Train" / "Images" / "train-00003.png").write_bytes(b"half")
    left = f".tmp-train-00003.png-{platform.node()}-999999999"  # of a process that is no more
    (killed / "Train" / "Images" / left).write_bytes(b"half")
    done = (killed / "Train" / "Images" / "train-00001.png").stat().st_mtime_ns
    ran = mix(bench, folders, killed)
    assert ran.code == 0
    assert "(16 had been made before)" in ran.out
    assert (killed / "Train" / "Images" / "train-00001.png").stat().st_mtime_ns == done
    assert contents(killed) == contents(whole)
    again = mix(bench, folders, killed)
    assert again.code == 0
    assert "(17 had been made before)" in again.out


@pytest.mark.usefixtures("in_a_thread")
def test_what_a_finished_dataset_lost_is_made_again(bench: Bench, folders: Path, tmp_path: Path) -> None:
    assert mix(bench, folders, tmp_path).code == 0
    before = contents(tmp_path)
    (tmp_path / "Train" / "Masks" / "train-00003.png").unlink()
    (tmp_path / "Test" / "Clean_audios" / "call-00001.wav").unlink()
    ran = mix(bench, folders, tmp_path)
    assert ran.code == 0
    assert "(15 had been made before)" in ran.out
    assert contents(tmp_path) == before


def test_a_group_that_takes_no_part_in_the_match(folders: Path) -> None:
    settings = checked(seconds=0.5, sample_rate=RATE, bird="other_([0-9]+)|finch")
    found = sources.read_all("song", folders / "song", settings, silent)
    assert {source.groups["bird"] for source in found} == {"finch"}


@pytest.mark.usefixtures("in_a_thread")
def test_a_run_killed_at_the_very_end_is_finished(bench: Bench, folders: Path, tmp_path: Path) -> None:
    assert mix(bench, folders, tmp_path).code == 0
    before = contents(tmp_path)
    (tmp_path / ".unfinished").mkdir()
    for lost in ("README.md", "samples.csv"):
        (tmp_path / lost).unlink()
        assert mix(bench, folders, tmp_path).code == 0
        assert contents(tmp_path) == before
        assert not (tmp_path / ".unfinished").exists()


def test_a_long_recording_that_is_silent_but_for_a_chirp(tmp_path: Path, folders: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(3):
        wave = 1e-4 * random.standard_normal(40 * RATE)
        wave[(10 + number) * RATE :][: RATE // 10] += 0.5 * np.sin(2 * np.pi * 3_000 * np.arange(RATE // 10) / RATE)
        (tmp_path / "sparse").mkdir(exist_ok=True)
        soundfile.write(tmp_path / "sparse" / f"s{number}.wav", wave, RATE)
    settings = checked(seconds=0.5, sample_rate=RATE, train=40, test=20)
    songs = sources.read_all("song", tmp_path / "sparse", settings, silent)
    backgrounds = sources.read_all("background", folders / "background", settings, silent)
    for mixture in plan.plan(sources.pools(songs, backgrounds, {}, settings), settings):
        chirp = 10 + int(mixture.song.path.stem[1])
        assert chirp - 0.46 < mixture.song_start < chirp + 0.1


def test_both_channels_of_a_recording_stay_together(tmp_path: Path) -> None:
    for number in range(12):
        song(tmp_path / "song" / f"XC{100 + number // 2}_{'left' if number % 2 else 'right'}.wav", number)
        background(tmp_path / "background" / f"b{number}.wav", number)
    settings = checked(seconds=0.5, sample_rate=RATE)
    songs = sources.read_all("song", tmp_path / "song", settings, silent)
    backgrounds = sources.read_all("background", tmp_path / "background", settings, silent)
    names = {pool.split: {s.recording for s in pool.songs} for pool in sources.pools(songs, backgrounds, {}, settings)}
    assert set().union(*names.values()) == {f"song/XC{number}" for number in range(100, 106)}
    assert sum(map(len, names.values())) == 6


@pytest.mark.usefixtures("in_a_thread")
def test_mistakes(bench: Bench, folders: Path, tmp_path: Path) -> None:
    def fails(message: str, *options: object, out: Path = tmp_path / "out", root: Path = folders) -> None:
        ran = mix(bench, root, out, *options)
        assert ran.code == 2, ran.err
        assert message in ran.err
        assert "Traceback" not in ran.err

    fails("highpass < lowpass", "--lowpass", 9_000)
    fails("--snr wants the lower number first", "--snr", 5, -5)
    fails("--bird '(' is not a regular expression", "--bird", "(")
    fails("--bird 'zebra' does not match", "--bird", "zebra")
    fails("less than a window", "--seconds", 3)
    fails("there is no channel 1", "--channel", 1)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    fails("is not empty and was not made by this command", out=tmp_path / "mine")
    assert not (tmp_path / "out").exists()
    assert mix(bench, folders, tmp_path / "out").code == 0
    fails("holds a dataset of other settings", "--seed", 3)
    broken = tmp_path / "broken"
    shutil.copytree(folders, broken)
    shutil.copy(broken / "song" / "finch_00.wav", broken / "song" / "finch_copy.wav")
    fails("are the same recording; remove one", out=tmp_path / "new", root=broken)
    soundfile.write(broken / "song" / "finch_copy.wav", np.zeros(RATE), RATE)
    fails("is silent between", out=tmp_path / "new", root=broken)
    (broken / "song" / "finch_copy.wav").write_text("text")
    fails("is not a readable recording", out=tmp_path / "new", root=broken)
    (broken / "song" / "finch_copy.wav").unlink()
    samples, rate = soundfile.read(broken / "song" / "finch_00.wav", dtype="float32")
    soundfile.write(broken / "call" / "renamed.wav", samples, rate, subtype="DOUBLE")  # other bytes, the same sound
    fails("are the same recording; remove one", out=tmp_path / "new", root=broken)
    (broken / "call" / "renamed.wav").unlink()
    (tmp_path / "elsewhere").mkdir()
    shutil.copytree(broken / "call", tmp_path / "elsewhere" / "song")
    fails("are the same folder or one inside the other", "--other", broken / "song", out=tmp_path / "new", root=broken)
    fails(
        "need different names, other than train",
        "--other",
        tmp_path / "elsewhere" / "song",
        out=tmp_path / "new",
        root=broken,
    )
    for number in range(4):
        (broken / "background" / f"site_{number:02d}.wav").unlink()
    fails("backgrounds are without loud animals", out=tmp_path / "new", root=broken)


def test_a_song_as_long_as_a_window_starts_at_once(folders: Path) -> None:
    settings = checked(seconds=4.0)
    source = sources.read_all("song", folders / "song", settings, silent)[0]
    found = plan._place(replace(source, seconds=settings.seconds), settings, np.random.default_rng(0))
    assert found == (0.0, (0.0,))


def test_two_files_of_one_name_are_two_songs(folders: Path, tmp_path: Path) -> None:
    shutil.copytree(folders / "song", tmp_path / "song")
    first = recordings.find(tmp_path / "song")[0]
    soundfile.write(first.with_suffix(".flac"), np.random.default_rng(0).uniform(-0.5, 0.5, 5 * 32_000), 32_000)
    found = sources.read_all("song", tmp_path / "song", checked(), silent)
    names = [source.name for source in found]
    assert len(set(names)) == len(names) == len(recordings.find(tmp_path / "song"))


def test_birds_are_split_apart_where_six_are_named(tmp_path: Path) -> None:
    for number in range(12):
        song(tmp_path / "song" / f"bird{number % 6}_{number:02d}.wav", number)
        background(tmp_path / "background" / f"b{number}.wav", number)
    settings = checked(seconds=0.5, sample_rate=RATE, bird="^bird[0-9]")
    songs = sources.read_all("song", tmp_path / "song", settings, silent)
    backgrounds = sources.read_all("background", tmp_path / "background", settings, silent)
    pools = sources.pools(songs, backgrounds, {}, settings)
    birds = {pool.split: {source.groups["bird"] for source in pool.songs} for pool in pools}
    assert sorted(map(len, birds.values())) == [1, 2, 3]
    assert len(set().union(*birds.values())) == 6


def test_a_plan_prefers_places_with_song_and_repeats_short_calls(folders: Path) -> None:
    settings = checked(seconds=0.5, sample_rate=RATE, train=40)
    calls = sources.read_all("song", folders / "call", settings, silent)
    songs = sources.read_all("song", folders / "song", settings, silent)
    backgrounds = sources.read_all("background", folders / "background", settings, silent)
    for mixture in plan.plan(sources.pools(songs, backgrounds, {"call": calls}, settings), settings):
        assert 0 <= mixture.background_start <= mixture.background.seconds - settings.seconds
        assert -5 <= mixture.snr_db <= 15
        assert -10 <= mixture.gain_db <= 0
        if mixture.slice == "call":
            ends = [at + mixture.song.seconds for at in mixture.at]
            assert all(end < following for end, following in zip(ends, mixture.at[1:], strict=False))
            assert ends[-1] <= settings.seconds
        else:
            assert 0 <= mixture.song_start <= mixture.song.seconds - settings.seconds


def test_the_reader_takes_groups_sounds_and_rendering(made: Path) -> None:
    found = birdsounds.load(root=made)
    assert [len(found[split]) for split in ("train", "val", "test")] == [6, 3, 8]
    sample = found["test"][0]
    assert sample.slice == "main"
    assert set(sample.groups) == {"song", "background", "species", "site"}
    assert -5 <= float(sample.strata["snr_db"]) <= 15
    example = sample.read()
    assert example.audio is not None
    assert example.audio.sample_rate == RATE
    assert spectrogram.frame_count(len(example.audio.noisy)) == example.image.shape[1]
    rendering = birdsounds.resolve(root=made).rendering
    assert rendering is not None
    assert (rendering.sample_rate, rendering.frames, rendering.highpass) == (RATE, example.image.shape[1], 500)
    assert rendering.lowpass == 0.945 * 6_000
    fewer = birdsounds.load(root=made, train=2, test=1, slices=1)
    assert [(s.slice, s.id) for s in fewer["test"]] == [
        ("main", "test-00000"),
        ("call", "call-00000"),
        ("foreign-animal", "foreign-animal-00000"),
    ]
    assert len(fewer["train"]) == 2
    assert len(fewer["val"]) == 3


def test_made_datasets_have_their_own_split(made: Path) -> None:
    with pytest.raises(UserError, match="was made by bench data mix, which split it by recording"):
        birdsounds.load(root=made, split="public-1500")


def test_a_broken_table_is_one_line(made: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(made, copy)
    (copy / "samples.csv").rename(copy / "elsewhere.csv")
    with pytest.raises(UserError, match=r"samples\.csv is missing; restore it"):
        birdsounds.load(root=copy)
    (copy / "elsewhere.csv").rename(copy / "samples.csv")
    (copy / "Test" / "Clean_audios" / "test-00000.wav").unlink()
    with pytest.raises(UserError, match=r"test-00000\.wav is missing; make the dataset again"):
        birdsounds.load(root=copy)
    text = (copy / "samples.csv").read_text()
    (copy / "samples.csv").write_text(text.replace("train-00000,", "train-99999,"))
    with pytest.raises(UserError, match=r"train-99999\.png is missing; make the dataset again"):
        birdsounds.load(root=copy)
    (copy / "samples.csv").write_text(text.replace(",snr_db,", ",snr,"))
    with pytest.raises(UserError, match=r"samples\.csv: sample 0, column snr_db: "):
        birdsounds.load(root=copy)


def test_the_recipe_names_every_recording(made: Path, folders: Path) -> None:
    recipe = json.loads((made / "mix.json").read_text())
    named = {source["name"] for pool in recipe["pools"] for kind in ("songs", "backgrounds") for source in pool[kind]}
    assert named == {f"{path.parent.name}/{path.stem}" for path in folders.rglob("*.wav")}
    assert recipe["settings"]["smoothing"] == 4
    assert recipe["settings"]["lowpass"] == 0.945 * 6_000
