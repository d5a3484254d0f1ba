"""`bench verify --predict`: evaluate a run's weights again and compare every count.

If device kind, arithmetic, torch (with its build) and threads are the run's, and the device is deterministic (a CPU, or
CUDA with `--deterministic`), no pixel of a mask may differ. Elsewhere logits round differently, and pixels whose
logit lies at the threshold may change: at most 0.1 % of an image's pixels may differ. The stored counts must always
be those of the stored masks and the true masks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmark import scores
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data.cache import Cached
from benchmark.plugins import datasets, registry
from benchmark.records import checksums, describe, tables, weights
from benchmark.records.schema import Record
from benchmark.records.verify import counts
from benchmark.records.verify.badges import SOUND_TOLERANCE, TOLERANCE, VERIFICATION, Verification
from benchmark.records.verify.run_files import RunFolder
from benchmark.scores import separation
from benchmark.training.evaluator import Evaluation
from benchmark.training.hardware import Hardware

DATA_TOLERANCE = 0.05
"""dB. How much the scores of the noisy sound, which no mask touches, may differ on any machine."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Compared:
    """Differences (N,) in pixels at the protocol's size and the files', the largest in dB, and the errors in words."""

    masks: NDArray[np.int64]
    native: NDArray[np.int64]
    decibels: float | None
    wrong: str


def predict(results: Path, path: Path, *, data: Path | None, device: str, command: str, report: Report) -> Verification:
    """Evaluate the weights of a run that `verify.check` finds consistent, and write `verification.json` beside them.

    Raises:
        UserError: weights, plugin or data are missing, or are not the run's.
    """
    run = RunFolder(results, path)
    found = run.record
    settings = weights.settings_of(found)
    weights.require(path, found)  # before minutes are spent on data
    machine = weights.machine_for(found, device)
    dataset = registry.load("datasets", found.dataset.label)
    cached = datasets.load_data(dataset, settings, data, report)
    if cached.digest != found.dataset.manifest:
        raise UserError(
            f"{path} was tested on other data: its manifest is {found.dataset.manifest[:12]}, that of these is "
            f"{cached.digest[:12]}; name the folder of the run's data with --data"
        )
    files.check_writable(path, "a copy of the results, with --results")
    fresh = weights.evaluate(path, found, settings, cached, machine, report)
    alike = is_alike(found, machine)
    compared = _compare(run, cached, fresh, alike=alike)
    made = Verification(
        verdict="differs" if compared.wrong else "reproduced",
        message=compared.wrong,
        when=describe.now(),
        command=command,
        device=machine.kind,
        precision=machine.precision,
        torch=str(torch.__version__),
        threads=torch.get_num_threads(),
        alike=alike,
        tolerance=0.0 if alike else TOLERANCE,
        images=len(run.tested),
        largest_difference=int(compared.masks.max()),
        largest_native_difference=int(compared.native.max()),
        largest_difference_db=compared.decibels,
        sums=checksums.digest(path / checksums.NAME),
    )
    text = made.model_dump_json(indent=2, by_alias=True) + "\n"
    files.write_atomically(path / VERIFICATION, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return made


def is_alike(found: Record, machine: Hardware) -> bool:
    """Whether this machine must give the same bits as the run."""
    stored = found.device
    repeats = stored.type == machine.device.type == "cpu" or (stored.deterministic and machine.deterministic)
    same = (stored.kind, stored.precision) == (machine.kind, machine.precision)
    threads = machine.device.type != "cpu" or stored.threads == torch.get_num_threads()
    return repeats and same and threads and found.environment.get("torch") == str(torch.__version__)


def _compare(run: RunFolder, cached: Cached, fresh: Evaluation, *, alike: bool) -> _Compared:
    stored, rows = run.images, run.tested
    masks = (fresh.predictions ^ run.predictions).sum((1, 2))
    native = _largest(stored, fresh.counts)
    share = 0.0 if alike else TOLERANCE
    pixels = np.array([row.height * row.width for row in rows])
    size = run.predictions[0].size
    wrong = [fault.text for fault in counts.against_truth(run, cached.splits["test"].masks)]
    for what, difference, limit in (
        ("the predicted mask", masks, np.full(len(rows), share * size)),
        ("a count at the file's size", native, share * pixels),
    ):
        over = difference > limit
        if over.any():
            worst = int(np.argmax(difference - limit))
            wrong.append(
                f"image {rows[worst].id}: {what} differs by {difference[worst]} pixels, {int(limit[worst])} may "
                f"({int(over.sum())} image(s) do)"
            )
    if alike and not np.array_equal(fresh.histograms, run.logits.histograms):
        wrong.append("the histograms of the logits differ")
    decibels, heard = _sounds(stored, fresh.sounds, alike=alike)
    return _Compared(masks=masks, native=native, decibels=decibels, wrong="; ".join([*wrong, *heard]))


def _largest(stored: tables.Columns, fresh: Mapping[str, NDArray[np.int64]]) -> NDArray[np.int64]:
    """The largest difference of the counts at the files' size, per image (N,)."""
    names = [name for name in scores.COUNT_COLUMNS if name.startswith(("native_", "roundtrip_"))]
    return np.asarray(np.stack([abs(stored[name] - fresh[name]) for name in names]).max(0))


def _sounds(
    stored: tables.Columns, fresh: Mapping[str, NDArray[np.float64]], *, alike: bool
) -> tuple[float | None, list[str]]:
    """The largest difference of the sound scores in dB, and a line for each score beyond its limit."""
    largest, wrong = None, []
    for name in [name for name in scores.SOUND_COLUMNS if name in stored]:
        values = stored[name]
        of_data = name.endswith("_noisy")
        limit = DATA_TOLERANCE if of_data else SOUND_TOLERANCE[alike]
        difference = abs(values - fresh[name])
        difference[np.isnan(values) & np.isnan(fresh[name])] = 0
        difference = np.nan_to_num(difference, nan=2 * separation.DVAD_LIMIT)  # one of them is undefined
        most = float(difference.max())
        if most > limit:
            wrong.append(f"{name} differs by up to {most:.3g} dB, {limit:g} may")
        if not of_data:
            largest = max(most, largest or 0.0)
    return largest, wrong
