"""Find images that are nearly the same: a perceptual hash finds candidates, the correlation of outlines confirms them.

The hash is the 64-bit DCT pHash (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions")
of the upper half, which is one side of a mirrored spectrogram. Spectrograms resemble one another: 1.4 % of the pairs of
different real recordings differ in at most 10 bits. So a pair also needs outlines that correlate. An outline says what
sounds when; it lacks each row's mean, which is the noise that all recordings of a place share. The comparison allows a
small shift in time and leaves out the edges, where a shift brings other content.

Thresholds, measured on 60 mixtures and 143 windows of real songs and backgrounds: copies (JPEG of quality 90, 5 %
brighter, shifted or cropped by 3, 8 and 20 of 2000 columns, several of these at once) correlate by 0.938 or more, and
99.6 % of them differ in at most 12 bits. Different mixtures correlate by at most 0.81, different songs of one bird by
at most 0.92; the one pair above was a mixture and the song in it. Among many mixtures of a bird that repeats itself,
some pairs of different songs are reported; therefore near-duplicates are notes and not problems.

Legend: N images, P pairs.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from benchmark.data import images

BITS = 12
CORRELATION = 0.93

_OUTLINE = (32, 128)  # rows, columns
_SHIFT = 2  # columns of the outline to either side
_INNER = _OUTLINE[1] - 2 * _SHIFT
_FLAT = 0.1  # grey levels (root mean square); an outline below it is rounding errors
_ROWS, _PAIRS = 512, 2048  # per block: 30 MB of dot products, 70 MB of outlines


def phash(grey: NDArray[np.uint8]) -> int:
    """The 64-bit hash of an image, uint8 (H, W)."""
    half = grey[: max(1, grey.shape[0] // 2)]
    low = dctn(images.resize_image(half, (32, 32)).astype(np.float64))[:8, :8]
    return int.from_bytes(np.packbits(low > np.median(low)).tobytes())


def outline(grey: NDArray[np.uint8]) -> NDArray[np.float16]:
    """A blurred thumbnail of an image, uint8 (H, W), each row less its mean: (32, 128)."""
    small = gaussian_filter1d(images.resize_image(grey, _OUTLINE).astype(np.float32), 1, axis=1, mode="nearest")
    return np.asarray(small - small.mean(axis=1, keepdims=True), np.float16)


def alike(hashes: NDArray[np.uint64], outlines: NDArray[np.float16]) -> list[list[int]]:
    """Groups of two or more images that are nearly the same: (N,) hashes, (N, 32, 128) outlines -> indices."""
    pairs = np.concatenate([np.empty((0, 2), np.intp), *_pairs(hashes, outlines)])  # (P, 2)
    links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(hashes), len(hashes)))
    _, labels = connected_components(links, directed=False)
    groups: dict[int, list[int]] = {}
    for index in np.unique(pairs):
        groups.setdefault(int(labels[index]), []).append(int(index))
    return list(groups.values())


def _pairs(hashes: NDArray[np.uint64], outlines: NDArray[np.float16]) -> Iterator[NDArray[np.intp]]:
    """Blocks of pairs (P, 2) that are alike."""
    bits = np.unpackbits(hashes[:, None].view(np.uint8), axis=1).astype(np.float32) * 2 - 1  # (N, 64)
    norms = _norms(outlines)
    bits[np.isinf(norms).any(axis=1)] = 0  # flat images share a hash: comparing them all would take long
    for start in range(0, len(bits), _ROWS):
        # The dot product of 64 signs is 64 less twice the number of different bits: a matrix product finds them all.
        near = bits[start : start + _ROWS] @ bits[start:].T >= 64 - 2 * BITS
        candidates = np.argwhere(np.triu(near, 1)) + start
        for first in range(0, len(candidates), _PAIRS):
            block = candidates[first : first + _PAIRS]
            yield block[_correlation(block, outlines, norms) >= CORRELATION]


def _norms(outlines: NDArray[np.float16]) -> NDArray[np.float32]:
    """Norm of every outline about its rows' means, per shift: (N, shifts). Infinite where an outline is flat."""
    norms = np.empty((len(outlines), 2 * _SHIFT + 1), np.float32)
    for start in range(0, len(outlines), _PAIRS):
        for shift in range(2 * _SHIFT + 1):
            part = outlines[start : start + _PAIRS, :, shift : shift + _INNER].astype(np.float32)
            norms[start : start + _PAIRS, shift] = np.sqrt(part.var(axis=2).sum(axis=1) * _INNER)
    return np.where(norms < _FLAT * np.sqrt(_OUTLINE[0] * _INNER), np.float32(np.inf), norms)


def _correlation(
    pairs: NDArray[np.intp], outlines: NDArray[np.float16], norms: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The correlation of the outlines of pairs (P, 2) at the best shift: (P,)."""
    left, right = (outlines[pairs[:, side]].astype(np.float32) for side in (0, 1))  # (P, 32, 128)
    middle = left[:, :, _SHIFT : _SHIFT + _INNER]
    middle = middle - middle.mean(axis=2, keepdims=True)
    # One side's rows have mean zero, so the other's means drop out of the product.
    products = [np.einsum("prc,prc->p", middle, right[:, :, shift : shift + _INNER]) for shift in range(2 * _SHIFT + 1)]
    scale = norms[pairs[:, 0], _SHIFT][:, None] * norms[pairs[:, 1]]  # (P, shifts)
    return np.asarray((np.stack(products, axis=1) / scale).max(axis=1))
