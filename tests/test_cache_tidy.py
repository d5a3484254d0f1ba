"""What a new entry supersedes goes, what nobody uses goes, and nobody who works is disturbed."""

import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cache_killing import build, splits
from filelock import FileLock
from helpers import birdsounds_tree

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.contract import Splits
from benchmark.data import build as building
from benchmark.data import cache
from benchmark.data import decode as decoding
from benchmark.data import entry as storing
from benchmark.plugins import datasets, registry

DAY = 24 * 3600


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The cache."""
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with what is decoded, as "train-0"."""
    names: list[str] = []
    decode = decoding.decode

    def noted(listed: object, **options: object) -> object:
        names.append(f"{listed.split}-{listed.sample.id}")
        return decode(listed, **options)

    monkeypatch.setattr(decoding, "decode", noted)
    return names


def small(found: Splits) -> Path:
    """An entry of other settings; where it lies."""
    before = set(entries())
    cache.prepare(found, identity={}, size=(8, 8), grey=False, report=silent)
    (made,) = set(entries()) - before
    return made


def entries() -> list[Path]:
    return sorted(Path(os.environ["BENCH_CACHE"]).glob("[!.]*/"))


def age(entry: Path, days: float) -> None:
    for path in (entry / storing.JOURNAL, entry / storing.MANIFEST, entry):
        os.utime(path, (time.time() - days * DAY,) * 2)


def test_listings_that_alternate(folder: Path, tmp_path: Path, decoded: list[str]) -> None:
    one, other = splits(tmp_path / "data"), splits(tmp_path / "data", train=4)
    expected = {len(found["train"]): build(tmp_path / f"alone-{len(found['train'])}", found) for found in (one, other)}
    build(folder, one)
    kept = small(one)
    for found, missing in ((other, ["train-3"]), (one, []), (other, ["train-3"]), (one, [])):
        decoded.clear()
        made = build(folder, found)
        assert decoded == missing
        assert made.manifest == expected[len(found["train"])].manifest
        for name, split in expected[len(found["train"])].splits.items():
            for kind in ("images", "masks", "native", "sounds"):
                np.testing.assert_array_equal(getattr(made.splits[name], kind), getattr(split, kind))
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


def test_an_entry_at_which_somebody_works_stays(folder: Path, tmp_path: Path) -> None:
    build(folder, splits(tmp_path / "data"))
    (entry,) = entries()
    with FileLock(f"{entry}.lock"):
        build(folder, splits(tmp_path / "data", train=4))
        assert entry in entries()
        assert len(entries()) == 2
    build(folder, splits(tmp_path / "data", train=5))
    assert len(entries()) == 1


def test_who_has_an_entry_mapped_goes_on(folder: Path, tmp_path: Path) -> None:
    mapped = build(folder, splits(tmp_path / "data"))
    alone = build(tmp_path / "alone", splits(tmp_path / "data"))
    build(folder, splits(tmp_path / "data", train=4))
    assert len(entries()) == 1
    assert not Path(mapped.splits["train"].images.filename).exists()
    for name, split in alone.splits.items():
        np.testing.assert_array_equal(mapped.splits[name].images, split.images)


@pytest.mark.parametrize("at", ["_opened", "read_rows"])  # nothing was read yet; its manifest was
def test_an_entry_that_goes_while_it_is_opened(
    folder: Path, tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch, at: str
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
    decoded.clear()
    assert build(folder, splits(tmp_path / "data")).manifest == before.manifest
    assert len(decoded) == 7


def test_a_file_of_an_entry_that_is_gone_is_said(folder: Path, tmp_path: Path) -> None:
    build(folder, splits(tmp_path / "data"))
    (entries()[0] / "val.masks.npy").unlink()
    with pytest.raises(UserError, match=r"in the cache is damaged \(.*val\.masks\.npy.*\); remove it"):
        build(folder, splits(tmp_path / "data"))


def test_many_at_once_with_listings_that_alternate(folder: Path, tmp_path: Path) -> None:
    listings = [splits(tmp_path / "data", train=3 + number % 2) for number in range(4)]
    expected = {len(found["train"]): build(tmp_path / f"alone-{len(found['train'])}", found) for found in listings}
    os.environ["BENCH_CACHE"] = str(folder)

    def work(number: int) -> None:
        found = listings[number % 4]
        made = cache.prepare(found, identity={}, size=(16, 12), grey=False, report=silent)
        wanted = expected[len(found["train"])]
        assert made.manifest == wanted.manifest
        np.testing.assert_array_equal(made.splits["train"].images, wanted.splits["train"].images)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(40)))
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


def test_a_lock_of_who_was_killed_when_all_was_built(folder: Path, tmp_path: Path) -> None:
    build(folder, splits(tmp_path / "data"))
    lock = entries()[0].with_suffix(".lock")
    with FileLock(lock):
        build(folder, splits(tmp_path / "data"))
        assert lock.exists(), "somebody holds it"
    lock.touch()
    build(folder, splits(tmp_path / "data"))
    assert not lock.exists()


def test_locks_of_the_dead_go_and_what_is_not_ours_stays(folder: Path, tmp_path: Path) -> None:
    folder.mkdir()
    names = ("0123456789abcdef01234567.lock", "fedcba9876543210fedcba98.lock", "notes.lock", "data")
    for name in names[:3]:
        (folder / name).touch()
    (folder / "data").mkdir()
    (folder / "data" / storing.MANIFEST).touch()
    os.utime(folder / "data" / storing.MANIFEST, (1, 1))
    with FileLock(folder / names[1]):
        build(folder, splits(tmp_path / "data"))
        assert [(folder / name).exists() for name in names] == [False, True, True, True]
