"""Weights and the other files of a dataset that are damaged, of another network, or code in disguise."""

import csv
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from fuzzing import JSON, TEXTS, cases, damages, outcome, refused
from helpers import TINY, birdsounds_tree
from hypothesis import example, given
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from benchmark import cli, protocols
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import layout, manifest
from benchmark.plugins import datasets, registry
from benchmark.records import store, weights
from benchmark.records.store import WEIGHTS
from benchmark.training import checkpoints
from benchmark.training.checkpoints import Checkpoints, Snapshot


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("weights") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        words = ("run", "--arch", "unet:width=4", *TINY, "--dataset", "synthetic:train=6,val=3,test=4,ood=2")
        with pytest.raises(SystemExit) as end:
            cli.main([*words, "--results", str(results)])
        assert not end.value.code
    (path,) = results.glob("runs/*/*/*/*")
    return path


def load(run: Path) -> dict[str, torch.Tensor]:
    found = store.read(run)
    return weights.load(run, found, protocols.recorded(found.protocol.name, found.protocol.settings)).core.state_dict()


class Harmful:
    """What a pickle may do when it is loaded."""

    def __reduce__(self) -> Any:
        return (pytest.fail, ("a pickle was executed",))


@cases(40)
@given(damage=damages())
def test_damaged_weights(run: Path, damage: Any) -> None:
    path = run / WEIGHTS
    before = path.read_bytes()
    whole = load_file(path)
    content = damage(before)
    path.write_bytes(content)
    try:
        found = outcome(lambda: load(run))
    finally:
        path.write_bytes(before)
    if not isinstance(found, UserError):  # it has no checksum of its own: a changed number is a number
        assert {name: value.shape for name, value in found.items()} == {n: v.shape for n, v in whole.items()}


@cases(30)
@given(
    number=st.integers(0, 99),
    how=st.sampled_from(["other name", "missing", "more", "other shape", "other kind", "empty", "bool"]),
)
@example(number=2, how="missing")  # the counter of a batch norm
@example(number=2, how="other shape")
@example(number=0, how="other kind")
def test_weights_of_another_network(run: Path, number: int, how: str) -> None:
    path = run / WEIGHTS
    before = path.read_bytes()
    tensors = load_file(path)
    name = sorted(tensors)[number % len(tensors)]
    value = tensors.pop(name)
    changed = {
        "other name": {name + "x": value},
        "missing": {},
        "more": {name: value, "more": value.clone()},
        "other shape": {name: value.repeat(2, *[1] * (value.ndim - 1)) if value.ndim else value.repeat(2)},
        "other kind": {name: value.double()},
        "empty": {name: value.new_zeros(0)},
        "bool": {name: value > 0},
    }[how]
    path.write_bytes(save({**tensors, **changed}))
    try:
        found = outcome(lambda: load(run))
    finally:
        path.write_bytes(before)
    assert isinstance(found, UserError), how


@pytest.mark.parametrize("kind", ["pickle", "torch", "legacy"])
def test_a_pickle_that_is_called_safetensors(run: Path, kind: str) -> None:
    path = run / WEIGHTS
    before = path.read_bytes()
    if kind == "pickle":
        path.write_bytes(pickle.dumps(Harmful()))
    else:
        torch.save(Harmful(), path, _use_new_zipfile_serialization=kind == "torch")
    try:
        assert "cannot be used" in refused(lambda: load(run))
    finally:
        path.write_bytes(before)


