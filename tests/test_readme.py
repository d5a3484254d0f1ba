"""README and docs are followed literally."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers import TINY, Bench, planted

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SECTION = (ROOT / "docs" / "add-a-network.md").read_text()
PAGES = pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)


def test_add_your_architecture(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commands in their order; only the run is made small."""
    monkeypatch.chdir(tmp_path)
    commands = [line.split("#")[0].split() for line in re.findall(r"^    bench (.*)$", SECTION, re.MULTILINE)]
    assert [words[0] for words in commands] == ["new", "check", "run", "leaderboard"]
    for words in commands:
        ran = bench(*words, *(TINY if words[0] == "run" else ()))
        assert ran.code == 0, ran.err
    assert any(line.split()[1:2] == ["my_net"] for line in ran.out.splitlines())


def test_the_plugin_and_the_test_that_are_shown(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, test = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)
    assert plugin in README
    planted(tmp_path, "architectures", plugin)
    (tmp_path / "architectures" / "planted.py").rename(tmp_path / "architectures" / "my_net.py")
    assert bench("check", "my_net:width=5").code == 0
    namespace: dict[str, Callable[[], None]] = {}
    exec(test, namespace)
    namespace["test_my_net"]()


def test_a_dataset_alike(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = re.findall(r"`bench ((?:new dataset|check --dataset) [^`]*)`", SECTION)
    assert len(commands) == 2
    for words in commands:
        assert bench(*words.split()).code == 0


@PAGES
def test_every_command_and_option_exists(bench: Bench, page: Path) -> None:
    joined = page.read_text().replace("\\\n", " ")
    lines = [line.split("#")[0].split() for line in re.findall(r"^    bench (.*)$", joined, re.MULTILINE)]
    for words in lines:
        command = words[:2] if words[0] in ("data", "new") else words[:1]
        shown = bench(*command, "--help").out
        for option in [word for word in words if word.startswith("--")]:
            assert option in shown, f"bench {' '.join(command)} {option}"


@PAGES
def test_every_linked_file_exists(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)[^)]*\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 120


def test_the_table_of_rivals_is_what_the_command_wrote() -> None:
    written = set((ROOT / "results" / "rivals.md").read_text().splitlines())
    shown = [
        line
        for line in (ROOT / "README.md").read_text().splitlines()
        if line.startswith(("| bench denoise", "| noisereduce", "| wiener"))
    ]
    assert len(shown) == 4
    assert set(shown) <= written
