"""Run one check: a failure becomes a result with a reason in one line, and stops no other check."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from benchmark.common.errors import UserError, first_line
from benchmark.plugins import blame
from benchmark.plugins.registry import Plugin


class HasPlugin(Protocol):
    """The argument of a check."""

    plugin: Plugin


Subject = TypeVar("Subject", bound=HasPlugin)


class ContractError(Exception):
    """A check failed; the message is the reason in one line."""


class InapplicableError(Exception):
    """A check does not apply; the message says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The outcome of one check; a check that passed may have an empty `reason`."""

    check: str
    outcome: Literal["passed", "failed", "skipped"]
    reason: str = ""


def result(check: Callable[[Subject], str | None], subject: Subject) -> Result:
    """Run one function called `check_...`; the text that it returns is the reason of "passed"."""
    name = check.__name__.removeprefix("check_")
    try:
        said = check(subject)
    except InapplicableError as reason:
        return Result(check=name, outcome="skipped", reason=str(reason))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Result(check=name, outcome="failed", reason=describe(error, subject.plugin))
    return Result(check=name, outcome="passed", reason=said or "")


def describe(error: BaseException, plugin: Plugin) -> str:
    """An exception in one line; one that no check raised itself, with its type and its line in the plugin's file."""
    if isinstance(error, ContractError | UserError):
        return first_line(error)
    place = blame.place(error, plugin.source)
    return f"{type(error).__name__}: {first_line(error)}{place}"


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what libraries log and print about a failure."""
    logging.disable(logging.CRITICAL)
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


def require(results: Iterable[Result]) -> None:
    """Require that every check passed or was skipped.

    Raises:
        AssertionError: a check failed; the message has a line for each.
    """
    failed = [f"{result.check}: {result.reason}" for result in results if result.outcome == "failed"]
    if failed:
        raise AssertionError("\n".join(failed))
