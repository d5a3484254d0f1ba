"""Settings of the whole process, which no plugin may change for those after it: of Python, of NumPy, of torch.

NumPy and torch are looked at where something has imported them; this module does not.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from benchmark.common.errors import UserError

_Setting: TypeAlias = tuple[Callable[[], Any], Callable[[Any], object]]
"""How it is read, and how it is set."""


@contextmanager
def unchanged(who: str, when: str) -> Iterator[None]:
    """What the whole process shares is as it was afterwards.

    Raises:
        UserError: `who` had changed it, `when` ("when it is imported").
    """
    before = {name: read() for name, (read, _) in _settings().items()}
    try:
        yield
    finally:
        changed = _restored(before)
    if changed:
        raise UserError(f"{who} changes {changed[0]} for the whole process {when}: take that out of it")


def _restored(before: dict[str, Any]) -> list[str]:
    """The names of what differs; it is set back."""
    changed = []
    for name, (read, set_back) in _settings().items():
        old = before.get(name, _FRESH.get(name))
        if old is not None and read() != old:
            changed.append(name)
            set_back(old)
    return changed


def _settings() -> dict[str, _Setting]:
    found: dict[str, _Setting] = {
        "the current directory": (_here, os.chdir),
        "the filters of Python's warnings": (_blanket, _set_blanket),
    }
    numpy, torch = (sys.modules.get(name) for name in ("numpy", "torch"))
    if numpy is not None:
        found["NumPy's handling of errors"] = (numpy.geterr, lambda value: numpy.seterr(**value))
    return found | (_of_torch(torch) if torch is not None else {})


_FRESH = {
    "torch's grad mode": True,
    "torch's default dtype": "float32",
    "torch's default device": "cpu",
    "torch's deterministic mode": (False, False),
    "torch's cudnn.enabled": True,
    "torch's cudnn.benchmark": False,
    "torch's cudnn.deterministic": False,
}
"""As torch begins: what a plugin that is the first to import it finds."""


def _of_torch(torch: Any) -> dict[str, _Setting]:
    def of_cudnn(name: str) -> _Setting:
        return lambda: getattr(torch.backends.cudnn, name), lambda value: setattr(torch.backends.cudnn, name, value)

    modes = (torch.are_deterministic_algorithms_enabled, torch.is_deterministic_algorithms_warn_only_enabled)
    products = (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision)
    return {
        "torch's grad mode": (torch.is_grad_enabled, torch.set_grad_enabled),
        "torch's default dtype": (
            lambda: str(torch.get_default_dtype()).removeprefix("torch."),
            lambda name: torch.set_default_dtype(getattr(torch, name)),
        ),
        "torch's default device": (
            lambda: str(torch.empty(0).device),  # torch 2.6 forgets what None set
            lambda name: torch.set_default_device(None if name == "cpu" else name),
        ),
        "torch's deterministic mode": (
            lambda: tuple(mode() for mode in modes),
            lambda value: torch.use_deterministic_algorithms(value[0], warn_only=value[1]),
        ),
        "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
        "torch's precision of float32 products": products,
        **{f"torch's cudnn.{name}": of_cudnn(name) for name in ("enabled", "benchmark", "deterministic")},
    }


def _here() -> str | None:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed: there is none to go back to
        return None


def _is_blanket(entry: Any) -> bool:
    """Whether a filter is of everybody's warnings: libraries rightly add some for messages or kinds of their own."""
    _, message, category, module, _ = entry
    return message is None and module is None and category.__module__ == "builtins"


def _blanket() -> list[Any]:
    return [entry for entry in warnings.filters if _is_blanket(entry)]


def _set_blanket(before: list[Any]) -> None:
    for entry in _blanket():
        warnings.filters.remove(entry)  # type: ignore[attr-defined]
    for action, _, category, _, line in before:
        warnings.simplefilter(action, category, line, append=True)
