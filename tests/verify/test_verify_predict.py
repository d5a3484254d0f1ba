"""`bench verify --predict` evaluates the stored weights again; only on other machines may pixels differ."""

import csv
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import SMALL, TINY, Bench, Ran
from tampering import Store, count_changed, found, truth

from benchmark import scores
from benchmark.common.progress import silent
from benchmark.plugins import datasets, registry
from benchmark.records import checksums, verify
from benchmark.records.store import WEIGHTS, read
from benchmark.records.verify.badges import VERIFICATION


def badge(run: Path) -> str:
    return verify.badge(run, read(run))


def test_weights_that_give_the_counts_are_verified(bench: Bench, store: Store) -> None:
    assert badge(store.run) == "self-reported"
    ran = bench("verify", "--predict", store.run, store.otsu, "--results", store.results)
    assert ran.code == 0, ran.err
    assert "reproduced; 6 images, at most 0 pixels of a mask differ (none may, on " in ran.out
    made = json.loads((store.run / VERIFICATION).read_text())
    assert made["sums"] == checksums.digest(store.run / checksums.NAME)
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
    tolerance = scores.surface_tolerance((32, 32))
    for row, prediction, mask in zip(rows, bits, masks, strict=True):
        values = [*scores.confusion(prediction, mask), *scores.surface(prediction, mask, tolerance)]
        for name, value in zip([*scores.CONFUSION, *scores.SURFACE], values, strict=True):
            row[header.index(name)] = str(value)
    (store.run / "images.csv").write_text("".join(",".join(row) + "\n" for row in [header, *rows]))


def predicted_elsewhere(bench: Bench, store: Store) -> Ran:
    """Without the checks that come first, whose histograms do not follow."""
    from benchmark.reproduce import predict

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
    assert badge(store.run) == "verified", "a badge hashes no file of the run"
    assert found(verify.check(store.results), "run.json", "it is not the file that SHA256SUMS lists"), "a check does"
    store.seal()
    assert badge(store.run) == "self-reported", "the verification is of other checksums"


def test_a_verdict_that_was_edited(bench: Bench, store: Store) -> None:
    """The message of a verification that differs gives it away; badge and check agree."""
    shutil.copy(store.other / WEIGHTS, store.run / WEIGHTS)
    store.seal()
    assert bench("verify", "--predict", store.run, "--results", store.results).code == 2
    store.edit(VERIFICATION, lambda text: text.replace('"differs"', '"reproduced"'))
    assert found(verify.check(store.results), VERIFICATION, "the weights did not give the run's counts: image ")
    assert badge(store.run) == "self-reported"
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
    load_data, other = datasets.load_data, registry.load("datasets", SMALL.replace("test=4", "test=3"))
    monkeypatch.setattr(datasets, "load_data", lambda _, *rest: load_data(other, *rest))
    ran = bench("verify", "--predict", store.run, "--results", store.results)
    assert (ran.code, "was tested on other data" in ran.err) == (2, True)


def test_an_edited_plugin_is_not_run_and_not_verified(bench: Bench, tmp_path: Path) -> None:
    """Neither the plugin of now, which is another, nor the stored file, which nobody has vouched for."""
    results, folder = tmp_path / "results", tmp_path / "mine" / "architectures"
    folder.mkdir(parents=True)
    code = (Path(registry.__file__).parents[2] / "architectures" / "otsu.py").read_text()
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
