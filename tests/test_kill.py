"""A run may be killed at any moment: the same command again ends with the same weights and the same counts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from helpers import FORGETFUL, birdsounds_tree

HERE = Path(__file__).parent


def kill(folder: Path, *more: str, threads: int, **task: Any) -> dict[str, Any]:
    (folder / "architectures").mkdir(parents=True)
    (folder / "architectures" / "forgetful.py").write_text(FORGETFUL)
    command = [
        *("run", "--arch", "forgetful", "--plugins", str(folder), "--image-size", "32"),
        *("--dataset", "birdsounds", "--data", str(birdsounds_tree(folder / "birdsounds"))),
        *("--epochs", "20", "--batch-size", "3", "--lr", "1e-2", "--set", "schedule=cosine"),
        *("--set", "augmentation=time_roll", "--threads", str(threads)),
        *more,
    ]
    task = {"command": command, "folder": str(folder / "work"), "seed": 0, **task}
    ran = subprocess.run(
        [sys.executable, HERE / "killing.py", json.dumps(task)], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    result: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return result


def test_twenty_random_kills_in_a_row_change_nothing(tmp_path: Path) -> None:
    found = kill(tmp_path, threads=1, mode="random", kills=20, repeats=2)
    assert found["kills"] == 20
    assert set(found["runs"]) == {found["expected"]}
    assert set(found["repeats"]) == {found["expected"]}  # three runs that nobody disturbed
    assert found["continued"] > 0


def test_a_kill_at_each_write_changes_nothing(tmp_path: Path) -> None:
    found = kill(tmp_path, threads=2, mode="steps", kills=14)
    assert set(found["runs"]) == {found["expected"]}
    assert found["continued"] > 0


def test_kills_while_the_learning_rate_is_chosen_change_nothing(tmp_path: Path) -> None:
    found = kill(tmp_path, "--epochs", "5", "--tune", "lr", "--budget", "3", threads=1, mode="steps", kills=14)
    assert set(found["runs"]) == {found["expected"]}
    assert found["continued"] > 0
