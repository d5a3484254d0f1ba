"""Text from records, data and plugins, as it may be shown: on one line, and without what a terminal would obey."""

import unicodedata


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
