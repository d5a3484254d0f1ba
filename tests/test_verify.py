"""Records are altered in every way that came to mind; each is found, and what was not altered is not."""

import csv
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import SMALL, TINY, Ran, Bench

from benchmark import cli, inputs, keys, metrics, protocol, registry, runs, sums, verify
from benchmark.progress import silent
from benchmark.runs import WEIGHTS
from benchmark.store import KEY_DIGITS, manifest_path, pictures_path, read, read_all, references_path
from benchmark.verify.badges import VERIFICATION
from benchmark.verify.subject import Subject



@dataclass
class Store:
    """A results folder with two seeds of a network and one of a method without parameters."""

    results: Path
    run: Path
    other: Path
    otsu: Path

    def edit(self, name: str, change: Callable[[str], str], run: Path | None = None) -> None:
        path = (run or self.run) / name
        before = path.read_text()
        after = change(before)
        assert after != before, "the tampering changed nothing"
        path.write_text(after)

    def put(self, run: Path | None = None, **changes: Any) -> None:
        """Change run.json: `training__best_epoch=1`."""

        def change(text: str) -> str:
            content = json.loads(text)
            for name, value in changes.items():
                target, names = content, name.split("__")
                for part in names[:-1]:
                    target = target[part]
                target[names[-1]] = value
            return json.dumps(content, indent=2) + "\n"

        self.edit("run.json", change, run)

    def cells(self, name: str, row: int, **changes: int) -> None:
        """Add to cells of a table, by column; rows count from 0."""

        def change(text: str) -> str:
            lines = list(csv.reader(text.splitlines()))
            for column, step in changes.items():
                at = lines[0].index(column)
                lines[row + 1][at] = f"{float(lines[row + 1][at]) + step:g}"
            return "".join(",".join(line) + "\n" for line in lines)

        self.edit(name, change)

    def masks(self, change: Callable[[np.ndarray], None], run: Path | None = None) -> None:
        path = (run or self.run) / "predictions.npz"
        with np.load(path) as archive:
            shape = archive["shape"]
            masks = np.unpackbits(archive["packed"], axis=-1, count=shape[-1]).astype(bool)
        before = masks.copy()
        change(masks)
        assert (masks != before).any()
        np.savez_compressed(path, packed=np.packbits(masks, axis=-1), shape=shape)

    def seal(self, run: Path | None = None) -> None:
        """What a careful forger does: the checksums fit again."""
        sums.write(run or self.run)

    def rekeyed(self, run: Path) -> Path:
        """What a more careful one does: digest, keys and place fit again."""
        content = json.loads((run / "run.json").read_text())
        stored = content["protocol"]
        stored["digest"] = protocol.recorded(stored["name"], stored["settings"]).digest_at(stored["revision"])
        table = keys.table(protocol=stored["digest"], manifest=content["dataset"]["manifest"])
        entry, device = content["architecture"], content["device"]
        content["comparability_key"] = table
        content["run_key"] = keys.run(
            table=table,
            architecture=entry["label"],
            source=entry["source_hash"],
            weights=entry["weights"],
            seed=content["seed"],
            device=device["kind"],
            precision=device["precision"],
            torch=content["environment"]["torch"],
            micro_batch=device["micro_batch"],
        )
        (run / "run.json").write_text(json.dumps(content, indent=2) + "\n")
        sums.write(run)
        return run.rename(run.parent / content["run_key"][:KEY_DIGITS])

    def manifest(self) -> Path:
        return manifest_path(self.results, read(self.run).dataset.manifest)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store as the command line makes it, once."""
    results = tmp_path_factory.mktemp("verify") / "results"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_PLUGINS", "")
        for arch, seed in (("unet:width=4", 0), ("unet:width=4", 1), ("otsu", 0)):
            with pytest.raises(SystemExit) as end:
                cli.main(["run", "--arch", arch, "--seed", str(seed), *TINY, "--results", str(results)])
            assert not end.value.code
    return results


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    results = tmp_path / "results"
    shutil.copytree(made, results)
    unets = {read(path).seed: path for path in (results / "runs/quick/synthetic/unet").iterdir()}
    (otsu,) = (results / "runs/quick/synthetic/otsu").iterdir()
    return Store(results=results, run=unets[0], other=unets[1], otsu=otsu)


def truth(store: Store) -> np.ndarray:
    """The true masks of the test split at the protocol's size."""
    found = read(store.run)
    settings = protocol.recorded("quick", found.protocol.settings)
    cached = inputs.load_data(registry.load("datasets", SMALL), settings, None, silent)
    return np.array(cached.splits["test"].masks)


def put_truth(store: Store, masks: np.ndarray) -> None:
    found = read(store.run)
    path = pictures_path(store.results, found.dataset.manifest, found.protocol.settings["image_size"])
    assert path.is_file()  # every run leaves it
    np.savez_compressed(path, truth_packed=np.packbits(masks, axis=-1), truth_shape=np.array(masks.shape))


def test_what_was_not_altered_is_consistent(store: Store) -> None:
    assert verify.check(store.results) == []
    np.testing.assert_array_equal(Subject(store.results, store.run).truth, truth(store))
    assert verify.check(store.results, [store.run]) == []


# ---------------------------------------------------------------- tamperings of one file, without checksums


def count_without_sums(store: Store) -> None:
    store.cells("images.csv", 0, tp=1, fn=-1)


def gflops_without_sums(store: Store) -> None:
    store.put(architecture__gflops=0.5)


def published_without_sums(store: Store) -> None:
    store.edit("run.json", lambda text: text.replace('"reported": []', '"reported": []\n'), store.run)


def weights_without_sums(store: Store) -> None:
    shutil.copy(store.other / WEIGHTS, store.run / WEIGHTS)


def plugin_without_sums(store: Store) -> None:
    store.edit("plugin.py", lambda text: text + "\n# better\n")


def picture_without_sums(store: Store) -> None:
    shutil.copy(store.run / "examples" / "best.png", store.run / "examples" / "worst.png")


def file_removed(store: Store) -> None:
    (store.run / "logits.csv").unlink()


def file_added(store: Store) -> None:
    (store.run / "notes.txt").write_text("trust me")


def sums_removed(store: Store) -> None:
    (store.run / sums.NAME).unlink()


def sums_line_removed(store: Store) -> None:
    store.edit(sums.NAME, lambda text: "".join(text.splitlines(keepends=True)[1:]))


