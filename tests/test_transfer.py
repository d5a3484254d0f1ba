"""Finished runs on data that they were not trained on."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, Bench, birdsounds_tree, save

from benchmark import protocols
from benchmark.common.progress import silent
from benchmark.records import checksums, store, transfers, verify, weights
from benchmark.records.store import WEIGHTS
from benchmark.training import evaluator
from benchmark.training.batches import DeviceSplit


@pytest.fixture
def trained(tiny_run: Path, tmp_path: Path) -> Path:
    """A network trained on synthetic data; its folder."""
    shutil.copytree(tiny_run, tmp_path / "results")
    (path,) = tmp_path.glob("results/runs/*/*/unet/*")
    return path


def only(results: Path) -> tuple[Path, transfers.TransferRecord]:
    (entry,), problems = transfers.read_all(results)
    assert problems == []
    return entry


def test_a_run_is_tested_on_other_data(bench: Bench, trained: Path, birdsounds: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    before = {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()}
    command = ("transfer", trained, "--dataset", "birdsounds", "--data", birdsounds, "--results", results)
    ran = bench(*command)
    assert ran.code == 0, ran.err
    assert re.search(r"unet:width=4, seed 0, trained on synthetic:\S+: test IoU \d+\.\d\d % on birdsounds in ", ran.out)
    path, found = only(results)
    run = store.read(trained)
    assert path == results / "transfers" / run.run_key[:12] / found.tested_on.manifest[:12]
    assert {file.name for file in path.iterdir()} == {"transfer.json", "images.csv", "SHA256SUMS"}
    assert (found.run_key, found.seed, found.leakage) == (run.run_key, 0, {})
    assert found.trained_on == transfers.trained_on(run)
    assert found.trained_on.manifest != found.tested_on.manifest
    assert found.tested_on.images == {"train": 4, "val": 2, "test": 2}
    assert found.command.startswith(f"bench transfer {trained.name} --dataset birdsounds --data ROOT --device cpu")
    assert str(tmp_path) not in (path / "transfer.json").read_text()
    assert found.settings == {**run.protocol.settings, "dataset": "birdsounds"}
    assert store.manifest_path(results, found.tested_on.manifest).read_text().count("\n") == 8
    assert {path: path.read_bytes() for path in trained.rglob("*") if path.is_file()} == before

    written = (path / "transfer.json").read_bytes()
    again = bench(*command)
    assert "(done before; --force repeats it)" in again.out
    assert (path / "transfer.json").read_bytes() == written
    assert bench(*command, "--force").code == 0
    assert bench("verify", "--results", results).code == 0


def test_its_counts_are_those_of_the_stored_weights(
    bench: Bench, trained: Path, birdsounds: Path, tmp_path: Path
) -> None:
    """Counted here without the command: the run's settings, the other data's test split."""
    from safetensors.torch import load_file

    from benchmark.plugins import datasets, network, registry

    results = tmp_path / "results"
    assert (
        bench("transfer", trained.name, "--dataset", "birdsounds", "--data", birdsounds, "--results", results).code == 0
    )
    run = store.read(trained)
    settings = protocols.load("quick").override({**run.protocol.settings, "dataset": "birdsounds"})
    cached = datasets.load_data(registry.load("datasets", "birdsounds"), settings, birdsounds, silent)
    net = network.build(registry.load("architectures", "unet:width=4"), settings, seed=77)
    net.core.load_state_dict(load_file(trained / WEIGHTS))
    machine = weights.machine_for(run, "cpu")
    split = DeviceSplit(cached.splits["test"], settings, machine.device)
    fresh = evaluator.evaluate(net, split, cached.splits["test"], settings, machine, silent)
    path, found = only(results)
    assert found.tested_on.manifest == cached.digest
    stored = store.read_counts([path])[0]
    for name, values in fresh.counts.items():
        np.testing.assert_array_equal(values, stored[name], err_msg=name)


def test_the_manifest_is_that_of_a_run_on_the_other_data(bench: Bench, birdsounds: Path, tmp_path: Path) -> None:
    """At whatever size: transfers and runs on the same data are found under one digest."""
    results = tmp_path / "results"
    assert bench("run", "--arch", "otsu", *TINY, "--results", results).code == 0
    run = ("run", "--arch", "otsu", *TINY, "--image-size", 48, "--dataset", "birdsounds", "--data", birdsounds)
    assert bench(*run, "--results", results).code == 0
    (path,) = results.glob("runs/*/synthetic/otsu/*")
    (other,) = results.glob("runs/*/birdsounds/otsu/*")
    command = ("transfer", path, "--dataset", "birdsounds", "--data", birdsounds, "--results", results)
    assert bench(*command).code == 0
    assert only(results)[1].tested_on.manifest == store.read(other).dataset.manifest
    ran = bench("transfer", other, "--dataset", "birdsounds", "--data", birdsounds, "--results", results)
    assert (ran.code, "was trained on these data" in ran.err) == (2, True)


def test_sound_scores_come_along(bench: Bench, trained: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    other = "synthetic:train=8,val=4,test=5,ood=2"
    ran = bench("transfer", trained, "--dataset", other, "--allow-leakage", "--results", results)
    assert ran.code == 0, ran.err
    path, _ = only(results)
    assert np.isfinite(store.read_counts([path])[0]["sisdr"]).all()


def copied_test(root: Path, other: Path, *, name: str) -> Path:
    """Another tree, in whose test stands an image of the first one's training."""
    birdsounds_tree(other)
    for file in other.rglob("*.png"):
        number = int(file.stem.removeprefix("XC"))
        file.rename(file.with_name(f"XC{number + 900}.png"))
        pixels = np.random.default_rng(number).integers(0, 200, (40, 60))
        if file.parent.name == "Images":
            save(file.with_name(f"XC{number + 900}.png"), pixels)
    for folder in ("Images", "Masks"):
        shutil.copy(root / "Train" / folder / "XC101.png", other / "Test" / folder / name)
    return other


