"""End cleanly when this process is told to (SIGTERM), as clusters and service managers do."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopped(KeyboardInterrupt):
    """The process was told to end. It ends like after Ctrl-C, with another exit code."""


@contextmanager
def heeded() -> Iterator[None]:
    """Raise Stopped in the block when SIGTERM comes; a block of `deferred` inside decides when."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Give the block a function that says whether SIGTERM has come; the block saves and raises Stopped itself.

    A second SIGTERM ends it at once. Where SIGTERM is not heeded it ends the process, as everywhere.
    """
    told: list[bool] = []

    def note(*_: object) -> None:
        if told:
            raise Stopped
        told.append(True)

    if signal.getsignal(signal.SIGTERM) is not _stop:
        yield lambda: False
        return
    signal.signal(signal.SIGTERM, note)
    try:
        yield lambda: bool(told)
    finally:
        signal.signal(signal.SIGTERM, _stop)


def _stop(*_: object) -> None:
    raise Stopped
