"""Names from records, links and ids of samples lead to no file outside of the folder that they belong to."""

import hashlib
import json
import os
import platform
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import Bench, put
from test_leaderboard import write

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.contract import Sample
from benchmark.data import validate
from benchmark.records import checksums, store
from benchmark.tools.denoise import inputs as denoise_files


@pytest.mark.parametrize("field", ["run_key", "comparability_key", "dataset__manifest", "protocol__digest"])
@pytest.mark.parametrize(
    "value", ["../../../etc/passwd", "/etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "\0" * 64]
)
def test_what_files_are_called_after_is_a_digest(bench: Bench, tmp_path: Path, field: str, value: str) -> None:
    folder = write(tmp_path)
    content = store.read(folder).model_dump(by_alias=True, mode="json")
    put(content, {field: value})
    (folder / "run.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=field.rpartition("__")[2]):
        store.read(folder)
    ran = bench("leaderboard", "--results", tmp_path)
    assert ran.code == 2
    assert "is not a record of schema 1" in ran.err


@pytest.mark.parametrize("name", ["../other/run.json", "/etc/passwd", "a/../../b", ".."])
def test_checksums_lead_to_no_file_outside(tmp_path: Path, name: str) -> None:
    folder, outside = tmp_path / "run", tmp_path / "other" / "run.json"
    for path in (folder / checksums.NAME, outside):
        path.parent.mkdir()
        path.write_text(f"{'0' * 64}  {name}\n")
    assert list(checksums.changed(folder, checksums.read(folder))) == []


@pytest.mark.parametrize("place", ["../runs", "..", "/"])
def test_a_run_lies_in_its_results_folder(bench: Bench, tmp_path: Path, place: str) -> None:
    write(tmp_path / "results")
    write(tmp_path / "other")
    outside = next((tmp_path / "other" / "runs").glob("*/*/*/*"))
    for text in (place, str(outside), f"{tmp_path}/results/runs/../../other/runs"):
        ran = bench("verify", text, "--results", tmp_path / "results")
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1
    link = tmp_path / "results" / "runs" / "link"
    link.symlink_to(outside)
    assert "lies outside of" in bench("verify", link, "--results", tmp_path / "results").err


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(4000), 8000)
    return path


def test_cleaning_writes_nowhere_but_into_its_folder(tmp_path: Path) -> None:
    source = sound(tmp_path / "in" / "deep" / "a.wav")
    elsewhere = sound(tmp_path / "elsewhere" / "a.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").symlink_to(elsewhere.parent)
    with pytest.raises(UserError, match="is behind a link that leads out of"):
        denoise_files.targets([tmp_path / "in"], tmp_path / "out")
    (tmp_path / "out" / "deep").unlink()
    (tmp_path / "out" / "deep").mkdir()
    (tmp_path / "out" / "deep" / "a.wav").symlink_to(source)
    with pytest.raises(UserError, match="is one of the recordings to clean"):
        denoise_files.targets([tmp_path / "in"], tmp_path / "out")


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    from benchmark.data import recordings

    kept = sound(tmp_path / "kept.wav")
    before = hashlib.sha256(kept.read_bytes()).hexdigest()
    for name in ("b.wav", f".tmp-b.wav-{platform.node()}-{os.getpid()}"):
        (tmp_path / name).symlink_to(kept)
    with files.atomic_file(tmp_path / "b.wav") as path, recordings.writer(path, 8000, 1, "PCM_16") as file:
        file.write(np.ones(100))
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == before
    assert not (tmp_path / "b.wav").is_symlink()


IDS = ["../../up", "/etc/passwd", "a/b", "..", "con", "=1+1", "$\\frac{$", "back\\slash", "a\"b'c"]
NO_IDS = ["\x1b[2Jgone", "x" * 4000, "é\u202egnp", "a\nb", "a\0b", ""]


def test_ids_of_samples_are_no_paths(bench: Bench, tmp_path: Path) -> None:
    """A run on images that are called so ends as any does, and nothing is written but into results and cache."""
    (tmp_path / "mine" / "datasets").mkdir(parents=True)
    (tmp_path / "mine" / "datasets" / "hostile.py").write_text(
        '"""Ids that would like to be paths."""\n'
        "import functools\nimport numpy as np\nfrom benchmark.contract import DatasetSpec, Example, Sample\n"
        f"IDS = {IDS!r}\n\n\n"
        "def read(number):\n"
        "    random = np.random.default_rng(number)\n    mask = np.zeros((32, 32), bool)\n    mask[4:12, 4:20] = True\n"
        "    return Example(image=(random.integers(0, 90, (32, 32)) + 150 * mask).astype(np.uint8), mask=mask)\n\n\n"
        "def load(*, root):\n"
        "    return {split: [Sample(id=name, groups={'recording': f'{split}{name}'}, "
        "read=functools.partial(read, 100 * place + number)) for number, name in enumerate(IDS)] "
        "for place, split in enumerate(('train', 'val', 'test'))}\n\n\n"
        'DATASET = DatasetSpec(load=load, title="=cmd()", paper="", citation="", licence="", needs_root=False)\n'
    )
    results = tmp_path / "deep" / "results"
    plugins = ("--plugins", tmp_path / "mine")
    words = ("run", "--arch", "otsu", "--dataset", "hostile", "--image-size", 32, "--batch-size", 4)
    ran = bench(*words, "--results", results, *plugins)
    assert ran.code == 0, ran.err
    assert bench("leaderboard", "--results", results).code == 0
    checked = bench("leaderboard", "--results", results, "--check")
    assert checked.code == 0, checked.err
    made = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert made <= {"mine", "deep", "it-ran"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"results"}


@pytest.mark.parametrize("name", NO_IDS, ids=range(len(NO_IDS)))
def test_what_is_no_id_is_refused(name: str) -> None:
    samples = {
        split: [Sample(id="a", groups={}, read=int), Sample(id=name, groups={}, read=int)]
        for split in ("train", "val", "test")
    }
    with pytest.raises(UserError, match="is not a text of 1 to 1000 printable characters"):
        validate.checked_listing(samples)
