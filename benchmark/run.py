"""The whole experiment, top to bottom: an architecture, a protocol, a seed -> a run folder in the results."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmark import training
from benchmark.common import files
from benchmark.common.progress import Report
from benchmark.contract import DatasetSpec
from benchmark.data import foreground
from benchmark.data.cache import Cached
from benchmark.plugins import datasets, network, parameters, registry
from benchmark.plugins.blame import blaming
from benchmark.plugins.network import Network
from benchmark.plugins.registry import Plugin
from benchmark.protocols import Protocol
from benchmark.records import describe, keys, schema, store, write
from benchmark.records.slot import Slot
from benchmark.scores import denoisers, separation
from benchmark.training import batches, checkpoints, evaluator, hardware, trial
from benchmark.training.checkpoints import Checkpoints
from benchmark.training.hardware import Hardware
from benchmark.training.trial import Manner, Trial


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The run to make, its data, and where to put it. `fresh_process`: nothing ran in this process before."""

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
    """Where the run lies. `again`: it was finished before and was not repeated."""

    path: Path
    label: str
    seed: int
    status: schema.Status
    again: bool
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """A request with everything that it names loaded; `table` and `key` say which run it is.

    `spec` describes the dataset, refined for the folder that it was read from.
    """

    request: Request
    architecture: Plugin
    dataset: Plugin
    spec: DatasetSpec
    protocol: Protocol
    machine: Hardware
    data: Cached
    table: str
    key: str
    slot: Slot

    def outcome(self, status: schema.Status, message: str = "", *, again: bool = False) -> Outcome:
        """The outcome of the run, for the caller of `run`."""
        label, seed = self.architecture.label, self.request.seed
        return Outcome(path=self.slot.path, label=label, seed=seed, status=status, again=again, message=message)


def run(request: Request, report: Report) -> Outcome:
    """Train and test one architecture with one seed, and write the run folder.

    A run that was killed continues after its last checkpoint. A training that diverges or runs out of memory is a
    result too: its record says so.

    Raises:
        UserError: the request or the data are wrong; nothing is written.
    """
    experiment = _prepare(request, report)
    slot = experiment.slot
    if slot.settled():
        _write_shared(experiment, report)
        return experiment.outcome("finished", again=True)
    files.check_writable(request.results, "--results")
    _describe_data(experiment, report)
    with slot.claimed(report, _about(experiment)):
        if slot.done():  # another process has just finished it
            slot.forget()
            return experiment.outcome("finished", again=True)
        net, entry, tried = _train_and_test(experiment, report)
        if tried.status != "finished" and slot.holds_a_result():
            return experiment.outcome(tried.status, f"{tried.message}; the finished run was kept")
        _write(experiment, net, entry, tried, report)
        if tried.status != "out-of-memory":  # memory may have been short because of another process
            slot.forget()
    return experiment.outcome(tried.status, tried.message)


def _about(experiment: Experiment) -> dict[str, Any]:
    """What `bench status` says of the run while it is under way."""
    protocol, request = experiment.protocol, experiment.request
    return {
        "architecture": experiment.architecture.label,
        "seed": request.seed,
        "epochs": protocol.epochs * max(len(protocol.learning_rates), 1),
        "command": request.command,
        "begun": describe.now(),
    }


def _describe_data(experiment: Experiment, report: Report) -> None:
    """Say what the masks are like before a training takes time."""
    report("data", 0, 0, foreground.about(experiment.data, experiment.protocol.image_size))
    for line in foreground.warnings(experiment.data):
        report("warning", 0, 0, line)
    plugin = experiment.architecture
    if plugin.spec.loss and not parameters.wants_own_loss(plugin.parameters, plugin.spec):
        own = f"{plugin.label}{',' if plugin.parameters else ':'}loss=own"
        report("loss", 0, 0, f"{experiment.protocol.loss}, as for all; its own: --arch {own}")


def _prepare(request: Request, report: Report) -> Experiment:
    """Load plugins, data and device, and compute the key of the run."""
    architecture = registry.load("architectures", request.architecture)
    dataset = registry.load("datasets", request.protocol.dataset)
    protocol = request.protocol.override({"dataset": dataset.label})
    manner = request.manner
    machine = hardware.resolve(manner.device, manner.precision, deterministic=manner.deterministic)
    data = datasets.load_data(dataset, protocol, request.data_root, report)
    spec = datasets.resolved(dataset, request.data_root)
    datasets.check_data(data, protocol, allow_leakage=request.allow_leakage)
    table = keys.table(protocol=protocol.digest, manifest=data.digest)
    key = keys.run(
        table=table,
        architecture=architecture.label,
        source=architecture.source_hash,
        weights=network.weights(architecture.spec, protocol),
        seed=request.seed,
        device=machine.kind,
        precision=machine.precision,
        torch=torch.__version__,
        micro_batch=training.effective_micro_batch(manner.micro_batch, protocol),
    )
    path = store.folder(request.results, protocol.name, dataset.name, architecture.name, key)
    slot = Slot(results=request.results, path=path, is_finished=store.finished, force=request.force)
    return Experiment(
        request=request,
        architecture=architecture,
        dataset=dataset,
        spec=spec,
        protocol=protocol,
        machine=machine,
        data=data,
        table=table,
        key=key,
        slot=slot,
    )


