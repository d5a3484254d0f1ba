"""The whole experiment, top to bottom: an architecture, a protocol, a seed -> a run folder in the results store."""

import datetime
import hashlib
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from benchmark import evaluator, hardware, metrics, network, protocol, record, registry, trainer
from benchmark.contract import ArchitectureSpec, DatasetSpec
from benchmark.data import cache
from benchmark.data.batches import DeviceSplit
from benchmark.errors import UserError
from benchmark.evaluator import Evaluation
from benchmark.hardware import Hardware
from benchmark.network import Network
from benchmark.progress import Report
from benchmark.protocol import Protocol
from benchmark.registry import Plugin
from benchmark.trainer import Trained

_VERSIONED = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "numpy", "scipy", "pillow")


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
    check_data(cached, settings, allow_leakage=request.allow_leakage)

    keys = _keys(plugin, settings, cached.digest, request.seed, machine)
    path = record.folder(request.results, settings.name, dataset.name, plugin.name, keys["run"])
    outcome = partial(Outcome, path=path, label=plugin.label, seed=request.seed)
    if record.finished(path) and not request.force:
        return outcome(status="finished", again=True)

    net = network.build(plugin, settings, request.seed)
    facts = _Facts(request, plugin, dataset, settings, machine, cached, keys, net)
    net.to(machine.device, memory_format=torch.channels_last)
    splits = {name: DeviceSplit(split, settings, machine.device) for name, split in cached.splits.items()}

    def validate(net: torch.nn.Module) -> float:
        return evaluator.validation_iou(net, splits["val"], settings, machine)

    trained, evaluation, status, message = None, None, "finished", ""
    try:
        trained = trainer.train(
            net, splits["train"], settings, seed=request.seed, hardware=machine, validate=validate, report=report
        )
        status = trained.status
        if status == "finished":
            # The only time that the test split is looked at.
            evaluation = evaluator.evaluate(net, splits["test"], cached.splits["test"], settings, machine, report)
        else:
            message = f"the loss was not finite in epoch {len(trained.history)}"
    except evaluator.NotANumber:
        status, message = "diverged", "the trained network's logits are not numbers"
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not _is_out_of_memory(error):
            raise
        status, message = "out-of-memory", str(error).splitlines()[0]

    with record.writing(path) as target:
        _write_once(request.results, cached)
        record.write_record(target, facts.record(status, message, trained, evaluation))
        (target / "plugin.py").write_bytes(plugin.source.read_bytes())
        if trained is not None:
            _write_history(target, plugin.label, trained)
        if evaluation is not None:
            _write_evaluation(target, cached.splits["test"], evaluation)
            save_file({name: value.cpu().contiguous() for name, value in net.core.state_dict().items()},
                      target / "model.safetensors")
    return outcome(status=status, again=False, message=message)


def load_data(dataset: Plugin, settings: Protocol, root: Path | None, report: Report) -> cache.Cached:
    """The dataset, decoded at the protocol's size.

    Raises:
        UserError: the dataset needs a folder, or the folder does not hold what it should.
    """
    spec: DatasetSpec = dataset.spec
    if spec.needs_root and root is None:
        raise UserError(f"dataset '{dataset.name}' is read from a folder: say which with --data ROOT ({spec.title})")
    if not spec.needs_root and root is not None:
        raise UserError(
            f"dataset '{dataset.name}' is embedded and reads no folder: leave --data out, or say which reader "
            "the folder wants, e.g. --dataset birdsounds or --dataset folder"
        )
    if root is not None and not root.is_dir():
        raise UserError(f"no folder {root}; --data wants the folder that holds the dataset")
    return cache.prepare(
        spec.load(root=root, **dataset.parameters),
        identity={"dataset": dataset.label, "source": dataset.source_hash},
        size=settings.image_size,
        grey=settings.channels == 1,
        report=report,
    )


