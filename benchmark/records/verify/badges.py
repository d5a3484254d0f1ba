"""The badge of a leaderboard row: verified, self-reported, or older source.

A badge costs no hashing of a run's files: a file that was changed after its verification keeps the badge in
`bench leaderboard`, and is found by `bench verify` and `bench leaderboard --check`.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import Field

from benchmark.plugins import registry, source
from benchmark.records import checksums
from benchmark.records.schema import Part, Record

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

    @property
    def is_good(self) -> bool:
        """Whether the weights gave the run's counts."""
        return self.verdict == "reproduced" and not self.message


def current_sources(name: str) -> list[str]:
    """The source hashes of the architectures of that name that are found now; imports none of them."""
    return [source.hash_file(path) for path in registry.sources("architectures", name)]


def badge(path: Path, record: Record, *, current: Collection[str] | None = None) -> Badge:
    """The badge of a run's folder. `current` (see `current_sources`) is looked up if it is not given.

    "older source": the plugin found under that name has another source now. "verified": `verification.json` is good,
    and was made for the present SHA256SUMS. A plugin that is not found does not make a source older.
    """
    current = current_sources(record.architecture.name) if current is None else current
    if current and record.architecture.source_hash not in current:
        return "older source"
    try:
        found = read_verification(path)
        good = found.is_good and found.sums == checksums.digest(path / checksums.NAME)
    except (OSError, ValueError):
        return "self-reported"
    return "verified" if good else "self-reported"


def read_verification(path: Path) -> Verification:
    """Read verification.json of a run's folder.

    Raises:
        OSError, ValueError: it is missing, damaged, or of another schema.
    """
    return Verification.model_validate_json((path / VERIFICATION).read_bytes())
