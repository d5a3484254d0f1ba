"""The processor, the GPUs, and how a run would compute on them."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import torch

from benchmark.common import workers
from benchmark.common.errors import first_line
from benchmark.tools.doctor import attempts
from benchmark.tools.doctor.finding import GIB, Finding
from benchmark.training import hardware

_LEAST_MEMORY = 2 * GIB
_DRIVER = Path("/proc/driver/nvidia/version")


def processor() -> Iterator[Finding]:
    """Name, cores, threads of a run, memory."""
    name = hardware.resolve("cpu", "fp32").kind
    usable, threads = workers.processors(), hardware.pin_threads(None)
    found = f"{name}; {os.cpu_count()} core(s), {usable} of them granted; a run uses {threads} thread(s)"
    asked = os.environ.get("OMP_NUM_THREADS")
    if asked and threads < usable:
        remedy = f"bench run --threads {usable}, or unset OMP_NUM_THREADS, which is {asked}"
        yield Finding(name="processor", status="note", found=found, remedy=remedy)
    else:
        yield Finding(name="processor", found=found)
    memory = _memory()
    if memory < _LEAST_MEMORY:
        remedy = "take smaller batches: --micro-batch 4, or --batch-size (another table)"
        yield Finding(name="memory", status="warning", found=f"{memory / GIB:.1f} GiB", remedy=remedy)
    else:
        yield Finding(name="memory", found=f"{memory / GIB:.1f} GiB")


def _memory() -> int:
    """What is there, or less where the control group grants less."""
    there = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(there, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    except (OSError, ValueError):  # no such file, or "max"
        return there


def gpus() -> Iterator[Finding]:
    """CUDA devices, or why there are none; a Mac's."""
    if sys.platform == "darwin":
        there = torch.backends.mps.is_available()
        yield Finding(name="MPS", found="usable: --device mps" if there else "no Apple GPU is to be seen")
        return
    try:
        torch.cuda.init()
    except Exception as error:  # a CPU build, no driver, one that is too old: torch says which
        yield _without(first_line(error))
        return
    for index in range(torch.cuda.device_count()):
        yield _device(index)


def _without(reason: str) -> Finding:
    """A GPU that cannot be used is worth a warning; a machine without one is as it is."""
    remedy = (
        "nothing, where there is no NVIDIA GPU: runs use the CPU; else install its driver (nvidia-smi then shows it)"
    )
    if not _has_driver():
        return Finding(name="CUDA", status="note", found=f"not usable: {reason}", remedy=remedy)
    remedy = (
        "update the driver, or install a build of torch for it (pytorch.org, Get Started); until then runs use the CPU"
    )
    if torch.version.cuda is None:
        remedy = "install a CUDA build of torch (pytorch.org, Get Started); until then runs use the CPU"
    return Finding(name="CUDA", status="warning", found=f"not usable: {reason}", remedy=remedy)


def _has_driver() -> bool:
    return _DRIVER.exists() or shutil.which("nvidia-smi") is not None


def _device(index: int) -> Finding:
    properties = torch.cuda.get_device_properties(index)
    capability = f"{properties.major}.{properties.minor}"
    found = f"{properties.name}, {properties.total_memory / GIB:.1f} GiB, compute capability {capability}{_driver()}"
    wrong = _tried(attempts.sums, f"cuda:{index}")
    if wrong:
        remedy = "install a build of torch with kernels for it (pytorch.org, Get Started), or give --device cpu"
        return Finding(name=f"cuda:{index}", status="problem", found=f"{found}; fails: {wrong}", remedy=remedy)
    return Finding(name=f"cuda:{index}", found=found)


def _driver() -> str:
    try:
        match = re.search(r"Module\s+(?:for \S+\s+)?([\d.]+)", _DRIVER.read_text(encoding="utf-8"))
    except OSError:
        return ""
    return f", driver {match[1]}" if match else ""


def arithmetic() -> Iterator[Finding]:
    """What `--precision auto` takes on the device that `--device auto` takes, and why."""
    machine = hardware.resolve("auto", "auto")
    cuda = machine.device.type == "cuda"
    if machine.precision == "bf16":
        reason = "the GPU has it" if cuda else "the CPU has AMX or AVX512-BF16"
    else:
        reason = "the GPU is older than Ampere" if cuda else "the CPU has neither AMX nor AVX512-BF16"
        reason = f"bf16 would be emulated, because {reason}"
    tf32 = "TF32 with --precision tf32" if cuda and machine.precision == "bf16" else "no TF32"
    yield Finding(name="arithmetic", found=f"{machine.precision} on {machine.device.type}: {reason}; {tf32}")


def compiler() -> Iterator[Finding]:
    """Whether `--execution compiled` can work: torch compiles C++ for a CPU, Triton for CUDA."""
    cuda = torch.cuda.is_available()
    needed = "triton (pip install triton) and a C compiler" if cuda else "a C++ compiler"
    wrong = _tried(attempts.compiler, "cuda" if cuda else "cpu")
    yield _optional(
        "compiler", wrong, f"only --execution compiled needs it: install {needed} (Debian: apt install g++)"
    )


def _optional(name: str, wrong: str, remedy: str) -> Finding:
    if wrong:
        return Finding(name=name, status="note", found=f"not usable: {wrong}", remedy=remedy)
    return Finding(name=name, found="usable")


def _tried(attempt: Callable[[str], str], device: str) -> str:
    """Why it fails, or nothing."""
    try:
        with workers.pool(1) as executor:
            return executor.submit(attempt, device).result()
    except BrokenProcessPool:
        return "the process in which it was tried was killed"
