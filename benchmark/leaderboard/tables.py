"""Build the leaderboard: group records into tables, score them from their counts, and rank the entries."""

import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import combinations
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import one_line
from benchmark.contract import Reported
from benchmark.leaderboard import baseline, groups, references, strata, transfer_matrix, verdict
from benchmark.leaderboard.board import Board, Comparison, Published, Row, Table
from benchmark.leaderboard.scoring import Scored, score_all
from benchmark.leaderboard.strata import Images
from benchmark.leaderboard.stratum_means import stratum_means
from benchmark.records import store, verify
from benchmark.records.schema import Record, shown
from benchmark.scores import intervals, ranks
from benchmark.scores.intervals import Kinds

Sources: TypeAlias = Callable[[str], list[str]]
"""Name of an architecture -> the hashes of its source as it is now."""

_PUBLISHED = Path(__file__).parent / "published.toml"


def build(results: Path) -> Board:
    """Read every record below `results` and group the runs into tables. No file is hashed, see `verify.badge`.

    Raises:
        UserError: the results folder cannot be read.
    """
    read, problems = store.read_all(results)
    found = [(path, shown(one)) for path, one in read]
    by_key: dict[str, list[Scored]] = {}
    for run in score_all(found, problems):
        by_key.setdefault(run.record.comparability_key, []).append(run)
    sources = cache(verify.current_sources)
    tables = sorted((_table(results, key, runs, sources, problems) for key, runs in by_key.items()), key=_table_order)
    headings = Counter(table.heading for table in tables)
    names = Counter(_safe(table.head.protocol.name) for table in tables if not table.head.protocol.overrides)
    tables = [
        replace(
            table,
            name=_name(table, names),
            distinction=f" (table {table.key[:6]})" if headings[table.heading] > 1 else "",
            verdict=verdict.of(table),
        )
        for table in tables
    ]
    return Board(
        tables=tuple(tables),
        published=tuple(_published(tables)),
        comparisons=tuple(_comparisons(tables)),
        matrix=transfer_matrix.matrix(results, tables, problems),
        problems=tuple(map(one_line, problems)),  # they quote from the files
    )


def _table(results: Path, key: str, runs: Sequence[Scored], sources: Sources, problems: list[str]) -> Table:
    runs = _with_equal_scores(runs, problems)
    entries: dict[tuple[str, ...], list[Scored]] = {}
    for run in runs:
        entries.setdefault(_identity(run.record), []).append(run)
    images, references = _images(results, runs, problems)
    rows = [_row(members, _distinction(names, entries), images, sources) for names, members in entries.items()]
    if images:
        rows = _with_strata(rows, images)
    slices = dict.fromkeys(name for run in runs for name in run.slice_scores)
    with_sounds = any(run.gains is not None for run in runs)
    return Table(
        key=key,
        rows=groups.ordered(sorted(baseline.compare_with_baselines(rank(rows, images), images), key=_row_order)),
        references=references,
        slices=tuple(slices),
        snr_bins=tuple(stratum.low for stratum in images.by_snr()) if images and with_sounds and references else (),
        images=images,
    )


def _name(table: Table, names: Counter[str]) -> str:
    name = _safe(table.head.protocol.name)
    return name if names[name] == 1 and not table.head.protocol.overrides else f"{name}-{table.key[:6]}"


