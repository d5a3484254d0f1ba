"""What a check says, and how one is run: a failure is one line, and never stops the others."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from benchmark.common.errors import UserError, first_line
from benchmark.plugins import guard, registry
from benchmark.plugins.registry import Plugin


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
        with guard.unchanged(subject.plugin.label, "in this check"):
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
