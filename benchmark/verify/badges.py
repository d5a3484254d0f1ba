"""What a row of the leaderboard may be called: verified, self-reported, or of an older source."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmark import metrics, registry, sums
from benchmark.record import Record
from benchmark.runs import WEIGHTS
from benchmark.verify import tables
from benchmark.verify.tables import Images

VERIFICATION = "verification.json"

TOLERANCE = 1e-3
"""Share of an image's pixels that may differ where the machine is another one."""
SOUND_TOLERANCE: Mapping[bool, float] = {True: 1e-3, False: 0.5}
"""dB of a sound score, on a machine like the run's and on others."""

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


def sources(name: str) -> Sequence[Path]:
    """The files in which an architecture of that name is found now."""
    return registry.sources("architectures", name)


def badge(path: Path, record: Record, sources: Callable[[str], Sequence[Path]] = sources) -> Badge:
    """The badge of a run's folder; imports neither torch nor a plugin. Who asks often hands in `sources` that remember.

    "older source": the plugin of that name that is found now has another source, whatever was verified. "verified":
    `verification.json` is good and is of these very files (the weights, which count nothing by themselves, are not
    read). A plugin that is not found has no other source.
    """
    found = sources(record.architecture.name)
    if found and record.architecture.source_hash not in [registry.hash_file(source) for source in found]:
        return "older source"
    return "verified" if _verified(path, record) else "self-reported"


def doubt(found: Verification, images: Images, size: tuple[int, int]) -> str:
    """Why a verification that says "reproduced" is none of a run with these images, at (height, width); empty if it is.

    What it may tolerate is this program's to say, not the file's.
    """
    tolerance = 0.0 if found.alike else TOLERANCE
    if found.verdict != "reproduced" or found.message:
        return f"the weights did not give the run's counts: {found.message}"
    if found.tolerance != tolerance:
        return f"its tolerance is {found.tolerance:g}, where 'alike' is {str(found.alike).lower()} it is {tolerance:g}"
    if found.images != len(images.ids):
        return f"it is of {found.images} images, the run has {len(images.ids)}"
    largest = np.sum([images.counts[f"native_{name}"] for name in metrics.CONFUSION], axis=0).max()
    if not 0 <= found.largest_difference <= tolerance * math.prod(size):
        return "its verdict is good, and more pixels differ than its tolerance allows"
    if not 0 <= found.largest_native_difference <= tolerance * largest:
        return "its verdict is good, and more pixels differ at the files' size than its tolerance allows"
    decibels = found.largest_difference_db
    if (decibels is None) != (not images.sounds):
        return "it has a difference in dB and the run no sound scores, or the other way round"
    if decibels is not None and not 0 <= decibels <= SOUND_TOLERANCE[found.alike]:
        return "its verdict is good, and the sound scores differ by more dB than may be"
    return ""


def _verified(path: Path, record: Record) -> bool:
    try:
        found = Verification.model_validate_json((path / VERIFICATION).read_bytes())
        height, width = record.protocol.settings["image_size"]
        images = tables.read_images(path / "images.csv")
        if found.sums != sums.digest(path / sums.NAME) or doubt(found, images, (height, width)):
            return False
        listed = {name: sum_ for name, sum_ in sums.read(path).items() if name != WEIGHTS}
    except (LookupError, OSError, TypeError, ValueError):
        return False
    needed = {"run.json", "images.csv"}
    return needed <= listed.keys() and not any(True for _ in sums.differing(path, listed))
