"""What the recorder wrote beside the sound: RIFF chunks of a WAV, tags of other formats, and the time of the file."""

import os
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeAlias

from benchmark.data import recordings

Chunk: TypeAlias = tuple[bytes, bytes]
"""Its name of four bytes, and its content."""

_KEPT = {b"LIST", b"bext", b"guan", b"cue ", b"iXML", b"wamd", b"id3 "}
_LARGEST = 16_000_000
"""Bytes; a chunk that is larger is no remark of a recorder."""
_RIFF = 0xFFFF_FFFF
_INFO = {
    "title": b"INAM",
    "comment": b"ICMT",
    "artist": b"IART",
    "date": b"ICRD",
    "copyright": b"ICOP",
    "software": b"ISFT",
    "album": b"IPRD",
    "genre": b"IGNR",
    "tracknumber": b"ITRK",
}
"""Tag of libsndfile -> field of a WAV's INFO list."""


def read(source: Path) -> list[Chunk]:
    """The chunks to keep of a recording; tags of FLAC, OGG, MP3, AIFF and others become a LIST of INFO.

    Raises:
        UserError, OSError: the recording cannot be read.
    """
    with source.open("rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
            return list(_chunks(file, source.stat().st_size))
    with recordings.opened(source) as sound:
        fields = [(field, getattr(sound, tag, "").encode("utf-8", "replace")) for tag, field in _INFO.items()]
    listed = b"".join(_packed(field, text + b"\0") for field, text in fields if text)
    return [(b"LIST", b"INFO" + listed)] if listed else []


def _chunks(file: BinaryIO, end: int) -> Iterator[Chunk]:
    """The kept chunks from here on; the rest of a file that is damaged is left alone."""
    length = None  # of the samples, where their chunk cannot state it
    while len(head := file.read(8)) == 8:
        name, size = head[:4], int.from_bytes(head[4:], "little")
        begin = file.tell()
        if name == b"ds64":
            length = int.from_bytes(file.read(16)[8:], "little")
        if name == b"data" and size == _RIFF and length is not None:
            size = length
        if begin + size > end:
            return
        if name in _KEPT and size <= _LARGEST:
            content = file.read(size)
            if name != b"LIST" or content[:4] in (b"INFO", b"adtl"):
                yield name, content
        file.seek(begin + size + size % 2)


def append(path: Path, chunks: Sequence[Chunk]) -> None:
    """Append chunks to a WAV or RF64 file.

    Raises:
        OSError: the disk refuses.
    """
    if not chunks:
        return
    with path.open("r+b") as file:
        kind = file.read(4)
        file.seek(0, os.SEEK_END)
        if file.tell() % 2:
            file.write(b"\0")
        for name, content in chunks:
            file.write(_packed(name, content))
        size = file.tell() - 8
        if kind == b"RIFF":
            file.seek(4)
            file.write(struct.pack("<I", size))
        else:  # its first chunk is ds64, which begins with the size
            file.seek(20)
            file.write(struct.pack("<Q", size))


def _packed(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def keep_time(source: Path, path: Path) -> None:
    """Give a file the modification time of its source: it often is when the recording was made.

    Raises:
        OSError: the disk refuses.
    """
    state = source.stat()
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