def sums_damaged(store: Store) -> None:
    store.edit(sums.NAME, lambda text: text.replace("  ", " ", 1))


# ---------------------------------------------------------------- tamperings with checksums that fit


def count_changed(store: Store) -> None:
    store.cells("images.csv", 0, tp=1)


def count_moved(store: Store) -> None:
    store.cells("images.csv", 0, fp=-1, tn=1)


def hit_made_up(store: Store) -> None:
    store.cells("images.csv", 0, tp=1, fn=-1, fp=-1, tn=1)


def native_count_changed(store: Store) -> None:
    store.cells("images.csv", 1, native_tp=5)


def native_truth_changed(store: Store) -> None:
    store.cells("images.csv", 1, native_fn=-1, native_tn=1)


def roundtrip_changed(store: Store) -> None:
    store.cells("images.csv", 1, roundtrip_tp=5, roundtrip_tn=-5)


def surface_changed(store: Store) -> None:
    store.cells("images.csv", 2, surface_predicted_near=2000)


def boundary_beyond_mask(store: Store) -> None:
    store.cells("images.csv", 2, surface_truth=2000)


def sound_beyond_limit(store: Store) -> None:
    store.cells("images.csv", 0, sisdr=70)


def sound_removed(store: Store) -> None:
    store.edit("images.csv", lambda text: "".join(line.rsplit(",", 5)[0] + "\n" for line in text.splitlines()))


def count_negative(store: Store) -> None:
    store.cells("images.csv", 0, tp=-10_000)


def row_removed(store: Store) -> None:
    store.edit("images.csv", lambda text: "".join(text.splitlines(keepends=True)[:-1]))


def row_duplicated(store: Store) -> None:
    store.edit("images.csv", lambda text: text + text.splitlines(keepends=True)[-1])


def rows_reordered(store: Store) -> None:
    def swap(text: str) -> str:
        head, first, second, *rest = text.splitlines(keepends=True)
        return "".join([head, second, first, *rest])

    store.edit("images.csv", swap)


def id_changed(store: Store) -> None:
    store.edit("images.csv", lambda text: text.replace("test-00001", "test-77777"))


def slice_changed(store: Store) -> None:
    store.edit("images.csv", lambda text: text.replace(",ood,", ",main,", 1))


def field_missing(store: Store) -> None:
    store.edit("images.csv", lambda text: text.rstrip("\n").rpartition(",")[0] + "\n")


def bits_flipped(store: Store) -> None:
    def flip(masks: np.ndarray) -> None:
        masks[1, :4, :4] ^= True
        masks[1, 0, 0] = masks[1].sum() % 2 == 0

    store.masks(flip)


def masks_of_another_size(store: Store) -> None:
    path = store.run / "predictions.npz"
    np.savez_compressed(path, packed=np.zeros((6, 16, 2), np.uint8), shape=np.array((6, 16, 16)))


def logits_sum_changed(store: Store) -> None:
    store.cells("logits.csv", 0, background_3=1)


def logits_moved_over_the_threshold(store: Store) -> None:
    with (store.run / "logits.csv").open(newline="") as file:
        first = next(csv.DictReader(file))
    fullest = max(range(64), key=lambda number: int(first[f"background_{number}"]))
    step = int(first[f"background_{fullest}"])
    store.cells("logits.csv", 0, **{f"background_{fullest}": -step, f"background_{3 if fullest > 31 else 40}": step})


def loss_altered(store: Store) -> None:
    store.cells("history.csv", 1, loss=-1)


def epoch_removed(store: Store) -> None:
    store.edit("history.csv", lambda text: "".join(text.splitlines(keepends=True)[:-1]))


def seconds_altered(store: Store) -> None:
    store.cells("history.csv", 0, seconds=40)


def best_epoch_altered(store: Store) -> None:
    store.put(training__best_epoch=3 - read(store.run).training.best_epoch)


def speed_altered(store: Store) -> None:
    store.put(training__images_per_second=1e9)


def status_changed(store: Store) -> None:
    store.put(status="diverged", message="the loss was not finite")


def seed_changed(store: Store) -> None:
    store.put(seed=7)


def setting_changed(store: Store) -> None:
    store.put(protocol__settings__learning_rate=0.5)


def digest_changed(store: Store) -> None:
    store.put(protocol__digest="0" * 64)


def override_hidden(store: Store) -> None:
    store.put(protocol__overrides={})


def override_wrong(store: Store) -> None:
    store.put(protocol__overrides={**read(store.run).protocol.overrides, "epochs": 30})


def dataset_renamed(store: Store) -> None:
    store.put(dataset__label="synthetic:train=9")


def table_key_changed(store: Store) -> None:
    store.put(comparability_key="1" * 64)


def device_changed(store: Store) -> None:
    store.put(device__kind="NVIDIA H100")


def precision_changed(store: Store) -> None:
    store.put(device__precision="bf16")


def torch_changed(store: Store) -> None:
    store.put(environment__torch="2.0.0")


def parameters_changed(store: Store) -> None:
    store.put(architecture__parameters={"width": 8})


def images_counted_otherwise(store: Store) -> None:
    store.put(dataset__images__test=600)


def groups_changed(store: Store) -> None:
    store.put(dataset__groups__noise__relation="disjoint")


def slices_seen_changed(store: Store) -> None:
    store.put(dataset__slices__main__seen=[])


def parameter_count_of_one_seed(store: Store) -> None:
    store.put(architecture__parameter_count=3)


def gflops_of_one_seed(store: Store) -> None:
    store.put(architecture__gflops=0.5)


def published_number_of_one_seed(store: Store) -> None:
    store.put(architecture__title="The best network")


def training_of_a_method_without_parameters(store: Store) -> None:
    store.put(architecture__parameter_count=0)


def plugin_changed(store: Store) -> None:
    store.edit("plugin.py", lambda text: text + "\nBETTER = 1\n")


def plugin_broken(store: Store) -> None:
    store.edit("plugin.py", lambda text: text + "\ndef (:\n")


def record_broken(store: Store) -> None:
    store.edit("run.json", lambda text: text[:-40])


def record_of_another_schema(store: Store) -> None:
    store.put(schema=2)


Tampering = Callable[[Store], None]

