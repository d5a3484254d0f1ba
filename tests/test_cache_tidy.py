"""Replaced listings, unused entries and leftovers go, and nobody who works is disturbed."""

import multiprocessing
import os
import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cache_killing import build, splits
from helpers import birdsounds_tree

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.contract import Splits
from benchmark.data import build as building
from benchmark.data import cache, cleanup
from benchmark.plugins import datasets, registry

DAY = 24 * 3600


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def small(found: Splits) -> Path:
    """An entry of other settings; where it lies."""
    before = set(entries())
    cache.prepare(found, identity={}, size=(8, 8), grey=False, report=silent)
    (made,) = set(entries()) - before
    return made


def entries() -> list[Path]:
    return sorted(Path(os.environ["BENCH_CACHE"]).glob("[!.]*/"))


def age(entry: Path, days: float) -> None:
    for path in (*entry.iterdir(), entry):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_a_new_listing_replaces_the_former_one(folder: Path, tmp_path: Path) -> None:
    one, other = splits(tmp_path / "data"), splits(tmp_path / "data", train=4)
    before = build(folder, one)
    kept = small(one)
    for found, expected in ((other, None), (one, before)):
        made = build(folder, found)
        assert len(made.splits["train"].rows) == len(found["train"])
        assert expected is None or made.manifest == expected.manifest
        assert len(entries()) == 2, "the former listing has gone"
        assert kept in entries(), "that of other settings has not"
        assert list(folder.glob(".*")) == list(folder.glob("*.lock")) == []


def test_two_folders_of_one_reader_are_both_kept(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    roots = [birdsounds_tree(tmp_path / name) for name in ("one", "other")]
    settings = protocols.load("quick").override({"image_size": (16, 16)})

    def load(root: Path) -> str:
        return datasets.load_data(registry.load("datasets", "birdsounds"), settings, root, silent).digest

    before = [load(root) for root in roots]
    monkeypatch.setattr(building, "build", lambda *_, **__: pytest.fail("decoded again"))
    monkeypatch.chdir(roots[1].parent)
    assert [load(roots[0]), load(Path("other"))] == before


def test_who_has_an_entry_mapped_goes_on(folder: Path, tmp_path: Path) -> None:
    mapped = build(folder, splits(tmp_path / "data"))
    alone = build(tmp_path / "alone", splits(tmp_path / "data"))
    build(folder, splits(tmp_path / "data", train=4))
    assert len(entries()) == 1
    assert not Path(mapped.splits["train"].images.filename).exists()
    for name, split in alone.splits.items():
        np.testing.assert_array_equal(mapped.splits[name].images, split.images)


@pytest.mark.parametrize("at", ["_mapped_entry", "read_rows"])  # nothing was read yet; its manifest was
def test_an_entry_that_goes_while_it_is_opened(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    before = build(folder, splits(tmp_path / "data"))
    work, times = getattr(cache, at), 0

    def removed_before(*arguments: object) -> object:
        nonlocal times
        times += 1
        if times == 1:
            shutil.rmtree(entries()[0])
        return work(*arguments)

    monkeypatch.setattr(cache, at, removed_before)
    assert build(folder, splits(tmp_path / "data")).manifest == before.manifest
    assert times > 1


def test_a_file_of_an_entry_that_is_gone_is_said(folder: Path, tmp_path: Path) -> None:
    build(folder, splits(tmp_path / "data"))
    (entries()[0] / "val.masks.npy").unlink()
    with pytest.raises(UserError, match=r"in the cache is damaged \(.*val\.masks\.npy.*\); remove it"):
        build(folder, splits(tmp_path / "data"))


def _prepared(found: Splits) -> tuple[str, np.ndarray]:
    made = cache.prepare(found, identity={}, size=(16, 12), grey=False, report=silent)
    return made.manifest, np.array(made.splits["train"].images)


def test_many_at_once_with_listings_that_alternate(folder: Path, tmp_path: Path) -> None:
    listings = [splits(tmp_path / "data", train=3 + number % 2) for number in range(4)]
    expected = {len(found["train"]): build(tmp_path / f"alone-{len(found['train'])}", found) for found in listings}
    os.environ["BENCH_CACHE"] = str(folder)
    # Processes, as for users; CPython before 3.12 errs if threads parse Python at once, as NumPy does to read arrays.
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context("spawn")) as pool:
        for number, (manifest, images) in enumerate(pool.map(_prepared, [*listings] * 4)):
            wanted = expected[len(listings[number % 4]["train"])]
            assert manifest == wanted.manifest
            np.testing.assert_array_equal(images, wanted.splits["train"].images)
    assert list(folder.glob(".*")) == list(folder.glob("*.lock")) == []


def test_what_was_not_used_for_long_goes_whatever_its_settings(folder: Path, tmp_path: Path) -> None:
    found = splits(tmp_path / "data")
    unused = small(found)
    age(unused, 59)
    build(folder, found)
    assert unused in entries()
    age(unused, 61)
    build(folder, splits(tmp_path / "data", train=4))
    assert unused not in entries()


def test_to_open_an_entry_is_to_use_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = splits(tmp_path / "data")
    used = small(found)
    age(used, 61)
    cache.prepare(found, identity={}, size=(8, 8), grey=False, report=silent)
    build(folder, found)
    assert used in entries()

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "utime", refuse)
    cache.prepare(found, identity={}, size=(8, 8), grey=False, report=silent)


def test_leftovers_of_a_kill_at_the_end_go_when_the_entry_is_opened(folder: Path, tmp_path: Path) -> None:
    build(folder, splits(tmp_path / "data"))
    settings = entries()[0].name[: cleanup.SETTINGS_DIGITS]
    (folder / f"{settings}.lock").touch()
    for name in (f".unfinished-{settings}", f".tmp-{settings}{'0' * 12}-machine-1"):
        (folder / name).mkdir()
    build(folder, splits(tmp_path / "data"))
    assert [path.name for path in folder.iterdir()] == [entries()[0].name]


def test_leftovers_that_nobody_continued_go_and_other_files_stay(folder: Path, tmp_path: Path) -> None:
    names = (".unfinished-{}", "{}.lock", ".tmp-{}0123456789ab-machine-1", "notes-{}")
    folder.mkdir()
    for days, digest in ((6, "a" * 12), (8, "b" * 12)):
        for name in names:
            path = folder / name.format(digest)
            path.touch() if path.suffix else path.mkdir()
            os.utime(path, (time.time() - days * DAY,) * 2)
    build(folder, splits(tmp_path / "data"))
    assert [(folder / name.format("a" * 12)).exists() for name in names] == [True] * 4
    assert [(folder / name.format("b" * 12)).exists() for name in names] == [False, False, False, True]
