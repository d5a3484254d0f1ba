"""What a check says, and how one is run: a failure is one line, and never stops the others."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import torch

from benchmark import registry
from benchmark.errors import UserError, first_line
from benchmark.registry import Plugin


class HasPlugin(Protocol):
    """What a check takes."""

    plugin: Plugin


Subject = TypeVar("Subject", bound=HasPlugin)


class ContractError(Exception):
    """A check's reason to fail, in one line."""


class InapplicableError(Exception):
    """Why a check cannot apply."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The outcome of one check; `reason` is empty where it passed and there is nothing to say."""

    check: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str = ""


def result(check: Callable[[Subject], str | None], subject: Subject) -> Result:
    """Run one function called `check_...`; what it returns is said beside "passed"."""
    name = check.__name__.removeprefix("check_")
    try:
        with unchanged_torch():
            said = check(subject)
    except InapplicableError as reason:
        return Result(check=name, outcome="skipped", reason=str(reason))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Result(check=name, outcome="failed", reason=describe(error, subject.plugin))
    return Result(check=name, outcome="passed", reason=said or "")


def describe(error: BaseException, plugin: Plugin) -> str:
    """An exception in one line; one that is no reason of ours with its kind and its place in the plugin's file."""
    if isinstance(error, ContractError | UserError):
        return first_line(error)
    place = registry.place(error, plugin.source)
    return f"{type(error).__name__}: {first_line(error)}{place}"


@contextmanager
def unchanged_torch() -> Iterator[None]:
    """What torch keeps for the whole process is as it was afterwards.

    Raises:
        ContractError: it had been changed.
    """
    before = _torch_state()
    try:
        yield
        changed = [name for name, value in _torch_state().items() if value != before[name]]
        if changed:
            raise ContractError(f"changes torch's {changed[0]} for the whole process")
    finally:
        _restore(before)


def _torch_state() -> dict[str, object]:
    return {
        "grad mode": torch.is_grad_enabled(),
        "default dtype": torch.get_default_dtype(),
        "deterministic mode": torch.are_deterministic_algorithms_enabled(),
        "number of threads": torch.get_num_threads(),
        "cudnn.enabled": torch.backends.cudnn.enabled,
    }


def _restore(state: dict[str, object]) -> None:
    torch.set_grad_enabled(bool(state["grad mode"]))
    torch.set_default_dtype(state["default dtype"])  # type: ignore[arg-type]  # read from torch above
    torch.use_deterministic_algorithms(bool(state["deterministic mode"]))
    if torch.get_num_threads() != state["number of threads"]:
        torch.set_num_threads(int(str(state["number of threads"])))
    torch.backends.cudnn.enabled = bool(state["cudnn.enabled"])


@contextmanager
def quiet() -> Iterator[None]:
    """What libraries log and print of a failure would stand around the one line that says it."""
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def require(results: Iterable[Result]) -> None:
    """Nothing where every check passed or was skipped.

    Raises:
        AssertionError: one failed; the message has a line for each that did.
    """
    failed = [f"{result.check}: {result.reason}" for result in results if result.outcome == "failed"]
    if failed:
        raise AssertionError("\n".join(failed))
