"""What a record says of the program that made it."""

import shutil
from pathlib import Path

import pytest

import benchmark
from benchmark.records import describe

PACKAGE = Path(benchmark.__file__).parent


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the package, which is hashed instead of it."""
    shutil.copytree(PACKAGE, tmp_path / "benchmark", ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(benchmark, "__file__", str(tmp_path / "benchmark" / "__init__.py"))
    return tmp_path / "benchmark"


def hashed() -> str:
    return describe.core_hash.__wrapped__()


@pytest.mark.parametrize("name", ["leaderboard/columns.py", "cli/run.py", "tools/mix/make.py", "records/store.py"])
def test_checkpoints_outlive_a_change_of_what_makes_no_number(copy: Path, name: str) -> None:
    before = hashed()
    (copy / name).write_text((copy / name).read_text() + "\nADDED = 1\n")
    assert hashed() == before


@pytest.mark.parametrize(
    "name", ["training/steps.py", "training/evaluator.py", "data/images.py", "scores/counts.py", "plugins/network.py"]
)
def test_checkpoints_do_not_outlive_a_change_of_what_makes_numbers(copy: Path, name: str) -> None:
    before = hashed()
    (copy / name).write_text((copy / name).read_text() + "\n# a comment\n")
    assert hashed() == before
    (copy / name).write_text((copy / name).read_text() + "\nADDED = 1\n")
    assert hashed() != before