OPEN: list[tuple[Tampering, str, str]] = [
    (count_without_sums, "images.csv", "not the file that SHA256SUMS lists"),
    (gflops_without_sums, "run.json", "not the file that SHA256SUMS lists"),
    (published_without_sums, "run.json", "not the file that SHA256SUMS lists"),
    (weights_without_sums, WEIGHTS, "not the file that SHA256SUMS lists"),
    (plugin_without_sums, "plugin.py", "not the file that SHA256SUMS lists"),
    (picture_without_sums, "worst.png", "not the file that SHA256SUMS lists"),
    (file_removed, "logits.csv", "missing; SHA256SUMS lists it"),
    (file_added, "notes.txt", "SHA256SUMS does not list it; remove it"),
    (sums_removed, sums.NAME, "missing.*--seal"),
    (sums_line_removed, "best.png", "SHA256SUMS does not list it"),
    (sums_damaged, sums.NAME, "line 1 is not a checksum"),
]
SEALED: list[tuple[Tampering, str, str]] = [
    (count_changed, "images.csv", r"test-00000: tp \+ fp \+ fn \+ tn is not 32 x 32"),
    (count_moved, "predictions.npz", r"test-00000: its mask has not the tp \+ fp pixels"),
    (hit_made_up, "logits.csv", r"test-00000: the (fore|back)ground bins above the threshold are not the"),
    (native_count_changed, "images.csv", "test-00001: the native_counts do not add up"),
    (native_truth_changed, "images.csv", r"test-00001: native_tp \+ native_fn is not the manifest's foreground"),
    (roundtrip_changed, "images.csv", r"test-00001: roundtrip_tp \+ roundtrip_fn is not"),
    (surface_changed, "images.csv", "test-00002: surface_predicted_near is above surface_predicted"),
    (boundary_beyond_mask, "images.csv", "test-00002: surface_truth is above the pixels of its mask"),
    (sound_beyond_limit, "images.csv", r"test-00000: sisdr is beyond \+-30 dB"),
    (sound_removed, "images.csv", "has sound scores and the manifest no sounds, or the other way"),
    (count_negative, "images.csv", "tp is '-.*', which is no count"),
    (row_removed, "images.csv", "has 5 images, the manifest's test split has 6"),
    (row_duplicated, "images.csv", "has 7 images, the manifest's test split has 6"),
    (rows_reordered, "images.csv", "line 2 is of 'test-00001', the manifest has 'test-00000' there"),
    (id_changed, "images.csv", "line 3 is of 'test-77777'"),
    (slice_changed, "images.csv", "its slice is not the manifest's"),
    (field_missing, "images.csv", "line 7 has 22 fields, the header has 23"),
    (bits_flipped, "predictions.npz", r"test-00001: its mask has not the tp \+ fp pixels"),
    (masks_of_another_size, "predictions.npz", r"its masks are \(6, 16, 16\), images and protocol make \(6, 32, 32\)"),
    (logits_sum_changed, "logits.csv", r"test-00000: the background bins do not add up to fp \+ tn"),
    (logits_moved_over_the_threshold, "logits.csv", "test-00000: the background bins above the threshold are not the"),
    (file_removed, "logits.csv", "missing; a run that is 'finished' has it"),
    (loss_altered, "history.csv", "last losses are not training.last_losses"),
    (epoch_removed, "history.csv", "its epochs are not 1 to 2"),
    (seconds_altered, "history.csv", "its seconds do not add up"),
    (best_epoch_altered, "run.json", "training.best_epoch is [12], the best of history.csv is [12]"),
    (speed_altered, "run.json", "training.images_per_second is not that of the median epoch"),
    (status_changed, "images.csv", "the run is 'diverged' by its record, and such a run leaves no such file"),
    (seed_changed, "run.json", "run_key is not that of"),
    (setting_changed, "run.json", "protocol.digest is not that of protocol.settings"),
    (digest_changed, "run.json", "protocol.digest is not that of protocol.settings"),
    (override_hidden, "run.json", "setting epochs is not that of protocol quick, and protocol.overrides is silent"),
    (override_wrong, "run.json", "protocol.overrides says epochs = 30, protocol.settings does not"),
    (dataset_renamed, "run.json", "dataset.label is 'synthetic:train=9', the protocol's dataset is"),
    (table_key_changed, "run.json", "comparability_key is not that of"),
    (device_changed, "run.json", "run_key is not that of"),
    (precision_changed, "run.json", "run_key is not that of"),
    (torch_changed, "run.json", "run_key is not that of"),
    (parameters_changed, "run.json", "label is 'unet:width=4', name and parameters make 'unet:width=8'"),
    (images_counted_otherwise, "run.json", "dataset.images is not what the manifest's rows make"),
    (groups_changed, "run.json", "dataset.groups is not what the manifest's rows make"),
    (slices_seen_changed, "run.json", "dataset.slices is not what the manifest's rows make"),
    (parameter_count_of_one_seed, "run.json", "architecture.parameter_count is not that of the other seeds"),
    (gflops_of_one_seed, "run.json", "architecture.gflops is not that of the other seeds"),
    (published_number_of_one_seed, "run.json", "architecture.title is not that of the other seeds"),
    (training_of_a_method_without_parameters, "run.json", "weights are 'random' of 0 parameters"),
    (plugin_changed, "plugin.py", "its code is not that of architecture.source_hash"),
    (plugin_broken, "plugin.py", "it is no Python"),
    (record_broken, "run.json", "is not a record of schema 1"),
    (record_of_another_schema, "run.json", "is not a record of schema 1"),
]


def found(findings: list[verify.Finding], file: str, pattern: str) -> bool:
    return any(finding.file.name == file and re.search(pattern, str(finding)) for finding in findings)


