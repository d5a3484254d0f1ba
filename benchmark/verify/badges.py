"""What a row of the leaderboard may be called: verified, self-reported, or of an older source."""

from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from benchmark import registry, sums
from benchmark.record import Record
from benchmark.runs import WEIGHTS

VERIFICATION = "verification.json"

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


def badge(path: Path, record: Record) -> Badge:
    """The badge of a run's folder; imports neither torch nor a plugin.

    "older source": the plugin of that name that is found now has another source, whatever was verified. "verified":
    `verification.json` is good and is of these very files (the weights, which count nothing by themselves, are not
    read). A plugin that is not found has no other source.
    """
    sources = registry.sources("architectures", record.architecture.name)
    if sources and record.architecture.source_hash not in [registry.hash_file(source) for source in sources]:
        return "older source"
    return "verified" if _verified(path) else "self-reported"


def _verified(path: Path) -> bool:
    try:
        found = Verification.model_validate_json((path / VERIFICATION).read_bytes())
        if found.verdict != "reproduced" or found.sums != sums.digest(path / sums.NAME):
            return False
        listed = {name: sum_ for name, sum_ in sums.read(path).items() if name != WEIGHTS}
    except (OSError, ValueError):
        return False
    needed = {"run.json", "images.csv"}
    return needed <= listed.keys() and not any(True for _ in sums.differing(path, listed))
