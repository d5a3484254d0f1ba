"""The one error type for a user's mistake, and how it suggests a name."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """A mistake that the user can mend. Its message is one line that names the fix; the command ends with code 2."""


def nearest(name: str, known: Iterable[str]) -> str:
    """` (did you mean 'x'?)` for the most similar known name, or nothing."""
    matches = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean '{matches[0]}'?)" if matches else ""
