"""All checks of all runs."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from benchmark.common import files
from benchmark.common.progress import Report, silent
from benchmark.records import checksums, find
from benchmark.records.verify import across_runs, counts, history, run_json, shared_files, transfer_files, tuning
from benchmark.records.verify.run_files import DAMAGED, Check, Fault, Finding, Subject, UnreadableError, fails_on

CHECKS: tuple[Check, ...] = (
    run_json.check_checksums,
    run_json.check_files,
    run_json.check_place,
    run_json.check_protocol,
    run_json.check_keys,
    run_json.check_data,
    run_json.check_source,
    run_json.check_numbers,
    history.check_history,
    tuning.check_candidates,
    run_json.check_verification,
)
COUNTED: tuple[Check, ...] = (
    counts.check_slices,
    counts.check_sums,
    counts.check_surface,
    counts.check_sounds,
    counts.check_logits,
    counts.check_predictions,
    counts.check_truth,
)
"""Of finished runs, which alone have counts."""


def check(results: Path, runs: Sequence[Path] | None = None, report: Report = silent) -> list[Finding]:
    """What is wrong with runs of a results folder, all of them unless some are named; empty if nothing is.

    Runs are compared with each other among those that are named; transfers are looked at where none is. No torch, no
    plugin and no data are needed: what is found here is a contradiction between files. That the weights give these
    counts `replay.predict` finds out.
    """
    paths = find.folders(results) if runs is None else list(runs)
    findings: list[Finding] = []
    kept = []
    for number, path in enumerate(paths, start=1):
        subject = Subject(results, path)
        findings += [Finding.of(path, fault) for fault in faults(subject)]
        kept.append(across_runs.essence(subject))
        report("checking", number, len(paths), "")
    whole = [one for one in kept if one is not None]
    findings += [Finding.of(path, fault) for path, fault in across_runs.check_between(whole)]
    findings += shared_files.check_beside(results, whole)
    return findings + (transfer_files.check_transfers(results) if runs is None else [])


def faults(subject: Subject) -> list[Fault]:
    """What is wrong with one run, each once; what hangs on an unreadable file is not checked."""
    found: dict[Fault, None] = {}
    for one in _of(subject):
        try:
            found |= dict.fromkeys(one(subject))
        except UnreadableError as error:
            found[error.fault] = None
        except DAMAGED as error:  # a value that nothing before has refused
            found[fails_on("run.json", error)] = None
    return list(found)


def seal(
    results: Path, runs: Sequence[Path] | None = None, report: Report = silent
) -> tuple[list[Path], list[Finding]]:
    """Write SHA256SUMS into runs that have none and are consistent otherwise: records from before it was written.

    Gives the sealed folders, and what is still wrong.

    Raises:
        UserError: the disk refuses.
    """
    findings = check(results, runs, report)
    missing = [finding for finding in findings if finding.text == run_json.UNSEALED]
    others = [finding for finding in findings if finding not in missing]
    wrong = {finding.run for finding in others}
    sealed = [finding.run for finding in missing if finding.run not in wrong]
    for path in sealed:
        write = partial(Path.write_text, data=checksums.listing(path), encoding="utf-8")
        files.write_atomically(path / checksums.NAME, write)
    return sealed, others + [finding for finding in missing if finding.run in wrong]


def _of(subject: Subject) -> Iterator[Check]:
    yield from CHECKS
    try:
        finished = subject.record.status == "finished"
    except UnreadableError:
        return
    if finished:
        yield from COUNTED