def check_data(cached: cache.Cached, settings: Protocol, *, allow_leakage: bool) -> None:
    """Refuse data on which a number would mean nothing.

    Raises:
        UserError: a recording in two splits, a batch larger than the training split, no mask to learn or validate on.
    """
    shared = cache.shared(_rows(cached))
    leaking = [kind for kind in cache.LEAKAGE_GROUPS if kind in shared]
    if leaking and not allow_leakage:
        kind = leaking[0]
        raise UserError(
            f"leakage: {len(shared[kind])} {kind} group(s) stand in more than one split, e.g. '{shared[kind][0]}'; "
            "move them into one split, or run with --allow-leakage (the table will say so)"
        )
    train = cached.splits["train"]
    if settings.batch_size > len(train.rows):
        raise UserError(
            f"batch size {settings.batch_size} is larger than the training split ({len(train.rows)} images); "
            f"use --batch-size {len(train.rows)} or less"
        )
    for split in (train, cached.splits["val"]):
        if not any(row.foreground for row in split.rows):
            raise UserError(f"every mask of split '{split.name}' is empty; add images with foreground")


def _rows(cached: cache.Cached) -> list[cache.Row]:
    return [row for split in cached.splits.values() for row in split.rows]


def _keys(plugin: Plugin, settings: Protocol, manifest: str, seed: int, machine: Hardware) -> dict[str, str]:
    comparability = record.key({"protocol": settings.digest, "manifest": manifest})
    run_key = record.key({
        "table": comparability,
        "architecture": plugin.label,
        "source": plugin.source_hash,
        "weights": _weights(plugin.spec, settings),
        "seed": seed,
        "device": machine.kind,
        "precision": machine.precision,
        "torch": torch.__version__,
    })
    return {"comparability": comparability, "run": run_key}


def _weights(spec: ArchitectureSpec, settings: Protocol) -> str:
    return str(spec.pretrained) if network.starts_pretrained(spec, settings) else "random"


def _is_out_of_memory(error: RuntimeError) -> bool:
    # torch's CPU allocator raises a plain RuntimeError.
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)


class _Facts:
    """What is known of a run before it trains; makes the record when it has."""

    def __init__(
        self,
        request: Request,
        plugin: Plugin,
        dataset: Plugin,
        settings: Protocol,
        machine: Hardware,
        cached: cache.Cached,
        keys: dict[str, str],
        net: Network,
    ) -> None:
        self._request, self._machine, self._keys = request, machine, keys
        self._protocol = record.ProtocolRecord(
            name=settings.name,
            title=settings.title,
            digest=settings.digest,
            revision=protocol.REVISION,
            settings=settings.model_dump(mode="json", exclude={"name", "title", "about"}),
            overrides=request.overrides,
        )
        self._dataset = _dataset_record(dataset, cached)
        spec: ArchitectureSpec = plugin.spec
        self._architecture = record.ArchitectureRecord(
            name=plugin.name,
            label=plugin.label,
            parameters=dict(plugin.parameters),
            title=spec.title,
            paper=spec.paper,
            citation=spec.citation,
            source_hash=plugin.source_hash,
            weights=_weights(spec, settings) if network.parameter_count(net) else "no parameters",
            parameter_count=network.parameter_count(net),
            gflops=round(network.gigaflops(net, settings), 4),
            reported=[
                record.ReportedRecord(**{name: getattr(number, name) for name in number.__slots__})
                for number in spec.reported
            ],
        )

    def record(
        self, status: record.Status, message: str, trained: Trained | None, evaluation: Evaluation | None
    ) -> record.Record:
        history = trained.history if trained else ()
        return record.Record(
            status=status,
            message=message,
            run_key=self._keys["run"],
            comparability_key=self._keys["comparability"],
            command=self._request.command,
            finished=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            seed=self._request.seed,
            protocol=self._protocol,
            dataset=self._dataset,
            architecture=self._architecture,
            device=record.DeviceRecord(
                kind=self._machine.kind,
                type=self._machine.device.type,
                precision=self._machine.precision,
                threads=torch.get_num_threads(),
            ),
            training=record.TrainingRecord(
                epochs=len(history),
                best_epoch=trained.best_epoch if trained else 0,
                seconds=round(trained.seconds, 3) if trained else 0.0,
                images_per_second=_rounded(trained.images_per_second if trained else None),
                last_losses=[round(epoch.loss, 6) for epoch in history if np.isfinite(epoch.loss)][-5:],
            ),
            inference_images_per_second=_rounded(evaluation.images_per_second if evaluation else None),
            peak_memory_bytes=hardware.peak_memory_bytes(self._machine, fresh_process=self._request.fresh_process),
            environment=_environment(),
        )


