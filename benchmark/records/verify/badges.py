"""The badge of a leaderboard row: verified, self-reported, or older source.

A badge costs no hashing of a run's files: a file that was changed after its verification keeps the badge in
`bench leaderboard`, and is found by `bench verify` and `bench leaderboard --check`.
"""

import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeAlias

import numpy as np
from pydantic import Field

from benchmark import scores
from benchmark.plugins import registry
from benchmark.records import checksums, store
from benchmark.records.schema import Part, Record
from benchmark.records.tables import Columns

VERIFICATION = "verification.json"

TOLERANCE = 1e-3
"""Share of an image's pixels that may differ on another machine."""
SOUND_TOLERANCE: Mapping[bool, float] = {True: 1e-3, False: 0.5}
"""dB by which a score of sounds may differ, on a machine like the run's (True) and on another (False)."""

Badge: TypeAlias = Literal["verified", "self-reported", "older source"]


class Verification(Part):
    """The result of evaluating a run's weights again. Differences are in pixels of an image's predicted mask.

    `alike`: device kind, arithmetic, torch and threads were the run's, so no pixel may differ; otherwise at most
    `tolerance` (a share of an image's pixels) may. `sums` is the SHA-256 of the run's SHA256SUMS.
    """

    schema_version: Literal[1] = Field(default=1, alias="schema")
    verdict: Literal["reproduced", "differs"]
    message: str = ""
    when: str
    command: str
    device: str
    precision: str
    torch: str
    threads: int
    alike: bool
    tolerance: float
    images: int
    largest_difference: int
    """Pixels of the image that differs most, at the protocol's size."""
    largest_native_difference: int
    """The same of the counts at the size of the files."""
    largest_difference_db: float | None = None
    """Of the scores of sounds; None without sounds."""
    sums: str


class Extent(NamedTuple):
    """What a verification must agree on with the counts of its run.

    Number of test `images`, pixels of the `largest` file, and whether there are scores of `sounds`.
    """

    images: int
    largest: int
    sounds: bool

    @classmethod
    def of(cls, images: Columns) -> Self:
        """The extent of images.csv."""
        pixels = np.sum([images[f"native_{name}"] for name in scores.CONFUSION], axis=0)
        return cls(len(pixels), int(pixels.max()), scores.SOUND_COLUMNS[0] in images)


def current_sources(name: str) -> list[str]:
    """The source hashes of the architectures of that name that are found now; imports none of them."""
    return [registry.hash_file(path) for path in registry.sources("architectures", name)]


def badge(path: Path, record: Record, *, extent: Extent | None = None, current: Collection[str] | None = None) -> Badge:
    """The badge of a run's folder. `extent` and `current` (see `current_sources`) are looked up if not given.

    "older source": the plugin found under that name has another source now. "verified": `verification.json` is good,
    agrees with the record and the counts, and is of the SHA256SUMS that is there. A plugin that is not found does not
    make a source older.
    """
    current = current_sources(record.architecture.name) if current is None else current
    if current and record.architecture.source_hash not in current:
        return "older source"
    return "verified" if _is_verified(path, record, extent) else "self-reported"


def doubt(found: Verification, extent: Extent, size: tuple[int, int]) -> str:
    """Why a verification does not count for a run with such images at (height, width); empty if it counts.

    The tolerance is decided here, not by the file.
    """
    tolerance = 0.0 if found.alike else TOLERANCE
    if found.verdict != "reproduced" or found.message:
        return f"the weights did not give the run's counts: {found.message}"
    if found.tolerance != tolerance:
        return f"its tolerance is {found.tolerance:g}, where 'alike' is {str(found.alike).lower()} it is {tolerance:g}"
    if found.images != extent.images:
        return f"it is of {found.images} images, the run has {extent.images}"
    if not 0 <= found.largest_difference <= tolerance * math.prod(size):
        return "its verdict is good, and more pixels differ than its tolerance allows"
    if not 0 <= found.largest_native_difference <= tolerance * extent.largest:
        return "its verdict is good, and more pixels differ at the files' size than its tolerance allows"
    decibels = found.largest_difference_db
    if (decibels is None) != (not extent.sounds):
        return "it has a difference in dB and the run has no scores of sounds, or the other way round"
    if decibels is not None and not 0 <= decibels <= SOUND_TOLERANCE[found.alike]:
        return "its verdict is good, and the scores of sounds differ by more dB than its tolerance allows"
    return ""


def _is_verified(path: Path, record: Record, extent: Extent | None) -> bool:
    """Whether verification.json is good and of the files that SHA256SUMS lists."""
    try:
        found = Verification.model_validate_json((path / VERIFICATION).read_bytes())
        sums = checksums.digest(path / checksums.NAME)
        extent = extent or Extent.of(*store.read_counts([path]))
    except (OSError, ValueError):
        return False
    size = record.protocol.settings.get("image_size")
    if not (isinstance(size, list) and len(size) == 2 and all(isinstance(side, int) for side in size)):
        return False
    return found.sums == sums and not doubt(found, extent, (size[0], size[1]))
