"""Turn masks into integer counts per image.

The functions use array operators only, so they take both NumPy arrays and torch tensors.
"""

import math
from typing import Any

CONFUSION = ("tp", "fp", "fn", "tn")
SURFACE = ("surface_predicted", "surface_predicted_near", "surface_truth", "surface_truth_near")
COUNT_COLUMNS = (
    *CONFUSION,  # at the protocol's size
    *(f"native_{name}" for name in CONFUSION),  # at the size of the file
    *(f"roundtrip_{name}" for name in CONFUSION),  # the truth resized to the protocol's size and back
    *SURFACE,
)

LOGIT_BINS = 64
LOGIT_RANGE = 8.0
"""The bins of the histograms divide -8 to 8 evenly; the first and last bin also count what lies outside."""


def confusion(prediction: Any, truth: Any) -> tuple[Any, Any, Any, Any]:
    """True positives, false positives, false negatives, true negatives: two bool (..., H, W) -> four (...)."""

    def count(mask: Any) -> Any:
        return mask.sum((-2, -1))

    return (
        count(prediction & truth),
        count(prediction & ~truth),
        count(~prediction & truth),
        count(~prediction & ~truth),
    )


def surface(prediction: Any, truth: Any, tolerance: float) -> tuple[Any, Any, Any, Any]:
    """Boundary pixels of each mask, and how many lie within `tolerance` pixels of the other's boundary.

    Two bool (..., H, W) -> predicted, predicted near truth, truth, truth near predicted, each (...). The normalised
    surface distance of Nikolov et al. 2018 (arXiv 1809.04430, section 4.3), on boundary pixels instead of surface
    elements. A boundary pixel is a foreground pixel with a background pixel, or the image's edge, among its four
    neighbours.
    """
    edge_predicted, edge_truth = boundary(prediction), boundary(truth)
    near_truth, near_predicted = dilate(edge_truth, tolerance), dilate(edge_predicted, tolerance)
    return (
        edge_predicted.sum((-2, -1)),
        (edge_predicted & near_truth).sum((-2, -1)),
        edge_truth.sum((-2, -1)),
        (edge_truth & near_predicted).sum((-2, -1)),
    )


def surface_tolerance(size: tuple[int, int]) -> float:
    """Pixels within which boundaries of images of (height, width) count as near: 2 at 512 x 512.

    Never under 1, where only exact coincidence would count.
    """
    return max(1.0, 2 * math.sqrt(math.prod(size)) / 512)


def boundary(mask: Any) -> Any:
    """Foreground pixels with a background pixel or the image's edge among their four neighbours."""
    inside = mask & False
    inside[..., 1:-1, 1:-1] = mask[..., :-2, 1:-1] & mask[..., 2:, 1:-1] & mask[..., 1:-1, :-2] & mask[..., 1:-1, 2:]
    return mask & ~inside


def dilate(mask: Any, radius: float) -> Any:
    """Every pixel within Euclidean distance `radius` of a foreground pixel: bool (..., H, W) -> the same."""
    height, width = mask.shape[-2:]
    result = mask & False
    reach = int(radius)
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            if down**2 + right**2 > radius**2 or abs(down) >= height or abs(right) >= width:
                continue
            to_rows, from_rows = _shifted(down, height)
            to_columns, from_columns = _shifted(right, width)
            result[..., to_rows, to_columns] |= mask[..., from_rows, from_columns]
    return result


def _shifted(offset: int, length: int) -> tuple[slice, slice]:
    return slice(max(offset, 0), length + min(offset, 0)), slice(max(-offset, 0), length - max(offset, 0))
