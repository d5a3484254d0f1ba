"""Pure functions from masks to integer counts per image, and from counts to scores.

Scores are derived from stored counts, so a new score can be computed for old runs.

Legend: N images, H x W pixels.
"""

from benchmark.scores.counts import (
    CONFUSION,
    COUNT_COLUMNS,
    LOGIT_BINS,
    LOGIT_RANGE,
    SURFACE,
    boundary,
    confusion,
    dilate,
    surface,
    surface_tolerance,
)
from benchmark.scores.overlap import SCORES, image_iou, per_image, truth_is_empty
from benchmark.scores.score import Counts, Score
from benchmark.scores.sounds import SOUND_COLUMNS, SOUND_SCORES, improvement

__all__ = [
    "CONFUSION",
    "COUNT_COLUMNS",
    "LOGIT_BINS",
    "LOGIT_RANGE",
    "SCORES",
    "SOUND_COLUMNS",
    "SOUND_SCORES",
    "SURFACE",
    "Counts",
    "Score",
    "boundary",
    "confusion",
    "dilate",
    "image_iou",
    "improvement",
    "per_image",
    "surface",
    "surface_tolerance",
    "truth_is_empty",
]
