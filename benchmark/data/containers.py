"""What is wrong with the length of a sound file: libsndfile takes what is there, and says nothing."""

from pathlib import Path

_FORGOTTEN = 44
"""Bytes of a header; some writers count it twice."""
_UNKNOWN = 0x7FFF_F000
"""From this size on a header was written to a stream, where it cannot be corrected: sox writes 2 GiB, ffmpeg 4."""
_PADDING = 16_384
"""Bytes that a system or a tagger may have added at the end."""
_TAIL = 65_307
"""Bytes of the largest page of an Ogg file."""


def fault(path: Path) -> str:
    """Why a file does not hold what its header says, and what to do; empty if it does, or if nothing says so (MP3).

    Raises:
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(40)
        file.seek(max(0, size - _TAIL))
        end = file.read()
    if start[:4] == b"OggS":
        return "" if _is_last(end) else "is truncated: its last page is missing; copy it again"
    stated = _stated(start)
    if stated is None:
        return ""
    if stated > size + _FORGOTTEN:
        return "is truncated: it ends before its header says; copy it again"
    if size - stated > max(_PADDING, size // 100):
        return (
            f"holds {size} bytes, of which its header states {stated}: it was not closed, or is too long for "
            f"its format; mend it, e.g. ffmpeg -ignore_length 1 -i {path.name} whole.w64"
        )
    return ""


def _stated(start: bytes) -> int | None:
    """The size of the file by its header; None if it states none."""
    if start[:4] == b"RIFF" or start[:4] == b"FORM":
        size = int.from_bytes(start[4:8], "little" if start[:4] == b"RIFF" else "big")
        return None if size == 0 or size >= _UNKNOWN else size + 8
    if start[:4] == b"RF64" and start[12:16] == b"ds64":
        return int.from_bytes(start[20:28], "little") + 8
    if start[:4] == b"riff":  # W64
        return int.from_bytes(start[16:24], "little")
    return None


def _is_last(end: bytes) -> bool:
    """Whether the last page of an Ogg file is whole, and says that it is the last."""
    place = end.rfind(b"OggS")
    if place < 0 or len(end) < place + 27:
        return False
    segments = end[place + 27 :][: end[place + 26]]
    return bool(end[place + 5] & 4) and place + 27 + len(segments) + sum(segments) <= len(end)
