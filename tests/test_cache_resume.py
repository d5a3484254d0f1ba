"""A build goes on where it stopped: after kills, bad images, full disks and changed listings."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import cache_killing
import numpy as np
import pytest
from cache_killing import build, content, splits

from benchmark.common import workers
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.contract import Example, Sample, Splits
from benchmark.data import cache, cleanup, sample_keys
from benchmark.data import decode as decoding


@pytest.fixture(autouse=True)
def _cache_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fills with what is decoded, as "train-0"."""
    names: list[str] = []
    decode = decoding.decode

    def noted(keyed: sample_keys.KeyedSample, *options: object) -> dict[str, Any]:
        names.append(f"{keyed.split}-{keyed.sample.id}")
        return decode(keyed, *options)

    monkeypatch.setattr(decoding, "decode", noted)
    return names


def broken(found: Splits, *names: str) -> Splits:
    """The same listing, where samples of these names cannot be read."""
    return {
        split: [replace(one, read=partial(_fail, one)) if one.files[0].name in names else one for one in members]
        for split, members in found.items()
    }


def _fail(sample: Sample) -> Example:
    raise UserError(f"{sample.files[0].name} is not a readable image")


def touched(found: Splits, *names: str) -> None:
    """Their files as after a repair."""
    for members in found.values():
        for sample in members:
            if sample.files[0].name in names:
                os.utime(sample.files[0], ns=(1, 1))


