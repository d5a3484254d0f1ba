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
    confusion,
    surface,
    surface_tolerance,
)
from benchmark.scores.overlap import SCORES, image_iou, shown_iou, truth_is_empty
from benchmark.scores.score import Score
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
    "Score",
    "confusion",
    "image_iou",
    "improvement",
    "shown_iou",
    "surface",
    "surface_tolerance",
    "truth_is_empty",
]
