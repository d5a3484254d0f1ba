"""What is known only when it is tried. Each runs in a worker, whose standard error nobody reads."""

import os
import warnings

import torch
from torch import Tensor
from torch._inductor import config

from benchmark.common.errors import first_line


def compiler(device: str) -> str:
    """Compile a small function; why that fails, or nothing."""
    _be_silent()
    try:
        # What was compiled before says nothing of the compiler now.
        with config.patch(force_disable_caches=True, compile_threads=1):
            torch.compile(_function, dynamic=False)(torch.ones(8, device=device))
    except Exception as error:
        return first_line(error) or type(error).__name__
    return ""


def sums(device: str) -> str:
    """Compute anything on the device; why that fails, or nothing."""
    _be_silent()
    try:
        torch.ones(8, device=device).sum().item()
    except Exception as error:
        return first_line(error) or type(error).__name__
    return ""


def _function(value: Tensor) -> Tensor:
    return (value * 2 + 1).relu()


def _be_silent() -> None:
    """Compilers write for their authors."""
    warnings.simplefilter("ignore")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
