"""Counts, stored masks, histograms of logits, manifest and true masks are compared with each other."""

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from tampering import Store, Tampering, count_changed, file_removed, found, named, require_found_though_sealed, truth

from benchmark import scores
from benchmark.records import archives, verify


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


def sound_removed(store: Store) -> None:
    store.edit(
        "images.csv",
        lambda text: "".join(line.rsplit(",", len(scores.SOUND_COLUMNS) + 1)[0] + "\n" for line in text.splitlines()),
    )


def iou_changed(store: Store) -> None:
    def flatter(text: str) -> str:
        header, first, *others = text.splitlines(keepends=True)
        return "".join([header, first.rpartition(",")[0] + ",99.9999\n", *others])

    store.edit("images.csv", flatter)


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


SEALED: list[tuple[Tampering, str, str]] = [
    (count_changed, "images.csv", r"test-00000: tp \+ fp \+ fn \+ tn is not 32 x 32"),
    (count_moved, "predictions.npz", r"test-00000: its mask does not have the tp \+ fp pixels"),
    (hit_made_up, "logits.csv", r"test-00000: the (fore|back)ground bins above the threshold do not add up to"),
    (native_count_changed, "images.csv", "test-00001: the native_counts do not add up to the pixels of its file"),
    (native_truth_changed, "images.csv", r"test-00001: native_tp \+ native_fn is not the manifest's foreground"),
    (roundtrip_changed, "images.csv", r"test-00001: roundtrip_tp \+ roundtrip_fn is not"),
    (sound_removed, "images.csv", "either the scores or the manifest has sounds, but not both"),
    (iou_changed, "images.csv", "test-00000: its iou is not that of its counts"),
    (count_negative, "images.csv", "column tp does not hold counts of pixels"),
    (row_removed, "images.csv", "has 5 images, the manifest's test split has 6"),
    (row_duplicated, "images.csv", "has 7 images, the manifest's test split has 6"),
    (rows_reordered, "images.csv", "line 2 is of image 'test-00001', the manifest has 'test-00000' there"),
    (id_changed, "images.csv", "line 3 is of image 'test-77777'"),
    (slice_changed, "images.csv", "its slice is not the manifest's"),
    (field_missing, "images.csv", "it cannot be read"),
    (bits_flipped, "predictions.npz", r"test-00001: its mask does not have the tp \+ fp pixels"),
    (masks_of_another_size, "predictions.npz", r"its masks are \(6, 16, 16\), images and protocol give \(6, 32, 32\)"),
    (logits_sum_changed, "logits.csv", r"test-00000: the background bins do not add up to fp \+ tn"),
    (
        logits_moved_over_the_threshold,
        "logits.csv",
        "test-00000: the background bins above the threshold do not add up to",
    ),
    (file_removed, "logits.csv", "it is missing"),
]


@pytest.mark.parametrize(("tamper", "file", "pattern"), SEALED, ids=named)
def test_checksums_that_fit_again_do_not_help(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    require_found_though_sealed(store, tamper, file, pattern)


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


def test_masks_are_held_once(store: Store, tmp_path: Path) -> None:
    masks = np.random.default_rng(0).random((40, 256, 256)) > 0.5
    np.savez_compressed(tmp_path / "m.npz", packed=np.packbits(masks, axis=-1), shape=masks.shape)
    tracemalloc.start()
    found = archives.read_predictions(tmp_path / "m.npz")
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.dtype == np.bool_
    np.testing.assert_array_equal(found, masks)
    assert most < 1.5 * masks.nbytes
