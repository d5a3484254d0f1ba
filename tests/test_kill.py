"""A run may be killed at any moment: the same command again ends with the same weights and the same counts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from helpers import FORGETFUL, birdsounds_tree

HERE = Path(__file__).parent


def kill(folder: Path, *tasks: dict[str, Any]) -> list[dict[str, Any]]:
    """The outcomes of the tasks; each adds its `words` to the command."""
    (folder / "architectures").mkdir(parents=True)
    (folder / "architectures" / "forgetful.py").write_text(FORGETFUL)
    command = [
        *("run", "--arch", "forgetful", "--plugins", str(folder), "--image-size", "32"),
        *("--dataset", "birdsounds", "--data", str(birdsounds_tree(folder / "birdsounds"))),
        *("--batch-size", "3", "--lr", "1e-2", "--set", "schedule=cosine"),
        *("--set", "augmentation=time_roll"),
    ]
    given = [
        {**task, "command": [*command, *task["words"]], "folder": str(folder / f"work-{number}"), "seed": 0}
        for number, task in enumerate(tasks)
    ]
    words = [sys.executable, HERE / "killing.py", json.dumps(given)]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    results: list[dict[str, Any]] = json.loads(ran.stdout.splitlines()[-1])
    return results


AT_RANDOM = {"words": ["--epochs", "12", "--threads", "1"], "mode": "random", "repeats": 1}
AT_EACH_WRITE = {"words": ["--epochs", "8", "--threads", "2"], "mode": "steps", "kills": 14}
WHILE_TUNED = {
    "words": ["--epochs", "4", "--tune", "lr", "--budget", "2", "--threads", "1"],
    "mode": "steps",
    "kills": 9,
}


def require_no_change(found: dict[str, Any]) -> None:
    assert {*found["runs"], *found["repeats"]} == {found["expected"]}
    assert found["continued"] > 0


def test_kills_change_nothing(tmp_path: Path) -> None:
    """At random, at each write that reaches the disk, and while the learning rate is chosen."""
    random, *steps = kill(tmp_path, {**AT_RANDOM, "kills": 3}, AT_EACH_WRITE, WHILE_TUNED)
    assert random["kills"] == 3
    assert len(random["repeats"]) == 1
    for found in (random, *steps):
        require_no_change(found)


@pytest.mark.soak
def test_twenty_random_kills_in_a_row_change_nothing(tmp_path: Path) -> None:
    (found,) = kill(tmp_path, {**AT_RANDOM, "kills": 20})
    assert found["kills"] == 20
    require_no_change(found)
