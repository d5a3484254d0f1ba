"""A run in this process or in one of its own, with a user's mistake as its result."""

from collections.abc import Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeAlias

from benchmark import peers, workers
from benchmark.errors import UserError, first_line
from benchmark.progress import Report, bars, silent
from benchmark.run import Outcome, Request, run

Result: TypeAlias = Outcome | UserError


def isolated(request: Request, title: str = "", *, quiet: bool = False) -> Result:
    """Run it in this process, which has done nothing else yet."""
    with _report(quiet=quiet or not peers.first()) as report:
        if title:
            report("run", 0, 0, title)
        try:
            return run(replace(request, fresh_process=True), report)
        except UserError as error:
            return error


def apart(request: Request, title: str, *, quiet: bool = False) -> Result:
    """Run it in a process of its own; its death is a result, too."""
    with workers.pool(1) as pool:
        try:
            return pool.submit(isolated, request, title, quiet=quiet).result()
        except BrokenProcessPool:
            return UserError("the process was killed (out of memory? --micro-batch takes less)")
        except Exception as error:
            text = first_line(error)
            return UserError(f"unexpected {type(error).__name__}: {text}; run it alone to see where")


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