def _safe(name: str) -> str:
    """The name as part of the name of a file."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", name)


def _with_equal_scores(runs: Sequence[Scored], problems: list[str]) -> list[Scored]:
    """Leave out runs without sound scores if other runs have them: the means would be over different runs."""
    finished = [run for run in runs if run.record.status == "finished"]
    silent = [run for run in finished if run.gains is None]
    if len(silent) == len(finished):
        return list(runs)
    problems += [
        f"{run.folder / store.IMAGES} cannot be used: it lacks the sound scores that other runs of its table have"
        for run in silent
    ]
    return [run for run in runs if run not in silent]


def _images(results: Path, runs: Sequence[Scored], problems: list[str]) -> tuple[Images | None, tuple[Row, ...]]:
    """The test images and their references; if sounds are known and something is missing, that is a problem."""
    head = runs[0].record
    with_sounds = any(run.gains is not None for run in runs)
    images = None
    try:
        images = strata.load(results, head.dataset.manifest)
        if with_sounds:
            return images, references.references(results, head.dataset.manifest, head.protocol.revision, images)
    except (OSError, ValueError) as error:
        if with_sounds:
            problems.append(f"no references and no scores by SNR for data {head.dataset.manifest[:12]}: {error}")
    return images, ()


def _distinction(names: tuple[str, ...], all_names: Iterable[tuple[str, ...]]) -> str:
    """Device, arithmetic and source, as far as they differ from those of other rows with the same label."""
    label, *facts = names
    twins = [others for twin, *others in all_names if twin == label]
    differing = [index for index in range(len(facts)) if any(twin[index] != facts[index] for twin in twins)]
    shown = [f"source {facts[index][:6]}" if index == 2 else facts[index] for index in differing]
    return f" ({', '.join(shown)})" if shown else ""


def _row(members: Sequence[Scored], distinction: str, images: Images | None, sources: Sources) -> Row:
    newest: dict[int, Scored] = {}
    for run in sorted(members, key=lambda run: (run.record.status == "finished", run.record.finished)):
        newest[run.record.seed] = run  # a finished run replaces a failed one, a newer run an older one
    chosen = [newest[seed] for seed in sorted(newest)]
    runs = [run for run in chosen if run.record.status == "finished"]
    failed = [run for run in chosen if run.record.status != "finished"]
    first: Scored | None = runs[0] if runs else None
    return Row(
        label=chosen[0].record.architecture.label + distinction,
        status=(runs or failed)[0].record.status,
        runs=tuple(run.record for run in runs or failed),
        folders=tuple(run.folder for run in runs or failed),
        failed=tuple(run.record for run in failed),
        scores={name: fmean(run.scores[name] for run in runs) for name in (first.scores if first else ())},
        slice_scores={
            place: {name: fmean(run.slice_scores[place][name] for run in runs) for name in scores}
            for place, scores in (first.slice_scores if first else {}).items()
        },
        iou_deviation=stdev([run.scores["iou"] for run in runs]) if len(runs) > 1 else None,
        ious=_stacked([run.ious for run in runs]),
        badge=_badge(runs, sources),
        gains=_stacked([run.gains for run in runs]),
        aligned=bool(runs) and images is not None and all(run.ids == images.ids for run in runs),
    )


def _badge(runs: Sequence[Scored], sources: Sources) -> str:
    """The badge of an entry: the lowest badge of its seeds."""
    found = {verify.badge(run.folder, run.record, current=sources(run.record.architecture.name)) for run in runs}
    return next((badge for badge in ("older source", "self-reported", "verified") if badge in found), "")


def _stacked(values: Sequence[NDArray[np.float64] | None]) -> NDArray[np.float64]:
    present = [value for value in values if value is not None]
    return np.stack(present) if present else np.zeros((0, 0))


def _with_strata(rows: Sequence[Row], images: Images) -> list[Row]:
    """Add scores by stratum to the rows whose images are known."""
    result = list(rows)
    aligned = [index for index, row in enumerate(rows) if row.aligned]
    with_sounds = [index for index in aligned if len(rows[index].gains)]
    snr, area = images.by_snr(), images.by_area()
    ious = [(rows[index], rows[index].ious) for index in aligned]
    gains = [(rows[index], rows[index].gains) for index in with_sounds]
    both = zip(stratum_means(ious, images, snr), stratum_means(ious, images, area), strict=True)
    for index, (by_snr, by_area) in zip(aligned, both, strict=True):
        result[index] = replace(result[index], strata={"snr": by_snr, "area": by_area})
    for index, by_snr in zip(with_sounds, stratum_means(gains, images, snr), strict=True):
        result[index] = replace(result[index], by_snr=by_snr)
    return result


# ---------------------------------------------------------------- ranks


def rank(rows: Sequence[Row], images: Images | None) -> tuple[Row, ...]:
    """Add the interval and the rank set to each row, or the reason why it has none."""
    kinds = cache(partial(_kinds, images))
    reasons = [_obstacle(row, images, kinds) for row in rows]
    able = [index for index, reason in enumerate(reasons) if not reason]
    result = [replace(row, unranked=reason) for row, reason in zip(rows, reasons, strict=True)]
    if images is None or not able:
        return tuple(result)
    kept = with_mask(rows[able[0]], images)
    labels = kinds(kept.tobytes())
    values = [rows[index].ious[:, kept] for index in able]
    rank_sets = ranks.rank_sets(len(able), intervals.differences(values, labels))
    for index, mean, found in zip(able, intervals.means(values, labels), rank_sets, strict=True):
        result[index] = replace(result[index], interval=mean, ranks=found)
    return tuple(result)


def _kinds(images: Images | None, mask: bytes) -> Kinds:
    """The groups of the images in a mask, given as the bytes of (N,) bool; rows of a table share their mask."""
    inside = np.frombuffer(mask, np.bool_)
    return Kinds.of([group[inside] for group in images.groups] if images else [])


def with_mask(row: Row, images: Images) -> NDArray[np.bool_]:
    """The images that IoU is averaged over: (N,) bool. They are the same for every row of a table."""
    return np.asarray(images.main & np.isfinite(row.ious[0]))


def _obstacle(row: Row, images: Images | None, kinds: Callable[[bytes], Kinds]) -> str:
    """Why a row cannot be ranked, empty if it can. `kinds` gives the groups of the images in a mask."""
    if not row.finished:
        return f"{row.status}, no seed finished"
    if row.failed:
        return f"seed {row.failed[0].seed}: {row.failed[0].status}; the mean over the other seeds is too good"
    if images is None or not row.aligned:
        return "the manifest of the data is missing or has other images"
    kept = with_mask(row, images)
    return intervals.obstacle(len(row.runs), kinds(kept.tobytes()), deterministic=row.deterministic) or ""


def _comparisons(tables: Sequence[Table]) -> Iterable[Comparison]:
    """Compare every two tables by the trained entries that both have with enough seeds."""
    for first, second in combinations(tables, 2):
        # Baselines without training end every table: they would make any two tables agree.
        common = [
            (_identity(row.runs[0]), row) for row in first.rows if _has_enough_seeds(row) and not row.deterministic
        ]
        others = {_identity(row.runs[0]): row for row in second.rows if _has_enough_seeds(row)}
        pairs = [(row.scores["iou"], others[key].scores["iou"]) for key, row in common if key in others]
        found = ranks.agreement([a for a, _ in pairs], [b for _, b in pairs])
        if found:
            yield Comparison(first=first.heading, second=second.heading, agreement=found)


def _has_enough_seeds(row: Row) -> bool:
    """Whether no seed failed and there are enough: the order of single trainings is luck."""
    return row.finished and not row.failed and len(row.runs) >= intervals.FEWEST_SEEDS


def _identity(record: Record) -> tuple[str, ...]:
    """The facts that distinguish the rows of a table: runs that share them are seeds of one row."""
    entry, device = record.architecture, record.device
    return entry.label, device.kind, device.arithmetic, entry.source_hash


# ---------------------------------------------------------------- order, and published numbers


def _row_order(row: Row) -> tuple[bool, float, str]:
    """By IoU, then rows without a score."""
    iou = row.scores.get("iou", float("nan"))
    none = bool(np.isnan(iou))
    return none, 0.0 if none else -iou, row.label


def _table_order(table: Table) -> tuple[bool, bool, bool, str, str, str]:
    """Tables with ranks come first, unchanged protocols before changed ones, and real birds before all others."""
    protocol = table.head.protocol
    ranked = any(row.ranks for row in table.rows)
    first = protocol.name == "dawn-quick"
    return not ranked, bool(protocol.overrides), not first, protocol.name, table.head.dataset.label, table.key


def _published(tables: Sequence[Table]) -> list[Published]:
    """Published numbers of the entries that were run, and of systems that were only published."""
    content: dict[str, Any] = tomllib.loads(_PUBLISHED.read_text(encoding="utf-8"))
    printed = [
        Published(title=entry["title"], number=Reported(**number))
        for entry in content["entry"]
        for number in entry["reported"]
    ]
    measured = {
        (row.runs[0].architecture.title, number): number
        for table in tables
        for row in table.rows
        for number in row.runs[0].architecture.reported
    }
    found = [Published(title=title, number=number) for (title, _), number in measured.items()] + printed
    return sorted(found, key=lambda entry: (entry.number.metric != "IoU", entry.number.split, entry.title))
