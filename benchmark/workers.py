"""Worker processes that end with the process that started them."""

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor


def pool(workers: int | None = None) -> ProcessPoolExecutor:
    """Spawned workers, by default one for each processor that this process may use.

    A fork would copy torch's threads in an undefined state. Those of all processors leave an interruption to the
    process that started them: their work is short.
    """
    quiet = workers is None
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A worker begins as `python -c`, which looks for modules in the current directory first, even for Python's own.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _begin, (os.getpid(), quiet))


def _begin(parent: int, quiet: bool) -> None:
    """A parent that was killed cannot stop its workers: they notice it themselves."""
    if quiet:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
