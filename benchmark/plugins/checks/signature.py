"""What both kinds of plugins must have in their file."""

import inspect
from collections.abc import Callable, Collection
from typing import Any

from benchmark.common.errors import first_line
from benchmark.plugins import registry
from benchmark.plugins.checks.outcome import ContractError


def require_keywords(
    name: str, function: Callable[..., Any], *, needed: Collection[str], given: Collection[str]
) -> None:
    """Keyword-only parameters: `needed` among them, all with a default but those and `given`.

    Raises:
        ContractError: one is missing, positional, or without a default.
    """
    parameters = registry.accepted(function)
    for parameter in needed:
        if parameter not in parameters:
            raise ContractError(f"{name}() does not take {parameter}")
    for parameter, found in parameters.items():
        if found.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise ContractError(f"{name}() takes {parameter} by position: put a * before it")
        if parameter not in (*needed, *given) and found.default is inspect.Parameter.empty:
            raise ContractError(f"parameter {parameter} has no default")


def require_bibtex(citation: str) -> None:
    """One entry or more, each with a key and a title.

    Raises:
        ContractError: it does not parse, or something is missing.
    """
    from pybtex.database import parse_string
    from pybtex.exceptions import PybtexError

    try:
        entries = parse_string(citation, "bibtex").entries
    except PybtexError as error:
        raise ContractError(f"the citation is not BibTeX: {first_line(error)}") from error
    if not entries:
        raise ContractError("citation holds no BibTeX entry, e.g. @misc{key, title={Title}}")
    for key, entry in entries.items():
        if "title" not in entry.fields:
            raise ContractError(f"the citation's entry {key} has no title")
