"""The sentences around the tables, the same in every format."""

import tomllib
from collections.abc import Sequence
from pathlib import Path

from benchmark.contract import Reported
from benchmark.leaderboard import columns
from benchmark.leaderboard.baseline import is_pixelwise
from benchmark.leaderboard.board import Board, Comparison, Table
from benchmark.leaderboard.columns import Column
from benchmark.records.schema import Isolation, SliceRecord
from benchmark.scores import separation
from benchmark.scores.intervals import FEWEST_GROUPS, FEWEST_SEEDS

BY_SNR = (
    "SI-SDR gain (dB) by input SNR, with 95 % intervals (none for fewer than "
    f"{FEWEST_GROUPS} independent groups or {FEWEST_SEEDS} seeds)"
)
NOTE = "Do not compare numbers of different tables: each has its own protocol and its own locked data."
RANKS = (
    "Rank: the ranks that an entry may have, at 95 % for the whole table (Holm's correction over all pairs); entries "
    "whose ranks overlap are not ordered. ±: half the 95 % interval of the IoU of this entry alone, over other "
    "recordings and other seeds. Ranks guard all pairs at once, so two intervals can stand apart while the order is "
    "still uncertain. The interval is too narrow if a training collapses now and then, or if seeds or groups are very "
    "skewed (docs/statistics.md)."
)

REFERENCES = (
    "Masks that need no network, applied like those of the networks, and denoisers that people use, some of them "
    f"optional ({separation.REMEDY}):"
)


_NAMES: dict[str, dict[str, str]] = tomllib.loads(
    Path(__file__).parent.with_name("names.toml").read_text(encoding="utf-8")
)


def title(table: Table) -> str:
    """Name a table in words: its data, the size of the experiment if it is not the quick one, and what was changed."""
    protocol, dataset = table.head.protocol, table.head.dataset
    changes = {name: value for name, value in protocol.overrides.items() if name != "dataset"}
    words = [_NAMES["data"].get(dataset.label.partition(":")[0], dataset.title)]
    words += ["the paper's size"] if protocol.name == "paper" else []
    words += ["ImageNet weights"] if changes.pop("weights", "none") == "pretrained" else []
    words += [f"{name.replace('_', ' ')} {value}" for name, value in sorted(changes.items())]
    return ", ".join(words) + table.distinction


def in_words(place: str) -> str:
    """The name of a slice of the test for readers."""
    return _NAMES["slices"].get(place, place.replace("-", " "))


def about(table: Table) -> list[str]:
    """Describe the data, the settings, the groups and the keys of a table."""
    dataset, settings = table.head.dataset, table.head.protocol.settings
    size = " x ".join(str(side) for side in settings["image_size"])
    counts = "/".join(str(dataset.images[split]) for split in ("train", "val", "test"))
    vanished = f", {table.vanished} more become empty at {size} px (IoU 0)" if table.vanished else ""
    return [
        f"{dataset.title}: {counts} images to train/validate/test, {dataset.empty_masks['test']} test masks are empty"
        f"{vanished}",
        *_slices(table),
        *(_seen(name, dataset.test_slices[name], part) for name, part in dataset.slices.items()),
        f"{size} px, {settings['epochs']} epochs, batch {settings['batch_size']}, {settings['optimiser']} "
        f"{_rate(table)}, {settings['loss']}, weights {settings['weights']}",
        "groups in train/validate/test (all slices): "
        + ("" if len(dataset.groups) > 1 else "recordings not stated, ")
        + ", ".join(_isolation(kind, found) for kind, found in dataset.groups.items()),
        *_units(table),
        f"table {table.key[:12]}: protocol {table.head.protocol.digest[:12]}, manifest {dataset.manifest[:12]}",
    ]


def remarks(table: Table) -> list[str]:
    """Remarks on single rows: published numbers, failures, and why a row is not ranked."""
    lines = []
    for row in table.rows:
        number = columns.published_iou(row)
        if number is not None:
            lines.append(f"{row.label}: published IoU {number.value:.2f} % ({number.source}); {comparable(number)}.")
        old = {
            run.architecture.name for run in row.runs if not run.architecture.label.startswith(run.architecture.name)
        }
        lines += [f"{row.label} is recorded as {name}." for name in sorted(old)]
        if row.runs and row.runs[0].architecture.own_loss:
            lines.append(
                f"{row.label} was trained with a loss of its own, not with {table.head.protocol.settings['loss']}."
            )
        lines += [f"{row.label}, seed {run.seed}: {run.status}. {run.message}." for run in row.failed]
        lines += [
            f"{row.label}, seed {run.seed}: every pixel of {split} was predicted as {found}."
            for run in row.runs
            for split, found in run.only_class.items()
        ]
    return [*below(table), *lines, *unranked(table)]


