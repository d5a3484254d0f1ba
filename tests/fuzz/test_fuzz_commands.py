"""Options of every command with any values, and what --debug and an unexpected exception show."""

import os
from pathlib import Path
from typing import Any

import pytest
from fuzzing import TEXTS, cases, require_ended
from helpers import Bench
from hypothesis import example, given
from hypothesis import strategies as st

PATHS = ["nowhere", ".", "file", "", "/", "/dev/null", "x" * 300, "a/../..", "-", "--"]
WORDS = st.sampled_from(
    ["0", "-1", "1e400", "nan", "7", "2147483649", "9" * 30, "auto", "cpu", "cuda:99", "mps", "best"]
)
# Each ends before anything is trained: the value is refused, or a folder that is missing is.
COMMANDS: dict[str, tuple[list[str], list[str]]] = {
    "run": (
        ["run", "--arch", "otsu", "--dataset", "folder", "--data", "nowhere"],
        [
            *(
                "--arch",
                "--protocol",
                "--seed",
                "--seeds",
                "--results",
                "--plugins",
                "--epochs",
                "--batch-size",
                "--lr",
            ),
            *(
                "--batch-size",
                "--image-size",
                "--weights",
                "--set",
                "--tune",
                "--budget",
                "--device",
                "--precision",
                "--threads",
            ),
            *("--execution", "--micro-batch", "--data-on", "--checkpoint-every", "--launcher", "--job", "--data"),
        ],
    ),
    "leaderboard": (
        ["leaderboard", "--results", "nowhere"],
        ["--results", "--format", "--protocol", "--sort", "--columns", "--out", "--width"],
    ),
    "compare": (["compare", "a", "b", "--results", "nowhere"], ["--results", "--protocol", "--format"]),
    "verify": (["verify", "--results", "nowhere"], ["--results", "--plugins", "--data", "--device"]),
    "transfer": (
        ["transfer", "unet", "--dataset", "folder", "--results", "nowhere"],
        ["--dataset", "--data", "--results", "--plugins", "--device"],
    ),
    "speed": (
        ["speed", "otsu", "--dataset", "folder", "--data", "nowhere"],
        ["--protocol", "--dataset", "--image-size", "--batch-size", "--seconds", "--plugins"],
    ),
    "check": (["check", "nowhere_at_all"], ["--dataset", "--data", "--plugins"]),
    "new": (["new", "arch", "2x"], ["--to"]),
    "mix": (
        ["data", "mix", "--song", "nowhere", "--background", "nowhere", "--out", "out"],
        [
            *(
                "--song",
                "--background",
                "--out",
                "--other",
                "--bird",
                "--seed",
                "--train",
                "--seconds",
                "--sample-rate",
            ),
            *(
                "--channel",
                "--sample-rate",
                "--highpass",
                "--active-db",
                "--peak",
                "--smoothing",
                "--radius",
                "--smallest",
            ),
        ],
    ),
    "audit": (["data", "audit", "nowhere"], ["--picture"]),
    "denoise": (
        ["denoise", "nowhere", "--results", "nowhere"],
        ["--run", "--out", "--table", "--mask", "--above", "--device", "--results", "--plugins"],
    ),
}
TYPED = TEXTS.map(lambda text: text.replace("\0", ""))  # no program can be given a zero byte: it ends the word
VALUES = st.sampled_from(PATHS) | WORDS | TYPED
QUICK = sorted(COMMANDS.keys() - {"speed", "check"})  # these two may start to work, for minutes
CALLS = st.sampled_from(list(COMMANDS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(
            st.tuples(st.sampled_from(COMMANDS[name][1]), VALUES),
            min_size=1,
            max_size=2,
        ),
    )
)


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DEBUG", "")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")


def left() -> list[str]:
    """What lies in the folder now, beside what was there."""
    return sorted(str(path) for path in Path().rglob("*") if path != Path("file"))


@cases(60)
@given(call=CALLS)
@example(call=("leaderboard", [("--width", "9" * 30)]))
@example(call=("run", [("--seed", "9" * 30)]))
def test_any_value_of_any_option(bench: Bench, call: tuple[str, list[tuple[str, str]]]) -> None:
    name, options = call
    given_ = [word for option, value in options for word in (option, value)]
    plugins = os.environ.get("BENCH_PLUGINS", "")
    ran = bench(*COMMANDS[name][0], *given_)
    os.environ["BENCH_PLUGINS"] = plugins
    require_ended(ran.code, ran.err)
    assert ran.code == 2, ran.out
    assert Path("file").read_text() == "kept"
    assert left() == []


@cases(60)
@given(words=st.lists(st.sampled_from([*QUICK, "data", "arch", "--help", "--version", "--", "-"]) | TYPED, max_size=4))
def test_any_words(bench: Bench, words: list[str]) -> None:
    ran = bench(*words)
    require_ended(ran.code, ran.err or ran.out)  # without a command, the help is what is said


def broken(*_: object, **__: object) -> Any:
    raise ZeroDivisionError("our own\nfault")


def test_a_bug_of_ours_is_one_line_and_code_1(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    from benchmark.leaderboard import tables

    monkeypatch.setattr(tables, "build", broken)
    ran = bench("leaderboard")
    assert ran.code == 1
    (line,) = ran.err.splitlines()
    assert line.startswith(
        "bench: this is a bug of birdmask-bench, or of a plugin: ZeroDivisionError: our own\\nfault ("
    )
    assert line.endswith("; --debug shows the traceback")
    with pytest.raises(ZeroDivisionError):
        bench("--debug", "leaderboard")


def test_debug_shows_where_a_mistake_was_found(bench: Bench) -> None:
    from benchmark.common.errors import UserError

    assert bench("leaderboard").code == 2
    with pytest.raises(UserError, match="no runs in results"):
        bench("--debug", "leaderboard")


def test_debug_shows_a_traceback_in_the_terminal(tmp_path: Path) -> None:
    import subprocess
    import sys

    words = [sys.executable, "-m", "benchmark", "--debug", "run", "--arch", "unett"]
    quietly = {**os.environ, "PYTHONWARNINGS": "ignore"}  # of libraries, when they are imported
    ran = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env=quietly)
    assert ran.returncode != 0
    assert "Traceback" in ran.stderr
    assert "UserError: no architecture 'unett'" in ran.stderr.splitlines()[-1]
    words.remove("--debug")
    quiet = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120, env=quietly)
    assert quiet.returncode == 2
    assert len(quiet.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "raised", [SystemExit(3), KeyboardInterrupt(), MemoryError(), RecursionError("deep"), BrokenPipeError(32, "x")]
)
def test_what_else_may_come_out_of_a_command(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, raised: BaseException
) -> None:
    from benchmark.leaderboard import tables

    def fails(*_: object) -> Any:
        raise raised

    monkeypatch.setattr(tables, "build", fails)
    ran = bench("leaderboard")
    assert ran.code == {SystemExit: 3, KeyboardInterrupt: 130, BrokenPipeError: 1}.get(type(raised), 1)
    assert "Traceback" not in ran.err
    assert len(ran.err.splitlines()) == (0 if isinstance(raised, SystemExit | BrokenPipeError) else 1)
