"""The oldest supported set that is tested is the one that pyproject.toml promises."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent
UNPINNED = {"mypy", "pandas-stubs", "ruff", "types-tabulate"}
"""They check the sources; no test imports them."""


def declared() -> dict[str, str]:
    """Package -> lower bound, of everything that the program, its extras and the tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    names = [line for line in lines if not line.startswith("birdmask-bench[") and _name(line) not in UNPINNED]
    return {_name(line): line.partition(">=")[2] for line in names}


def _name(line: str) -> str:
    return re.split(r"[<>=]", line)[0]


def test_every_lower_bound_is_the_version_that_is_tested() -> None:
    lines = [line for line in (ROOT / "tests" / "oldest.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = dict(line.split("==") for line in lines)
    assert len(pinned) == len(lines)
    assert pinned == declared()
