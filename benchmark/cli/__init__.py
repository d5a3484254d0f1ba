"""The command `bench`: parses, delegates, prints. torch is imported inside the commands that need it."""

import io
import sys
from collections.abc import Sequence

from benchmark.cli.check import check
from benchmark.cli.common import app
from benchmark.cli.compare import compare
from benchmark.cli.data import data
from benchmark.cli.denoise import denoise
from benchmark.cli.doctor import doctor
from benchmark.cli.leaderboard import leaderboard
from benchmark.cli.list import list_
from benchmark.cli.new import new
from benchmark.cli.run import run
from benchmark.cli.speed import speed
from benchmark.cli.transfer import transfer
from benchmark.cli.verify import verify

# In the order of the help.
app.command()(run)
app.command()(leaderboard)
app.command()(compare)
app.command()(verify)
app.command()(transfer)
app.command()(speed)
app.command()(doctor)
app.command("list")(list_)
app.command()(check)
app.add_typer(new, name="new")
app.add_typer(data, name="data")
app.command()(denoise)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    0: done. 1: a bug, ours or a plugin's. 2: something is wrong, and the message names it: a mistake, what the machine
    refuses, what a check found. 130: interrupted.
    """
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    if "--debug" in words:  # wherever it stands
        words = ["--debug", *(word for word in words if word != "--debug")]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that cannot show ± is no reason to show nothing
            stream.reconfigure(errors="backslashreplace")
    app(words)
