"""Check that a plugin leaves the settings of the whole process alone: those of Python, NumPy and torch."""

import contextlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmark.plugins.checks.outcome import ContractError

if TYPE_CHECKING:
    from benchmark.plugins.checks.networks import Subject


def _set_device(name: str) -> None:
    torch.set_default_device(None if name == "cpu" else name)


_SETTINGS: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "the current directory": (os.getcwd, os.chdir),
    "NumPy's handling of errors": (np.geterr, lambda value: np.seterr(**value)),
    "torch's grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
    "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
    "torch's default device": (lambda: str(torch.empty(0).device), _set_device),
    "torch's deterministic mode": (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
    "torch's precision of float32 products": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    "torch's cudnn.benchmark": (
        lambda: torch.backends.cudnn.benchmark,
        lambda value: setattr(torch.backends.cudnn, "benchmark", value),
    ),
}
"""Name -> a function that reads the setting, and one that sets it."""


def read() -> dict[str, Any]:
    """The settings as they are now."""
    return {name: get() for name, (get, _) in _SETTINGS.items()}


def changed(before: dict[str, Any]) -> list[str]:
    """The names of the settings that differ from `before`."""
    return [name for name, value in read().items() if value != before[name]]


def restore(before: dict[str, Any]) -> None:
    """Set back every setting that differs from `before`."""
    for name in changed(before):
        _SETTINGS[name][1](before[name])


def check_global_settings(subject: "Subject") -> None:
    """Importing, building and running the network change no setting of the whole process."""
    with contextlib.suppress(Exception):  # a changed setting may be why it cannot run
        assert subject.logits.numel()
    found = [*subject.changed_at_import, *changed(subject.settings_before)]
    if found:
        raise ContractError(f"the plugin changes {found[0]} for the whole process: remove that")
    assert subject.logits.numel()  # it has been built and run
