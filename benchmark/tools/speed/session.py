"""Measure several networks, each in a fresh process."""

from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

from benchmark.common import workers
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report
from benchmark.tools.speed import measure
from benchmark.tools.speed.ceiling import Ceiling
from benchmark.tools.speed.measure import Failure, Speed, Task

P = ParamSpec("P")
T = TypeVar("T")


def measure_each(tasks: Sequence[Task], most: Ceiling, report: Report) -> list[Speed | Failure]:
    """The figures of each network, measured one after the other; `most` are the device's ceilings."""
    results: list[Speed | Failure] = []
    for number, task in enumerate(tasks):
        report("measuring", number, len(tasks), task.architecture)
        try:
            results.append(in_fresh_process(measure.measure, task, most))
        except UserError as error:
            results.append(Failure(label=task.architecture, message=str(error)))
    report("measuring", len(tasks), len(tasks), "")
    return results


def in_fresh_process(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call `work` in a process that has done nothing else.

    Raises:
        UserError: the process was killed, or `work` raised an exception.
    """
    with workers.pool(1) as pool:
        try:
            return pool.submit(work, *arguments, **options).result()
        except UserError:
            raise
        except BrokenProcessPool as error:
            raise UserError("the process was killed (out of memory?)") from error
        except Exception as error:
            raise UserError(f"{type(error).__name__}: {first_line(error)}") from error