@pytest.mark.parametrize(("tamper", "file", "pattern"), OPEN, ids=lambda value: getattr(value, "__name__", None))
def test_a_changed_file_is_found_by_its_checksum(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    tamper(store)
    findings = verify.check(store.results)
    assert found(findings, file, pattern), findings
    assert all("\n" not in str(finding) for finding in findings)


@pytest.mark.parametrize(("tamper", "file", "pattern"), SEALED, ids=lambda value: getattr(value, "__name__", None))
def test_checksums_that_fit_again_do_not_help(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    tamper(store)
    store.seal()
    findings = verify.check(store.results)
    assert found(findings, file, pattern), findings
    assert not any("SHA256SUMS lists" in str(finding) for finding in findings)
    assert all("\n" not in str(finding) for finding in findings)


def test_masks_with_the_right_number_of_pixels_need_the_truth(store: Store) -> None:
    """A prediction that only looks like the counted one is found."""
    true = truth(store)

    def move(masks: np.ndarray) -> None:
        hit, spared = np.argwhere(masks[0] & true[0])[0], np.argwhere(~masks[0] & ~true[0])[0]
        masks[0][tuple(hit)], masks[0][tuple(spared)] = False, True

    store.masks(move)
    store.seal()
    pattern = "test-00000: .* is not that of the stored prediction and the true mask"
    assert found(verify.check(store.results), "images.csv", pattern)


def test_a_truth_of_other_masks_is_found(store: Store) -> None:
    masks = truth(store)
    masks[3, 5, 5] ^= True
    put_truth(store, masks)
    assert {finding.run for finding in verify.check(store.results)} == {store.run, store.other, store.otsu}


def test_the_manifest_is_the_digest_s(store: Store) -> None:
    path = store.manifest()
    text = path.read_text()
    path.write_text(text.replace('"foreground": ', '"foreground": 1', 1))
    findings = verify.check(store.results)
    assert len(findings) == 3
    assert found(findings, path.name, "its SHA-256 is not the manifest digest in run.json")
    path.unlink()
    assert found(verify.check(store.results), path.name, "the manifest of the run's data is missing; restore it")


def test_a_folder_in_the_wrong_place(store: Store) -> None:
    renamed = store.run.rename(store.run.parent / ("0" * 12))
    assert found(verify.check(store.results), "run.json", "not where the record belongs; move it to .*/unet/")
    moved = store.results / "runs/quick/synthetic/segnet" / store.run.name
    moved.parent.mkdir()
    renamed.rename(moved)
    assert found(verify.check(store.results), "run.json", "not where the record belongs; move it to .*/unet/")
    moved.rename(store.run)
    shutil.copytree(store.run, store.results / "runs" / "best")
    assert found(
        verify.check(store.results), "run.json", "not where the record belongs; remove it; the run is .*/unet/"
    )


def test_a_run_copied_as_another_seed(store: Store) -> None:
    copy = store.run.parent / "copy"
    shutil.copytree(store.run, copy)
    store.put(copy, seed=5)
    copy = store.rekeyed(copy)
    assert verify.check(store.results, [copy]) == []
    findings = verify.check(store.results)
    assert found(findings, "predictions.npz", "it is that of seed [05]")
    assert found(findings, "logits.csv", "it is that of seed [05].*run seed [05] again with --force")


def test_seeds_that_predict_nothing_are_no_copies(store: Store) -> None:
    """Two collapsed networks predict alike, and differ in their logits."""
    for run in (store.run, store.other):
        store.masks(lambda masks: masks.fill(False), run)
    findings = verify.check(store.results)
    assert not found(findings, "predictions.npz", "it is that of seed")
    assert found(findings, "predictions.npz", "not the file that SHA256SUMS lists")
    shutil.copy(store.run / "logits.csv", store.other / "logits.csv")
    assert not any("it is that of seed" in finding.text for finding in verify.check(store.results))


def test_another_protocol_with_keys_that_fit_is_another_table_and_says_so(store: Store) -> None:
    """Keys and place may be made to fit; that the protocol's name promises other settings remains."""
    store.put(protocol__settings__learning_rate=0.5)
    store.run = store.rekeyed(store.run)
    findings = verify.check(store.results)
    assert [finding.text for finding in findings] == [
        "setting learning_rate is not that of protocol quick, and protocol.overrides is silent"
    ]


def test_truth_and_revision_are_the_table_s(store: Store) -> None:
    """The truth of a third run tells which of two differs."""
    third = store.results / "runs/quick/synthetic/unet/third"
    shutil.copytree(store.run, third)
    store.put(third, seed=9)
    third = store.rekeyed(third)
    store.cells("images.csv", 4, sisdr_noisy=1)
    store.seal()
    wrong = [finding for finding in verify.check(store.results) if "is the data's alone" in finding.text]
    assert [(finding.run, finding.text.split()[0]) for finding in wrong] == [(store.run, "sisdr_noisy")]
    assert "row 5" in wrong[0].text


def test_a_run_of_other_data_that_claims_the_table(bench: Bench, store: Store) -> None:
    """Its images are not as many, so that the counts cannot be compared: that is said, and nothing stops."""
    small = ("--dataset", SMALL.replace("test=4", "test=3"), *TINY[2:], "--results", store.results)
    assert bench("run", "--arch", "otsu", *small).code == 0
    (other,) = {path for path in store.otsu.parent.iterdir() if path != store.otsu}
    assert verify.check(store.results) == []
    store.put(other, comparability_key=read(store.run).comparability_key)
    sums.write(other)
    texts = [finding.text for finding in verify.check(store.results) if finding.run == other]
    assert "comparability_key is not that of protocol.digest and dataset.manifest" in texts
    assert "dataset.manifest is not that of the other runs of its table" in texts


@pytest.mark.parametrize("revision", [0, -1, protocol.REVISION + 1])
def test_a_revision_that_never_was(store: Store, revision: int) -> None:
    """Another table of the same name, with digest, keys and place that fit."""
    store.put(protocol__revision=revision)
    store.run = store.rekeyed(store.run)
    texts = {finding.file.name: finding.text for finding in verify.check(store.results)}
    assert texts.pop("run.json") == f"protocol.revision is {revision}, there are 1 to {protocol.REVISION}"
    assert list(texts.values()) == ["it is missing"]  # reference scores of that revision


@pytest.mark.parametrize("place", ["runs/.x/synthetic/otsu", "runs/quick/.x/otsu", "runs/quick/synthetic/.x"])
def test_what_is_hidden_is_neither_shown_nor_checked(store: Store, place: str) -> None:
    before = read_all(store.results)
    hidden = store.results / place / store.otsu.name
    hidden.parent.mkdir(parents=True)
    shutil.copytree(store.otsu, hidden)
    assert read_all(store.results) == before
    assert hidden not in runs.folders(store.results)
    (above,) = [folder for folder in hidden.parents if folder.name == ".x"]
    above.rename(above.with_name("x"))
    shown = store.results / place.replace(".x", "x") / store.otsu.name
    assert shown in [path for path, _ in read_all(store.results)[0]]
    assert {finding.run for finding in verify.check(store.results)} == {shown}


def test_a_missing_file_is_named_by_its_place(store: Store) -> None:
    (store.run / "examples" / "best.png").unlink()
    (finding,) = verify.check(store.results)
    assert finding.file == store.run / "examples" / "best.png"


def test_masks_are_held_once(store: Store, tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((40, 256, 256)) > 0.5
    np.savez_compressed(tmp_path / "m.npz", packed=np.packbits(masks, axis=-1), shape=masks.shape)
    tracemalloc.start()
    found = verify.unpacked(tmp_path / "m.npz", "packed", "shape", "m.npz")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, masks)
    assert most < 1.5 * masks.nbytes


def test_weights_and_private_pictures_may_be_elsewhere(store: Store) -> None:
    (store.run / "private").mkdir()
    (store.run / "private" / "best.png").write_bytes(b"x")
    store.seal()
    (store.run / "private" / "best.png").unlink()
    (store.run / WEIGHTS).unlink()
    assert verify.check(store.results) == []


def test_records_without_torch_s_build_are_of_a_build_that_exists(store: Store) -> None:
    """As those that were made before the build was recorded."""
    version = read(store.run).environment["torch"]
    assert "+" in version or version.replace(".", "").isdigit()
    store.put(environment__torch=version.partition("+")[0])
    store.seal()
    assert verify.check(store.results) == []


def test_verify_needs_no_torch(store: Store) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from benchmark.cli import main; "
        f"main(['verify', '--results', {str(store.results)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3 of 3 run(s) consistent"


# ---------------------------------------------------------------- beside the runs


def edited(pattern: str, text: str) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        before = path.read_text()
        path.write_text(re.sub(pattern, text, before, count=1))
        assert path.read_text() != before

    return edit


REFERENCES: list[tuple[Callable[[Path], None], str]] = [
    (edited("test-00001", "test-00009"), "its images are not the test split of the manifest"),
    (edited(r"\n[^\n]+\n$", "\n"), "its images are not the test split of the manifest"),
    (edited(",ood,", ",main,"), "its images are not the test split of the manifest"),
    (edited(r"main,[^,]+,", "main,30.1,"), r"truth_mask_sisdr is beyond \+-30 dB"),
    (edited(r"main,[^,]+,[^,]+,", "main,1.0,-200,"), r"truth_mask_sdr is beyond \+-100 dB"),
    (edited(r"main,[^,]+,", "main,-inf,"), "it cannot be read"),
    (edited(r"[^,]+\n$", "7.7777\n"), "all_foreground_sdr is not the sdr_noisy of the runs"),
    (edited("all_foreground_sisdr", "some_foreground_sisdr"), "it cannot be read"),
    (Path.unlink, "it is missing"),
    (lambda path: path.write_bytes(b"\xff\x00") and None, "it cannot be read"),
]


@pytest.mark.parametrize(("change", "pattern"), REFERENCES)
def test_reference_scores_that_were_altered(store: Store, change: Callable[[Path], None], pattern: str) -> None:
    """Once, although three runs have them."""
    found = read(store.run)
    path = references_path(store.results, found.dataset.manifest, found.protocol.revision)
    change(path)
    (finding,) = verify.check(store.results)
    assert (finding.run, finding.file) == (path, path)
    assert re.search(pattern, finding.text), finding
    assert verify.check(store.results, [store.run]) == [finding]


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        (lambda ends, small: (ends[::-1], small), "does not increase up to their length"),
        (lambda ends, small: (ends, small[:-1]), "does not increase up to their length"),
        (lambda ends, small: (ends[1:], small), "its thumbnails are not 6, as the manifest's test images"),
        (lambda ends, small: (ends.astype(float), small), "its thumbnails are not 6"),
        (lambda ends, small: (ends - [1, 0, 0, 0, 0, 0], small), "one of its thumbnails is no WebP file"),
        (lambda ends, small: (ends, small[::-1]), "one of its thumbnails is no WebP file"),
    ],
)
def test_thumbnails_that_were_altered(store: Store, change: Callable[..., Any], pattern: str) -> None:
    found = read(store.run)
    path = pictures_path(store.results, found.dataset.manifest, found.protocol.settings["image_size"])
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["ends"], arrays["thumbnails"] = change(arrays["ends"], arrays["thumbnails"])
    np.savez_compressed(path, **arrays)
    (finding,) = verify.check(store.results)
    assert (finding.run, finding.file) == (path, path)
    assert re.search(pattern, finding.text), finding


