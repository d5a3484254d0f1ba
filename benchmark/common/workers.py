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
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

Start: TypeAlias = Callable[[], object]

IN_PROCESS = 16  # items: with fewer, starting workers takes longer than the work
_AHEAD = 4
_PATIENCE_SECONDS = 1.0
_starts: list[Callable[[], Start]] = []
_environment_lock = threading.Lock()


class UnsendableError(Exception):
    """(number, reason): the item of that number, counted from 0, cannot be pickled here or unpickled in a worker."""


def at_start(prepare: Callable[[], Start]) -> None:
    """Let the workers of all later pools begin with the picklable function that `prepare` returns in this process."""
    _starts.append(prepare)


def processors() -> int:
    """The number of processors that this process may use, by its affinity and its control group."""
    present = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(present, granted())


def granted() -> int:
    """The processors that the control group grants (a container may have two of 64 cores); huge without a limit."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="utf-8").split()
        return max(1, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):  # no such file, or "max"
        return sys.maxsize


class Watch:
    """Measures how busy other processes keep the machine from now on; on Linux only."""

    def __init__(self) -> None:
        self._started = _processor_times()

    def others(self) -> float | None:
        """The share of the machine's processor time that they took since then, 0 to 1; None if unknown."""
        before, now = self._started, _processor_times()
        if before is None or now is None or now[1] <= before[1]:
            return None
        busy, total, own = (late - early for late, early in zip(now, before, strict=True))
        return min(max((busy - own) / total, 0.0), 1.0)


def _processor_times() -> tuple[float, float, float] | None:
    """Processor seconds since the machine started: busy, in total, and of this process."""
    try:
        fields = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
        user, nice, system, idle, waiting, *interrupts = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields)
    except (OSError, ValueError):
        return None
    busy = user + nice + system + sum(interrupts)  # with the time that the host took from a virtual machine
    return busy, busy + idle + waiting, time.process_time()


def ordered(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    """Yield `function(item)` for each item, in order, computed by one worker per processor; a few by this process.

    At most four results per worker are under way or wait to be taken. The pool's own `map` would take all items at
    once, and results would pile up if they are used more slowly than they are made.

    Raises:
        UnsendableError: an item cannot be pickled, or its module cannot be imported by a worker.
    """
    if len(items) <= IN_PROCESS:
        yield from map(function, items)
        return
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
    # Pickled here, because a pool that fails to pickle an item may never end (seen with Python 3.11).
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
    """A pool of spawned worker processes, by default one for each processor that this process may use.

    A fork would copy torch's threads in an undefined state. Workers ignore Ctrl-C: leaving the pool by it ends them at
    once. Leaving the pool by another exception cancels what has not begun.
    """
    context = multiprocessing.get_context("spawn")
    starts = tuple(prepare() for prepare in _starts)
    with _safe_path():
        made = _Pool(workers or processors(), context, _begin, (os.getpid(), starts))
    _pools.add(made)
    return made


def end() -> None:
    """End the workers of every pool of this process at once; waiting for their results raises BrokenProcessPool."""
    for each in list(_pools):
        each.end()


class _Pool(ProcessPoolExecutor):
    """A pool whose workers do not import from the current folder; Python starts them when work is submitted."""

    def submit(self, *arguments: Any, **named: Any) -> Future[Any]:
        """Submit a call, as the parent class does."""
        with _safe_path():
            return super().submit(*arguments, **named)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self.end()
        self.shutdown(cancel_futures=kind is not None)

    def end(self) -> None:
        """End every worker now, whatever it is doing: a run may be killed at any moment."""
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
    """Keep Python processes that start meanwhile from importing modules of the current folder.

    They start as `python -c`, which would search that folder first, even for Python's own modules.
    """
    with _environment_lock:  # several threads start workers
        before = os.environ.get("PYTHONSAFEPATH")
        os.environ["PYTHONSAFEPATH"] = before or "1"
        try:
            yield
        finally:
            if before is None:
                del os.environ["PYTHONSAFEPATH"]


def _begin(parent: int, starts: Sequence[Start]) -> None:
    """Prepare a worker. It watches its parent, because a parent that is killed cannot stop its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for start in starts:
        start()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
