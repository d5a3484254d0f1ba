"""The one error type for a user's mistake, and text that a terminal may show."""

import difflib
import unicodedata
from collections.abc import Iterable

_LONGEST = 2_000
"""Characters of a message: what a file or a plugin says of itself may be megabytes."""


class UserError(ValueError):
    """A mistake that the user can mend. Its message is one line that names the fix; the command ends with code 2."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(str(message)))


def one_line(text: str) -> str:
    r"""A text for the terminal, whatever it quotes: control characters as `\n`, and without its middle if long."""
    text = printable(text)
    half = _LONGEST // 2 - 3
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


def first_line(error: BaseException) -> str:
    """The first line of an exception that says something; nothing where even that fails."""
    try:
        text = str(error)
    except Exception:
        return ""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the most similar known name, or nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with every character that is not shown as Python spells it: `\x1b`, `\n`, `\u202e`.

    Those are line ends, control characters (escape sequences begin with one), marks that turn the direction of writing,
    and what is left of names that are no UTF-8. `keep` are characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(sign if _is_shown(sign) or sign in keep else ascii(sign)[1:-1] for sign in text)


def _is_shown(sign: str) -> bool:
    return sign.isprintable() or unicodedata.category(sign) == "Zs"
