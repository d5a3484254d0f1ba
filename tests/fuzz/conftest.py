"""A folder for plugins, and the table of the long profile."""

from pathlib import Path
from typing import Any

import fuzzing
import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the user's, as `--plugins` names it, without a plugin in it."""
    path = tmp_path_factory.mktemp("plugins")
    (path / "architectures").mkdir()
    (path / "datasets").mkdir()
    return path


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many cases there were."""
    if fuzzing.LONG and fuzzing.counted:
        terminalreporter.section("fuzz")
        terminalreporter.write_line(fuzzing.table())
