"""Choose the pictures: of each entry the best, median and worst images, and images that all entries share."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.contract import Rendering
from benchmark.leaderboard import groups
from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.groups import Group
from benchmark.leaderboard.page.encoding import encode, pictures, predictions, shrink
from benchmark.leaderboard.page.sounds import players
from benchmark.leaderboard.strata import Images
from benchmark.leaderboard.tables import with_mask
from benchmark.records.schema import Record
from benchmark.records.sounds import sounds_of

FAILED = 0.5
"""Below this IoU an image counts as failed."""
MOST_FAILED = 20
SHARED = 24
"""Images on which all entries can be compared: those on which they differ most."""

Masks: TypeAlias = NDArray[np.bool_]
Shown: TypeAlias = dict[str, Any]
"""An image: its `index`, the `entry` whose mask is drawn ("": the truth), a `caption`, and `says` for a reader."""


def gather(
    table: Table, results: Path, ids: Mapping[str, str], *, worst: int, private: bool, listen: bool = False
) -> dict[str, Any] | None:
    """Choose the pictures of a table; None if the results store has no true masks of its test images.

    `ids` are those of the entries, by label. `shelves` has for each label three `examples` and its `worst` images;
    `heroes` are two images with the masks of a few entries, and with their sounds if the dataset is embedded and the
    caller wants to `listen`; `failed` are the images that no network manages; `drawn` is the
    data that the script of the page draws: each image and each mask once.
    """
    test_images, head = table.images, table.head
    finished = [row for row in table.rows if row.aligned]
    if test_images is None or not finished:
        return None
    size: Sequence[int] = head.protocol.settings["image_size"]
    if not all(isinstance(side, int) for side in size):  # it is part of a file name
        return None
    truth, thumbnails = pictures(results, head.dataset.manifest, size, private=private)
    if truth is None or len(truth) != len(test_images.ids):
        return None
    folded = _is_folded(head.dataset.rendering)
    shelf = _Shelf(test_images, _small(truth, folded=folded), truth, folded)
    kept = np.flatnonzero(with_mask(finished[0], test_images))
    trained = [row for row in finished if not row.deterministic]
    masks = {row.label: found for row in finished if (found := predictions(row.folders[0])) is not None}
    masks = {label: found for label, found in masks.items() if found.shape == truth.shape}
    able = [row for row in finished if row.label in masks]
    failed = _failed_by_all(trained, kept)
    shared = _divisive(able, kept)
    shelves = {row.label: shelf.of(row, ids[row.label], masks[row.label], kept, worst, shared) for row in able}
    for index, _ in failed[:MOST_FAILED]:
        shelf.image(index)
    heroes = _heroes(able, kept, shelf, masks, ids)
    if listen and pictures(results, head.dataset.manifest, size, private=False)[1]:
        _add_sounds(heroes, test_images, masks, head, results)
    if thumbnails:
        for place, image in shelf.images.items():
            image["image"] = base64.b64encode(thumbnails[int(place)]).decode()
    height, width = shelf.small.shape[1:]
    return {
        "has_thumbnails": bool(thumbnails),
        "axes": _axes(head.dataset.rendering),
        "shelves": shelves,
        "heroes": heroes,
        "failed": [
            {"index": index, "entry": "", "caption": shelf.named(index), "says": f"best IoU {_percent(best)}"}
            for index, best in failed[:MOST_FAILED]
        ],
        "failed_count": len(failed),
        "trained": len(trained),
        "drawn": {
            "height": height,
            "width": width,
            "folded": folded,
            "axes": _axes(head.dataset.rendering),
            "images": shelf.images,
            "masks": shelf.masks,
            "shared": [{"index": index, "caption": shelf.named(index)} for index in shared],
            "ious": {ids[row.label]: [round(100 * float(row.ious[0][index]), 1) for index in shared] for row in able},
        },
    }


class _Shelf:
    """Collects what is drawn: the encoded truth of images, and masks by entry and image; `small` are the truths."""

    def __init__(self, test_images: Images, small: Masks, truth: Masks, folded: bool) -> None:
        self.test_images, self.small, self.truth, self.folded = test_images, small, truth, folded
        self.images: dict[str, dict[str, str]] = {}
        self.masks: dict[str, dict[str, str]] = {}

    def image(self, index: int) -> None:
        self.images.setdefault(str(index), {"truth": encode(self.small[index])})

    def named(self, index: int) -> str:
        """Id, species and input SNR."""
        species = self.test_images.labels.get("species")
        parts = [
            self.test_images.ids[index],
            str(species[index]).removeprefix("species/") if species is not None else "",
        ]
        snr = self.test_images.snr[index]
        return ", ".join(
            [part for part in parts if part] + ([f"SNR {round(float(snr))} dB"] if np.isfinite(snr) else [])
        )

    def shown(self, entry: str, mask: Masks, index: int, iou: float, word: str = "") -> Shown:
        """Add the mask (H, W) of an entry on an image."""
        self.image(index)
        self.masks.setdefault(entry, {})[str(index)] = encode(_small(mask[None], folded=self.folded)[0])
        truth = self.truth[index]
        parts = {"found": mask & truth, "missed": truth & ~mask, "invented": mask & ~truth}
        union = max(int((mask | truth).sum()), 1)
        says = ", ".join(f"{name} {100 * int(part.sum()) / union:.0f} %" for name, part in parts.items())
        caption = f"{word}{': ' if word else ''}IoU {_percent(iou)}. {self.named(index)}"
        return {"index": index, "entry": entry, "caption": caption, "says": says}

    def of(
        self, row: Row, entry: str, masks: Masks, kept: NDArray[np.intp], worst: int, shared: Sequence[int]
    ) -> Shown:
        """The images of an entry as the run of its first seed predicts them."""
        ious = row.ious[0]
        order = sorted(kept.tolist(), key=lambda index: (-ious[index], self.test_images.ids[index]))
        chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}
        for index in shared:
            self.shown(entry, masks[index], index, ious[index])
        return {
            "seed": row.runs[0].seed,
            "examples": [self.shown(entry, masks[at], at, ious[at], word) for word, at in chosen.items()],
            "worst": [self.shown(entry, masks[at], at, ious[at]) for at in order[::-1][:worst]],
        }


def _heroes(
    rows: Sequence[Row], kept: NDArray[np.intp], shelf: _Shelf, masks: Mapping[str, Masks], ids: Mapping[str, str]
) -> list[Shown]:
    """The best and the middle network, the pixel-wise baseline and the best untrained one, on two images.

    These are the median image of the best entry and a harder one, at its lower quartile.
    """
    networks = [row for row in rows if groups.of(row) in (Group.BEST, Group.BEHIND)]
    if not networks:
        return []
    first = networks[0]
    baselines = [row for row in rows if groups.of(row) is Group.BASELINE]
    floors = [row for row in baselines if not row.deterministic][:1]
    chosen = [first, networks[len(networks) // 2], *floors, *[row for row in baselines if row.deterministic][:1]]
    order = sorted(kept.tolist(), key=lambda index: (first.ious[0][index], index))
    found = []
    for index in dict.fromkeys((order[len(order) // 2], order[len(order) // 4])):
        marks = []
        for row in {row.label: row for row in chosen}.values():
            shown = shelf.shown(ids[row.label], masks[row.label][index], index, row.ious[0][index])
            marks.append(shown | {"label": row.label, "iou": _percent(row.ious[0][index])})
        found.append({"index": index, "name": shelf.named(index), "marks": marks, "sounds": {}})
    return found


def _add_sounds(
    heroes: Sequence[Shown], test_images: Images, masks: Mapping[str, Masks], head: Record, results: Path
) -> None:
    """Give each of the images its noisy and clean sound, and the cleaned sound of each mask, by label."""
    sounds = sounds_of(results, head.dataset, [test_images.ids[hero["index"]] for hero in heroes])
    for hero in heroes:
        if audio := sounds.get(test_images.ids[hero["index"]]):
            marked = {mark["label"]: masks[mark["label"]][hero["index"]] for mark in hero["marks"]}
            hero["sounds"] = players(audio, marked, head.dataset.rendering)


def _divisive(rows: Sequence[Row], kept: NDArray[np.intp]) -> list[int]:
    """The images on which the entries differ most, by the standard deviation of their IoUs."""
    if len(rows) < 2:
        return []
    spread = np.stack([row.ious[0] for row in rows]).std(0).round(9)
    return sorted(kept.tolist(), key=lambda index: (-spread[index], index))[:SHARED]


def _failed_by_all(rows: Sequence[Row], kept: NDArray[np.intp]) -> list[tuple[int, float]]:
    """Images on which no trained entry reaches `FAILED` in the mean over its seeds, and the best IoU; hardest first."""
    if not rows:
        return []
    best = np.stack([row.ious.mean(0) for row in rows]).max(0)
    failed = [(int(index), float(best[index])) for index in kept if best[index] < FAILED]
    return sorted(failed, key=lambda entry: (entry[1], entry[0]))


def _is_folded(rendering: Rendering | None) -> bool:
    """Whether images hold the negative frequencies, too, which the page leaves out."""
    return rendering is not None and rendering.sides == 2


def _small(masks: Masks, *, folded: bool) -> Masks:
    """Masks (N, H, W) as the page shows them: small, 0 Hz at the bottom."""
    if folded:
        masks = masks[:, masks.shape[1] // 2 :][:, ::-1]
    return np.stack([shrink(mask) for mask in masks])


def _axes(rendering: Rendering | None) -> dict[str, str]:
    """The ends of the axes: the highest frequency and the duration; empty if they are not known."""
    if rendering is None or rendering.sample_rate is None or rendering.frames is None:
        return {}
    seconds = (rendering.window + rendering.hop * (rendering.frames - 1)) / rendering.sample_rate
    return {"frequency": f"{rendering.sample_rate / 2000:.3g} kHz", "time": f"{seconds:.2g} s"}


def _percent(iou: float) -> str:
    """An IoU in per cent, rounded down, so that 49.96 is not called 50."""
    return f"{np.floor(1000 * iou + 1e-6) / 10:.1f} %"
