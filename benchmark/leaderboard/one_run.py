"""Everything that `bench show` says of one run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.common.errors import UserError
from benchmark.leaderboard import strata
from benchmark.leaderboard.scoring import Scored, score_all
from benchmark.records import store, tables, verify
from benchmark.records.schema import Record, shown
from benchmark.records.tables import History
from benchmark.scores import intervals

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """A run: `scored` is None if it did not finish; `half_width` is that of the 95 % interval of its IoU over images.

    The interval says what other recordings would give this one network; it knows nothing of other seeds.
    """

    path: Path
    record: Record
    scored: Scored | None
    half_width: float | None
    images: int
    history: History | None
    badge: str
    files: dict[str, int]


def show(results: Path, path: Path, record: Record) -> Shown:
    """Read what is stored of a run.

    Raises:
        UserError: its counts are damaged.
    """
    record = shown(record)
    scored = None
    if record.status == "finished":
        problems: list[str] = []
        scored = next(iter(score_all([(path, record)], problems)), None)
        if problems:
            raise UserError(f"{problems[0]}; {store.INSTEAD}")
    half, count = _interval(results, record, scored)
    try:
        history = tables.read_history(path / store.HISTORY)
    except (OSError, ValueError):
        history = None
    return Shown(
        path=path,
        record=record,
        scored=scored,
        half_width=half,
        images=count,
        history=history if history and history.epochs else None,
        badge=verify.badge(path, record) if scored else "",
        files={str(file.relative_to(path)): file.stat().st_size for file in sorted(path.rglob("*")) if file.is_file()},
    )


def _interval(results: Path, record: Record, scored: Scored | None) -> tuple[float | None, int]:
    """Half the interval (None: there is none), and the number of images of the mean."""
    if scored is None or scored.ious is None:
        return None, 0
    kept = np.isfinite(scored.ious)
    try:
        images = strata.load(results, record.dataset.manifest)
        if images.ids != scored.ids:
            return None, int(kept.sum())
    except (OSError, ValueError):
        return None, int(kept.sum())
    kept &= images.main
    labels = [group[kept] for group in images.groups]
    if intervals.obstacle(intervals.FEWEST_SEEDS, labels):
        return None, int(kept.sum())
    return intervals.means([scored.ious[None, kept]], labels)[0].half_width(), int(kept.sum())


def as_json(run: Shown) -> dict[str, Any]:
    """The facts of a run, shares from 0 to 1."""
    scored, history = run.scored, run.history
    return {
        "path": str(run.path),
        "badge": run.badge,
        "scores": {
            name: None if np.isnan(value) else value for name, value in (scored.scores if scored else {}).items()
        },
        "slices": dict(scored.slice_scores) if scored else {},
        "iou_half_width": run.half_width,
        "images": run.images,
        "history": {"loss": history.losses, "validation_iou": history.ious} if history else None,
        "files": run.files,
        "record": run.record.model_dump(mode="json", by_alias=True),
    }


def lines(run: Shown) -> Iterator[str]:
    """The same in about twenty lines."""
    record = run.record
    entry, dataset, device = record.architecture, record.dataset, record.device
    yield f"{entry.label}, seed {record.seed}: {record.protocol.name} on {dataset.label}"
    yield f"{entry.title}, {entry.paper}"
    yield ""
    if run.scored:
        yield from _scores(run, run.scored)
    else:
        yield _fact("Status", f"{record.status}: {record.message}")
    yield _fact(
        "Network", f"{entry.parameter_count:,} parameters, {entry.gflops:.1f} GFLOP per image, weights: {entry.weights}"
    )
    yield from _training(run)
    if record.inference_images_per_second:
        memory = f", {record.peak_memory_bytes / 1e9:.1f} GB at most" if record.peak_memory_bytes else ""
        yield _fact("Test", f"{record.inference_images_per_second:g} images/s{memory}")
    threads = f", {device.threads} thread{'s' if device.threads != 1 else ''}" if device.type == "cpu" else ""
    yield _fact("Machine", f"{device.kind}, {device.arithmetic}{threads}, torch {record.environment.get('torch', '?')}")
    yield _fact("Finished", f"{record.finished.replace('T', ' ').replace('+00:00', '')} UTC")
    yield _fact("Data", f"{', '.join(f'{count} {split}' for split, count in dataset.images.items())} images")
    yield _fact("Keys", f"run {record.run_key[:12]}, table {record.comparability_key[:12]}")
    yield _fact("Folder", str(run.path))
    yield _fact("Files", ", ".join(_files(run)))
    yield _fact("Again", record.command)


def _scores(run: Shown, scored: Scored) -> Iterator[str]:
    place = run.record.headline_slice
    scores = scored.scores
    sure = f" ± {100 * run.half_width:.1f}" if run.half_width is not None else ""
    why = "; ±: other recordings, same network" if sure else ""
    yield _fact("IoU", f"{100 * scores['iou']:.1f}{sure} % on {run.images} images of {place}{why}")
    others = [f"{name} {100 * found['iou']:.1f} %" for name, found in scored.slice_scores.items()]
    if others:
        yield _fact("", ", ".join(others))
    yield _fact("", ", ".join(f"{name} {100 * scores[name]:.1f} %" for name in ("dice", "precision", "recall")))
    if not np.isnan(gain := scores.get("sisdr_improvement", np.nan)):
        kept, left = scores["song_kept"], scores["noise_left"]
        yield _fact("Sound", f"SI-SDR {gain:+.1f} dB, song kept {kept:.1f} dB, noise left {left:.1f} dB")
    yield _fact("Checked", run.badge)


def _training(run: Shown) -> Iterator[str]:
    training, history = run.record.training, run.history
    if not history:
        yield _fact("Training", "none")
        return
    yield _fact(
        "Training", f"{training.epochs} epochs in {training.seconds:.0f} s, weights of epoch {training.best_epoch}"
    )
    yield _fact("", f"loss    {spark(history.losses)} {history.losses[0]:.3g} to {history.losses[-1]:.3g}")
    ious = [100 * iou for iou in history.ious]
    yield _fact("", f"val IoU {spark(ious)} {ious[0]:.1f} to {ious[-1]:.1f} %")


def _files(run: Shown) -> Iterator[str]:
    for name, size in run.files.items():
        if "/" not in name:
            yield f"{name} {max(size / 1000, 1):.0f} kB" if size < 1e6 else f"{name} {size / 1e6:.0f} MB"
    inside = {name.partition("/")[0] for name in run.files if "/" in name}
    yield from (f"{folder}/" for folder in sorted(inside))
    if run.record.architecture.parameter_count and store.WEIGHTS not in run.files:
        yield "no weights (they are not committed)"


def _fact(name: str, text: str) -> str:
    return f"{name:9} {text}"


def spark(values: Sequence[float]) -> str:
    """Values as a line of small bars, at most 40; a value that is not finite is a cross."""
    chosen = np.asarray(values, dtype=np.float64)
    if len(chosen) > _WIDTH:
        chosen = chosen[np.linspace(0, len(chosen) - 1, _WIDTH).round().astype(int)]
    finite = chosen[np.isfinite(chosen)]
    low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
    steps = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((value - low) * steps)] if np.isfinite(value) else "x" for value in chosen)
