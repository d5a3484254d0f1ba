"""From a listing to a cache entry, by the shortest way: what was stored of a sample before is not decoded again.

While it is built, an entry is called `.unfinished-<name>`. Names begin with the digest of settings and code: entries of
the same beginning hold samples alike, so that after a repair, or with images added or removed, the rest is copied. When
it is complete, those that it supersedes go (`tidying`).
"""

import shutil
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import cleanup, decode, images
from benchmark.data import entry as storing
from benchmark.data.cleanup import SETTINGS_DIGITS, UNFINISHED
from benchmark.data.decode import Decoded, Unusable
from benchmark.data.sample_keys import Listed

_NAMED = 20  # bad samples that a refusal names
_HOPELESS = 50  # so many bad samples without a good one: the reader is at fault, or the folder
_PACE = 20.0  # seconds between two statements of the pace


def build(entry: Path, listing: Sequence[Listed], *, size: tuple[int, int], grey: bool, report: Report) -> None:
    """Decode what is not stored yet and give the entry its name. The caller holds the entry's lock.

    Raises:
        UserError: samples that cannot be used (all are named), or the disk refuses. What is stored stays.
    """
    images.require_same_pixels()
    folder = entry.with_name(f"{UNFINISHED}{entry.name}")
    try:
        cleanup.remove_leftovers(entry.parent, folder)
        _take_over(folder, listing)
        _check_space(folder, listing, size, grey)
        with storing.Store(folder, listing, size) as store:
            store.restore(report)
            _copy_from_others(store, entry, report)
            _decode(store, len(listing), size, grey, report)
            shutil.rmtree(entry, ignore_errors=True)  # without a manifest: somebody took it to pieces
            store.finish(entry)
        cleanup.tidy(entry)
    except OSError as error:
        raise files.refused(folder, error) from error


def _decode(store: storing.Store, total: int, size: tuple[int, int], grey: bool, report: Report) -> None:
    missing, bad = store.missing(), []
    done = total - len(missing)
    pace = _Pace(done, total)
    report("decoding", done, total, "")
    with closing(decode.decode_all(missing, size=size, grey=grey)) as results:
        for number, (one, decoded) in enumerate(zip(missing, results, strict=True), start=1):
            if isinstance(decoded, Unusable):
                bad.append(decoded.reason)
                if len(bad) == number == _HOPELESS:
                    break
                continue
            store.put(one, decoded)
            done += 1
            report("decoding", done, total, pace.note(done, len(bad)))
    if bad:
        raise UserError(_refusal(bad))


def _refusal(bad: Sequence[str]) -> str:
    """One line that names every bad sample, as far as anybody would read it."""
    if len(bad) == 1:
        return bad[0]
    more = f" and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
    named = "; ".join(f"({number}) {reason}" for number, reason in enumerate(bad[:_NAMED], start=1))
    return f"{len(bad)} samples cannot be used (after their repair only they are decoded): {named}{more}"


class _Pace:
    """How fast this process decodes."""

    def __init__(self, done: int, total: int) -> None:
        self._first, self._total = done, total
        self._started = self._said = time.monotonic()
        self._note = ""

    def note(self, done: int, bad: int) -> str:
        """Images per second and time left, said anew every twenty seconds; nothing before."""
        now = time.monotonic()
        if now - self._said >= _PACE:
            self._said = now
            rate = (done - self._first) / (now - self._started)
            left = (self._total - done) / rate / 60
            unusable = f", {bad} unusable" if bad else ""
            self._note = f"{done}/{self._total}, {rate:.3g} images/s, {left:.1f} min left{unusable}"
        return self._note


# ---------------------------------------------------------------- what was stored before


def _take_over(folder: Path, listing: Sequence[Listed]) -> None:
    """Go on with the build of a listing that differed in the state of some files only."""
    if folder.exists():
        return
    places = {one.key: (one.split, one.index) for one in listing}
    counts = Counter(one.split for one in listing)
    for other in sorted(folder.parent.glob(f"{_start(folder)}*")):
        with cleanup.unlocked(other) as free:
            lines = storing.read_journal(other) if free else []
            alike = [line for line in lines if line.key in places]
            fits = all(places[line.key] == (line.split, line.index) for line in alike)
            if alike and fits and storing.counts(other, counts) == counts:
                other.rename(folder)
                return


def _copy_from_others(store: storing.Store, entry: Path, report: Report) -> None:
    """Samples that another listing of the same settings has, finished or not."""
    unfinished = entry.with_name(f"{UNFINISHED}{entry.name}")
    finished = [path for path in entry.parent.glob(f"{entry.name[:SETTINGS_DIGITS]}*") if path.is_dir()]
    for other in sorted(finished):
        _copy(store, other, report)
    for other in sorted(entry.parent.glob(f"{_start(unfinished)}*")):
        if other == unfinished:
            continue
        with cleanup.unlocked(other) as free:
            if free and _copy(store, other, report):
                shutil.rmtree(other, ignore_errors=True)


def _copy(store: storing.Store, other: Path, report: Report) -> bool:
    """Whether the other folder had anything that is wanted here."""
    lines = {line.key: line for line in storing.read_journal(other)}
    wanted = [one for one in store.missing() if one.key in lines]
    if not wanted:
        return False
    try:
        shelves = {split: storing.SplitFiles(other, split, writable=False) for split in {one.split for one in wanted}}
    except (OSError, ValueError):  # it is being removed, or was damaged
        return False
    for number, one in enumerate(wanted, start=1):
        decoded: Decoded | None = shelves[one.split].get(lines[one.key])
        if decoded is not None:
            store.put(one, decoded)
        report("copying", number, len(wanted), "")
    for shelf in shelves.values():
        shelf.close(sync=False)
    return True


def _start(unfinished: Path) -> str:
    return unfinished.name[: len(UNFINISHED) + SETTINGS_DIGITS]


# ---------------------------------------------------------------- room on the disk


def _check_space(folder: Path, listing: Sequence[Listed], size: tuple[int, int], grey: bool) -> None:
    """Refuse at once what would fail after hours. Few samples are not worth the look.

    Raises:
        UserError: there is not enough.
    """
    if len(listing) <= decode.IN_PROCESS:
        return
    there = sum(path.stat().st_blocks * 512 for path in folder.glob("*")) if folder.is_dir() else 0
    wanted = max(0, _bytes(listing, size, grey) - there)
    free = shutil.disk_usage(folder.parent).free
    if wanted > free:
        held = sum(path.stat().st_blocks * 512 for path in folder.parent.rglob("*") if path.is_file()) - there
        other = f" ({folder.parent} holds {_gb(held)} of other decoded data)" if held > wanted / 100 else ""
        raise UserError(
            f"the decoded images take {_gb(wanted)} in {folder.parent}, where {_gb(free)} are free{other}; "
            "make room, or name another folder with BENCH_CACHE"
        )


def _bytes(listing: Sequence[Listed], size: tuple[int, int], grey: bool) -> int:
    """What the entry takes, if all samples of a split are as large as its first."""
    pixels, total = size[0] * size[1], 0
    for split, count in Counter(one.split for one in listing).items():
        first = decode.decode(next(one for one in listing if one.split == split), size=size, grey=grey)
        each = 2 * pixels
        if isinstance(first, Decoded):
            each = first.image.nbytes + first.mask.nbytes + first.native.nbytes + first.sounds.nbytes
        total += count * each
    return total


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.0f} MB"
