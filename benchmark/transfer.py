"""`bench transfer`: a finished run's weights on the test split of data that it was not trained on."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data.cache import Cached
from benchmark.data.manifest import Row
from benchmark.plugins import datasets, registry
from benchmark.records import checksums, describe, store, transfers, weights, write
from benchmark.records.schema import Record
from benchmark.records.slot import Slot
from benchmark.records.store import WEIGHTS
from benchmark.records.transfers import TransferRecord
from benchmark.training import EAGER


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """`run` is the folder of a finished run; `dataset` is the label of the other data, which `data_root` holds."""

    results: Path
    run: Path
    dataset: str
    data_root: Path | None
    device: str
    command: str
    force: bool = False
    allow_leakage: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Where the transfer lies. `again`: it was made before and was not repeated."""

    path: Path
    found: TransferRecord
    again: bool


def transfer(request: Request, report: Report) -> Outcome:
    """Evaluate a run's weights on other data at the run's own settings, and store the counts.

    Raises:
        UserError: the run is not finished, its weights or the data are missing, or it was trained on some of the
            data; nothing is written.
    """
    found = _run(request.run)
    weights.require(request.run, found)  # before minutes are spent on data
    run_sums = _sums(request.run)
    dataset = registry.load("datasets", request.dataset)
    settings = weights.settings_of(found).override({"dataset": dataset.label})
    cached = datasets.load_data(dataset, settings, request.data_root, report)
    leakage = _check(request, found, cached)
    slot = Slot(
        results=request.results,
        path=transfers.folder(request.results, found.run_key, cached.digest),
        is_finished=partial(transfers.finished, run_sums=run_sums),
        force=request.force,
    )
    if slot.settled():
        return Outcome(path=slot.path, found=transfers.read(slot.path), again=True)
    files.check_writable(request.results, "--results")
    with slot.claimed(report):
        if slot.done():  # another process has just finished it
            return Outcome(path=slot.path, found=transfers.read(slot.path), again=True)
        machine = weights.machine_for(found, request.device)
        evaluation = weights.evaluate(request.run, found, settings, cached, machine, report)
        described = describe.protocol(settings, {})
        made = TransferRecord(
            run_key=found.run_key,
            run_sums=run_sums,
            architecture=found.architecture.label,
            seed=found.seed,
            source_hash=found.architecture.source_hash,
            trained_on=transfers.trained_on(found),
            tested_on=describe.dataset(dataset, datasets.resolved(dataset, request.data_root), cached),
            protocol_digest=described.digest,
            revision=described.revision,
            settings=described.settings,
            leakage=leakage,
            command=f"{request.command} --device {machine.device.type}",
            finished=describe.now(),
            device=describe.device(machine, EAGER),
            images_per_second=describe.speed(evaluation),
            environment=describe.environment(),
        )
        write.write_manifest(request.results, cached)
        with slot.writing() as target:
            write.write_counts(target, cached.splits["test"], evaluation)
            transfers.write(target, made)
    return Outcome(path=slot.path, found=made, again=False)


def _run(path: Path) -> Record:
    try:
        found = store.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path / 'run.json'} cannot be read; look with: bench verify {path}") from error
    if found.status != "finished":
        raise UserError(f"{path} is {found.status}: only a finished run has weights to transfer")
    return found


def _sums(path: Path) -> str:
    """The SHA-256 of the run's SHA256SUMS, after checking that the weights are those that it lists."""
    try:
        listed = checksums.read(path)
    except (OSError, ValueError) as error:
        raise UserError(f"{path / checksums.NAME} is missing or broken; look with: bench verify {path}") from error
    if (path / WEIGHTS).is_file() and checksums.digest(path / WEIGHTS) != listed.get(WEIGHTS):
        raise UserError(
            f"{path / WEIGHTS} are not the weights that {checksums.NAME} lists; look with: bench verify {path}"
        )
    return checksums.digest(path / checksums.NAME)


def _check(request: Request, found: Record, cached: Cached) -> dict[str, int]:
    """Refuse data that the run was trained on; with --allow-leakage return the number of leaking groups by kind."""
    if cached.digest == found.dataset.manifest:
        raise UserError(f"{request.run} was trained on these data; its record has the test on them")
    trained = _trained_rows(request.results, found)
    return datasets.check_transfer(cached.splits["test"], trained, run=request.run, allow_leakage=request.allow_leakage)


def _trained_rows(results: Path, found: Record) -> list[Row]:
    """The manifest's rows of the images that the run was trained and validated on."""
    try:
        rows = store.read_manifest(results, found.dataset.manifest)
    except (OSError, ValueError) as error:
        path = store.manifest_path(results, found.dataset.manifest)
        raise UserError(f"{path}, which says what the run was trained on, is missing or changed: restore it") from error
    return [row for row in rows if row.split != "test"]