@pytest.mark.parametrize(
    ("name", "met", "kinds"),
    [
        ("XC555.png", "has the same pixels as an image", {"pixels": 1}),
        ("XC101_left.png", "has the same recording XC101 as an image", {"pixels": 1, "recording": 1}),
    ],
)
def test_what_the_run_was_trained_on_is_refused(
    bench: Bench, birdsounds: Path, tmp_path: Path, name: str, met: str, kinds: dict[str, int]
) -> None:
    results = tmp_path / "results"
    run = ("run", "--arch", "otsu", *TINY, "--dataset", "birdsounds", "--data", birdsounds, "--results", results)
    assert bench(*run).code == 0
    (path,) = results.glob("runs/*/*/*/*")
    other = copied_test(birdsounds, tmp_path / "other", name=name)
    command = ("transfer", path, "--dataset", "birdsounds", "--data", other, "--results", results)
    ran = bench(*command)
    assert ran.code == 2
    assert "leakage: " in ran.err
    assert met in ran.err
    assert not (results / "transfers").exists()
    ran = bench(*command, "--allow-leakage")
    assert ran.code == 0, ran.err
    assert "LEAKAGE: " in ran.out
    assert only(results)[1].leakage == kinds
    assert "--allow-leakage" in only(results)[1].command


def test_refusals(bench: Bench, trained: Path, birdsounds: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"

    def refused(message: str, *, data: bool = True) -> None:
        root = ("--data", birdsounds) if data else ()
        ran = bench("transfer", trained, "--dataset", "birdsounds", *root, "--results", results)
        assert (ran.code, message in ran.err) == (2, True), ran.err
        assert not (results / "transfers").exists()

    refused("is read from a folder: say which with --data ROOT", data=False)
    for mask in (birdsounds / "Test" / "Masks").iterdir():
        shutil.copy(mask, tmp_path / mask.name)
        save(mask, np.zeros((40, 60)))
    refused("every mask of split 'test' is empty")
    for mask in (birdsounds / "Test" / "Masks").iterdir():
        shutil.copy(tmp_path / mask.name, mask)
    manifest = store.manifest_path(results, store.read(trained).dataset.manifest)
    text = manifest.read_text()
    manifest.write_text(text.replace("train-00000", "train-00009"))
    refused("which says what the run was trained on, is missing or changed: restore it")
    manifest.write_text(text)
    weights = (trained / WEIGHTS).read_bytes()
    (trained / WEIGHTS).write_bytes(weights[:-1] + b"x")
    refused("are not the weights that SHA256SUMS lists; look with: bench verify")
    (trained / WEIGHTS).unlink()
    refused("weights are not committed); train it again: bench run --arch unet:width=4")
    (trained / checksums.NAME).unlink()
    (trained / WEIGHTS).write_bytes(weights)
    refused("SHA256SUMS is missing or broken")


def test_a_run_that_was_made_again_is_tested_again(
    bench: Bench, trained: Path, birdsounds: Path, tmp_path: Path
) -> None:
    """The times in its record differ, so nobody knows whether the weights do."""
    results = tmp_path / "results"
    command = ("transfer", trained, "--dataset", "birdsounds", "--data", birdsounds, "--results", results)
    assert bench(*command).code == 0
    text = (trained / "run.json").read_text()
    (trained / "run.json").write_text(re.sub(r'"finished": "2\d+', '"finished": "2001', text))
    checksums.write(trained)
    (finding,) = verify.check(results)
    assert finding.text == "the run was trained again since, or was changed"
    assert "done before" not in bench(*command).out
    assert verify.check(results) == []


@pytest.mark.parametrize(
    ("change", "seal", "message"),
    [
        (("images.csv", r"\n[^\n]+\n$", "\n"), False, "it is not the file that SHA256SUMS lists"),
        (("images.csv", r"\n[^\n]+\n$", "\n"), True, "it has 1 images, the manifest's test split has 2"),
        (("images.csv", r",main,(\d)", r",main,9\1"), True, r"tp \+ fp \+ fn \+ tn is not"),
        (("transfer.json", '"schema": 1', '"schema": 2'), True, "it does not follow its schema"),
        (("transfer.json", '"run_key": "..', '"run_key": "00'), True, "its run 00.* is missing"),
    ],
)
def test_a_tampered_transfer_is_found(
    bench: Bench, trained: Path, birdsounds: Path, change: tuple[str, str, str], *, seal: bool, message: str
) -> None:
    results = trained.parents[4]
    command = ("transfer", trained, "--dataset", "birdsounds", "--data", birdsounds, "--results", results)
    assert bench(*command).code == 0
    path, _ = only(results)
    name, pattern, text = change
    before = (path / name).read_text()
    after = re.sub(pattern, text, before, count=1)
    assert after != before
    (path / name).write_text(after)
    if seal:
        checksums.write(path)
    findings = verify.check(results)
    assert any(re.search(message, finding.text) for finding in findings), findings
    assert all(finding.run == path for finding in findings)
    ran = bench("verify", "--results", results)
    assert (ran.code, f"{path}: " in ran.out) == (2, True)


def forged(path: Path, **changes: object) -> None:
    """With checksums that fit."""
    content = json.loads((path / "transfer.json").read_text())
    (path / "transfer.json").write_text(json.dumps({**content, **changes}))
    checksums.write(path)


def test_hidden_transfers_are_neither_read_nor_checked(bench: Bench, trained: Path, birdsounds: Path) -> None:
    results = trained.parents[4]
    assert bench("transfer", trained, "--dataset", "birdsounds", "--data", birdsounds, "--results", results).code == 0
    before = transfers.read_all(results)
    path, _ = only(results)
    for hidden in (results / "transfers" / ".x" / "one", path.parent / ".one"):
        shutil.copytree(path, hidden)
    assert transfers.read_all(results) == before
    assert verify.check(results) == []
    (results / "transfers" / ".x").rename(results / "transfers" / "x")
    assert len(transfers.read_all(results)[0]) == 2
    (finding,) = verify.check(results)
    assert finding.text == "the folder is not where its record belongs"


def test_no_damage_of_a_transfer_stops_the_check(bench: Bench, trained: Path, birdsounds: Path) -> None:
    results = trained.parents[4]
    assert bench("transfer", trained, "--dataset", "birdsounds", "--data", birdsounds, "--results", results).code == 0
    path, found = only(results)
    random = np.random.default_rng(0)
    for file in (*path.iterdir(), store.manifest_path(results, found.tested_on.manifest)):
        content = file.read_bytes()
        for damaged in (b"", content[:1], content[: len(content) // 2], content[:-2], random.bytes(len(content))):
            file.write_bytes(damaged)
            assert {finding.run for finding in verify.check(results)} == {path}, file
            if file.name != checksums.NAME and file.parent == path:
                kept = (path / checksums.NAME).read_bytes()
                checksums.write(path)
                verify.check(results)
                (path / checksums.NAME).write_bytes(kept)
        file.write_bytes(content)
    content = json.loads((path / "transfer.json").read_text())
    for name in content:
        for odd in (None, -1, "", "\0", "**x", "../..", "x" * 5000, [], {}, {"\0": None}):
            if odd != content[name]:
                forged(path, **{**content, name: odd})
                verify.check(results)
    forged(path, **content)
    assert verify.check(results) == []


def test_the_reader_names_what_it_cannot_read(trained: Path, bench: Bench, birdsounds: Path) -> None:
    results = trained.parents[4]
    assert transfers.read_all(results) == ([], [])
    assert bench("transfer", trained, "--dataset", "birdsounds", "--data", birdsounds, "--results", results).code == 0
    path, found = only(results)
    content = json.loads((path / "transfer.json").read_text())
    other, third = path.parent / "other", path.parent / "third"
    for folder in (other, third):
        shutil.copytree(path, folder)
    (other / "transfer.json").write_text(json.dumps({**content, "seed": "x"}))
    (third / "transfer.json").unlink()
    records, problems = transfers.read_all(results)
    assert records == [(path, found)]
    assert [line.split(" ")[0] for line in problems] == [str(other / "transfer.json"), str(third)]