# ---------------------------------------------------------------- the learning rate that was chosen


@pytest.fixture(scope="module")
def tuned_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that chose among three learning rates, of which the last diverges."""
    results = tmp_path_factory.mktemp("tuned") / "results"
    rates = ("--set", "optimiser=sgd", "--set", "learning_rates=[1e-3, 1e-2, 1e30]")
    with pytest.raises(SystemExit) as end:
        cli.main(["run", "--arch", "unet:width=4", *TINY, *rates, "--results", str(results)])
    assert not end.value.code
    return results


@pytest.fixture
def tuned(tuned_once: Path, tmp_path: Path) -> Store:
    results = tmp_path / "tuned"
    shutil.copytree(tuned_once, results)
    (run,) = results.glob("runs/*/*/unet/*")
    return Store(results=results, run=run, other=run, otsu=run)


def test_a_tuned_run_is_consistent(bench: Bench, tuned: Store, tmp_path: Path) -> None:
    assert verify.check(tuned.results) == []
    training = read(tuned.run).training
    assert [each.validation_iou is None for each in training.candidates] == [False, False, True]
    words = ("run", *TINY, "--results", tmp_path / "more", "--arch")
    assert bench(*words, "otsu", "--tune", "lr", "--budget", 2).code == 0
    rates = ("--set", "optimiser=sgd", "--lr", 1e30, "--set", "learning_rates=[1e30, 1e31]")
    assert bench(*words, "unet:width=4", *rates).code == 0
    assert {run.status for _, run in read_all(tmp_path / "more")[0]} == {"finished", "diverged"}
    assert verify.check(tmp_path / "more") == []


def candidate(number: int, **changes: Any) -> Callable[[Store], None]:
    def change(store: Store) -> None:
        stored = [each.model_dump() for each in read(store.run).training.candidates]
        stored[number] |= changes
        store.put(training__candidates=stored)

    change.__name__ = f"candidate_{number}_{'_'.join(changes)}"
    return change


def other_epoch(store: Store) -> None:
    """Of the candidate that was not chosen."""
    training = read(store.run).training
    number = 1 if training.learning_rate == training.candidates[0].learning_rate else 0
    candidate(number, best_epoch=3 - training.candidates[number].best_epoch)(store)


def other_rate_chosen(store: Store) -> None:
    now = read(store.run).training.learning_rate
    store.put(training__learning_rate=0.01 if now == 0.001 else 0.001)


def column(number: int, row: int, text: str) -> Callable[[Store], None]:
    def change(store: Store) -> None:
        def edit(before: str) -> str:
            lines = [line.split(",") for line in before.splitlines()]
            lines[row][number] = text
            return "".join(",".join(line) + "\n" for line in lines)

        store.edit("candidates.csv", edit)

    change.__name__ = f"column_{number}_of_row_{row}"
    return change


def curve_of_another(store: Store) -> None:
    """Of equal length and equal best epoch: the curve of the rate that was not chosen would do as well."""
    store.edit("history.csv", lambda text: re.sub(r"^1,([\d.]+),[\d.]+", r"1,\1,0.000001", text, flags=re.MULTILINE))


TUNED: list[tuple[Callable[[Store], None], str, str]] = [
    (column(4, 1, "9.000"), "candidates.csv", "its seconds do not add up to training.seconds"),
    (column(1, 2, "3"), "candidates.csv", "at learning rate 0.001 the epochs do not count from 1"),
    (column(3, 1, "0.999999"), "candidates.csv", "at learning rate 0.001 "),
    (column(3, 3, "0.999999"), "candidates.csv", "at learning rate 0.01 "),
    (column(2, 5, "0.5"), "candidates.csv", r"at learning rate 1e\+30 "),
    (column(0, 1, "0.002"), "candidates.csv", "its rates are not those of training.candidates"),
    (candidate(0, validation_iou=0.9999), "candidates.csv", "validation_iou in run.json is not that of the best epoch"),
    (candidate(1, validation_iou=0.9999), "candidates.csv", "validation_iou in run.json is not that of the best epoch"),
    (candidate(1, validation_iou=None), "candidates.csv", "disagree on whether the training diverged"),
    (candidate(2, validation_iou=0.1, best_epoch=1), "candidates.csv", "disagree on whether the training diverged"),
    (candidate(2, learning_rate=0.1), "run.json", "training.candidates are not the learning_rates of the protocol"),
    (other_epoch, "candidates.csv", "best_epoch in run.json is [12], the best of candidates.csv is [12]"),
    (other_rate_chosen, "run.json", "training.learning_rate is not that of the best validation_iou"),
    (lambda store: store.put(training__candidates=[]), "run.json", "training.candidates are not the learning_rates"),
    (
        lambda store: store.put(training__images_per_second=1e9),
        "run.json",
        "the median epoch of candidates.csv",
    ),
    (lambda store: store.put(training__seconds=1e9), "candidates.csv", "its seconds do not add up"),
    (curve_of_another, "history.csv", "it is not the curve of the chosen learning rate in candidates.csv"),
    (lambda store: (store.run / "candidates.csv").unlink(), "candidates.csv", "it is missing"),
]


@pytest.mark.parametrize(("tamper", "file", "pattern"), TUNED)
def test_a_choice_that_was_altered(tuned: Store, tamper: Tampering, file: str, pattern: str) -> None:
    tamper(tuned)
    tuned.seal()
    findings = verify.check(tuned.results)
    assert found(findings, file, pattern), findings


def test_candidates_of_a_run_that_had_none(store: Store, tuned: Store) -> None:
    shutil.copy(tuned.run / "candidates.csv", store.run / "candidates.csv")
    store.put(training__learning_rate=0.001)
    store.seal()
    findings = verify.check(store.results)
    assert found(
        findings, "candidates.csv", "there was no rate to choose, and such a run leaves no such file; remove it"
    )
    assert found(findings, "run.json", "training.candidates is not empty, and there was nothing to choose")


# ---------------------------------------------------------------- damage


def damages(content: bytes, random: np.random.Generator) -> list[bytes]:
    """The beginning of a file, nothing, noise, and a file with noise in it."""
    cuts = [content[:length] for length in (0, 1, len(content) // 2, len(content) - 9)]
    noise = random.bytes(len(content))
    at = int(random.integers(0, max(1, len(content) - 8)))
    return [*cuts, noise, content[:20] + noise[20:], content[:at] + noise[:8] + content[at + 8 :]]


def test_no_damage_stops_the_check(tuned: Store) -> None:
    """Every file of the store, with the checksums of before and with new ones."""
    random = np.random.default_rng(0)
    for path in [path for path in tuned.results.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        for damaged in damages(content, random):
            path.write_bytes(damaged)
            findings = verify.check(tuned.results)
            assert {path, tuned.run} & {finding.run for finding in findings}, path
            assert all("\n" not in str(finding) for finding in findings), path
            if tuned.run in path.parents and path.name != sums.NAME:
                kept = (tuned.run / sums.NAME).read_bytes()
                tuned.seal()
                verify.check(tuned.results)
                (tuned.run / sums.NAME).write_bytes(kept)
        path.write_bytes(content)
    assert verify.check(tuned.results) == []
    for damaged in damages(b'{"schema": 1, "verdict": "reproduced"}', random):
        (tuned.run / VERIFICATION).write_bytes(damaged)
        (finding,) = verify.check(tuned.results)
        assert finding.file.name == VERIFICATION


ODD: list[Any] = [None, -1, 10**30, 1e308, "", "\0", "../..", "x" * 5000, [], [[]], {}, {"\0": None}, True]


def test_no_value_of_a_record_stops_the_check(tuned: Store) -> None:
    """Of each value in run.json, replaced by some of another kind or size."""
    path = tuned.run / "run.json"
    whole = json.loads(path.read_text())
    for number, names in enumerate(leaves(whole)):
        for odd in ODD[number % 3 :: 3]:
            content = json.loads(json.dumps(whole))
            target = content
            for name in names[:-1]:
                target = target[name]
            if type(target[names[-1]]) is type(odd) and not odd:
                continue  # an empty text is a text
            target[names[-1]] = odd
            path.write_text(json.dumps(content))
            assert verify.check(tuned.results), (names, odd)


def leaves(content: Any) -> list[list[Any]]:
    """The ways to every value, itself a container or not."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [[name, *way] for name, value in inside for way in ([], *leaves(value))]


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: [{**row, "height": "x"} for row in rows],
        lambda rows: [row for row in rows if row["split"] != "test"],
        lambda rows: [row["id"] for row in rows],
        lambda rows: [{**row, "groups": None} for row in rows],
        lambda rows: [{**row, "sound": 7} for row in rows],
        lambda rows: [{**row, "more": 7} for row in rows],
        lambda rows: rows[:0],
    ],
)
def test_a_manifest_that_is_none_under_its_own_digest(store: Store, change: Callable[[Any], Any]) -> None:
    rows = change([json.loads(line) for line in store.manifest().read_text().splitlines()])
    text = "".join(json.dumps(row) + "\n" for row in rows)
    digest = hashlib.sha256(text.encode()).hexdigest()
    path = manifest_path(store.results, digest)
    path.write_text(text)
    store.put(dataset__manifest=digest)
    store.run = store.rekeyed(store.run)
    assert found(verify.check(store.results), path.name, "it cannot be read")


