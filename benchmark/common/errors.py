"""The error type for mistakes of the user, and functions that make text safe for a terminal."""

import difflib
import unicodedata
from collections.abc import Iterable

_LONGEST = 2_000
"""Characters of a message: the text of a file or a plugin may have megabytes."""


class UserError(ValueError):
    """A mistake that the user can fix. The message is one line that names the fix; the command exits with code 2."""

    def __init__(self, message: object) -> None:
        super().__init__(one_line(str(message)))


def one_line(text: str) -> str:
    r"""The text in one line: control characters are written as `\n`, and a long text loses its middle."""
    text = printable(text)
    half = _LONGEST // 2 - 3
    return text if len(text) <= _LONGEST else f"{text[:half]} ... {text[-half:]}"


def first_line(error: BaseException) -> str:
    """The first line of an exception's message that is not empty; empty if the exception has no message."""
    try:
        text = str(error)
    except Exception:
        return ""
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the most similar known name; empty if none is similar."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with every invisible character written as in Python: `\x1b`, `\n`, `\u202e`.

    Invisible are line ends, control characters (escape sequences begin with one), marks that change the direction of
    writing, and undecodable bytes of file names. Characters in `keep` stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(sign if _is_shown(sign) or sign in keep else ascii(sign)[1:-1] for sign in text)


def _is_shown(sign: str) -> bool:
    return sign.isprintable() or unicodedata.category(sign) == "Zs"
