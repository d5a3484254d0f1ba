"""Worker processes that end with the process that started them."""

import math
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeVar

from benchmark.plugins import loading

Item = TypeVar("Item")
Result = TypeVar("Result")

_AHEAD = 4
_PATIENCE_SECONDS = 1.0


class UnsendableError(Exception):
    """(number, reason): the item of that number, from 0, cannot be sent to workers, or not be received by them."""


def processors() -> int:
    """The processors that this process may use, by its affinity and by the time that its control group grants."""
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(present, granted())


def granted() -> int:
    """How many processors' time the control group grants (a container given two of 64 cores); no limit is huge."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return sys.maxsize


class Watch:
    """How busy other processes keep the machine from now on. Linux says; elsewhere nothing is known."""

    def __init__(self) -> None:
        self._started = _processor_times()

    def others(self) -> float | None:
        """The share of the machine's processor time that they took since, within 0 ... 1."""
        before, now = self._started, _processor_times()
        if before is None or now is None or now[1] <= before[1]:
            return None
        busy, total, own = (late - early for late, early in zip(now, before, strict=True))
        return min(max((busy - own) / total, 0.0), 1.0)


def _processor_times() -> tuple[float, float, float] | None:
    """Seconds of all processors since the start: busy, in all, and busy with this process."""
    try:
        fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
        user, nice, system, idle, waiting, *interrupts = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields)
    except (OSError, ValueError):
        return None
    busy = user + nice + system + sum(interrupts)  # and what a host took away from a virtual machine
    return busy, busy + idle + waiting, time.process_time()


def ordered(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """`function` of each item, in order, by a worker per processor.

    At most four results per worker are under way or wait to be taken: a `map` of the pool would take all items at
    once, and let the results pile up where they are used more slowly than made.

    Raises:
        UnsendableError: an item cannot be pickled, or is of a module that workers cannot import.
    """
    room = _AHEAD * processors()
    with pool() as executor:
        waiting: deque[Future[Result]] = deque()
        for number, item in enumerate(items):
            if len(waiting) == room:
                yield waiting.popleft().result()
            waiting.append(executor.submit(_call, number, _pickled(number, function, item)))
        while waiting:
            yield waiting.popleft().result()


def _pickled(number: int, *values: Any) -> bytes:
    # Here, because a pool that fails to pickle what it is to send may never end (seen with Python 3.11).
    try:
        return pickle.dumps(values)
    except Exception as error:
        raise UnsendableError(number, str(error)) from error


def _call(number: int, pickled: bytes) -> Any:
    try:
        function, item = pickle.loads(pickled)
    except Exception as error:
        raise UnsendableError(number, f"{type(error).__name__}: {error}") from error
    return function(item)


def pool(workers: int | None = None) -> ProcessPoolExecutor:
    """Spawned workers, by default one for each processor that this process may use.

    A fork would copy torch's threads in an undefined state. They leave an interruption to the process that started
    them: leaving the pool by it ends them at once, whatever they do. Leaving it by another exception cancels what has
    not begun.
    """
    context = multiprocessing.get_context("spawn")
    with _safe_path():
        made = _Pool(workers or processors(), context, _begin, (os.getpid(), *loading.executed()))
    _pools.add(made)
    return made


def end() -> None:
    """End the workers of every pool of this process at once; who waits for them finds the pool broken."""
    for each in list(_pools):
        each.end()


class _Pool(ProcessPoolExecutor):
    """One whose workers do not look for modules in the current folder; Python starts them as work is handed in."""

    def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
        """As the parent class does."""
        with _safe_path():
            return super().submit(*arguments, **named)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.end()
        self.shutdown(cancel_futures=kind is not None)

    def end(self) -> None:
        """End every worker now, and do not wait for what it was doing: a run may be killed at any moment."""
        running = list((self._processes or {}).values())
        for process in running:
            process.terminate()
        late = time.monotonic() + _PATIENCE_SECONDS
        while running and time.monotonic() < late:
            ended = wait([process.sentinel for process in running], late - time.monotonic())
            running = [process for process in running if process.sentinel not in ended]
        for process in running:
            process.kill()


_pools: "weakref.WeakSet[_Pool]" = weakref.WeakSet()


@contextmanager
def _safe_path() -> Iterator[None]:
    """What Python starts of its own begins as `python -c`, which looks for modules in the current folder first.

    Even for Python's own modules; but not where PYTHONSAFEPATH is set.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = before or "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]


def _begin(parent: int, packages: frozenset[str], texts: Mapping[str, bytes]) -> None:
    """A parent that was killed cannot stop its workers: they notice it themselves."""
    loading.receive(packages, texts)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