# ---------------------------------------------------------------- the command


def test_the_command_names_each_run_and_ends_with_2(bench: Bench, store: Store) -> None:
    assert bench("verify", "--results", store.results).code == 0
    count_changed(store)
    store.seal()
    ran = bench("verify", "--results", store.results)
    assert ran.code == 2
    assert f"{store.other}: consistent" in ran.out.splitlines()
    assert re.search(rf"^{store.run}: \d finding\(s\)$", ran.out, re.MULTILINE)
    assert f"  {store.run / 'images.csv'}: image test-00000: tp + fp + fn + tn is not 32 x 32" in ran.out
    assert ran.out.splitlines()[-1] == "2 of 3 run(s) consistent"
    assert bench("verify", store.other.name[:6], "--results", store.results).code == 0
    assert bench("verify", store.run, "--results", store.results).code == 2


def test_sealing_is_for_consistent_runs_alone(bench: Bench, store: Store) -> None:
    for run in (store.run, store.other):
        (run / sums.NAME).unlink()
    count_changed(store)
    ran = bench("verify", "--seal", "--results", store.results)
    assert ran.code == 2
    assert f"{store.other}: consistent, sealed" in ran.out
    assert (store.other / sums.NAME).exists()
    assert not (store.run / sums.NAME).exists()
    again = bench("verify", store.other, "--seal", "--results", store.results)
    assert again.out.splitlines()[0] == f"{store.other}: consistent"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--predict",), "--predict wants the runs to be named"),
        (("ffffzz",), "no run\\(s\\) in .* have a key that begins with 'ffffzz'"),
        ((".",), "lies outside of .*name its results folder with --results"),
    ],
)
def test_refusals(bench: Bench, store: Store, arguments: tuple[str, ...], message: str) -> None:
    ran = bench("verify", *arguments, "--results", store.results)
    assert ran.code == 2
    assert re.search(message, ran.err)


