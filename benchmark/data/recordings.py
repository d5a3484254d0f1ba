"""Read and write recordings, resample them, and filter them without delay.

libsndfile reads WAV (RF64 and W64 too), FLAC, OGG, Opus, MP3, AIFF and CAF. scipy.signal takes half a second to import,
so the functions that filter import it. Legend: S samples, C channels, rates in Hz.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.io import wavfile

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.data import containers, walk

SUFFIXES = frozenset(
    {
        ".wav",
        ".wave",
        ".bwf",
        ".rf64",
        ".w64",
        ".flac",
        ".ogg",
        ".oga",
        ".opus",
        ".mp3",
        ".aif",
        ".aiff",
        ".aifc",
        ".caf",
    }
)

LOUDEST = 1e9
"""The largest sample. Full scale is 1, or 2 ** 15 if integers are stored as floats; sums of squares stay finite."""
HIGHEST_RATE = 384_000
"""Hz; recordings of bats have it."""
_LARGEST_FACTOR = 100_000
"""The largest factor of a resampling; the filter has about 90 taps for each unit of it."""

Real = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Header:
    """The header of a file; `subtype` is libsndfile's name of its number format (PCM_16, FLOAT, ...)."""

    sample_rate: int
    channels: int
    samples: int
    subtype: str

    @property
    def seconds(self) -> float:
        """Duration."""
        return self.samples / self.sample_rate


def find(path: Path) -> list[Path]:
    """The recordings below a folder in the order of their paths, or the one file that `path` names.

    A pipe or a broken link with a recording's suffix is among them; `opened` refuses it.

    Raises:
        UserError: `path` does not exist, or is a folder without recordings.
    """
    if not path.exists():
        raise UserError(f"no file or folder {path}")
    if not path.is_dir():
        return [path]
    found = [file for file in sorted(walk.files(path)) if file.suffix.lower() in SUFFIXES]
    if not found:
        raise UserError(f"{path} holds no recordings ({', '.join(sorted(SUFFIXES))})")
    return found


def others(folder: Path) -> list[Path]:
    """The files below a folder that are no recordings by their suffix."""
    return [file for file in sorted(walk.files(folder)) if file.suffix.lower() not in SUFFIXES]


def header(path: Path) -> Header:
    """Rate, channels and length. Only an MP3 is decoded for it, because its stated length is a guess.

    Raises:
        UserError: the file is not a recording.
    """
    with opened(path) as file:
        return Header(
            sample_rate=int(file.samplerate),
            channels=int(file.channels),
            samples=sum(map(len, _pieces(file))) if "MPEG" in file.subtype else int(file.frames),
            subtype=str(file.subtype),
        )


def skip(file: soundfile.SoundFile, samples: int) -> None:
    """Go forward from the beginning of a file. An MP3 is decoded up to there: after a jump its decoder errs."""
    if "MPEG" not in file.subtype:
        file.seek(samples)
    while "MPEG" in file.subtype and samples > 0 and (read := len(file.read(min(samples, 1 << 20)))):
        samples -= read


def _pieces(file: soundfile.SoundFile) -> Iterator[Real]:
    while len(piece := file.read(1 << 20, dtype="float64", always_2d=True)):
        yield piece


def read(path: Path, *, channel: int | None = 0) -> tuple[Real, int]:
    """A whole recording in float64, and its rate: (S,) of one channel, or (S, C) of all if `channel` is None.

    Raises:
        UserError: it is not a recording, is damaged, lacks the channel, or has samples that are not numbers.
    """
    with opened(path) as file:
        # Piece by piece: a damaged header may promise more samples than memory holds.
        samples = np.concatenate([np.empty((0, file.channels)), *_pieces(file)])  # (S, C)
        rate = int(file.samplerate)
        stated = 0 if "MPEG" in file.subtype else int(file.frames)
    if len(samples) < max(stated, 1):
        raise UserError(f"{path} is truncated: {max(stated, 1) - len(samples)} samples or more are missing at its end")
    check_numbers(samples, path)
    if channel is None:
        return samples, rate
    if channel >= samples.shape[1]:
        raise UserError(f"{path} has {samples.shape[1]} channel(s), there is no channel {channel} (they count from 0)")
    return np.ascontiguousarray(samples[:, channel]), rate