def _dataset_record(dataset: Plugin, cached: cache.Cached) -> record.DatasetRecord:
    rows = _rows(cached)
    shared = cache.shared(rows)
    spec: DatasetSpec = dataset.spec
    slices = [row.slice for row in cached.splits["test"].rows]
    return record.DatasetRecord(
        label=dataset.label,
        title=spec.title,
        citation=spec.citation,
        licence=spec.licence,
        source_hash=dataset.source_hash,
        manifest=cached.digest,
        images={name: len(split.rows) for name, split in cached.splits.items()},
        empty_masks={name: sum(not row.foreground for row in split.rows) for name, split in cached.splits.items()},
        test_slices={name: slices.count(name) for name in dict.fromkeys(slices)},
        groups={
            kind: record.Isolation(relation="shared" if kind in shared else "disjoint", counts=counts)
            for kind, counts in cache.isolation(rows).items()
        },
    )


def _environment() -> dict[str, str]:
    found = {"python": platform.python_version(), "platform": platform.platform(), "core": _core_hash()}
    for package in _VERSIONED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue  # optional for the core: only some plugins import it
    return found


def _core_hash() -> str:
    """SHA-256 over the core's own sources, without comments and docstrings."""
    folder = Path(__file__).parent
    files = sorted(path for path in folder.rglob("*.py") if path.relative_to(folder).parts[0] not in ("architectures", "datasets"))
    text = "".join(f"{path.relative_to(folder)} {registry.source_hash(path)}\n" for path in files)
    return hashlib.sha256(text.encode()).hexdigest()


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _write_once(results: Path, cached: cache.Cached) -> None:
    path = results / "manifests" / f"{cached.digest[: record.KEY_DIGITS]}.jsonl"
    if not path.exists():
        record.write_atomically(path, lambda temporary: temporary.write_text(cached.manifest, encoding="utf-8"))


def _write_history(target: Path, label: str, trained: Trained) -> None:
    rows = [
        [epoch.epoch, f"{epoch.loss:.6f}", f"{epoch.validation_iou:.6f}", f"{epoch.seconds:.3f}"]
        for epoch in trained.history
    ]
    record.write_csv(target / "history.csv", ["epoch", "loss", "validation_iou", "seconds"], rows)
    if trained.history and trained.status == "finished":
        from benchmark import pictures

        pictures.draw_curve(
            target / "examples" / "curve.png",
            label,
            [epoch.loss for epoch in trained.history],
            [epoch.validation_iou for epoch in trained.history],
            trained.best_epoch,
        )


def _write_evaluation(target: Path, split: cache.CachedSplit, evaluation: Evaluation) -> None:
    columns = metrics.COUNT_COLUMNS
    counts = [evaluation.counts[name].tolist() for name in columns]
    rows = [[row.id, row.slice, *values] for row, *values in zip(split.rows, *counts, strict=True)]
    record.write_csv(target / "images.csv", ["id", "slice", *columns], rows)
    bins = range(evaluator.LOGIT_BINS)
    header = ["id", *(f"{name}_{bin}" for name in ("background", "foreground") for bin in bins)]
    flat = evaluation.histograms.reshape(len(split.rows), -1).tolist()
    record.write_csv(target / "logits.csv", header, [[row.id, *values] for row, values in zip(split.rows, flat, strict=True)])
    np.savez_compressed(
        target / "predictions.npz",
        packed=np.packbits(evaluation.predictions, axis=-1),
        shape=np.array(evaluation.predictions.shape),
    )
    _draw_examples(target, split, evaluation)


def _draw_examples(target: Path, split: cache.CachedSplit, evaluation: Evaluation) -> None:
    from benchmark import pictures

    iou = metrics.image_iou(evaluation.counts)
    with_mask: Sequence[int] = [index for index, row in enumerate(split.rows) if row.foreground]
    ranked = sorted(with_mask, key=lambda index: (-iou[index], split.rows[index].id))
    if not ranked:
        return
    for name, index in (("best", ranked[0]), ("median", ranked[len(ranked) // 2]), ("worst", ranked[-1])):
        title = f"{name}: {split.rows[index].id}, IoU {100 * iou[index]:.1f} %"
        pictures.draw_example(
            target / "examples" / f"{name}.png", title, split.images[index], split.masks[index], evaluation.predictions[index]
        )
