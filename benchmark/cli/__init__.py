"""The command `bench`: parses, delegates, prints. torch is imported inside the commands that need it."""

import io
import sys
from collections.abc import Sequence

from benchmark.cli.check import check
from benchmark.cli.common import app, complain
from benchmark.cli.compare import compare
from benchmark.cli.curves import curves
from benchmark.cli.data import data
from benchmark.cli.denoise import denoise
from benchmark.cli.doctor import doctor
from benchmark.cli.export import export
from benchmark.cli.leaderboard import leaderboard
from benchmark.cli.list import list_
from benchmark.cli.manage import rename, rm
from benchmark.cli.new import new
from benchmark.cli.predict import predict
from benchmark.cli.run import run
from benchmark.cli.show import show
from benchmark.cli.speed import speed
from benchmark.cli.status import status
from benchmark.cli.transfer import transfer
from benchmark.cli.verify import verify
from benchmark.common import files

# In the order of the help.
RUN, READ, SOUND, MAKE = "Run", "Read", "Data and sound", "Make and check"
app.command(rich_help_panel=RUN)(run)
app.command(rich_help_panel=RUN)(transfer)
app.command(rich_help_panel=RUN)(speed)
app.command(rich_help_panel=RUN)(status)
app.command("list", rich_help_panel=RUN)(list_)
app.command(rich_help_panel=READ)(leaderboard)
app.command(rich_help_panel=READ)(compare)
app.command(rich_help_panel=READ)(show)
app.command(rich_help_panel=READ)(curves)
app.command(rich_help_panel=READ)(verify)
app.command(rich_help_panel=READ)(rm)
app.command(rich_help_panel=READ)(rename)
app.command(rich_help_panel=SOUND)(denoise)
app.command(rich_help_panel=SOUND)(predict)
app.command(rich_help_panel=SOUND)(export)
app.add_typer(data, name="data", rich_help_panel=SOUND)
app.add_typer(new, name="new", rich_help_panel=MAKE)
app.command(rich_help_panel=MAKE)(check)
app.command(rich_help_panel=MAKE)(doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    Exit codes: 0 done. 1 a bug of this program or of a plugin. 2 a mistake of the user, an error of the disk or the
    machine, or a failed check; the message names it. 130 interrupted, 143 told to stop.
    """
    words = [*(sys.argv[1:] if arguments is None else arguments)]
    everywhere = ("--debug", "--quiet", "-q")  # at any position
    words = [*(word for word in words if word in everywhere), *(word for word in words if word not in everywhere)]
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()  # closed by who called
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # for terminals that cannot show ±
            stream.reconfigure(errors="backslashreplace")
    try:
        app(words)
    except OSError as error:  # before a command begins, e.g. --version to a full disk
        complain(str(files.unusable(error)))
        sys.exit(2)