@cases(40)
@given(kept=st.floats(0, 1, exclude_max=True), metadata=st.booleans())
def test_a_damaged_checkpoint_is_passed_over(
    tmp_path_factory: pytest.TempPathFactory, kept: float, metadata: bool
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    said: list[str] = []
    saved = Checkpoints(folder, {"seed": 0}, said.append)
    for number in (1, 2):
        saved.write(Snapshot(number=number, tensors={"a": torch.full((3,), float(number))}, notes={"n": number}))
    newest = max(folder.rglob("*.safetensors"))
    before = newest.read_bytes()
    if metadata:
        save_file({"a": torch.zeros(3)}, newest, {"notes": "{}"})
    else:
        newest.write_bytes(before[: int(kept * len(before))])  # cut off, as by a kill
    found = outcome(lambda: list(saved.newest_first()))
    assert isinstance(found, list)
    outcome(lambda: checkpoints.conditions(folder))
    for snapshot in found:
        assert torch.equal(snapshot.tensors["a"], torch.full((3,), float(snapshot.number)))
        assert snapshot.notes == {"n": snapshot.number}
    assert [snapshot.number for snapshot in found][-1:] == [1]
    assert len(found) == 2 or len(said) == 1


# ---------------------------------------------------------------- manifests, and the tables of made datasets

LINE = json.loads(
    '{"split": "test", "id": "a", "slice": "main", "groups": {"recording": "r"}, "strata": {}, "height": 3, '
    '"width": 4, "foreground": 5, "image_sha256": "0", "mask_sha256": "1", '
    '"sound": {"sample_rate": 1, "samples": 2, "sha256": "3"}}'
)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a table of samples, as far as it is read before the images are."""
    root = birdsounds_tree(tmp_path_factory.mktemp("mixed") / "data")
    samples = []
    for names, split in (("Train", "train"), ("Valid", "val"), ("Test", "test")):
        for path in sorted((root / names / "Images").iterdir()):
            values: dict[str, Any] = dict.fromkeys(layout.MixedSample.__slots__, 1.0)
            texts = ("song", "background", "bird", "species", "site", "song_file", "background_file")
            values |= {name: f"{path.stem}-{name}" for name in texts}
            values |= {
                "id": path.stem,
                "split": split,
                "slice": "main",
                "song_times": 1,
                "sample_rate": 8000,
                "frames": 60,
            }
            samples.append(layout.MixedSample(**values))
            for folder in ("Raw_audios", "Clean_audios"):
                (root / names / folder).mkdir(exist_ok=True)
                (root / names / folder / f"{path.stem}.wav").write_bytes(b"")
    layout.write_samples(root / layout.SAMPLES, samples)
    return root


CELLS = TEXTS | st.sampled_from(["nan", "inf", "-1", "0", "1e999", "9" * 400, "1.5", "", "main", "train", "True"])


@cases(60)
@given(
    row=st.integers(0, 8),
    column=st.integers(0, 30),
    cell=CELLS,
    how=st.sampled_from(["cell", "cell", "drop column", "drop row", "double row", "short", "long"]),
    damage=st.none() | st.none() | damages(),
)
def test_a_table_of_samples(mixed: Path, row: int, column: int, cell: str, how: str, damage: Any) -> None:
    path = mixed / layout.SAMPLES
    before = path.read_bytes()
    lines = list(csv.reader(before.decode().splitlines()))
    row, column = row % len(lines), column % len(lines[0])
    if how == "cell":
        lines[row][column] = cell
    elif how == "drop column":
        lines = [line[:column] + line[column + 1 :] for line in lines]
    elif how == "drop row":
        del lines[row]
    elif how == "double row":
        lines.append(lines[row])
    elif how == "short":
        del lines[row][column:]
    else:
        lines[row].append(cell)
    held = io.StringIO()
    csv.writer(held, lineterminator="\n").writerows(lines)
    content = held.getvalue().encode("utf-8", "replace")
    path.write_bytes(damage(content) if damage else content)
    loaded = registry.load("datasets", "birdsounds")

    def listed() -> Any:
        # The recordings of this tree are empty, so that whatever is listed ends when it is read.
        datasets.resolved(loaded, mixed)
        settings = protocols.load("quick").override({"image_size": (8, 8)})
        return datasets.load_data(loaded, settings, mixed, silent)

    try:
        refused(listed)
    finally:
        path.write_bytes(before)


@cases(40)
@given(
    path=st.sampled_from(["train.txt", "val.txt", "test.txt"]), content=st.binary(max_size=40) | TEXTS.map(str.encode)
)
def test_the_lists_of_a_folder(tmp_path_factory: pytest.TempPathFactory, path: str, content: bytes) -> None:
    root = tmp_path_factory.mktemp("folder")
    (root / "images").mkdir()
    (root / "masks").mkdir()
    for name in ("train", "val", "test"):
        (root / f"{name}.txt").write_text("a.png\n")
    (root / path).write_bytes(content)
    loaded = registry.load("datasets", "folder")
    refused(lambda: datasets.load_data(loaded, protocols.load("quick"), root, silent))


@cases(40)
@given(
    changes=st.dictionaries(st.sampled_from([*LINE, "more"]), JSON, max_size=2),
    missing=st.sets(st.sampled_from([*LINE]), max_size=1),
)
def test_a_line_of_a_manifest_is_read_or_is_an_error_that_is_expected(changes: Any, missing: Any) -> None:
    values = {name: value for name, value in {**LINE, **changes}.items() if name not in missing}

    def read() -> Any:
        try:
            return manifest.read_rows(json.dumps(values))
        except ValueError as error:  # what its readers expect of a damaged file
            raise UserError(f"no manifest: {type(error).__name__}") from error

    outcome(read)
