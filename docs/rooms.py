"""Draw the rooms of benchmark/ and what they import: docs/pictures/rooms.svg.

    python docs/rooms.py

A room is a folder or a file at the top of benchmark/. It stands above every room that it imports. An arrow is an
import; arrows that follow from others (A -> B -> C makes A -> C plain) are left out.
"""

import ast
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

PACKAGE = Path(__file__).parent.parent / "benchmark"
PICTURE = Path(__file__).parent / "pictures" / "rooms.svg"
TOGETHER = {"run": "run, transfer, reproduce", "transfer": "run, transfer, reproduce"}
TOGETHER["reproduce"] = TOGETHER["run"]
LEFT_OUT = {"__init__", "__main__", "pretrained"}
SAYS = {
    "cli": "a file per command",
    "tools": "mix, audit, denoise, speed, doctor",
    "leaderboard": "records -> tables -> texts, page",
    "launch": "many runs",
    TOGETHER["run"]: "the three experiments",
    "records": "what a run leaves behind",
    "training": "trainer and evaluator, on torch",
    "scores": "counts and sounds -> scores",
    "plugins": "found, loaded, checked",
    "data": "files -> arrays, without torch",
    "protocols": "frozen settings",
    "contract": "what a plugin gives and gets",
    "common": "errors, files, progress, workers",
}


def room_of(path: Path) -> str:
    """The room of a file in benchmark/."""
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return TOGETHER.get(name, name)


def imports() -> dict[str, set[str]]:
    """Room -> the rooms that its files import."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        room = room_of(path)
        found.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "benchmark":
                full = [f"{node.module}.{alias.name}".split(".")[1] for alias in node.names]
                found[room] |= {TOGETHER.get(name, name) for name in full}
    rooms = set(found) - LEFT_OUT
    return {room: (found[room] & rooms) - {room} for room in sorted(rooms)}


def floors(below: dict[str, set[str]]) -> dict[str, int]:
    """Room -> its floor: 0 imports nothing, every other one stands above all that it imports."""
    found: dict[str, int] = {}

    def floor(room: str) -> int:
        if room not in found:
            found[room] = 1 + max((floor(other) for other in below[room]), default=-1)
        return found[room]

    for room in below:
        floor(room)
    return found


def reachable(below: dict[str, set[str]], room: str) -> set[str]:
    """All rooms below a room."""
    return set().union(*({other} | reachable(below, other) for other in below[room]))


def main() -> None:
    """Write the picture."""
    below = imports()
    floor = floors(below)
    levels = [[room for room in below if floor[room] == level] for level in range(max(floor.values()) + 1)]
    place = {
        room: (3.4 * (index - (len(level) - 1) / 2), 1.5 * floor[room])
        for level in levels
        for index, room in enumerate(level)
    }
    mpl.rcParams |= {"svg.hashsalt": "rooms", "font.family": "DejaVu Sans", "svg.fonttype": "none"}
    figure, axes = pyplot.subplots(figsize=(8, 1.05 * len(levels)))
    for room, others in below.items():
        plain = set().union(*(reachable(below, other) for other in others)) if others else set()
        for other in sorted(others - plain):
            axes.annotate(
                "",
                (place[other][0], place[other][1] + 0.36),
                (place[room][0], place[room][1] - 0.36),
                arrowprops={"arrowstyle": "->", "color": "#7a7a7a", "shrinkA": 0, "shrinkB": 0},
            )
    box = {"boxstyle": "round,pad=0.35", "facecolor": "#e3eef6", "edgecolor": "#2b7bab"}
    for room, (x, y) in place.items():
        text = f"{room}\n{SAYS.get(room, '')}"
        axes.text(x, y, text, ha="center", va="center", fontsize=7.5, bbox=box, linespacing=1.4)
    widest = max(abs(x) for x, _ in place.values()) + 1.8
    axes.set(xlim=(-widest, widest), ylim=(-0.6, 1.5 * max(floor.values()) + 0.6))
    axes.set_axis_off()
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    main()
