"""The README is followed literally."""

import re
from collections.abc import Callable
from pathlib import Path

from helpers import SMALL, Ran

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_add_your_architecture(bench: Callable[..., Ran], tmp_path: Path) -> None:
    section = README.split("## Add your architecture")[1].split("\n## ")[0]
    (code,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "blur.py").write_text(code)
    commands = re.findall(r"^    bench (check|run|leaderboard)(.*?)(?:#.*)?$", section, re.MULTILINE)
    assert [name for name, _ in commands] == ["check", "run", "leaderboard"]
    small = ("--dataset", SMALL, "--image-size", "32", "--epochs", "1", "--batch-size", "4")
    for name, rest in commands:
        words = [name, *rest.split()]
        words += [] if name == "leaderboard" else ["--plugins", tmp_path]
        words += ["--results", tmp_path / "results"] if name != "check" else []
        ran = bench(*words, *(small if name == "run" else ()))
        assert ran.code == 0, ran.err
    assert "blur" in ran.out


def test_every_command_and_option_exists(bench: Callable[..., Ran]) -> None:
    joined = README.replace("\\\n", " ")
    lines = [line.split("#")[0].split() for line in re.findall(r"^    bench (.*)$", joined, re.MULTILINE)]
    assert len(lines) >= 8
    for words in lines:
        command = words[:2] if words[0] == "data" else words[:1]
        shown = bench(*command, "--help").out
        for option in [word for word in words if word.startswith("--")]:
            assert option in shown, f"bench {' '.join(command)} {option}"


def test_every_linked_file_exists() -> None:
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", README):
        assert (Path(__file__).parent.parent / target).exists(), target
