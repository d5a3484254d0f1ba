"""Files of arrays written piece by piece, by plain writes, and read back where a killed process left off."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray


def write_all(file: IO[bytes], data: bytes | memoryview, offset: int) -> None:
    """Write at a place of an unbuffered file; a disk may take a part and refuse the rest at the next call."""
    rest = memoryview(data).cast("B")
    while rest:
        written = os.pwrite(file.fileno(), rest, offset)
        rest, offset = rest[written:], offset + written


class Pixels:
    """An .npy file of N images or masks, read and written one by one: (N, H, W[, 3])."""

    def __init__(self, path: Path, *, writable: bool) -> None:
        self._file = path.open("r+b" if writable else "rb", buffering=0)
        np.lib.format.read_magic(self._file)
        self.shape, _, self._dtype = np.lib.format.read_array_header_1_0(self._file)
        self._start = self._file.tell()
        self._stride = int(np.prod(self.shape[1:], dtype=np.int64))

    @classmethod
    def create(cls, path: Path, dtype: Any, shape: Sequence[int]) -> "Pixels":
        """A file of zeros, in place of what is there, which takes space as it is filled."""
        with path.open("wb") as file:
            descr = np.lib.format.dtype_to_descr(np.dtype(dtype))
            header = {"descr": descr, "fortran_order": False, "shape": tuple(shape)}
            np.lib.format.write_array_header_1_0(file, header)
            file.truncate(file.tell() + int(np.prod(shape, dtype=np.int64)))
        return cls(path, writable=True)

    def __setitem__(self, index: int, pixels: NDArray[Any]) -> None:
        """Write the `index`-th."""
        write_all(self._file, np.ascontiguousarray(pixels, self._dtype).data, self._start + index * self._stride)

    def __getitem__(self, index: int) -> NDArray[Any] | None:
        """Read the `index`-th; None where the file ends before."""
        data = os.pread(self._file.fileno(), self._stride, self._start + index * self._stride)
        return np.frombuffer(data, self._dtype).reshape(self.shape[1:]) if len(data) == self._stride else None

    def close(self, *, sync: bool) -> None:
        """Close, with all that was written on the disk if `sync`."""
        if sync:
            os.fsync(self._file.fileno())
        self._file.close()


class Ends:
    """Arrays of any length, end to end in a file."""

    def __init__(self, path: Path, dtype: Any, *, writable: bool) -> None:
        self.dtype = np.dtype(dtype)
        if writable:
            path.touch()
        self._file = path.open("r+b" if writable else "rb", buffering=0)
        self.end = 0
        """Where the next one is appended."""

    def append(self, array: NDArray[Any]) -> int:
        """Where it begins, in bytes."""
        start = self.end
        write_all(self._file, np.ascontiguousarray(array).data, start)
        self.end += array.nbytes
        return start

    def read(self, start: int, count: int) -> NDArray[Any] | None:
        """The `count` numbers from byte `start` on; None where the file ends before."""
        size = count * self.dtype.itemsize
        data = os.pread(self._file.fileno(), size, start) if count else b""
        return np.frombuffer(data, self.dtype) if len(data) == size else None

    def close(self, *, sync: bool) -> None:
        """Close without what lies behind `end`, with all on the disk if `sync`."""
        if sync:
            self._file.truncate(self.end)
            os.fsync(self._file.fileno())
        self._file.close()
