"""The command `bench`: parses, delegates, prints. torch is imported inside the commands that need it."""

from collections.abc import Sequence

from benchmark.cli import cleaning, data, experiments
from benchmark.cli.common import app

__all__ = ["cleaning", "data", "experiments", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 a mistake that the message says how to mend, 130 interrupted."""
    app(arguments)