def sections(path: Path, *, seconds: int, margin: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """A recording of any length in sections of `seconds`, read once from front to end.

    Yields begin and end of each section in samples of the file, and the samples (n, C) from `margin` seconds before the
    section to `margin` seconds after it, as far as the file has them.

    Raises:
        UserError: it is not a recording, is damaged, or has samples that are not numbers.
    """
    total = header(path).samples
    with opened(path) as file:
        rate = int(file.samplerate)
        # `held` begins at sample `first`. The file is never rewound: decoders of compressed files do that badly.
        held, first = np.empty((0, file.channels), np.float32), 0
        for begin in range(0, total, seconds * rate):
            end = min(begin + seconds * rate, total)
            wanted = min(end + margin * rate, total) - first - len(held)
            fresh = file.read(wanted, dtype="float32", always_2d=True)
            check_numbers(fresh, path)
            if len(fresh) < wanted:
                raise UserError(f"{path} is truncated: {wanted - len(fresh)} samples or more are missing at its end")
            drop = max(begin - margin * rate, 0) - first
            held, first = np.concatenate([held[drop:], fresh]), first + drop
            yield begin, end, held


def cut(samples: NDArray[np.float32], *, size: int, margin: int) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
    """Like `sections` for samples (S, C) in memory; size and margin are in samples."""
    for begin in range(0, len(samples), size):
        end = min(begin + size, len(samples))
        yield begin, end, samples[max(begin - margin, 0) : end + margin]


def check_numbers(samples: Real, path: Path | str) -> None:
    """Refuse NaN, infinity, and numbers so large that their powers would become infinite.

    Raises:
        UserError: the samples have some.
    """
    bad = int((~np.isfinite(samples)).sum())
    if bad:
        raise UserError(f"{path} has {bad} sample(s) that are not finite numbers; export it again")
    if samples.size and (largest := float(np.abs(samples).max())) > LOUDEST:
        raise UserError(f"{path} has samples of {largest:.3g}, where 1 is full scale; export it again")


def write(path: Path, samples: NDArray[np.float32], sample_rate: int) -> None:
    """Write (S,) as WAV of 32-bit floats. The bytes are the same each time; libsndfile would add the time of day."""
    wavfile.write(path, sample_rate, samples)


_BITS = {"PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_SAME = {"ALAC_16": "PCM_16", "ALAC_20": "PCM_24", "ALAC_24": "PCM_24", "ALAC_32": "PCM_32", "PCM_S8": "PCM_U8"}
_LARGEST_WAV = 4_000_000_000
"""Bytes of samples that a WAV can hold, with room for its other chunks; beyond, the file is an RF64."""


def wav_subtype(subtype: str) -> str:
    """The number format of a WAV with the samples of a file of that format; 16 bits for what was compressed."""
    kept = _SAME.get(subtype, subtype)
    return kept if kept in (*_BITS, "FLOAT", "DOUBLE") else "PCM_16"


def numbers(samples: NDArray[np.float32], subtype: str) -> NDArray[Any]:
    """What to give a `writer` of that number format: rounded to its steps, and clipped at full scale, if it has some.

    libsndfile would round towards minus infinity.
    """
    bits = _BITS.get(subtype)
    if bits is None:
        return samples
    full = 2.0 ** (bits - 1)
    whole = np.rint(samples.astype(np.float64) * full).clip(-full, full - 1).astype(np.int32)
    return whole << (32 - bits)


@contextmanager
def writer(
    path: Path, sample_rate: int, channels: int, subtype: str, samples: int = 0
) -> Iterator[soundfile.SoundFile]:
    """A WAV file to write to piece by piece; the caller makes that atomic with `files.atomic_file`.

    It is an RF64 file if the number of samples does not fit into a WAV.

    Raises:
        OSError: the disk refuses.
    """
    size = samples * channels * {"FLOAT": 32, "DOUBLE": 64}.get(subtype, _BITS.get(subtype, 0)) // 8
    kind = "RF64" if size > _LARGEST_WAV else "WAV"
    try:
        with soundfile.SoundFile(path, "w", sample_rate, channels, subtype, format=kind) as file:
            yield file
    except soundfile.LibsndfileError as error:
        raise OSError(str(error)) from error


@contextmanager
def writers(paths: Sequence[Path], rate: int, like: Header, subtype: str) -> Iterator[list[soundfile.SoundFile]]:
    """A `writer` for each path, with the channels and the length of a recording."""
    with ExitStack() as stack:
        yield [stack.enter_context(writer(path, rate, like.channels, subtype, like.samples)) for path in paths]


@contextmanager
def opened(path: Path) -> Iterator[soundfile.SoundFile]:
    """Open a recording.

    Raises:
        UserError: it is missing, not a file, empty, not a recording, of an impossible sample rate, or damaged; damage
            may be noticed while it is read.
    """
    try:
        state = path.stat()
        files.check_regular(path, state.st_mode)
        if state.st_size == 0:
            raise UserError(f"{path} is empty")
        with soundfile.SoundFile(path) as file:
            if why := containers.fault(path):
                raise UserError(f"{path} {why}")
            if file.frames == 0:
                raise UserError(f"{path} holds no samples")
            if not 0 < file.samplerate <= HIGHEST_RATE:
                raise UserError(
                    f"{path} states a sample rate of {file.samplerate} Hz; export it at up to {HIGHEST_RATE}"
                )
            yield file
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        reason = getattr(error, "error_string", None) or getattr(error, "strerror", None) or error
        if "psf_fseek" in str(reason):  # of a FLAC
            raise UserError(f"{path} holds fewer samples than its header promises; copy or export it again") from error
        raise UserError(f"{path} is not a readable recording ({str(reason).rstrip('.')})") from error


@contextmanager
def quiet_decoder() -> Iterator[None]:
    """Keep the notes of the MP3 decoder, which writes past Python, off the terminal."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


# ---------------------------------------------------------------- samples -> samples


def resample(samples: Real, rate: int, to: int) -> Real:
    """Resample (S,) at `rate` to about S to / rate samples at `to` Hz, by a polyphase filter without delay.

    It is flat within 0.1 dB up to 94 % of the lower Nyquist frequency; SciPy's own filter would lose 2 dB there.

    Raises:
        UserError: the rates have so small a common divisor that the filter would need gigabytes.
    """
    if rate == to:
        return samples
    divisor = gcd(rate, to)
    up, down = to // divisor, rate // divisor
    if max(up, down) > _LARGEST_FACTOR:
        raise UserError(f"a recording at {rate} Hz cannot be brought to {to} Hz; export it at a usual rate, e.g. 96000")
    from scipy import signal

    return np.asarray(signal.resample_poly(samples, up, down, window=_steep(max(up, down))))


@cache
def _steep(factor: int) -> Real:
    """A low-pass at 1 / `factor` of the Nyquist frequency that falls by 80 dB within ±5.5 % of it."""
    from scipy import signal

    taps, beta = signal.kaiserord(80, 0.11 / factor)
    return np.asarray(signal.firwin(taps | 1, 1 / factor, window=("kaiser", beta)))


def high_pass(samples: Real, rate: int, cutoff: float) -> Real:
    """Zero-phase Butterworth high-pass, 4th order forwards and backwards: (S,) -> (S,); 0 Hz changes nothing."""
    if cutoff <= 0:
        return samples
    from scipy import signal

    sections = signal.butter(4, cutoff, "highpass", fs=rate, output="sos")
    return np.asarray(signal.sosfiltfilt(sections, samples, padlen=min(len(samples) - 1, rate // 10)))


def low_pass(samples: Real, rate: int, cutoff: float, *, width: float = 0.05) -> Real:
    """Zero-phase low-pass, 80 dB down at `cutoff` (1 + width): (S,) -> (S,); from Nyquist on it changes nothing.

    A symmetric Kaiser window design, steep enough to leave no trace of where a source's own band ended.
    """
    if cutoff * (1 + width) >= rate / 2:
        return samples
    from scipy import signal

    taps, beta = signal.kaiserord(80, width * cutoff / (rate / 2))
    kernel = signal.firwin(taps | 1, cutoff * (1 + width / 2), window=("kaiser", beta), fs=rate)
    return np.asarray(signal.fftconvolve(samples, kernel, mode="full")[len(kernel) // 2 :][: len(samples)])
