"""Examine the processor, the memory and the GPUs, and how a run would compute on them."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmark.common import workers
from benchmark.common.errors import first_line
from benchmark.tools.doctor.finding import GIB, Finding
from benchmark.training import hardware

_LEAST_MEMORY = 2 * GIB


def processor() -> Finding:
    """Name and cores of the processor, and the threads that a run uses."""
    name = hardware.resolve("cpu", "fp32").kind
    usable, threads = workers.processors(), hardware.pin_threads(None)
    found = f"{name}; {os.cpu_count()} core(s), {usable} of them usable; a run uses {threads} thread(s)"
    asked = os.environ.get("OMP_NUM_THREADS")
    if asked and threads < usable:
        remedy = f"bench run --threads {usable}, or unset OMP_NUM_THREADS, which is {asked}"
        return Finding(name="processor", status="note", found=found, remedy=remedy)
    return Finding(name="processor", found=found)


def memory() -> Finding:
    """The memory of the machine, or of its control group (a container) if that is less."""
    size = _memory()
    if size < _LEAST_MEMORY:
        remedy = "use smaller batches: --micro-batch 4, or --batch-size (another table)"
        return Finding(name="memory", status="warning", found=f"{size / GIB:.1f} GiB", remedy=remedy)
    return Finding(name="memory", found=f"{size / GIB:.1f} GiB")


def _memory() -> int:
    """Bytes."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(installed, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    except (OSError, ValueError):  # no such file, or "max"
        return installed


def gpus() -> Iterator[Finding]:
    """The CUDA devices, or why there are none; on a Mac, its GPU."""
    if sys.platform == "darwin":
        usable = torch.backends.mps.is_available()
        yield Finding(name="MPS", found="usable: --device mps" if usable else "no Apple GPU found")
        return
    try:
        torch.cuda.init()
    except Exception as error:  # a CPU build, no driver, or an old one: torch says which
        yield _no_cuda(first_line(error))
        return
    for index in range(torch.cuda.device_count()):
        yield _device(index)


def _no_cuda(reason: str) -> Finding:
    """A note on a machine without an NVIDIA driver, a warning on one that has it."""
    found = f"not usable: {reason}"
    if shutil.which("nvidia-smi") is None:
        remedy = "none needed without an NVIDIA GPU: runs use the CPU; with one, install its driver"
        return Finding(name="CUDA", status="note", found=found, remedy=remedy)
    remedy = "update the driver, or install a build of torch for it (pytorch.org, Get Started); runs use the CPU now"
    if torch.version.cuda is None:
        remedy = "install a CUDA build of torch (pytorch.org, Get Started); runs use the CPU now"
    return Finding(name="CUDA", status="warning", found=found, remedy=remedy)


def _device(index: int) -> Finding:
    """One CUDA device, tried with a small sum: torch may have no kernels for it."""
    name, properties = f"cuda:{index}", torch.cuda.get_device_properties(index)
    found = f"{properties.name}, {properties.total_memory / GIB:.1f} GiB, "
    found += f"compute capability {properties.major}.{properties.minor}"
    try:
        torch.ones(8, device=name).sum().item()
    except Exception as error:
        remedy = "install a build of torch with kernels for it (pytorch.org, Get Started), or use --device cpu"
        return Finding(name=name, status="problem", found=f"{found}; fails: {first_line(error)}", remedy=remedy)
    return Finding(name=name, found=found)


def arithmetic() -> Finding:
    """The precision that `--precision auto` chooses on the device that `--device auto` chooses, and why."""
    machine = hardware.resolve("auto", "auto")
    cuda = machine.device.type == "cuda"
    if machine.precision == "bf16":
        reason = "the GPU has it" if cuda else "the CPU has AMX or AVX512-BF16"
    else:
        reason = "the GPU is older than Ampere" if cuda else "the CPU has neither AMX nor AVX512-BF16"
        reason = f"bf16 would be emulated, because {reason}"
    tf32 = "TF32 with --precision tf32" if cuda and machine.precision == "bf16" else "no TF32"
    return Finding(name="arithmetic", found=f"{machine.precision} on {machine.device.type}: {reason}; {tf32}")
