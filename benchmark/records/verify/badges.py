"""What a row of the leaderboard may be called: verified, self-reported, or of an older source."""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmark import scores
from benchmark.plugins import registry
from benchmark.records import checksums, tables
from benchmark.records.find import WEIGHTS
from benchmark.records.schema import Record
from benchmark.records.tables import Images

VERIFICATION = "verification.json"

TOLERANCE = 1e-3
"""Share of an image's pixels that may differ where the machine is another one."""
SOUND_TOLERANCE: Mapping[bool, float] = {True: 1e-3, False: 0.5}
"""dB of a sound score, on a machine like the run's and on others."""

CHECKED: Mapping[str, Collection[str]] = {"needed": ("run.json", "images.csv"), "apart": (WEIGHTS,)}
"""What `sums.intact` is asked of a run that a badge is given to."""

Badge: TypeAlias = Literal["verified", "self-reported", "older source"]


class Verification(BaseModel):
    """What came of evaluating a run's weights again. Pixels are those of an image's predicted mask.

    `alike`: device kind, arithmetic, torch and threads were the run's, so that not one pixel may differ; otherwise
    at most `tolerance` (a share of an image's pixels) may. `sums` is the SHA-256 of the run's SHA256SUMS.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

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
    """Of the sound scores; None without sounds."""
    sums: str


class Extent(NamedTuple):
    """What an evaluation has in common with the counts of the run that it is of.

    `images` of the test, pixels of the `largest` at the size of its file, and whether there are scores of `sounds`.
    """

    images: int
    largest: int
    sounds: bool

    @classmethod
    def of(cls, found: Images) -> Self:
        """That of a run's images.csv."""
        pixels = np.sum([found.counts[f"native_{name}"] for name in scores.CONFUSION], axis=0)
        return cls(len(found.ids), int(pixels.max()), bool(found.sounds))


def sources(name: str) -> Sequence[Path]:
    """The files in which an architecture of that name is found now."""
    return registry.sources("architectures", name)


def unaltered(path: Path) -> bool:
    """Whether a run's files are what its SHA256SUMS lists, but for the weights, which count nothing by themselves."""
    return checksums.intact(path, **CHECKED)


def badge(
    path: Path,
    record: Record,
    *,
    extent: Extent | None = None,
    sources: Callable[[str], Sequence[Path]] = sources,
    unaltered: Callable[[Path], bool] = unaltered,
) -> Badge:
    """The badge of a run's folder; imports neither torch nor a plugin.

    "older source": the plugin of that name that is found now has another source, whatever was verified. "verified":
    `verification.json` is good and is of these very files. A plugin that is not found has no other source.

    Who asks often hands in what it has read, and `sources` and `unaltered` that remember.
    """
    found = sources(record.architecture.name)
    if found and record.architecture.source_hash not in [registry.hash_file(source) for source in found]:
        return "older source"
    return "verified" if _verified(path, record, extent) and unaltered(path) else "self-reported"


def doubt(found: Verification, extent: Extent, size: tuple[int, int]) -> str:
    """Why a verification that says "reproduced" is none of a run with such images, at (height, width); empty if it is.

    What it may tolerate is this program's to say, not the file's.
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
        return "it has a difference in dB and the run no sound scores, or the other way round"
    if decibels is not None and not 0 <= decibels <= SOUND_TOLERANCE[found.alike]:
        return "its verdict is good, and the sound scores differ by more dB than may be"
    return ""


def _verified(path: Path, record: Record, extent: Extent | None) -> bool:
    """Whether there is a good verification, and it is of the files that SHA256SUMS lists."""
    try:
        found = Verification.model_validate_json((path / VERIFICATION).read_bytes())
        height, width = record.protocol.settings["image_size"]
        extent = extent or Extent.of(tables.read_images(path / "images.csv"))
        return found.sums == checksums.digest(path / checksums.NAME) and not doubt(found, extent, (height, width))
    except (LookupError, OSError, TypeError, ValueError):
        return False
