"""Runs a Python command in a process of its own, with a time limit."""

import os
import runpy
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINES = 12
"""Last lines of the output that the account keeps; the log has all."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """`words` after the interpreter's name, `limit` in seconds; `here`: in this process, to rehearse it cheaply."""

    words: list[str]
    limit: float
    log: Path
    here: bool = False
    device: str = ""


@dataclass(frozen=True, kw_only=True)
class Done:
    """The outcome of a command."""

    command: list[str]
    limit: float
    seconds: float
    code: int | None
    """None if it was killed at its limit."""
    last_lines: list[str]

    @property
    def ok(self) -> bool:
        return self.code == 0


def execute(command: Command) -> Done:
    """Run it in the checkout's root, with the checkout on Python's path; everything that it starts dies with it."""
    started = time.monotonic()
    if command.here:
        code, text = _here(command.words)
    else:
        code, text = _apart(command)
    seconds = time.monotonic() - started
    with command.log.open("a", encoding="utf-8") as log:
        log.write(f"$ python {' '.join(command.words)}\n{text}\n[{seconds:.1f} s, code {code}]\n\n")
    lines = [line for line in text.splitlines() if line.strip()][-LINES:]
    words = ["python", *command.words]
    return Done(command=words, limit=command.limit, seconds=seconds, code=code, last_lines=lines)


def _apart(command: Command) -> tuple[int | None, str]:
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path, **({"GPU_DEVICE": command.device} if command.device else {})}
    process = subprocess.Popen(
        [sys.executable, *command.words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        text, _ = process.communicate(timeout=command.limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text, _ = process.communicate()
        return None, text
    return process.returncode, text


def _here(words: list[str]) -> tuple[int, str]:
    """A script with its arguments, as if it were called."""
    before = sys.argv
    sys.argv = words
    try:
        runpy.run_path(str(ROOT / words[0]), run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0), ""
    except Exception:
        return 1, traceback.format_exc()
    finally:
        sys.argv = before
    return 0, ""
