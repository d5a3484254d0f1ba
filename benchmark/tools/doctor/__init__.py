"""`bench doctor`: what this machine can do, what it lacks, and what to do about it.

finding     one line of what was found
software    Python, packages, plugins, their weights, programs that tests use
machine     processor, memory, GPUs, arithmetic, compiler
attempts    what can only be tried: in a process of its own, which may die of it
folders     where runs write
"""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from benchmark.common.progress import Report
from benchmark.tools.doctor import folders, software
from benchmark.tools.doctor.finding import Finding

__all__ = ["Finding", "examine"]

Examination = Callable[[], Iterable[Finding]]


def examine(results: Path, report: Report) -> list[Finding]:
    """Everything that was found, in the order in which it is shown."""
    steps: dict[str, Examination] = {"packages": software.packages}
    torch = software.torch()
    if torch.status != "problem":
        from benchmark.tools.doctor import machine

        steps["processor"] = machine.processor
        steps["GPU"] = machine.gpus
        steps["arithmetic"] = machine.arithmetic
        steps["compiler"] = machine.compiler
    steps["folders"] = partial(folders.both, results)
    steps["plugins"] = software.plugins
    steps["programs"] = software.programs
    found: list[Finding] = []
    for place, (name, step) in enumerate(steps.items()):
        report("examining", place, len(steps), name)
        found += step()
        found += [torch] if name == "packages" else []
    report("examining", len(steps), len(steps), "done")
    return found
