"""The recordings to clean, the file that each becomes, and what is passed over."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmark.common.errors import UserError
from benchmark.data import recordings
from benchmark.tools.denoise import clean


def targets(inputs: Sequence[Path], out: Path, *, residue: bool = False) -> tuple[dict[Path, Path], list[UserError]]:
    """Map each recording below the inputs to the WAV file to write, and list the errors of the other inputs.

    Folders keep their structure. With `residue` a second file beside each is written.

    Raises:
        UserError: there are no recordings, two would become the same file, one would be overwritten, or a cleaned file
            would lie outside of `out`.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out} is a file, not a folder")
    found: dict[Path, Path] = {}
    problems: list[UserError] = []
    for given in inputs:
        if given.is_dir() and given.resolve() == out.resolve():
            raise UserError(f"--out {out} is the folder of the recordings themselves; choose another")
        try:
            found.update(_below(given, out))
        except UserError as error:
            problems.append(error)
    if not found:
        raise problems[0] if problems else UserError(f"no recordings except those already cleaned into {out}")
    _check(found, out)
    if residue and (twice := {clean.residue(target) for target in found.values()} & set(found.values())):
        raise UserError(f"{min(twice)} would be a cleaned recording and a residue; rename its source")
    return found, problems


def passed_over(inputs: Sequence[Path], out: Path) -> str:
    """The files in the folders that are no recordings, by suffix: "3 .m4a, 12 .txt"; empty if there are none."""
    count = Counter(
        file.suffix.lower() or "without suffix"
        for given in inputs
        if given.is_dir()
        for file in recordings.others(given)
        if not file.resolve().is_relative_to(out.resolve())
    )
    return ", ".join(f"{number} {suffix}" for suffix, number in sorted(count.items()))


def _below(given: Path, out: Path) -> dict[Path, Path]:
    found = {}
    for source in recordings.find(given):
        if given.is_dir() and source.resolve().is_relative_to(out.resolve()):
            continue  # cleaned earlier
        below = source.relative_to(given) if given.is_dir() else Path(source.name)
        found[source] = out / below.with_suffix(".wav")
    return found


def _check(found: Mapping[Path, Path], out: Path) -> None:
    owners: dict[Path, Path] = {}
    originals = {path.resolve() for path in found}
    for source, target in found.items():
        other = owners.setdefault(target, source)
        if other is not source:
            raise UserError(f"{other} and {source} would both become {target}; clean them into different folders")
        if not target.parent.resolve().is_relative_to(out.resolve()):
            raise UserError(
                f"{target} is behind a link that leads out of {out}; remove the link, or choose another --out"
            )
        if target.resolve() in originals:
            raise UserError(f"{target} is one of the recordings to clean; choose another --out")
