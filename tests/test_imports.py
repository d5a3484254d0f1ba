"""Which module may import which: read from the syntax trees, as the design says."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EVERYONE = {"disk", "errors", "printable"}

# Room -> the rooms of ours that it may import. A room is a module or folder of benchmark/.
RULES: dict[str, set[str]] = {
    "disk": set(),
    "errors": set(),
    "printable": set(),
    "progress": set(),
    "contract": set(),
    "pretrained": set(),
    "images": set(),
    "spectrogram": set(),
    "recordings": set(),
    "layout": set(),
    "separation": {"spectrogram"},
    "metrics": set(),
    "statistics": set(),
    "files": set(),
    "whole": {"files"},
    "sums": set(),
    "record": set(),
    "store": {"files", "record", "sums", "whole"},
    "keys": set(),
    "runs": {"record", "store"},
    "transfers": {"record", "store"},
    "stored": {"network", "protocol", "record", "registry", "runs"},
    "protocol": set(),
    "pictures": set(),
    "registry": {"contract"},
    "hardware": {"workers"},
    "network": {"contract", "protocol", "registry"},
    "workers": set(),
    "data": {"contract", "files", "protocol", "progress", "images", "recordings", "spectrogram", "workers"},
    "peers": set(),
    "checkpoints": {"files"},
    "unfinished": {"files", "peers", "progress", "whole"},
    "trainer": {"checkpoints", "data", "hardware", "peers", "progress", "protocol"},
    "evaluator": {"contract", "protocol", "data", "metrics", "separation", "spectrogram", "hardware", "progress"},
    "describe": {"contract", "data", "evaluator", "hardware", "network", "protocol", "record", "registry", "trainer"},
    "artefacts": {
        "data",
        "evaluator",
        "files",
        "metrics",
        "network",
        "pictures",
        "progress",
        "protocol",
        "record",
        "store",
        "registry",
        "trainer",
    },
    "mix": {"contract", "files", "layout", "progress", "recordings", "spectrogram", "workers"},
    "audit": {"files", "images", "layout", "progress", "workers"},
    "inputs": {"contract", "data", "progress", "protocol", "record", "registry"},
    "trial": {
        *("checkpoints", "data", "evaluator", "hardware", "inputs", "network", "peers", "progress", "protocol"),
        *("record", "trainer"),
    },
    "run": {
        *("artefacts", "checkpoints", "data", "describe", "hardware", "inputs", "keys", "network", "peers", "progress"),
        *("protocol", "record", "store", "registry", "trainer", "trial", "unfinished"),
    },
    "speed": {
        *("data", "evaluator", "files", "hardware", "inputs", "network", "progress", "protocol", "registry"),
        *("trainer", "workers"),
    },
    "launch": {"hardware", "peers", "progress", "run", "trainer", "workers"},
    "denoise": {
        *(
            "data",
            "files",
            "hardware",
            "images",
            "network",
            "pictures",
            "progress",
            "protocol",
            "record",
            "store",
            "recordings",
        ),
        *("registry", "runs", "spectrogram", "stored"),
    },
    "leaderboard": {
        *(
            "files",
            "metrics",
            "protocol",
            "record",
            "registry",
            "separation",
            "statistics",
            "store",
            "sums",
            "transfers",
        ),
        "verify",
    },
    "report": {"files", "leaderboard", "record", "store", "verify"},
    "verify": {
        *(
            "data",
            "files",
            "keys",
            "metrics",
            "progress",
            "protocol",
            "record",
            "store",
            "registry",
            "runs",
            "separation",
            "sums",
            "transfers",
        ),
    },
    "replay": {
        *("artefacts", "data", "describe", "evaluator", "files", "hardware", "inputs", "metrics", "progress"),
        *(
            "protocol",
            "record",
            "store",
            "registry",
            "runs",
            "separation",
            "stored",
            "sums",
            "trainer",
            "transfers",
            "unfinished",
        ),
        "verify",
    },
    "checks": {"contract", "data", "network", "progress", "protocol", "registry", "workers"},
    "scaffold": {"files", "registry"},
    "listing": {"contract", "network", "progress", "protocol", "registry"},
    "cli": {
        *(
            "audit",
            "checks",
            "denoise",
            "files",
            "launch",
            "leaderboard",
            "listing",
            "metrics",
            "mix",
            "progress",
            "protocol",
        ),
        *(
            "record",
            "store",
            "registry",
            "replay",
            "report",
            "run",
            "runs",
            "scaffold",
            "speed",
            "transfers",
            "trial",
            "verify",
        ),
    },
    "__main__": {"cli"},
    "__init__": set(),
}
PLUGINS = {
    "architectures": {"contract", "pretrained"},
    "datasets": {"contract", "images", "layout", "recordings", "spectrogram"},
}
WITHOUT_TORCH = [
    "leaderboard",
    "report",
    "verify",
    "runs",
    "transfers",
    "keys",
    "sums",
    "metrics",
    "files",
    "record",
    "store",
    "protocol",
    "contract",
    "errors",
    "printable",
    "registry",
    "images",
    "spectrogram",
    "recordings",
    "layout",
    "separation",
    "statistics",
    "mix",
    "audit",
]


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
    assert room in RULES or room in PLUGINS, f"{room} has no rule: add it to RULES"
    assert our_rooms(imported(path)) <= allowed, "see the import rules in tests/test_imports.py"


@pytest.mark.parametrize(("room", "path", "allowed"), sources(), ids=lambda value: getattr(value, "name", None))
def test_only_declared_packages_are_imported(room: str, path: Path, allowed: set[str]) -> None:
    project = (ROOT / "pyproject.toml").read_text()
    packages = {name.split(".")[0] for name in imported(path)} - set(sys.stdlib_module_names) - {"benchmark"}
    distributions = {"PIL": "pillow", "segmentation_models_pytorch": "segmentation-models-pytorch"}
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
