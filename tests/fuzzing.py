"""What every fuzz test shares: how many cases there are, how each of them may end, and the count of both.

`make test` draws a few cases per property, the same ones each time. BENCH_FUZZ=<examples per property> draws so many,
from the seed BENCH_FUZZ_SEED (0 if not given), and prints a table at the end. A property of which each case costs much
takes a stated part of them.
"""

import os
import resource
import signal
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st

from benchmark.common.errors import UserError, printable

LONG = int(os.environ.get("BENCH_FUZZ", "0"))
SEED = int(os.environ.get("BENCH_FUZZ_SEED", "0"))
PATIENCE = 120
"""Seconds after which a case counts as hanging: a thousand times what one takes."""
ROOM = 1 << 30
"""Bytes by which one case may raise the most memory that the process ever held."""

T = TypeVar("T")
counted: dict[str, Counter[str]] = defaultdict(Counter)
"""Property -> how its cases ended: "result" or "refusal"."""


class HangError(BaseException):
    """Not an Exception, so that nothing in the code under test takes it for a damaged file."""


def cases(fast: int, *, cost: int = 1, shrink: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """How many examples a property gets: `fast`, or in the long profile a `cost`-th of BENCH_FUZZ.

    Without `shrink` a failing case is shown as it was found: where cases are slow, making it small takes minutes.
    """
    phases = [Phase.explicit, Phase.generate, *([Phase.shrink] if shrink else [])]

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        chosen = settings(
            max_examples=max(1, LONG // cost) if LONG else fast,
            derandomize=not LONG,
            phases=phases,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        test = chosen(test)
        return seed(SEED)(test) if LONG else test

    return decorate


def outcome(call: Callable[[], T]) -> T | UserError:
    """What a call gives, or its refusal in one line; any other exception, a hang or a hunger for memory fails."""
    with _patient():
        try:
            found: T | UserError = call()
        except UserError as error:
            found = error
    if isinstance(found, UserError):
        require_one_line(str(found))
        assert "HangError" not in str(found), found  # caught as if it were a plugin's
    count("refusal" if isinstance(found, UserError) else "result")
    return found


def refused(call: Callable[[], Any]) -> str:
    """The refusal of a call that must be refused."""
    found = outcome(call)
    assert isinstance(found, UserError), f"not refused: {found!r}"
    return str(found)


def count(how: str) -> None:
    """Note how a case of the running test ended."""
    test = os.environ["PYTEST_CURRENT_TEST"].partition("[")[0].partition(" ")[0]
    counted[test.rpartition("/")[2]][how] += 1


def require_one_line(text: str) -> None:
    """A refusal is printable, in one line, says something and is no book."""
    assert text.strip(), "an empty refusal"
    assert printable(text) == text, repr(text)
    assert len(text) <= 2_000, len(text)


def require_ended(code: int, complaints: str) -> None:
    """A command ended well, or with 2 after it said why; never with a traceback or a bug of ours."""
    assert code in (0, 2), (code, complaints)
    assert "Traceback" not in complaints, complaints
    assert "this is a bug" not in complaints, complaints
    lines = [line for line in complaints.splitlines() if line.startswith("bench: ")]
    for line in lines:
        require_one_line(line.removeprefix("bench: "))
    assert code != 2 or complaints.strip(), "refused without a word"
    count("refusal" if code == 2 else "result")


@contextmanager
def _patient() -> Iterator[None]:
    def hang(*_: object) -> None:
        raise HangError(f"a case took more than {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, hang)
    most = _most_memory()
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert _most_memory() - most < ROOM, "a case took more memory than it may"


def _most_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def table() -> str:
    """How many cases each property had, and how they ended."""
    total: Counter[str] = Counter()
    lines = [f"{'cases':>7} {'result':>7} {'refusal':>7}  property"]
    for name in sorted(counted):
        total += counted[name]
        lines.append(_line(counted[name], name))
    return "\n".join([*lines, _line(total, f"all; {LONG} examples per property, seed {SEED}")])


def _line(found: Counter[str], name: str) -> str:
    return f"{found.total():7} {found['result']:7} {found['refusal']:7}  {name}"


# ---------------------------------------------------------------- what goes wrong with bytes and values


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """A function that damages the content of a file: cuts it, flips bits, writes over it, inserts, removes, repeats."""
    kind = draw(st.sampled_from(["cut", "flip", "over", "insert", "remove", "repeat", "front", "all"]))
    place, more = draw(st.floats(0, 1, exclude_max=True)), draw(st.floats(0, 1, exclude_max=True))
    bits, noise = draw(st.integers(1, 255)), draw(st.binary(min_size=1, max_size=12))

    def damage(content: bytes) -> bytes:
        at = int(place * len(content))
        end = at + int(more * min(64, len(content) - at))
        return {
            "cut": content[:at],
            "flip": content[:at] + bytes([(content[at] if content else 0) ^ bits]) + content[at + 1 :],
            "over": content[:at] + noise + content[at + len(noise) :],
            "insert": content[:at] + noise + content[at:],
            "remove": content[:at] + content[end:],
            "repeat": content[:end] + content[at:],
            "front": noise + content,
            "all": noise,
        }[kind]

    return damage


TEXTS = st.text(max_size=12) | st.sampled_from(
    ["", " ", "\0", "\n", "a\nb", "../../x", "/", "🐦", "\x1b[31m", "nan", "-inf", "1e400", "'", '"', "{", "%s"]
)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([0, -1, 10**6, 2**31, 2**63, 2**64, -(2**63), 10**400, 1e308, 5e-324, -0.0])
)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
"""Whatever JSON or TOML may hold."""