def test_an_empty_store(bench: Bench, tmp_path: Path) -> None:
    ran = bench("verify", "--results", tmp_path)
    assert (ran.code, "begin with: bench run" in ran.err) == (2, True)


# ---------------------------------------------------------------- the weights once more


def badge(run: Path) -> str:
    return verify.badge(run, read(run))


def test_weights_that_give_the_counts_are_verified(bench: Bench, store: Store) -> None:
    assert badge(store.run) == "self-reported"
    ran = bench("verify", "--predict", store.run, store.otsu, "--results", store.results)
    assert ran.code == 0, ran.err
    assert "reproduced; 6 images, at most 0 pixels of a mask differ (none may, on " in ran.out
    made = json.loads((store.run / VERIFICATION).read_text())
    assert made["sums"] == sums.digest(store.run / sums.NAME)
    assert (made["verdict"], made["alike"], made["tolerance"], made["images"]) == ("reproduced", True, 0.0, 6)
    assert badge(store.run) == badge(store.otsu) == "verified"
    assert verify.check(store.results) == []


def test_weights_of_another_seed_are_found(bench: Bench, store: Store) -> None:
    """Although the checksums are made anew."""
    shutil.copy(store.other / WEIGHTS, store.run / WEIGHTS)
    store.seal()
    assert verify.check(store.results) == []
    ran = bench("verify", "--predict", store.run, "--results", store.results)
    assert ran.code == 2
    assert re.search(r"the predicted mask differs by \d+ pixels, 0 may", ran.err)
    assert badge(store.run) == "self-reported"
    assert found(verify.check(store.results), VERIFICATION, "the weights did not give the run's counts")


def test_a_count_that_only_weights_can_tell(bench: Bench, store: Store) -> None:
    """The predicted mask at the file's size is not stored: a native count is checked by evaluating again."""
    store.cells("images.csv", 0, native_tp=40, native_fn=-40)
    store.seal()
    assert verify.check(store.results) == []
    ran = bench("verify", "--predict", store.run, "--results", store.results)
    assert ran.code == 2
    assert "test-00000: a count at the file's size differs by 40 pixels, 0 may" in ran.err


def test_a_sound_score_that_only_weights_can_tell(bench: Bench, store: Store) -> None:
    store.cells("images.csv", 0, sdr=1)
    store.seal()
    assert verify.check(store.results) == []
    ran = bench("verify", "--predict", store.run, "--results", store.results)
    assert (ran.code, "sdr differs by up to" in ran.err) == (2, True)


def test_elsewhere_a_thousandth_of_the_pixels_may_differ(bench: Bench, store: Store) -> None:
    """The run is of another processor, so that its bits need not be ours: one pixel of 1024 may differ, two not."""

    def flip(count: int) -> Callable[[np.ndarray], None]:
        def change(masks: np.ndarray) -> None:
            masks[0, 0, :count] ^= True

        return change

    store.put(device__kind="Another processor")
    for count, code in ((1, 0), (2, 2)):
        store.masks(flip(count))
        masks = np.load(store.run / "predictions.npz")
        bits = np.unpackbits(masks["packed"], axis=-1, count=32).astype(bool)
        recount(store, bits)
        store.seal()
        ran = predicted_elsewhere(bench, store)
        assert ran.code == code, ran.out + ran.err
        store.masks(flip(count))  # back