def below(table: Table) -> list[str]:
    """Name the rows that are not clearly above the pixel-wise baseline, and those not tested, a line per slice."""
    floors = [row for row in table.rows if is_pixelwise(row)]
    names = ", ".join(row.label for row in floors)
    places = dict.fromkeys(place for row in table.rows for place in row.above)
    if floors and not places:
        return [
            f"No entry can be compared with the pixel-wise baseline ({names}): it is not ranked, or nothing else is."
        ]
    lines = []
    for place in places:
        who = names + ("" if place == table.head.headline_slice else f"; slice {place}")
        found = [row.label for row in table.rows if not row.above.get(place, True)]
        line = f"Not clearly above the pixel-wise baseline ({who}): {', '.join(found) or 'none'}."
        unknown = [row.label for row in table.rows if row not in floors and place not in row.above]
        lines.append(line + (f" Not tested: {', '.join(unknown)}." if unknown else ""))
    return lines


def absent(table: Table) -> list[str]:
    """A line on the references that could not be computed, if others are shown."""
    line = separation.absent([row.label for row in table.references]) if table.references else ""
    return [f"{line[:1].upper()}{line[1:]}."] if line else []


def unranked(table: Table) -> list[str]:
    """Name the rows that are not ranked, a line per reason."""
    found: dict[str, list[str]] = {}
    for row in table.rows:
        if row.unranked:
            found.setdefault(row.unranked, []).append(row.label)
    return [f"Not ranked ({reason}): {', '.join(labels)}." for reason, labels in found.items()]


def agreement(found: Comparison) -> str:
    """Say how far two tables agree."""
    tau = found.agreement
    return (
        f"{found.first} and {found.second} have {tau.entries} entries in common; Kendall's tau is {tau.tau:.2f} "
        f"({tau.low:.2f} to {tau.high:.2f})"
    )


AGREEMENT = (
    "Kendall's tau-b of the mean IoUs: 1 means the same order, 0 unrelated orders. In brackets is its 95 % interval "
    "over other choices of architectures. Entries with a single seed do not count."
)


GENERALISATION = (
    "Mean IoU (%) over the seeds of networks trained on one kind of data and tested on another, each at the image size "
    "of its own protocol. In brackets: on the test of its own data. [2/3]: two of its three seeds were tested there. "
    "Leakage: part of that test was in its training."
)


def meanings(board: Board, chosen: Sequence[str] = ()) -> list[Column]:
    """The columns that the board shows, or the chosen ones, each once."""
    found = {column.name: column for table in board.tables for column in columns.of(table)}
    return [column for column in found.values() if not chosen or column.name in (*chosen, "architecture")]


def comparable(number: Reported) -> str:
    """Say whether a published number can be compared with those of the tables, and if not, why."""
    return caveat(number.comparable)


def caveat(text: str) -> str:
    """The same from the text that a plugin states, which begins with "no:" or not."""
    no, _, why = text.partition(":")
    return f"not comparable:{why}" if no == "no" and why else f"comparable: {text}"


def _rate(table: Table) -> str:
    """The learning rate of all entries, or the rates that each entry chose from."""
    settings = table.head.protocol.settings
    rates = [f"{rate:g}" for rate in settings.get("learning_rates", ())]
    return f"at the best of {', '.join(rates)} in validation" if rates else f"{settings['learning_rate']:g}"


def _slices(table: Table) -> list[str]:
    """Name the slice of the test split that the scores are computed on, if it has several."""
    if len(table.head.dataset.test_slices) == 1:
        return []
    headline = table.head.headline_slice
    others = {name: count for name, count in table.head.dataset.test_slices.items() if name != headline}
    own = ", ".join(f"IoU {name} on {count} others" for name, count in others.items())
    return [f"scores are on the {table.head.dataset.test_slices[headline]} test images of slice {headline}; {own}"]


def _seen(name: str, images: int, part: SliceRecord) -> str:
    """Say how many groups of a slice were not in training or validation."""
    groups = ", ".join(f"{kind} {count}" for kind, count in part.groups.items()) or "groups not stated"
    unseen = ", ".join(f"{kind} in {count} of them" for kind, count in part.unseen.items() if count) or "none"
    return f"slice {name}: {images} images, {groups}" + (f"; new to the network: {unseen}" if part.groups else "")


def _isolation(kind: str, found: Isolation) -> str:
    name = "distinct images" if kind == "pixels" else kind
    return f"{name} {'/'.join(str(count) for count in found.counts.values())} {found.relation}"


def _units(table: Table) -> list[str]:
    if table.images is None or not table.images.kinds:
        return []
    return [f"units of intervals and ranks: {' and '.join(table.images.kinds)} of the test images, and seeds"]
