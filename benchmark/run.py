"""The whole experiment, top to bottom: an architecture, a protocol, a seed -> a run folder in the results store."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark import training
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data.cache import Cached
from benchmark.plugins import datasets, network, registry
from benchmark.plugins.registry import Plugin
from benchmark.protocols import Protocol
from benchmark.records import claim, describe, keys, schema, store, write
from benchmark.training import batches, checkpoints, hardware, trial
from benchmark.training.checkpoints import Checkpoints
from benchmark.training.hardware import Hardware
from benchmark.training.trial import Conditions, Manner


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to run, on what, and where to put it. `fresh_process`: nothing ran in this process before."""

    architecture: str
    protocol: Protocol
    overrides: dict[str, Any]
    seed: int
    data_root: Path | None
    results: Path
    command: str
    manner: Manner
    force: bool = False
    allow_leakage: bool = False
    fresh_process: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Where the run lies. `again` says that it had been finished before and was not repeated."""

    path: Path
    label: str
    seed: int
    status: schema.Status
    again: bool
    message: str = ""


def run(request: Request, report: Report) -> Outcome:
    """One architecture, one seed, from the plugin's name to the run folder.

    A run that was killed goes on after its last checkpoint when it is asked for again. A training that diverges or
    runs out of memory is a result too and leaves a record that says so.

    Raises:
        UserError: anything in the request or the data that the user can mend; nothing is written then.
    """
    plugin = registry.load("architectures", request.architecture)
    dataset = registry.load("datasets", request.protocol.dataset)
    settings = request.protocol.override({"dataset": dataset.label})
    machine = hardware.resolve(
        request.manner.device,
        request.manner.precision,
        deterministic=request.manner.deterministic,
    )
    cached = datasets.load_data(dataset, settings, request.data_root, report)
    data_spec = datasets.resolved(dataset, request.data_root)
    datasets.check_data(cached, settings, allow_leakage=request.allow_leakage)

    micro_batch = training.effective_micro_batch(request.manner.micro_batch, settings)
    table = keys.table(protocol=settings.digest, manifest=cached.digest)
    run_key = _run_key(table, plugin, settings, request.seed, machine, micro_batch)
    path = store.folder(request.results, settings.name, dataset.name, plugin.name, run_key)
    outcome = partial(Outcome, path=path, label=plugin.label, seed=request.seed)
    if not request.force and store.finished(path) and not claim.traces(request.results, path):
        write.write_data(request.results, cached, ours=not data_spec.needs_root)
        write.write_references(request.results, cached, machine.device, report)
        return outcome(status="finished", again=True)

    files.check_writable(request.results, "--results")
    with claim.claimed(request.results, path, report) as work:
        if not request.force and store.finished(path):
            claim.forget(work)
            return outcome(status="finished", again=True)
        hardware.pin_threads(_threads(request.manner, machine, work))
        hardware.reset_peak_memory(machine)
        report("device", 0, 0, f"{machine.kind}, {machine.precision}")
        with datasets.blaming(plugin):
            net = network.build(plugin, settings, request.seed)
            architecture = describe.architecture(plugin, net, settings)
            given = _conditions(request, settings, machine, cached)
            saved = Checkpoints(
                work,
                _same_bits(run_key, given),
                lambda text: report("warning", 0, 0, text),
                unit="rate" if settings.learning_rates else "epoch",
            )
            tried = trial.conduct(net, cached, settings, given, saved, report)

        if tried.status != "finished" and _worth_keeping(path):
            return outcome(status=tried.status, again=False, message=f"{tried.message}; the finished run was kept")
        write.write_data(request.results, cached, ours=not data_spec.needs_root)
        if tried.evaluation is not None:
            write.write_references(request.results, cached, machine.device, report)
        with store.writing(path) as target:
            write.write_source(target, plugin)
            write.write_history(target, plugin.label, tried.trained)
            if tried.evaluation is not None:
                test = cached.splits["test"]
                write.write_evaluation(target, test, tried.evaluation, ours=not data_spec.needs_root)
                write.write_weights(target, net)
            finished = schema.Record(
                status=tried.status,
                message=tried.message,
                run_key=run_key,
                comparability_key=table,
                command=_command(request, machine),
                finished=describe.now(),
                seed=request.seed,
                protocol=describe.protocol(settings, request.overrides),
                dataset=describe.dataset(dataset, data_spec, cached),
                architecture=architecture,
                device=describe.device(machine, tried.execution),
                training=describe.training(tried.trained, tried.others),
                inference_images_per_second=describe.speed(tried.evaluation),
                peak_memory_bytes=hardware.peak_memory_bytes(machine, fresh_process=request.fresh_process),
                environment=describe.environment(),
            )
            store.write_record(target, finished)
        if tried.status != "out-of-memory":  # that may have been a neighbour's fault: what was trained is kept
            claim.forget(work)
    return outcome(status=tried.status, again=False, message=tried.message)


def _command(request: Request, machine: Hardware) -> str:
    return f"{request.command} --device {machine.device.type} --precision {machine.precision}"


def _run_key(
    table: str, plugin: Plugin, settings: Protocol, seed: int, machine: Hardware, micro_batch: int | None
) -> str:
    return keys.run(
        table=table,
        architecture=plugin.label,
        source=plugin.source_hash,
        weights=network.weights(plugin.spec, settings),
        seed=seed,
        device=machine.kind,
        precision=machine.precision,
        torch=torch.__version__,
        micro_batch=micro_batch,
    )


def _worth_keeping(path: Path) -> bool:
    """Whether something lies there that a run that failed must not replace, not even by force."""
    try:
        return store.finished(path)
    except UserError:
        return True


def _threads(manner: Manner, machine: Hardware, work: Path) -> int | None:
    """What was asked for; else what an interrupted run was begun with; else the rule's choice (None)."""
    if manner.threads is not None or machine.device.type != "cpu":
        return manner.threads
    begun = checkpoints.conditions(work).get("threads")
    return begun if isinstance(begun, int) else None


def _conditions(request: Request, settings: Protocol, machine: Hardware, cached: Cached) -> Conditions:
    manner = request.manner
    splits = cached.splits
    resident = manner.data_on == "device" or (
        manner.data_on == "auto" and batches.fits_on(machine.device, splits.values())
    )
    return Conditions(
        seed=request.seed,
        machine=machine,
        execution=training.choose(manner.execution, settings, micro_batch=manner.micro_batch),
        resident=resident,
        checkpoint_seconds=manner.checkpoint_seconds,
    )


def _same_bits(run_key: str, given: Conditions) -> dict[str, Any]:
    """What must be the same for a continued run to end like an uninterrupted one."""
    same = {
        "run": run_key,
        "core": describe.core_hash(),
        "execution": given.execution.mode,
        "deterministic": given.machine.deterministic,
    }
    return {**same, "threads": torch.get_num_threads()} if given.machine.device.type == "cpu" else same
