"""Check keyword arguments and BibTeX entries, which both kinds of plugins have."""

import inspect
from collections.abc import Callable, Collection
from typing import Any

from benchmark.common.errors import first_line
from benchmark.plugins import parameters
from benchmark.plugins.checks.outcome import ContractError


def require_keywords(
    name: str, function: Callable[..., Any], *, needed: Collection[str], given: Collection[str]
) -> None:
    """Require keyword-only parameters: all in `needed`, and defaults for all others but those in `given`.

    Raises:
        ContractError: a parameter is missing, positional, or has no default.
    """
    accepted = parameters.accepted(function)
    for parameter in needed:
        if parameter not in accepted:
            raise ContractError(f"{name}() does not take {parameter}")
    for parameter, found in accepted.items():
        if found.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise ContractError(f"{name}() takes {parameter} by position: write * before it")
        if parameter not in (*needed, *given) and found.default is inspect.Parameter.empty:
            raise ContractError(f"parameter {parameter} has no default")


def require_bibtex(citation: str) -> None:
    """Require one entry or more, each with a key and a title.

    Raises:
        ContractError: the text does not parse, or something is missing.
    """
    from pybtex.database import parse_string
    from pybtex.exceptions import PybtexError

    try:
        entries = parse_string(citation, "bibtex").entries
    except PybtexError as error:
        raise ContractError(f"the citation is not BibTeX: {first_line(error)}") from error
    if not entries:
        raise ContractError("citation has no BibTeX entry; write e.g. @misc{key, title={Title}}")
    for key, entry in entries.items():
        if "title" not in entry.fields:
            raise ContractError(f"the citation's entry {key} has no title")
