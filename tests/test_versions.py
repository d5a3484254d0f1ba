"""The sets of versions that are tested, the oldest and the locked one, are within what pyproject.toml promises."""

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent


def declared() -> list[Requirement]:
    """Everything that the program, its extras and the tests need."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [Requirement(line) for line in lines if not line.startswith("birdmask-bench[")]


def test_every_lower_bound_is_the_version_that_is_tested() -> None:
    lines = [line for line in (ROOT / "tests" / "oldest.txt").read_text().splitlines() if not line.startswith("#")]
    pinned = {canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)}
    for need in declared():
        assert pinned[canonicalize_name(need.name)] == Version(str(need.specifier).removeprefix(">=")), need.name


def test_the_lock_has_one_hashed_version_within_the_range_of_each_package() -> None:
    text = re.sub(r"^#.*\n", "", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE)
    entries = [entry for entry in text.replace("\\\n", " ").splitlines() if entry.strip()]
    assert all("--hash=sha256:" in entry for entry in entries)
    locked: dict[str, list[Requirement]] = {}
    for entry in entries:
        need = Requirement(entry.partition("--hash")[0])
        locked.setdefault(canonicalize_name(need.name), []).append(need)
    for need in declared():
        found = locked.get(canonicalize_name(need.name), [])
        assert found, f"{need.name} is not in requirements.txt: make lock"
        for version in found:  # several where Python or the system decide
            assert need.specifier.contains(str(version.specifier).removeprefix("=="))
