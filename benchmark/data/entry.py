"""The files of a cache entry while it is built: whatever kills the build, what was stored before is found again.

Arrays of their final size are filled by plain writes (through a memory map, a full disk would end the process by
SIGBUS, without a word), and `journal.jsonl` has a line for each stored sample: its key, its place and the SHA-256 of
what was stored. Nothing is synced on the way. Whoever goes on compares each sample with its digest, and what the disk
lost is decoded again.
"""

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from benchmark.common.files import sync, sync_folder
from benchmark.common.progress import Report
from benchmark.data.arrays import Ends, Pixels
from benchmark.data.decode import Decoded, digest
from benchmark.data.manifest import read_line
from benchmark.data.sample_keys import Listed

JOURNAL = "journal.jsonl"
MANIFEST = "manifest.jsonl"

_FLOAT = np.dtype(np.float32).itemsize


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A line of the journal: where a sample lies. `row` is its line of the manifest, `native` and `sounds` are bytes.

    `colour` says how many dimensions the image had, which those of a split in colour all have.
    """

    key: str
    split: str
    index: int
    colour: bool
    native: int
    sounds: int
    sha256: str
    row: str


def read_journal(folder: Path) -> list[Line]:
    """The lines of a journal that are whole: a power cut may have left anything."""
    lines = []
    try:
        text = (folder / JOURNAL).read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return []
    for line in text.splitlines():
        try:
            lines.append(Line(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return lines


def _native(line: Line) -> tuple[int, int]:
    """Begin and length in bytes of the native mask, packed to one bit per pixel; only the test has them."""
    row = read_line(line.row)
    return line.native, -(-row.height * row.width // 8) if line.split == "test" else 0


def _sounds(line: Line) -> tuple[int, int]:
    """Begin and length in bytes of noisy and clean sound."""
    row = read_line(line.row)
    return line.sounds, 2 * row.sound.samples * _FLOAT if row.sound else 0


class SplitFiles:
    """The four files of a split."""

    def __init__(self, folder: Path, split: str, *, writable: bool) -> None:
        self._folder, self._split = folder, split
        self.images = Pixels(folder / f"{split}.images.npy", writable=writable)
        self.masks = Pixels(folder / f"{split}.masks.npy", writable=writable)
        self.native = Ends(folder / f"{split}.native.bin", np.uint8, writable=writable)
        self.sounds = Ends(folder / f"{split}.sounds.bin", np.float32, writable=writable)

    @classmethod
    def open_or_create(cls, folder: Path, split: str, count: int, size: tuple[int, int]) -> "SplitFiles":
        """What is there, if it is of these N and (H, W), or files without content."""
        shape = (count, *size)
        try:
            found = cls(folder, split, writable=True)
        except (OSError, ValueError):
            found = None
        if found is not None and found.images.shape[:3] == shape == found.masks.shape:
            return found
        Pixels.create(folder / f"{split}.images.npy", np.uint8, shape).close(sync=False)
        Pixels.create(folder / f"{split}.masks.npy", np.bool_, shape).close(sync=False)
        return cls(folder, split, writable=True)

    def get(self, line: Line) -> Decoded | None:
        """What was stored of a sample; None where it is no longer that."""
        row = read_line(line.row)
        image, mask = self.images[line.index], self.masks[line.index]
        if image is not None and image.ndim == 3 and not line.colour:
            image = image[..., 0] if (image == image[..., :1]).all() else None
        native = self.native.read(line.native, _native(line)[1])
        sounds = self.sounds.read(line.sounds, _sounds(line)[1] // _FLOAT)
        if image is None or mask is None or native is None or sounds is None:
            return None
        if digest(image, mask, native, sounds) != line.sha256:
            return None
        return Decoded(row=row, image=image, mask=mask, native=native, sounds=sounds, sha256=line.sha256)

    def put(self, index: int, decoded: Decoded, written: Iterable[int]) -> tuple[int, int]:
        """Where native mask and sounds begin. The first image in colour turns those `written` before into colour."""
        image = decoded.image
        if image.ndim == 3 and len(self.images.shape) == 3:
            self._repaint(written, colour=True)
        if image.ndim == 2 and len(self.images.shape) == 4:
            image = np.repeat(image[..., None], 3, axis=2)
        self.images[index] = image
        self.masks[index] = decoded.mask
        return self.native.append(decoded.native), self.sounds.append(decoded.sounds)

    def settle(self, lines: Sequence[Line]) -> list[Line]:
        """Make the files those of a build that was never interrupted: `lines` are all of the split, in order."""
        if len(self.images.shape) == 4 and not any(line.colour for line in lines):
            self._repaint(range(len(lines)), colour=False)
        self.native, native = self._in_order(self.native, "native.bin", [_native(line) for line in lines])
        self.sounds, sounds = self._in_order(self.sounds, "sounds.bin", [_sounds(line) for line in lines])
        return [
            replace(line, native=mask, sounds=sound) for line, mask, sound in zip(lines, native, sounds, strict=True)
        ]

    def _in_order(self, file: "Ends", name: str, pieces: Sequence[tuple[int, int]]) -> "tuple[Ends, list[int]]":
        """The file with its pieces (begin, length) in bytes end to end, and where each begins then."""
        ends = list(accumulate((length for _, length in pieces), initial=0))
        if ends[:-1] == [begin for begin, _ in pieces]:
            file.end = ends[-1]
            return file, ends[:-1]
        path = self._folder / f"{self._split}.{name}"
        temporary = path.with_suffix(".ordered")
        temporary.unlink(missing_ok=True)
        ordered = Ends(temporary, file.dtype, writable=True)
        for begin, length in pieces:
            piece = file.read(begin, length // file.dtype.itemsize)
            assert piece is not None, "each was compared with its digest, or written by this process"
            ordered.append(piece)
        file.close(sync=False)
        temporary.replace(path)
        return ordered, ends[:-1]

    def close(self, *, sync: bool) -> None:
        """Close all."""
        for file in (self.images, self.masks, self.native, self.sounds):
            file.close(sync=sync)

    def _repaint(self, indices: Iterable[int], *, colour: bool) -> None:
        path = self._folder / f"{self._split}.images.npy"
        temporary = path.with_suffix(".repainted")
        shape = (*self.images.shape[:3], 3) if colour else self.images.shape[:3]
        repainted = Pixels.create(temporary, np.uint8, shape)
        for index in indices:
            image = self.images[index]
            if image is not None:
                repainted[index] = np.repeat(image[..., None], 3, axis=2) if colour else image[..., 0]
        self.images.close(sync=False)
        temporary.replace(path)
        self.images = repainted


def counts(folder: Path, splits: Iterable[str]) -> dict[str, int]:
    """For how many samples there is room in each split; 0 where that cannot be read."""
    found = {}
    for split in splits:
        try:
            pixels = Pixels(folder / f"{split}.masks.npy", writable=False)
        except (OSError, ValueError):
            found[split] = 0
            continue
        found[split] = pixels.shape[0]
        pixels.close(sync=False)
    return found


class Store:
    """The samples of a listing in a folder of files: those that are there, and room for the rest."""

    def __init__(self, folder: Path, listing: Sequence[Listed], size: tuple[int, int]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._listing = folder, listing
        self._files: dict[str, SplitFiles] = {}
        for split in dict.fromkeys(one.split for one in listing):
            count = sum(one.split == split for one in listing)
            self._files[split] = SplitFiles.open_or_create(folder, split, count, size)
        self._lines: dict[tuple[str, int], Line] = {}
        self._journal: Ends | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close(sync=False)

    def restore(self, report: Report) -> None:
        """Find what a former build stored here, and is still as it was."""
        keys = {(one.split, one.index): one.key for one in self._listing}
        journal = {(line.split, line.index): line for line in read_journal(self._folder)}
        found = {place: line for place, line in journal.items() if line.key == keys.get(place)}
        for number, (place, line) in enumerate(found.items(), start=1):
            if self._files[line.split].get(line) is not None:
                self._lines[place] = line
            report("checking", number, len(found), "")
        for split, files in self._files.items():
            kept = [line for line in self._lines.values() if line.split == split]
            files.native.end = max((sum(_native(line)) for line in kept), default=0)
            files.sounds.end = max((sum(_sounds(line)) for line in kept), default=0)
        self._write_journal(self._lines.values())

    def missing(self) -> list[Listed]:
        """The samples that are still to be stored."""
        return [one for one in self._listing if (one.split, one.index) not in self._lines]

    def put(self, one: Listed, decoded: Decoded) -> None:
        """Store a sample, and then the note that it is stored."""
        assert self._journal is not None, "restore() comes first"
        files = self._files[one.split]
        written = (index for split, index in self._lines if split == one.split)
        native, sounds = files.put(one.index, decoded, written)
        line = Line(
            key=one.key,
            split=one.split,
            index=one.index,
            colour=decoded.image.ndim == 3,
            native=native,
            sounds=sounds,
            sha256=decoded.sha256,
            row=decoded.row.line(),
        )
        self._journal.append(_text([line]))
        self._lines[one.split, one.index] = line

    def finish(self, entry: Path) -> None:
        """With every sample stored: have all on the disk, and give the folder its final name."""
        lines = [self._lines[one.split, one.index] for one in self._listing]
        settled = []
        for split, files in self._files.items():
            settled += files.settle([line for line in lines if line.split == split])
        self._write_journal(settled)
        _write(self._folder / MANIFEST, "".join(f"{line.row}\n" for line in settled).encode())
        self._close(sync=True)
        for left in (*self._folder.glob("*.repainted"), *self._folder.glob("*.ordered")):
            left.unlink()
        sync_folder(self._folder)
        self._folder.rename(entry)
        sync_folder(entry.parent)

    def _close(self, *, sync: bool) -> None:
        for files in self._files.values():
            files.close(sync=sync)
        if self._journal is not None:
            self._journal.close(sync=sync)
        self._files, self._journal = {}, None

    def _write_journal(self, lines: Iterable[Line]) -> None:
        if self._journal is not None:
            self._journal.close(sync=False)
        temporary = self._folder / f".tmp-{JOURNAL}"
        try:
            _write(temporary, _text(lines).tobytes())
            temporary.replace(self._folder / JOURNAL)
        finally:
            with suppress(OSError):  # where nothing can be written, nothing can be removed
                temporary.unlink(missing_ok=True)
        self._journal = Ends(self._folder / JOURNAL, np.uint8, writable=True)
        self._journal.end = (self._folder / JOURNAL).stat().st_size


def _text(lines: Iterable[Line]) -> NDArray[np.uint8]:
    text = "".join(json.dumps(asdict(line), sort_keys=True) + "\n" for line in lines)
    return np.frombuffer(text.encode(), np.uint8)


def _write(path: Path, content: bytes) -> None:
    """Write and sync."""
    path.write_bytes(content)
    sync(path)
