"""What a check says, and how one is run: a failure is one line, and never stops the others."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

from benchmark import registry
from benchmark.errors import UserError

Subject = TypeVar("Subject")


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
        said = check(subject)
    except InapplicableError as reason:
        return Result(check=name, outcome="skipped", reason=str(reason))
    except (ContractError, UserError) as reason:
        return Result(check=name, outcome="failed", reason=str(reason))
    except Exception as error:
        return Result(check=name, outcome="failed", reason=describe(error))
    return Result(check=name, outcome="passed", reason=said or "")


def describe(error: Exception) -> str:
    """An exception in one line, with the place in the plugin's file."""
    return f"{type(error).__name__}: {first_line(error)}{registry.place(error)}"


def first_line(error: Exception) -> str:
    """The first line that says something."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "")


def require(results: Iterable[Result]) -> None:
    """Nothing where every check passed or was skipped.

    Raises:
        AssertionError: one failed; the message has a line for each that did.
    """
    failed = [f"{result.check}: {result.reason}" for result in results if result.outcome == "failed"]
    if failed:
        raise AssertionError("\n".join(failed))