def test_killed_at_every_write_the_bytes_are_the_same(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, cache_killing.__file__, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert int(ran.stdout) > 50, ran.stdout


def test_a_resumed_build_decodes_the_rest_only(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = splits(tmp_path / "data")

    def interrupted(stage: str, done: int, total: int, note: str) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.prepare(found, identity={}, size=(16, 12), grey=False, report=interrupted)
    assert decoded == ["train-0", "train-1", "train-2", "val-0"]
    decoded.clear()
    build(tmp_path / "cache", found)
    assert decoded == ["test-0", "test-1", "test-2"]


def test_a_damaged_file_of_a_sample_is_named(tmp_path: Path, decoded: list[str]) -> None:
    found = splits(tmp_path / "data")
    build(tmp_path / "alone", found)
    with pytest.raises(UserError):
        build(tmp_path / "cache", broken(found, "test-2"))
    key = next(one.key for one in sample_keys.keyed_samples(found) if one.sample is found["train"][2])
    (path,) = (tmp_path / "cache").glob(f".unfinished-*/*/{key}.npz")
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=rf"{key}\.npz in the cache is damaged \(.*\); remove it, and only that sample"):
        build(tmp_path / "cache", found)
    path.unlink()
    decoded.clear()
    build(tmp_path / "cache", found)
    assert decoded == ["train-2"]
    assert content(tmp_path / "cache") == content(tmp_path / "alone")


@pytest.mark.parametrize("cure", ["repaired", "removed"])
def test_bad_samples_are_all_named_and_the_rest_is_kept(tmp_path: Path, decoded: list[str], cure: str) -> None:
    found = splits(tmp_path / "data")
    bad = ("train-1", "test-0", "test-2")
    with pytest.raises(UserError) as refusal:
        build(tmp_path / "cache", broken(found, *bad))
    assert str(refusal.value).count("\n") == 0
    assert all(f"{name} is not a readable image" in str(refusal.value) for name in bad)
    assert len(decoded) == 7
    if cure == "repaired":
        touched(found, *bad)
    else:
        found = {split: [one for one in members if one.files[0].name not in bad] for split, members in found.items()}
    decoded.clear()
    build(tmp_path / "cache", found)
    assert sorted(decoded) == (sorted(bad) if cure == "repaired" else [])
    build(tmp_path / "alone", found)
    assert content(tmp_path / "cache") == content(tmp_path / "alone")
    assert not list((tmp_path / "cache").glob(".*"))


def test_of_many_bad_samples_some_are_named(tmp_path: Path) -> None:
    found = splits(tmp_path / "data", train=40)
    bad = [f"train-{number}" for number in range(1, 24)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "IN_PROCESS", 1000)
        with pytest.raises(UserError, match=r"^23 samples .*\(1\) train-1 is not .* - and so 2, 3 and 20 more$"):
            build(tmp_path / "cache", broken(found, *bad))


def test_a_reader_that_never_works_is_not_asked_for_hours(
    tmp_path: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "IN_PROCESS", 1000)
    found = splits(tmp_path / "data", train=90)
    with pytest.raises(UserError, match=r"^50 samples"):
        build(tmp_path / "cache", broken(found, *(f"train-{number}" for number in range(90))))
    assert len(decoded) == 50


def test_other_settings_share_nothing(tmp_path: Path, decoded: list[str]) -> None:
    found = splits(tmp_path / "data")
    build(tmp_path / "cache", found)
    decoded.clear()
    cache.prepare(found, identity={}, size=(8, 8), grey=False, report=silent)
    assert len(decoded) == 7


# ---------------------------------------------------------------- full disks


@pytest.mark.parametrize("number", [1, 5, 14, 20])
def test_a_full_disk_is_one_line(tmp_path: Path, number: int) -> None:
    found = splits(tmp_path / "data")
    build(tmp_path / "alone", found)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", _refusing(number))
        with pytest.raises(UserError, match=r"^cannot write .*cache.*: No space left on device; make room"):
            build(tmp_path / "cache", found)
    build(tmp_path / "cache", found)
    assert content(tmp_path / "cache") == content(tmp_path / "alone")
    assert not list((tmp_path / "cache").glob(".*"))


def _refusing(number: int) -> Callable[[int], None]:
    """A disk that is full from the n-th sync on; the files of the samples take fourteen, the arrays the rest."""
    calls, fsync = 0, os.fsync

    def sync(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        if calls >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    return sync


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("name", ["test.images.npy", "val.masks.npy", "test.native.bin", "test.sounds.bin"])
def test_a_damaged_entry_is_named(tmp_path: Path, name: str) -> None:
    found = splits(tmp_path / "data")
    build(tmp_path / "cache", found)
    (entry,) = (tmp_path / "cache").glob("[!.]*/")
    whole = (entry / name).read_bytes()
    (entry / name).write_bytes(whole[:-1])
    with pytest.raises(UserError, match=r"is damaged \(.*\); remove it"):
        build(tmp_path / "cache", found)


def test_an_entry_without_its_manifest_is_made_again(tmp_path: Path) -> None:
    found = splits(tmp_path / "data")
    build(tmp_path / "cache", found)
    before = content(tmp_path / "cache")
    (entry,) = (tmp_path / "cache").glob("[!.]*/")
    (entry / cleanup.MANIFEST).unlink()
    build(tmp_path / "cache", found)
    assert content(tmp_path / "cache") == before


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    found = splits(tmp_path / "data")
    (tmp_path / "data" / "val-0").unlink()
    with pytest.raises(UserError, match=r"cannot read .*val-0: No such file or directory"):
        build(tmp_path / "cache", found)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused_before_anything_is_read(
    tmp_path: Path, decoded: list[str], make: Callable[[Path], None]
) -> None:
    found = splits(tmp_path / "data")
    (tmp_path / "data" / "test-2").unlink()
    make(tmp_path / "data" / "test-2")
    with pytest.raises(UserError, match=r"test-2 is not a regular file; remove it, or put the file itself"):
        build(tmp_path / "cache", found)
    assert (decoded, (tmp_path / "cache").exists()) == ([], False)


# ---------------------------------------------------------------- memory and speed


def test_results_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "pool", lambda: ThreadPoolExecutor(2))
    monkeypatch.setattr(workers, "processors", lambda: 2)
    taken = 0

    class Counted(list):
        def __iter__(self) -> Iterator[int]:
            nonlocal taken
            for one in super().__iter__():
                taken += 1
                yield one

    for number, result in enumerate(workers.ordered(abs, Counted(range(100)))):
        assert result == number
        assert taken <= number + 1 + 4 * 2
    assert number == 99


def test_no_more_workers_than_are_granted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "granted", lambda: 1)
    assert workers.processors() == 1


def test_nothing_is_read_into_memory_at_once(tmp_path: Path) -> None:
    test = build(tmp_path / "cache", splits(tmp_path / "data")).splits["test"]
    for array in (test.images, test.masks, test.native, test.sounds):
        assert isinstance(array, np.memmap)


def test_a_link_to_another_file_is_another_sample(tmp_path: Path) -> None:
    found = splits(tmp_path / "data")
    path = tmp_path / "data" / "val-0"
    for name in ("one", "other"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, ns=(1, 1))
    keys = []
    for name in ("one", "other"):
        path.unlink()
        path.symlink_to(tmp_path / name)
        keys.append({one.key for one in sample_keys.keyed_samples(found) if one.split == "val"})
    assert keys[0] != keys[1]
