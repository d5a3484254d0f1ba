"""Worker processes that end with the process that started them."""

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor


def pool(workers: int) -> ProcessPoolExecutor:
    """Spawned workers: a fork would copy torch's threads in an undefined state."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, _watch_parent, (os.getpid(),))


def _watch_parent(parent: int) -> None:
    """A parent that was killed cannot stop its workers: they notice it themselves."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
