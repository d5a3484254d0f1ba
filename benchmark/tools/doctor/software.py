"""Examine Python, torch and the other packages."""

import platform
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

import benchmark
from benchmark.common.errors import first_line
from benchmark.tools.doctor.finding import Finding


def packages() -> Iterator[Finding]:
    """This program, Python, and every required package that is missing or too old."""
    yield Finding(name="birdmask-bench", found=benchmark.__version__)
    yield Finding(name="Python", found=f"{platform.python_version()} on {platform.platform()}")
    for name, least in _required().items():
        installed = _version(name)
        remedy = f"pip install '{name}>={least}'"
        if installed is None:
            yield Finding(name=name, status="problem", found="not installed", remedy=remedy)
        elif _numbers(installed) < _numbers(least):
            found = f"{installed} is too old: {least} is the oldest version with the same numbers"
            yield Finding(name=name, status="problem", found=found, remedy=remedy)


def _required() -> dict[str, str]:
    """Package -> its oldest version, without extras; empty if birdmask-bench itself is not installed."""
    try:
        lines = requires("birdmask-bench") or []
    except PackageNotFoundError:
        return {}
    matches = (re.fullmatch(r"([\w.-]+)\s*>=\s*([\d.]+)", line) for line in lines)  # extras come after a semicolon
    return {match[1]: match[2] for match in matches if match}


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> list[int]:
    """The numbers of a version without trailing zeros: 13.0 equals 13."""
    numbers = [int(part) for part in re.findall(r"\d+", text.partition("+")[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


def torch() -> Finding:
    """The version and build of torch, or why it cannot be imported."""
    try:
        import torch
    except Exception as error:
        remedy = "install torch again: pip install --force-reinstall torch torchvision"
        return Finding(name="torch", status="problem", found=f"cannot be imported: {first_line(error)}", remedy=remedy)
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    return Finding(name="torch", found=f"{torch.__version__}, {build} build")
