"""The whole experiment, top to bottom: an architecture, a protocol, a seed -> a run folder in the results store."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark import artefacts, describe, evaluator, hardware, network, record, registry, trainer
from benchmark.contract import DatasetSpec
from benchmark.data import cache, manifest, validity
from benchmark.data.batches import DeviceSplit
from benchmark.errors import UserError
from benchmark.evaluator import Evaluation
from benchmark.hardware import Hardware
from benchmark.network import Network
from benchmark.progress import Report
from benchmark.protocol import Protocol
from benchmark.registry import Plugin
from benchmark.trainer import Trained


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What to run, on what, and where to put it. `fresh_process`: nothing ran in this process before."""

    architecture: str
    protocol: Protocol
    overrides: dict[str, Any]
    seed: int
    data_root: Path | None
    device: str
    precision: str
    results: Path
    command: str
    force: bool = False
    allow_leakage: bool = False
    fresh_process: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """Where the run lies. `again` says that it had been finished before and was not repeated."""

    path: Path
    label: str
    seed: int
    status: record.Status
    again: bool
    message: str = ""


def run(request: Request, report: Report) -> Outcome:
    """One architecture, one seed, from the plugin's name to the run folder.

    A training that diverges or runs out of memory is a result too and leaves a record that says so.

    Raises:
        UserError: anything in the request or the data that the user can mend; nothing is written then.
    """
    plugin = registry.load("architectures", request.architecture)
    dataset = registry.load("datasets", request.protocol.dataset)
    settings = request.protocol.override({"dataset": dataset.label})
    machine = hardware.resolve(request.device, request.precision)
    cached = load_data(dataset, settings, request.data_root, report)
    data_spec = resolved(dataset, request.data_root)
    check_data(cached, settings, allow_leakage=request.allow_leakage)

    keys = _keys(plugin, settings, cached.digest, request.seed, machine)
    path = record.folder(request.results, settings.name, dataset.name, plugin.name, keys["run"])
    outcome = partial(Outcome, path=path, label=plugin.label, seed=request.seed)
    if record.finished(path) and not request.force:
        return outcome(status="finished", again=True)

    record.check_writable(request.results)
    report("device", 0, 0, f"{machine.kind}, {machine.precision}")
    with blaming(plugin):
        net = network.build(plugin, settings, request.seed)
        architecture = describe.architecture(plugin, net, settings)
        result = _train_and_test(net, cached, settings, request.seed, machine, report)

    if result.status != "finished" and record.finished(path):
        return outcome(status=result.status, again=False, message=f"{result.message}; the finished run was kept")
    artefacts.write_manifest(request.results, cached)
    if result.evaluation is not None:
        artefacts.write_references(request.results, cached, machine.device, report)
    with record.writing(path) as target:
        artefacts.write_source(target, plugin)
        artefacts.write_history(target, plugin.label, result.trained)
        if result.evaluation is not None:
            artefacts.write_evaluation(target, cached.splits["test"], result.evaluation, ours=not data_spec.needs_root)
            artefacts.write_weights(target, net)
        finished = record.Record(
            status=result.status,
            message=result.message,
            run_key=keys["run"],
            comparability_key=keys["comparability"],
            command=f"{request.command} --device {machine.device.type} --precision {machine.precision}",
            finished=describe.now(),
            seed=request.seed,
            protocol=describe.protocol(settings, request.overrides),
            dataset=describe.dataset(dataset, data_spec, cached),
            architecture=architecture,
            device=describe.device(machine),
            training=describe.training(result.trained),
            inference_images_per_second=describe.speed(result.evaluation),
            peak_memory_bytes=hardware.peak_memory_bytes(machine, fresh_process=request.fresh_process),
            environment=describe.environment(),
        )
        record.write_record(target, finished)
    return outcome(status=result.status, again=False, message=result.message)


