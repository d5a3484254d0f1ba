"""Plugin files for the fuzz tests: a template whose places are filled, as a file that lives for a block."""

import itertools
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmark.plugins import registry

ERRORS = """class EvilError(Exception):
    def __str__(self):
        raise RuntimeError("not even a message")


class Abrupt(BaseException):
    pass


def deep(number=0):
    return deep(number + 1)"""
"""What the lines of RAISED need; every template has a place for it."""

RAISED = [
    "raise ValueError('no')",
    "raise ValueError('a\\nb\\x1b[31m' + 'x' * 9_999)",
    "raise ValueError",
    "raise UserWarning('w')",
    "raise SystemExit(3)",
    "sys.exit('text')",
    "sys.exit()",
    "raise Abrupt('b')",
    "raise GeneratorExit",
    "raise EvilError",
    "raise StopIteration",
    "raise OSError(28, 'No space left on device')",
    "raise FileNotFoundError('weights.pth')",
    "raise UnicodeDecodeError('utf-8', b'x', 0, 1, 'bad')",
    "raise ExceptionGroup('several', [ValueError('one'), TypeError('two')])",
    "raise AssertionError",
    "raise KeyError('k')",
    "deep()",
    "eval('(' * 500)",
    "import nowhere_at_all",
    "1 / 0",
    "np.zeros(3)[7]",
    "torch.zeros(2) @ torch.zeros(3)",
    "nowhere",
]
"""Lines that raise, each in its own way."""

numbers = itertools.count()
"""For names that no other case has."""


@contextmanager
def plugin(folder: Path, kind: registry.Kind, code: bytes) -> Iterator[str]:
    """A plugin file of its own name, for as long as the block runs."""
    registry.add_folder(folder)
    name = f"fuzzed_{next(numbers)}"
    path = folder / kind / f"{name}.py"
    path.write_bytes(code)
    before = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    try:
        yield name
    finally:
        sys.dont_write_bytecode = before
        path.unlink()
        sys.modules.pop(f"benchmark.{kind}.{name}", None)


def filled(template: str, parts: dict[str, str]) -> bytes:
    """The template with a part for each name in capitals; names are words of their own: `READ` is part of `AT_READ`."""
    parts = {"ERRORS": ERRORS, **parts}
    text = re.sub(r"\b[A-Z_]+\b", lambda name: parts.get(name[0], name[0]), template)
    return text.encode("utf-8", "surrogatepass")
