"""The table of the long profile."""

import fuzzing
import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many cases there were."""
    if fuzzing.LONG and fuzzing.counted:
        terminalreporter.section("fuzz")
        terminalreporter.write_line(fuzzing.table())
