"""Recipes of datasets: NAME.tsv in datasets/, a row per public recording, and NAME.toml, how they are mixed.

The recordings themselves are in no repository of ours: `bench data fetch` brings them, `bench data make` mixes them.
"""

import csv
import hashlib
import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import benchmark
from benchmark.common import files
from benchmark.common.errors import UserError, nearest

ADDRESS = "https://raw.githubusercontent.com/"
"""Every `file` of a recipe lies below this address."""
MIB = 2**20


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A row of a recipe.

    `file` is OWNER/REPOSITORY/COMMIT/PATH. The passage to use begins at `start` and lasts `seconds` (s). `snr_db` is
    the power of the 10-ms frames with sound over the 10th percentile, above 500 Hz. `split` is train, val, test or
    none; `part` a part of the test ("main" or a slice); `remark` says why a doubtful recording is kept or left out.
    """

    role: str
    kind: str
    split: str
    part: str
    file: str
    sha256: str
    bytes: int
    licence: str
    attribution: str
    xeno_canto: str
    redistributable: bool
    start: float
    seconds: float
    snr_db: float | None
    remark: str


def names() -> list[str]:
    """The recipes that there are."""
    return sorted({path.stem for folder in _folders() for path in folder.glob("*.tsv")})


def read(name: str) -> list[Recording]:
    """The recordings of a recipe, without those that it leaves out.

    Raises:
        UserError: there is no recipe of that name.
    """
    path = _file(name, ".tsv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return [_recording(row) for row in rows if row["split"] != "none"]


def mixing(name: str) -> dict[str, Any]:
    """How the recordings are mixed: `settings`, and `digest`, the SHA-256 of the table of samples that this gives.

    Raises:
        UserError: there is no recipe of that name.
    """
    return tomllib.loads(_file(name, ".toml").read_text(encoding="utf-8"))


def recordings_folder(name: str) -> Path:
    """The folder that the recordings are fetched into."""
    return files.cache_folder() / "recordings" / name


def made_folder(name: str) -> Path:
    """The folder that the dataset is made in."""
    return files.cache_folder() / "datasets" / name


def is_whole(path: Path, recording: Recording) -> bool:
    """Whether a file holds the recording, to the byte."""
    try:
        if path.stat().st_size != recording.bytes:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == recording.sha256
    except OSError:
        return False


def _file(name: str, suffix: str) -> Path:
    found = next((folder / f"{name}{suffix}" for folder in _folders() if (folder / f"{name}{suffix}").is_file()), None)
    if found is None:
        raise UserError(f"no recipe '{name}'{nearest(name, names())}; there are: {', '.join(names())}")
    return found


def _recording(row: dict[str, str]) -> Recording:
    return Recording(
        role=row["role"],
        kind=row["kind"],
        split=row["split"],
        part=row["slice"],
        file=row["file"],
        sha256=row["sha256"],
        bytes=int(row["bytes"]),
        licence=row["licence"],
        attribution=row["attribution"],
        xeno_canto=row["xeno_canto"],
        redistributable=row["redistributable"] == "yes",
        start=float(row["start_s"]),
        seconds=float(row["seconds"]),
        snr_db=float(row["snr_db"]) if row["snr_db"] else None,
        remark=row["remark"],
    )


def licences(recordings: Sequence[Recording]) -> str:
    """How many recordings and MiB there are under which licence, and which of them may not be passed on, in lines."""
    lines = [f"{len(recordings)} recordings, {sum(each.bytes for each in recordings) / MIB:.0f} MiB"]
    for free, title in ((True, "may be passed on"), (False, "may be used, not passed on or sold")):
        counts = Counter(each.licence for each in recordings if each.redistributable == free)
        found = ", ".join(f"{licence} ({count})" for licence, count in counts.most_common())
        lines.append(f"  {title}: {found or 'none'}")
    return "\n".join(lines)


def attribution(name: str, recordings: Sequence[Recording]) -> str:
    """ATTRIBUTION.md: who recorded what, under which licence."""
    lines = [
        f"# The recordings of `{name}`",
        "",
        "Their rights are their recordists'. What is marked with * may not be passed on or used commercially.",
        "",
        "| kind | recordist or source | licence | file |",
        "|---|---|---|---|",
    ]
    for each in recordings:
        mark = "" if each.redistributable else " *"
        lines.append(f"| {each.kind} | {each.attribution} | {each.licence}{mark} | `{each.file}` |")
    return "\n".join(lines) + "\n"


def _folders() -> list[Path]:
    return [Path(folder) / "datasets" for folder in benchmark.__path__]