def recount(store: Store, bits: np.ndarray) -> None:
    """images.csv and logits.csv follow the altered masks."""
    masks = truth(store)
    with (store.run / "images.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    tolerance = metrics.surface_tolerance((32, 32))
    for row, prediction, mask in zip(rows, bits, masks, strict=True):
        values = [*metrics.confusion(prediction, mask), *metrics.surface(prediction, mask, tolerance)]
        for name, value in zip([*metrics.CONFUSION, *metrics.SURFACE], values, strict=True):
            row[header.index(name)] = str(value)
    (store.run / "images.csv").write_text("".join(",".join(row) + "\n" for row in [header, *rows]))


def predicted_elsewhere(bench: Bench, store: Store) -> Ran:
    """Without the checks that come first, whose histograms do not follow."""
    from benchmark.replay.predict import predict

    made = predict(store.results, store.run, data=None, device="cpu", command="test", report=silent)
    assert (made.alike, made.tolerance) == (False, 0.001)
    return Ran(0 if made.verdict == "reproduced" else 2, "", made.message)


def test_a_verification_of_other_files_counts_nothing(bench: Bench, store: Store) -> None:
    assert bench("verify", "--predict", store.run, "--results", store.results).code == 0
    shutil.copy(store.run / VERIFICATION, store.other / VERIFICATION)
    assert badge(store.other) == "self-reported"
    assert found(
        verify.check(store.results), VERIFICATION, "of other files than SHA256SUMS lists; evaluate the weights"
    )
    assert bench("verify", "--predict", store.other, "--results", store.results).code == 0, "it mends itself"
    assert badge(store.other) == "verified"
    store.put(architecture__gflops=0.5)
    assert badge(store.run) == "self-reported", "run.json changed"
    store.seal()
    assert badge(store.run) == "self-reported", "and the checksums with it"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tolerance": 0.5, "largest_difference": 400}, "its tolerance is 0.5, where 'alike' is true it is 0"),
        ({"alike": False, "tolerance": 0.5}, "its tolerance is 0.5, where 'alike' is false it is 0.001"),
        ({"alike": False, "tolerance": 0.001, "largest_difference": 2}, "more pixels differ than its tolerance"),
        ({"alike": False, "tolerance": 0.001, "largest_difference": 1}, ""),
        ({"largest_difference": -1}, "more pixels differ than its tolerance"),
        ({"largest_native_difference": 1}, "more pixels differ at the files' size"),
        ({"alike": False, "tolerance": 0.001, "largest_native_difference": 10**6}, "at the files' size"),
        ({"images": 5}, "it is of 5 images, the run has 6"),
        ({"largest_difference_db": 0.002}, "the sound scores differ by more dB"),
        ({"largest_difference_db": float("nan")}, "the sound scores differ by more dB"),
        ({"largest_difference_db": None}, "it has a difference in dB and the run no sound scores"),
        ({"message": "one pixel"}, "the weights did not give the run's counts: one pixel"),
    ],
)
def test_a_verification_is_held_to_what_may_differ(store: Store, changes: dict[str, Any], message: str) -> None:
    """Whatever it says itself; badge and check agree."""
    good = {
        "schema": 1,
        "verdict": "reproduced",
        "when": "now",
        "command": "by hand",
        "device": "this one",
        "precision": "fp32",
        "torch": "2",
        "threads": 1,
        "alike": True,
        "tolerance": 0.0,
        "images": 6,
        "largest_difference": 0,
        "largest_native_difference": 0,
        "largest_difference_db": 0.0,
        "sums": sums.digest(store.run / sums.NAME),
    }
    (store.run / VERIFICATION).write_text(json.dumps(good))
    assert verify.check(store.results) == []
    assert badge(store.run) == "verified"
    (store.run / VERIFICATION).write_text(json.dumps({**good, **changes}))
    assert [message in finding.text for finding in verify.check(store.results)] == [True] * bool(message)
    assert badge(store.run) == ("self-reported" if message else "verified")


def test_a_verdict_that_was_edited(bench: Bench, store: Store) -> None:
    assert bench("verify", "--predict", store.run, "--results", store.results).code == 0
    store.edit(VERIFICATION, lambda text: text.replace('"largest_difference": 0', '"largest_difference": 9'))
    assert found(verify.check(store.results), VERIFICATION, "its verdict is good, and more pixels differ")
    (store.run / VERIFICATION).write_text("{}")
    assert found(verify.check(store.results), VERIFICATION, "not a verification of schema 1")
    assert badge(store.run) == "self-reported"


def test_what_cannot_be_predicted(bench: Bench, store: Store) -> None:
    (store.run / WEIGHTS).unlink()
    ran = bench("verify", "--predict", store.run, "--results", store.results)
    assert ran.code == 2
    assert "weights are not committed); train it again: bench run --arch unet:width=4" in ran.err
    count_changed(store)
    ran = bench("verify", "--predict", store.run, "--results", store.results)
    assert (ran.code, "reproduced;" in ran.out) == (2, False)
    (store.other / WEIGHTS).write_bytes(b"no weights")
    store.seal(store.other)
    ran = bench("verify", "--predict", store.other, "--results", store.results)
    assert (ran.code, f"{WEIGHTS} cannot be used" in ran.err) == (2, True)


def test_other_data_than_the_run_s(bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.replay import evaluate

    loaded = evaluate.load_data
    other = SMALL.replace("test=4", "test=3")
    monkeypatch.setattr(evaluate, "load_data", lambda _, *rest: loaded(other, *rest))
    ran = bench("verify", "--predict", store.run, "--results", store.results)
    assert (ran.code, "was tested on other data" in ran.err) == (2, True)


def test_an_edited_plugin_is_not_run_and_not_verified(bench: Bench, tmp_path: Path) -> None:
    """Neither the plugin of now, which is another, nor the stored file, which nobody has vouched for."""
    results, folder = tmp_path / "results", tmp_path / "mine" / "architectures"
    folder.mkdir(parents=True)
    code = (Path(registry.__file__).parent.parent / "architectures" / "otsu.py").read_text()
    (folder / "mine.py").write_text(code)
    plugins = ("--plugins", tmp_path / "mine")
    assert bench("run", "--arch", "mine", *TINY, "--results", results, *plugins).code == 0
    (run,) = results.glob("runs/*/*/mine/*")
    assert bench("verify", "--predict", run, "--results", results, *plugins).code == 0
    assert badge(run) == "verified"
    (folder / "mine.py").write_text(code + "\n# a remark\n")
    assert badge(run) == "verified"
    (folder / "mine.py").write_text(code + "\nBETTER = 1\n")
    assert badge(run) == "older source"
    for name in [name for name in sys.modules if name == "benchmark.architectures.mine"]:
        del sys.modules[name]
    ran = bench("verify", "--predict", run, "--results", results, *plugins)
    assert (ran.code, "mine has changed since" in ran.err) == (2, True)
    (folder / "mine.py").unlink()
    assert badge(run) == "verified", "a plugin that is not found has no other source"
