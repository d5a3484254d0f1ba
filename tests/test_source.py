"""The hash of a source is of what runs, and the same under every Python."""

import hashlib

import pytest

from benchmark.plugins.source import hash_code


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("code", "spelled"),
    [
        ("""f'{x("a")}'""", '''f"{x('a')}"'''),
        ("""f"{x['a']!r:>{width}} {{}}\\n" """, '''f"{x['a']!r:>{width}} {{}}\\n"'''),
        ("""f'{(1 if a else 2)} { {1: 2}[1] }'""", """f'{(1 if a else 2)} { {1: 2}[1]}'"""),
        ("""f"{(lambda: 3)()}" """, """f'{(lambda: 3)()}'"""),
        ("""print(f"it's {name}", f'{1:,}' 'x')""", '''print(f"it's {name}", f'{1:,}x')'''),
        ("""f'{f"{a:.2f}"} ±'""", '''f"{f'{a:.2f}'} ±"'''),
    ],
)  # fmt: skip
def test_f_strings_are_hashed_as_python_3_11_spells_them(code: str, spelled: str) -> None:
    assert hash_code(code.encode()) == digest(spelled)
