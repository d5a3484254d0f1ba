"""Records as they may be shown, whoever wrote them."""

from typing import Any, TypeVar

from pydantic import BaseModel

from benchmark.printable import printable

R = TypeVar("R", bound=BaseModel)


def shown(found: R) -> R:
    """The record, its texts on one line each and without what a terminal would obey; itself where they are so.

    Everything that is shown of records comes through here: no format needs to know what a terminal or a table cannot
    take beyond its own signs.
    """
    text = found.model_dump_json()
    if text.isprintable() and "\\" not in text.replace(r"\\", "").replace(r"\"", ""):
        return found  # no other escape of JSON stands for a sign that is shown
    return type(found).model_validate(_spelled(found.model_dump(by_alias=True)))


def _spelled(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_spelled(key): _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return value
