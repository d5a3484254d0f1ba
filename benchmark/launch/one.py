"""A run in this process, with a user's mistake as its result."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from benchmark import peers
from benchmark.errors import UserError
from benchmark.progress import Report, bars, silent
from benchmark.run import Outcome, Request, run

Result: TypeAlias = Outcome | UserError


def isolated(request: Request, title: str = "", *, quiet: bool = False) -> Result:
    """Run it in this process, which has done nothing else yet."""
    with _report(quiet=quiet or peers.local_rank() > 0) as report:
        if title:
            report("run", 0, 0, title)
        try:
            return run(replace(request, fresh_process=True), report)
        except UserError as error:
            return error


@contextmanager
def _report(*, quiet: bool) -> Iterator[Report]:
    if quiet:
        yield silent
        return
    with bars() as report:
        yield report


def title(request: Request, number: int, count: int) -> str:
    """What is announced of a run among others."""
    return f"{number} of {count}: {request.architecture}, seed {request.seed}"
