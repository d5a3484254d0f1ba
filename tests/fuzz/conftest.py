"""The table of the long profile."""

from typing import Any

import fuzzing


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say how many cases there were."""
    if fuzzing.LONG and fuzzing.counted:
        terminalreporter.section("fuzz")
        terminalreporter.write_line(fuzzing.table())
