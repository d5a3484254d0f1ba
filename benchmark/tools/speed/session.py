"""A whole `bench speed`: every figure in a fresh process, contestants in turns."""

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import ParamSpec, TypeVar

from benchmark.common import workers
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report
from benchmark.tools.speed import ceiling, measure, rivals
from benchmark.tools.speed.ceiling import Ceiling
from benchmark.tools.speed.measure import Failure, Speed, Task
from benchmark.tools.speed.report import Race

P = ParamSpec("P")
T = TypeVar("T")


def ceilings(task: Task) -> Ceiling:
    """The device's."""
    return _fresh(ceiling.measure, task.device, task.precision, task.threads)


def speeds(tasks: Sequence[Task], most: Ceiling, report: Report) -> list[Speed | Failure]:
    """Each architecture, one after the other."""
    results: list[Speed | Failure] = []
    for number, task in enumerate(tasks):
        report("measuring", number, len(tasks), task.architecture)
        try:
            results.append(_fresh(measure.measure, task, most))
        except UserError as error:
            results.append(Failure(label=task.architecture, message=str(error)))
    report("measuring", len(tasks), len(tasks), "")
    return results


def races(tasks: Sequence[Task], against: Sequence[str], images: int, rounds: int, report: Report) -> list[Race]:
    """Ours and the rivals on the same images, in turns, `rounds` times."""
    found = []
    names = list(rivals.contestants(list(against)))
    total, done = len(tasks) * rounds * len(names), 0
    for task in tasks:
        rates: dict[str, list[float]] = {name: [] for name in names}
        decode: float | None = None
        failed: dict[str, str] = {}
        with tempfile.TemporaryDirectory(prefix="bench-speed-") as folder:
            count = _fresh(rivals.write_files, task, images, Path(folder))
            for number in range(rounds):
                # Every other round the other way about: what drifts on a shared machine favours nobody.
                for name in names if number % 2 == 0 else reversed(names):
                    report("racing", done, total, f"{task.architecture}: {name}")
                    done += 1
                    try:
                        raced = _fresh(rivals.race, task, name, Path(folder), count)
                    except UserError as error:
                        failed[name] = str(error)
                        continue
                    rates[name].append(raced.images_per_second)
                    decode = raced.decode_seconds or decode
        whole = {name: values for name, values in rates.items() if name not in failed}
        found.append(Race(label=task.architecture, images=count, rates=whole, decode_seconds=decode, failed=failed))
    report("racing", total, total, "")
    return found


def _fresh(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> T:
    """Call it in a process that has done nothing else."""
    with workers.pool(1) as pool:
        try:
            return pool.submit(work, *arguments, **options).result()
        except UserError:
            raise
        except BrokenProcessPool as error:
            raise UserError("the process was killed (out of memory?)") from error
        except Exception as error:
            line = first_line(error)
            raise UserError(f"{type(error).__name__}: {line}") from error
