"""`bench doctor`: examine packages, processor, GPUs and folders, and say how to fix what is wrong."""

from collections.abc import Iterator
from pathlib import Path

from benchmark.tools.doctor import folders, software
from benchmark.tools.doctor.finding import Finding

__all__ = ["Finding", "examine"]


def examine(results: Path) -> Iterator[Finding]:
    """Yield everything that was found, in the order in which it is shown."""
    yield from software.packages()
    torch = software.torch()
    yield torch
    if torch.status != "problem":
        from benchmark.tools.doctor import machine

        yield machine.processor()
        yield machine.memory()
        yield from machine.gpus()
        yield machine.arithmetic()
    yield from folders.both(results)