@contextmanager
def blaming(plugin: Plugin) -> Iterator[None]:
    """An exception out of the plugin's file is its author's to mend: one line with file and line number."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if isinstance(error, ValueError) and "more than 1 value per channel" in str(error):
            raise UserError(
                f"{plugin.label} cannot learn from a batch of one image, over which its batch norm has no variance; "
                "the batch size leaves one over: change it with --batch-size"
            ) from error
        place = registry.place(error, plugin.source)
        if not place:
            raise
        raise UserError(f"{plugin.label} failed: {type(error).__name__}: {_first_line(error)}{place}") from error


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    status: record.Status
    message: str = ""
    trained: Trained | None = None
    evaluation: Evaluation | None = None


def _train_and_test(
    net: Network, cached: cache.Cached, settings: Protocol, seed: int, machine: Hardware, report: Report
) -> _Result:
    def validate(net: torch.nn.Module) -> float:
        return evaluator.validation_iou(net, splits["val"], settings, machine)

    trained = None
    try:
        net.to(device=machine.device)
        net.to(memory_format=torch.channels_last)
        splits = {name: DeviceSplit(split, settings, machine.device) for name, split in cached.splits.items()}
        trained = trainer.train(
            net, splits["train"], settings, seed=seed, hardware=machine, validate=validate, report=report
        )
        if trained.status == "diverged":
            message = f"the loss was not finite in epoch {len(trained.history)}"
            return _Result(status="diverged", message=message, trained=trained)
        # The only time that the test split is looked at.
        evaluation = evaluator.evaluate(net, splits["test"], cached.splits["test"], settings, machine, report)
    except evaluator.NotANumberError:
        return _Result(status="diverged", message="the trained network's logits are not numbers", trained=trained)
    except (MemoryError, RuntimeError) as error:
        if not hardware.is_out_of_memory(error):
            raise
        return _Result(status="out-of-memory", message=_first_line(error), trained=trained)
    return _Result(status="finished", trained=trained, evaluation=evaluation)


def resolved(dataset: Plugin, root: Path | None) -> DatasetSpec:
    """What the dataset is, with the folder that it was read from."""
    spec: DatasetSpec = dataset.spec
    if spec.resolve is None:
        return spec
    with blaming(dataset):
        return spec.resolve(root=root, **dataset.parameters)


def load_data(dataset: Plugin, settings: Protocol, root: Path | None, report: Report) -> cache.Cached:
    """The dataset, decoded at the protocol's size.

    Raises:
        UserError: the dataset needs a folder, or the folder does not hold what it should.
    """
    spec: DatasetSpec = dataset.spec
    validity.check_root(dataset.name, spec, root)
    with blaming(dataset):
        splits = spec.load(root=root, **dataset.parameters)
    return cache.prepare(
        splits,
        identity={"dataset": dataset.label, "source": dataset.source_hash},
        size=settings.image_size,
        grey=settings.channels == 1,
        report=report,
    )


def check_data(cached: cache.Cached, settings: Protocol, *, allow_leakage: bool) -> None:
    """Refuse data on which a number would mean nothing.

    Raises:
        UserError: a recording in two splits, a batch larger than the training split, a split without any mask.
    """
    shared = manifest.shared(cached.rows)
    leaking = [kind for kind in manifest.LEAKAGE_GROUPS if kind in shared]
    if leaking and not allow_leakage:
        kind = leaking[0]
        first, second = manifest.example_of_leakage(cached.rows, kind, shared[kind][0])
        same = "the same pixels" if kind == "pixels" else f"{kind} {shared[kind][0]}"
        raise UserError(
            f"leakage: {first.split}/{first.id} and {second.split}/{second.id} are of {same} ({len(shared[kind])} such "
            "case(s)); move them into one split, or run with --allow-leakage (the table will say so)"
        )
    train = cached.splits["train"]
    if settings.batch_size > len(train.rows):
        raise UserError(
            f"batch size {settings.batch_size} is larger than the training split ({len(train.rows)} images); "
            f"use --batch-size {len(train.rows)} or less"
        )
    headline = record.headline([row.slice for row in cached.splits["test"].rows])
    for split in cached.splits.values():
        if not any(row.foreground for row in split.rows if split.name != "test" or row.slice == headline):
            raise UserError(f"every mask of split '{split.name}' is empty; add images with foreground")


def _keys(plugin: Plugin, settings: Protocol, manifest: str, seed: int, machine: Hardware) -> dict[str, str]:
    comparability = record.key({"protocol": settings.digest, "manifest": manifest})
    run_key = record.key(
        {
            "table": comparability,
            "architecture": plugin.label,
            "source": plugin.source_hash,
            "weights": network.weights(plugin.spec, settings),
            "seed": seed,
            "device": machine.kind,
            "precision": machine.precision,
            "torch": torch.__version__,
        }
    )
    return {"comparability": comparability, "run": run_key}
