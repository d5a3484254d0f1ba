"""What commands print: bars above which results stay whole, quiet runs, JSON, the table of a batch."""

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import MORTAL, SMALL, Bench, planted, runs

import benchmark
from benchmark import launch, protocols
from benchmark.common import progress
from benchmark.common.progress import duration
from benchmark.run import Outcome, Request
from benchmark.training.trial import Manner

OPTIONS = ("--dataset", SMALL, "--image-size", "32", "--epochs", "1", "--batch-size", "4", "--precision", "fp32")

BARS = """
import time
from benchmark.cli.common import complain, say
from benchmark.common.progress import bars

with bars() as report:
    for number in range(1, 6):
        report("cleaning", number, 5, "a note")
        time.sleep(0.15)
        say(f"result {number}: " + "long " * 30 + "end")
        complain(f"warning: of {number}")
say("after the bars")
"""


def screen(sent: str, width: int) -> list[str]:
    """The lines that a terminal shows after these characters, wrapped ones joined again.

    It knows line ends, cursor up and erase line, and ignores other codes.
    """
    rows, goes_on, row, column = [""], set(), 0, 0
    for code, sign in re.findall(r"\x1b\[([?0-9;]*[A-Za-z])|(.|\n)", sent):
        if code.endswith("A"):
            row = max(row - int(code[:-1] or 1), 0)
        elif code == "2K":
            rows[row] = ""
            goes_on.discard(row)
        elif sign == "\r":
            column = 0
        elif sign == "\n" or (sign and column == width):
            goes_on |= {row} if sign != "\n" else set()
            row, column = row + 1, 0
            rows += [""] if row == len(rows) else []
        if sign and sign not in "\r\n":
            line = rows[row].ljust(column)
            rows[row], column = line[:column] + sign + line[column + 1 :], column + 1
    return "".join(line if place in goes_on else f"{line.rstrip()}\n" for place, line in enumerate(rows)).splitlines()


def in_a_terminal(code: str, width: int) -> list[str]:
    master, slave = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(width), "LINES": "40", "TERM": "xterm"}
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=slave, stderr=slave, stdin=slave, env=environment
    ) as ran:
        os.close(slave)
        sent = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            sent += part
        assert ran.wait() == 0
    os.close(master)
    return screen(sent.decode(), width)


@pytest.mark.parametrize("width", [60, 200])
def test_bars_never_overwrite_results(width: int) -> None:
    shown = in_a_terminal(BARS, width)
    assert sum("cleaning" in line for line in shown) == 1  # one bar, at its end
    for number in range(1, 6):
        assert f"result {number}: {'long ' * 30}end" in shown
        assert f"bench: warning: of {number}" in shown
    assert [line for line in shown if line][-1] == "after the bars"


def test_results_go_to_standard_output_when_it_is_no_terminal() -> None:
    """Whatever is drawn on standard error."""
    master, slave = pty.openpty()
    ran = subprocess.run([sys.executable, "-c", BARS], stdout=subprocess.PIPE, stderr=slave, text=True, check=True)
    os.close(slave)
    os.close(master)
    assert [line.split(":")[0] for line in ran.stdout.splitlines()] == [
        *(f"result {n}" for n in range(1, 6)),
        "after the bars",
    ]


def test_a_log_has_a_line_when_a_stage_begins_and_ends(capfd: pytest.CaptureFixture[str]) -> None:
    with progress.bars() as report:
        for number in range(1, 101):
            report("testing", number, 100, "")
    assert capfd.readouterr().err.splitlines() == ["testing: 1/100", "testing: 100/100"]


def test_quiet(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.QUIET, "")
    ran = bench("run", "--arch", "otsu", *OPTIONS, "--results", tmp_path / "results", "-q")
    assert ran.code == 0
    assert ran.out.startswith("otsu, seed 0: test IoU")
    assert ran.out.count("\n") == 1
    assert all("warning" in line for line in ran.err.splitlines())


def test_what_cannot_be_trained_runs_once(
    bench: Bench, in_this_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    ran = bench("run", "--arch", "otsu", "--arch", "local_features", *OPTIONS, "--seeds", 2, "--results", results)
    assert ran.code == 0, ran.err
    assert "otsu: nothing to train, so every seed gives the same; run once, with seed 0" in ran.out
    ended = sorted((record.architecture.name, record.seed) for record in runs(results))
    assert ended == [("local_features", 0), ("local_features", 1), ("otsu", 0)]
    table = ran.out.splitlines()[-4:-1]
    assert table[0].split() == ["mean", "IoU", "training", "each", "seed"]
    assert {line.split()[0] for line in table[1:]} == {"otsu", "local_features"}
    again = bench("run", "--arch", "otsu", *OPTIONS, "--seed", 1, "--results", results)
    assert "otsu, seed 1" in again.out  # as asked


def test_runs_as_json(bench: Bench, in_this_process: None, tmp_path: Path) -> None:
    planted(tmp_path, "architectures", MORTAL.replace("return self.body(image)", "return 1"))
    options = (*OPTIONS, "--results", tmp_path / "results", "--plugins", tmp_path, "--json")
    ran = bench("run", "--arch", "otsu", "--arch", "planted", *options)
    assert ran.code == 2
    good, bad = json.loads(ran.out)
    assert (good["architecture"], good["status"], good["finished_before"]) == ("otsu", "finished", False)
    assert 0 <= good["iou"] <= 1
    assert (bad["architecture"], bad["status"]) == ("planted", "failed")
    assert "forward() returns" in bad["message"]


def test_list_as_json(bench: Bench) -> None:
    found = json.loads(bench("list", "--json").out)
    assert set(found) == {"architectures", "datasets", "protocols"}
    assert (found["architectures"]["otsu"]["note"], found["protocols"]["quick"]["dataset"]) == ("none", "synthetic")


def test_the_time_left_of_a_batch(tmp_path: Path) -> None:
    def asked(name: str) -> Request:
        return Request(
            architecture=name, protocol=protocols.load("quick"), overrides={}, seed=0, data_root=None,
            results=tmp_path, command="", manner=Manner(),
        )  # fmt: skip

    requests = [asked("a"), asked("b"), asked("a"), asked("c")]
    pace = launch._Pace(requests)
    assert pace.left(0) == ""
    ended = Outcome(path=tmp_path, label="a", seed=0, status="finished", again=False)
    pace.add(requests[0], ended, 100.0)
    pace.add(requests[1], ended, 200.0)
    assert pace.left(2) == f"; about {duration(100 + 150)} left for all"
    assert [duration(seconds) for seconds in (40, 700, 11_100)] == ["40 s", "12 min", "3 h 5 min"]


def test_tensorboard(bench: Bench, tmp_path: Path) -> None:
    tensorboard = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="an extra")
    results = tmp_path / "results"
    for _ in range(2):  # the second time the run is finished, and written anew
        ran = bench("run", "--arch", "local_features", *OPTIONS, "--results", results, "--log", "tensorboard")
        assert ran.code == 0, ran.err
    (folder,) = (results / "tensorboard" / "quick").iterdir()
    assert folder.name.startswith("local_features-seed0-")
    events = tensorboard.EventAccumulator(str(folder)).Reload()
    assert set(events.Tags()["scalars"]) == {"loss/training", "IoU/validation", "IoU/test main"}
    frame = benchmark.results(results)
    assert events.Scalars("IoU/test main")[0].value == pytest.approx(frame.iou[0])
    assert [event.step for event in events.Scalars("loss/training")] == [1]