def _train_and_test(experiment: Experiment, report: Report) -> tuple[Network, schema.ArchitectureRecord, Trial]:
    """Build the network, describe it as built, train and test it."""
    request, plugin, machine = experiment.request, experiment.architecture, experiment.machine
    hardware.pin_threads(_threads(experiment))
    hardware.reset_peak_memory(machine)
    report("device", 0, 0, f"{machine.kind}, {machine.precision}")
    with blaming(plugin):
        net = network.build(plugin, experiment.protocol, request.seed)
        entry = describe.architecture(plugin, net, experiment.protocol)
        given = _conditions(experiment)
        saved = Checkpoints(
            experiment.slot.work,
            _same_bits(experiment, given),
            lambda text: report("warning", 0, 0, text),
            unit="rate" if experiment.protocol.learning_rates else "epoch",
        )
        return net, entry, trial.conduct(net, experiment.data, experiment.protocol, given, saved, report)


def _threads(experiment: Experiment) -> int | None:
    """The threads asked for; else those that an interrupted run began with; else None, which leaves it to the rule."""
    asked = experiment.request.manner.threads
    if asked is not None or experiment.machine.device.type != "cpu":
        return asked
    begun = checkpoints.conditions(experiment.slot.work).get("threads")
    return begun if isinstance(begun, int) else None


def _conditions(experiment: Experiment) -> training.Conditions:
    manner, machine = experiment.request.manner, experiment.machine
    fits = manner.data_on == "auto" and batches.fits_on(machine.device, experiment.data.splits.values())
    resident = fits or manner.data_on == "device"
    return training.Conditions(
        seed=experiment.request.seed,
        machine=machine,
        execution=training.choose(manner.execution, experiment.protocol, micro_batch=manner.micro_batch),
        resident=resident,
        checkpoint_seconds=manner.checkpoint_seconds,
    )


def _same_bits(experiment: Experiment, given: training.Conditions) -> dict[str, Any]:
    """What must be the same for a continued run to end with the bits of an uninterrupted one."""
    same = {
        "run": experiment.key,
        "core": describe.core_hash(),
        "execution": given.execution.mode,
        "deterministic": given.machine.deterministic,
    }
    return {**same, "threads": torch.get_num_threads()} if given.machine.device.type == "cpu" else same


def _write_shared(experiment: Experiment, report: Report, *, references: bool = True) -> None:
    """Write the files that all runs on these data share, if they are missing: manifest, pictures, reference scores."""
    results, data = experiment.request.results, experiment.data
    write.write_manifest(results, data)
    write.write_pictures(results, data, ours=experiment.spec.embedded)
    if references:
        write_references(results, data, experiment.machine.device, report)


def write_references(results: Path, data: Cached, device: torch.device, report: Report) -> None:
    """Compute and write the sound scores of masks without a network and of installed denoisers, if some are missing."""
    if not write.lacks_references(results, data, separation.OPTIONAL):
        return
    found = denoisers.installed()  # takes seconds
    if not write.lacks_references(results, data, found):
        return
    if line := separation.absent(found):
        report("warning", 0, 0, line)
    write.write_references(results, data, evaluator.references(data.splits["test"], found, device, report))


def _write(
    experiment: Experiment, net: Network, entry: schema.ArchitectureRecord, tried: Trial, report: Report
) -> None:
    """Write the shared files, then the run folder."""
    _write_shared(experiment, report, references=tried.evaluation is not None)
    with experiment.slot.writing() as target:
        write.write_source(target, experiment.architecture)
        write.write_history(target, experiment.architecture.label, tried.trained)
        if tried.evaluation is not None:
            ours = experiment.spec.embedded
            write.write_evaluation(target, experiment.data.splits["test"], tried.evaluation, ours=ours)
            write.write_weights(target, net)
        store.write_record(target, _record(experiment, entry, tried))


def _record(experiment: Experiment, entry: schema.ArchitectureRecord, tried: Trial) -> schema.Record:
    request, machine = experiment.request, experiment.machine
    return schema.Record(
        status=tried.status,
        message=tried.message,
        run_key=experiment.key,
        comparability_key=experiment.table,
        command=f"{request.command} --device {machine.device.type} --precision {machine.precision}",
        finished=describe.now(),
        seed=request.seed,
        protocol=describe.protocol(experiment.protocol, request.overrides),
        dataset=describe.dataset(experiment.dataset, experiment.spec, experiment.data),
        architecture=entry,
        device=describe.device(machine, tried.execution),
        training=describe.training(tried.trained, tried.others),
        only_class=dict(tried.only_class),
        inference_images_per_second=describe.speed(tried.evaluation),
        peak_memory_bytes=hardware.peak_memory_bytes(machine, fresh_process=request.fresh_process),
        environment=describe.environment(),
    )
