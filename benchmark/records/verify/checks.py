"""Run all checks on the runs and transfers of a results folder."""

from collections.abc import Sequence
from pathlib import Path

from benchmark.common.progress import Report, silent
from benchmark.records import store, transfers
from benchmark.records.verify import counts, run_json, transfer_json
from benchmark.records.verify.run_files import Check, F, Fault, Finding, RunFolder, TransferFolder, UnreadableError

ANY_RUN: tuple[Check[RunFolder], ...] = (
    run_json.check_checksums,
    run_json.check_place,
    run_json.check_protocol,
    run_json.check_keys,
    run_json.check_data,
    run_json.check_verification,
)
FINISHED_RUN: tuple[Check[RunFolder], ...] = (
    counts.check_slices,
    counts.check_sums,
    counts.check_iou,
    counts.check_sounds,
    counts.check_logits,
    counts.check_predictions,
    counts.check_truth,
)
"""Only a finished run has counts."""
TRANSFER: tuple[Check[TransferFolder], ...] = (
    run_json.check_checksums,
    transfer_json.check_place,
    transfer_json.check_run,
    counts.check_slices,
    counts.check_sums,
    counts.check_iou,
)


def check(results: Path, runs: Sequence[Path] | None = None, report: Report = silent) -> list[Finding]:
    """Check runs of a results folder, or if `runs` is None all of its runs and transfers; empty if all is well.

    No torch, no plugin and no data are needed: a finding is a contradiction between files. An exception is a bug of
    the checks and is not caught.

    Raises:
        UserError: a folder cannot be read.
    """
    paths = store.folders(results, store.RUNS) if runs is None else list(runs)
    findings: list[Finding] = []
    for number, path in enumerate(paths, start=1):
        run = RunFolder(results, path)
        findings += _findings(run, (*ANY_RUN, *(FINISHED_RUN if run.is_finished else ())))
        report("checking", number, len(paths), "")
    for path in store.folders(results, transfers.PLACES) if runs is None else ():
        findings += _findings(TransferFolder(results, path), TRANSFER)
    return findings


def _findings(folder: F, checks: Sequence[Check[F]]) -> list[Finding]:
    """The findings of the checks, each fault once. A check ends at a file that cannot be read."""
    faults: dict[Fault, None] = {}
    for one in checks:
        try:
            faults |= dict.fromkeys(one(folder))
        except UnreadableError as error:
            faults[error.fault] = None
    return [Finding.of(folder, fault) for fault in faults]
