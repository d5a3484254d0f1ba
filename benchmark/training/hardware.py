"""The device of a run, its precision, threads and memory. Trainer and evaluator share it."""

import os
import platform
import resource
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmark.common import workers
from benchmark.common.errors import UserError

PRECISIONS = ("bf16", "tf32", "fp32")
_MOST_THREADS = 256


@dataclass(frozen=True, kw_only=True, slots=True)
class Hardware:
    """A device and the precision of its arithmetic: bf16 autocast, fp32 with TF32 products, or plain fp32.

    `kind` is the device's name. `deterministic` chooses CUDA kernels whose results repeat to the bit; a CPU's results
    repeat at the same number of threads anyway.
    """

    device: torch.device
    kind: str
    precision: str
    deterministic: bool = False

    def autocast(self) -> AbstractContextManager[None]:
        """A bf16 autocast if the precision is bf16, else nothing."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def synchronise(self) -> None:
        """Wait for the device before a clock is read."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def resolve(device: str, precision: str, *, deterministic: bool = False) -> Hardware:
    """The hardware for `--device` ("auto", "cpu", "cuda", "cuda:1", "mps") and `--precision` ("auto" or a name).

    The device "auto" is CUDA if there is a GPU, else the CPU. The precision "auto" is bf16 if the hardware computes in
    it natively (a CPU with AMX or AVX512-BF16), because bf16 is slower than fp32 elsewhere.

    Raises:
        UserError: there is no such device, or it does not have the precision.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        resolved = torch.device(device)
    except RuntimeError as error:
        raise UserError(f"no device '{device}'; use auto, cpu, cuda, cuda:N or mps") from error
    _check_present(resolved)
    if resolved.type == "cuda" and resolved.index is not None:
        torch.cuda.set_device(resolved)
    if precision == "auto":
        precision = _native_precision(resolved)
    if precision not in PRECISIONS:
        raise UserError(f"no precision '{precision}'; use auto, {', '.join(PRECISIONS)}")
    if precision == "tf32" and resolved.type != "cuda":
        raise UserError("precision tf32 exists on CUDA only; use fp32")
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    if resolved.type == "cuda":
        _set_up_cuda(deterministic=deterministic)
    return Hardware(device=resolved, kind=_kind(resolved), precision=precision, deterministic=deterministic)


def _set_up_cuda(*, deterministic: bool) -> None:
    torch.backends.cudnn.benchmark = not deterministic  # try kernels: all batches but the last have one shape
    torch.backends.cudnn.deterministic = deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.use_deterministic_algorithms(deterministic)


def local_devices(device: str) -> list[str]:
    """The devices that `--device` means for several runs on this machine: all its GPUs, or that one device."""
    count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    return [f"cuda:{number}" for number in range(count)] if count > 1 else [device]


def pin_threads(count: int | None) -> int:
    """Fix the number of CPU threads of this process, because rounding depends on it; returns the number.

    The default is torch's choice (OMP_NUM_THREADS, or the cores that this process may use), but no more than the
    processor time that the process's control group grants: a container with two of 64 cores gets two threads.

    Raises:
        UserError: the count is so large that it would crash the process or stall it.
    """
    if count is None:
        count = min(torch.get_num_threads(), workers.granted())
    if count > _MOST_THREADS:
        raise UserError(f"{count} threads are more than {_MOST_THREADS}: choose fewer with --threads")
    torch.set_num_threads(count)
    return count


def peak_memory_bytes(hardware: Hardware, *, fresh_process: bool) -> int | None:
    """Peak memory of a CUDA device since the last reset; on a CPU the peak resident memory of a fresh process.

    None where it is not known: the process ran something before, or the device is an Apple GPU.
    """
    if hardware.device.type == "cuda":
        return torch.cuda.max_memory_allocated(hardware.device)
    if not fresh_process or hardware.device.type != "cpu":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory(hardware: Hardware) -> None:
    """Start the peak memory of a CUDA device anew; the peak of a CPU's process cannot be reset."""
    if hardware.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(hardware.device)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device or the machine had no memory left; torch's CPU allocator raises a plain RuntimeError."""
    text = str(error).lower()
    said = any(words in text for words in ("out of memory", "can't allocate memory", "alloc_failed"))
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (isinstance(error, RuntimeError) and said)


def _check_present(device: torch.device) -> None:
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            raise UserError("no CUDA device found; use --device cpu, or install a driver and a CUDA build of torch")
        if (device.index or 0) >= count:
            raise UserError(f"there is no device {device}; the last one is cuda:{count - 1}")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise UserError("no Apple GPU found; use --device cpu")
    elif device.type != "cpu":
        raise UserError(f"device '{device}' is not supported; use auto, cpu, cuda, cuda:N or mps")


def _native_precision(device: torch.device) -> str:
    if device.type == "cuda":
        # A GPU without bf16 is older than Ampere and has no TF32 either.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu" and {"amx_bf16", "avx512_bf16"} & set(_cpuinfo("flags").split()):
        return "bf16"
    return "fp32"


def _kind(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = _cpuinfo("model name") if device.type == "cpu" else ""
    name = name or platform.processor() or platform.machine()
    return name if device.type == "cpu" else f"{name} ({device.type})"


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")
