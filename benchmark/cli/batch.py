"""Carry out the runs of `bench run`: a line for each, and a table of all."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from benchmark.cli.common import complain, mean_iou, option, remark, say
from benchmark.common.errors import UserError
from benchmark.common.progress import duration

if TYPE_CHECKING:
    from benchmark.run import Outcome, Request

Facts = dict[str, Any]
_FAILED = "failed"


def run_batch(
    requests: "Sequence[Request]",
    launcher: str,
    parameters: Sequence[str],
    *,
    broken: bool,
    json_: bool,
    log: Callable[[Path, float], object] | None,
) -> None:
    """Run all requests, print each result, and exit with 2 if one failed or, `broken`, a plugin was left out.

    `log` is called with the folder and the test IoU of each finished run.
    """
    from benchmark.launch import launch

    done: list[Facts] = []
    with closing(launch(requests, launcher, parameters)) as outcomes:  # an exception here ends the runs
        for request, outcome in outcomes:
            try:
                done.append(_facts(outcome))
                if log is not None and done[-1]["status"] == "finished":
                    log(Path(done[-1]["path"]), done[-1]["iou"])
            except UserError as error:
                if len(requests) == 1 and not json_:
                    raise
                done.append(_failure(request, error))
                complain(f"{request.architecture}, seed {request.seed}: {error}")
            else:
                if not json_:
                    say(_line(done[-1]))
    if json_:
        say(json.dumps(done, indent=2))
    else:
        remark(
            "\n".join(
                [*_table(done), f"Compare: bench leaderboard{option('--results', requests[0].results, 'results')}"]
            )
        )
    if broken or any(found["status"] == _FAILED for found in done):
        raise typer.Exit(2)


def _failure(request: "Request", error: UserError) -> Facts:
    return {"architecture": request.architecture, "seed": request.seed, "status": _FAILED, "message": str(error)}


def _facts(outcome: "Outcome | UserError") -> Facts:
    """The result of a run.

    Raises:
        UserError: the run failed, or the files of a run that finished earlier are damaged.
    """
    if isinstance(outcome, UserError):
        raise outcome
    found: Facts = {
        "architecture": outcome.label,
        "seed": outcome.seed,
        "status": outcome.status,
        "message": outcome.message,
        "path": str(outcome.path),
        "finished_before": outcome.again,
    }
    if outcome.status != "finished":
        return found
    from benchmark.records import store

    record = store.read(outcome.path)
    iou = mean_iou(outcome.path, record.headline_slice)
    return {**found, "iou": iou, "train_seconds": record.training.seconds}


def _line(found: Facts) -> str:
    start = f"{found['architecture']}, seed {found['seed']}: "
    if found["status"] != "finished":
        return f"{start}{found['status']} ({found['message']}), see {found['path']}"
    again = " (finished before; --force repeats it)" if found["finished_before"] else ""
    return f"{start}test IoU {100 * found['iou']:.2f} % in {found['path']}{again}"


def _table(done: Sequence[Facts]) -> list[str]:
    """All runs, seeds beside each other: architecture, mean IoU, training time, IoU of each; empty for one run."""
    if len(done) < 2:
        return []
    by_label: dict[str, list[Facts]] = {}
    for found in done:
        by_label.setdefault(found["architecture"], []).append(found)
    width = max(map(len, by_label))
    lines = [f"\n{'':{width}}  mean IoU   training   each seed"]
    for label, runs in sorted(by_label.items(), key=lambda item: -_mean(item[1])):
        finished = [found for found in runs if "iou" in found]
        mean = f"{100 * _mean(runs):.1f} %" if finished else "-"
        seconds = sum(found["train_seconds"] for found in finished)
        each = ", ".join(f"{100 * found['iou']:.1f}" if "iou" in found else found["status"] for found in runs)
        lines.append(f"{label:{width}}  {mean:>8}  {duration(seconds) if finished else '-':>9}   {each}")
    return lines


def _mean(runs: Sequence[Facts]) -> float:
    ious = [found["iou"] for found in runs if "iou" in found]
    return sum(ious) / len(ious) if ious else -1.0
