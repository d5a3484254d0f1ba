"""Where a run computes: the device, its precision, its name and its memory. Shared by trainer and evaluator."""

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

    `devices`: how many processes share the work, one such device each. `deterministic`: CUDA kernels whose results
    repeat; a CPU's do at the same number of threads.
    """

    device: torch.device
    kind: str
    precision: str
    devices: int = 1
    deterministic: bool = False

    def autocast(self, *, cache: bool = True) -> AbstractContextManager[None]:
        """bf16 autocast, or nothing. `cache`: keep the weights' copies; not while a CUDA graph is recorded."""
        enabled = self.precision == "bf16"
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=enabled, cache_enabled=cache)

    def synchronise(self) -> None:
        """Wait for the device, before a clock is read."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()


def resolve(
    device: str, precision: str, *, deterministic: bool = False, devices: int = 1, local_rank: int = 0
) -> Hardware:
    """The hardware for `--device` ("auto", "cpu", "cuda", "cuda:1", "mps") and `--precision` ("auto" or a name).

    "auto" takes CUDA where there is one, else the CPU; the precision is bf16 where the hardware computes in it
    natively (AMX or AVX512-BF16 on a CPU), because anywhere else it is slower than fp32. Of several processes each
    takes the device of its `local_rank`.

    Raises:
        UserError: the device is not there, or it does not know the precision.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and devices > 1:
        device = f"cuda:{local_rank}"
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
    kind = _kind(resolved) if devices == 1 else f"{devices} x {_kind(resolved)}"
    return Hardware(device=resolved, kind=kind, precision=precision, devices=devices, deterministic=deterministic)


def _set_up_cuda(*, deterministic: bool) -> None:
    torch.backends.cudnn.benchmark = not deterministic  # all batches but the last have one shape: try what is fastest
    torch.backends.cudnn.deterministic = deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.use_deterministic_algorithms(deterministic)


def local_devices(device: str) -> list[str]:
    """What `--device` stands for on this machine when there is more than one run: all its GPUs, or that one device."""
    count = torch.cuda.device_count() if device in ("auto", "cuda") else 0
    return [f"cuda:{number}" for number in range(count)] if count > 1 else [device]


def pin_threads(count: int | None) -> int:
    """Fix the CPU threads of this process, because rounding depends on their number; returns it.

    Without a count it is torch's choice (OMP_NUM_THREADS, or the cores that this process may use), but no more than
    the processor time that the process's control group grants: a container given two of 64 cores would else run 64
    threads on two.

    Raises:
        UserError: so many threads would end the process, or keep it busy with nothing else.
    """
    if count is None:
        count = min(torch.get_num_threads(), workers.granted())
    if count > _MOST_THREADS:
        raise UserError(f"{count} threads are more than {_MOST_THREADS}: choose fewer with --threads")
    torch.set_num_threads(count)
    return count


def peak_memory_bytes(hardware: Hardware, *, fresh_process: bool) -> int | None:
    """Peak memory of the device since the last reset; on a CPU the resident memory of the process, known only if it
    ran nothing before.
    """
    if hardware.device.type == "cuda":
        return torch.cuda.max_memory_allocated(hardware.device)
    if not fresh_process or hardware.device.type != "cpu":
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def reset_peak_memory(hardware: Hardware) -> None:
    """Let the peak of a CUDA device's memory count from here on; that of a CPU's process cannot be reset."""
    if hardware.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(hardware.device)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a device or the machine had no memory left; torch's CPU allocator says so in a plain RuntimeError."""
    text = str(error).lower()
    said = any(words in text for words in ("out of memory", "can't allocate memory", "alloc_failed"))
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (isinstance(error, RuntimeError) and said)


def _check_present(device: torch.device) -> None:
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if count == 0:
            raise UserError(
                "no CUDA device is to be seen; use --device cpu, or install a driver and a CUDA build of torch"
            )
        if (device.index or 0) >= count:
            raise UserError(f"there is no {device}; the last one is cuda:{count - 1}")
    elif device.type == "mps":
        if not torch.backends.mps.is_available():
            raise UserError("no Apple GPU is to be seen; use --device cpu")
    elif device.type != "cpu":
        raise UserError(f"device '{device}' is not supported; use auto, cpu, cuda, cuda:N or mps")


def _native_precision(device: torch.device) -> str:
    if device.type == "cuda":
        # What has no bf16 is older than Ampere and has no TF32 either.
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device.type == "cpu" and {"amx_bf16", "avx512_bf16"} & _cpu_flags():
        return "bf16"
    return "fp32"


def _kind(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = _cpuinfo("model name") if device.type == "cpu" else ""
    name = name or platform.processor() or platform.machine()
    return name if device.type == "cpu" else f"{name} ({device.type})"


def _cpu_flags() -> frozenset[str]:
    return frozenset(_cpuinfo("flags").split())


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == field), "")
