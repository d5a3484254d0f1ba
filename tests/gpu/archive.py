"""Packs what leaves the machine: records, tables and pictures as one archive, and the weights of the best entries."""

import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from command import Command, execute
from safetensors.numpy import load_file, save

from benchmark.records import store
from benchmark.records.schema import Record
from benchmark.records.store import WEIGHTS
from benchmark.tools.denoise.choose_run import validation_iou

NAME = "records.tar.gz"
BEST = 2
"""Entries whose weights are kept."""
_LEFT_OUT = (WEIGHTS, "unfinished", "jobs", "private")


def restore(out: Path, results: Path) -> None:
    """Unpack the records of an earlier call from the archive in `out`, unless the results folder exists."""
    if (out / NAME).exists() and not results.exists():
        with tempfile.TemporaryDirectory(prefix="bench-proof-") as folder, tarfile.open(out / NAME) as archive:
            archive.extractall(folder, filter="data")
            shutil.move(Path(folder) / "results", results)
    results.mkdir(parents=True, exist_ok=True)


def runs(results: Path, known: Mapping[str, Any]) -> list[tuple[Path, Record]]:
    """The finished runs of this table, device, precision and torch, which `bench run` would not repeat."""
    return [
        (path, found)
        for path, found in store.read_all(results)[0]
        if found.status == "finished"
        and found.comparability_key == known["table"]
        and (found.device.kind, found.device.precision) == (known["kind"], known["precision"])
        and found.environment["torch"] == known["torch"]
    ]


def figures(results: Path, known: Mapping[str, Any], label: str, seed: int) -> dict[str, Any]:
    """The speed of a finished run, from its record; empty if there is no such run."""
    for _, run in runs(results, known):
        if (run.architecture.label, run.seed) == (label, seed):
            return {
                "architecture": label,
                "seed": seed,
                "training_seconds": run.training.seconds,
                "images_per_second": run.training.images_per_second,
                "inference_images_per_second": run.inference_images_per_second,
                "peak_memory_bytes": run.peak_memory_bytes,
            }
    return {}


def write(results: Path, out: Path, log: Path) -> None:
    """Write records.tar.gz: the results folder with its tables, without weights, checkpoints and unfinished work."""
    if (results / "runs").exists():
        words = ["-m", "benchmark", "leaderboard", "--results", str(results.resolve()), "--format", "md,csv,html"]
        execute(Command(words=words, limit=120, log=log))
    beside = out / f".{NAME}.new"
    with tarfile.open(beside, "w:gz", compresslevel=3) as archive:
        archive.add(results, "results", filter=_wanted)
    beside.replace(out / NAME)


def _wanted(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    name = Path(entry.name).name
    return None if name in _LEFT_OUT or name.startswith(".") or name.endswith(".lock") else entry


def write_weights(results: Path, out: Path, known: Mapping[str, Any], largest: float | None) -> list[str]:
    """Write the weights of the best entries by validation IoU, in 16 bits; returns a line for each."""
    best: dict[str, tuple[float, Path, Record]] = {}
    for path, found in runs(results, known):
        if found.architecture.parameter_count:
            best[found.architecture.label] = max(
                (validation_iou(path, found), path, found),
                best.get(found.architecture.label, (-1.0, path, found)),
                key=lambda entry: entry[0],
            )
    lines, names = [], []
    for iou, path, found in sorted(best.values(), key=lambda entry: -entry[0])[:BEST]:
        label = re.sub(r"[^A-Za-z0-9.]+", "-", found.architecture.label)
        name = f"weights-{label}-seed{found.seed}-{found.run_key[: store.KEY_DIGITS]}.safetensors"
        size = 2 * found.architecture.parameter_count / 2**20
        what = f"{name}: validation IoU {100 * iou:.2f} %"
        if largest is not None and size > largest:
            lines.append(f"{what}; left out: {size:.0f} MiB are more than {largest:g}")
        elif (out / name).exists():
            lines.append(what)
            names.append(name)
        elif (path / WEIGHTS).exists():
            lines.append(f"{what}{_halved(path / WEIGHTS, out / name, found)}")
            names.append(name)
        else:
            lines.append(f"{what}; its weights are not at hand: they were not kept by an earlier call")
    for old in out.glob("weights-*.safetensors"):
        if old.name not in names:
            old.unlink()
    return lines


def _halved(source: Path, target: Path, found: Record) -> str:
    """Write tensors of 32 bits in 16, except those with a number that 16 bits cannot hold; returns their names."""
    tensors, whole = {}, []
    for name, value in load_file(source).items():
        with np.errstate(over="ignore"):
            half = value.astype(np.float16) if value.dtype == np.float32 else value
        if value.dtype == np.float32 and not np.isfinite(half).all():
            half = value
            whole.append(name)
        tensors[name] = half
    metadata = {"run_key": found.run_key, "command": found.command, "numbers": "float16"}
    beside = target.with_name(f".{target.name}.new")
    beside.write_bytes(save(tensors, metadata))  # not save_file: its files are readable by their owner alone
    beside.replace(target)
    return f"; in 32 bits: {', '.join(whole)}" if whole else ""
