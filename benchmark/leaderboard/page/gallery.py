"""Choose the pictures: the best, median and worst images of each entry, and those on which every network fails."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.page.encoding import Pictures, encode, predictions, shrink
from benchmark.leaderboard.strata import Images
from benchmark.leaderboard.tables import with_mask

FAILED = 0.5
"""Below this IoU an image counts as failed."""
MOST_FAILED = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """An image with a caption; `mask` is the encoded prediction, None to show only the truth."""

    index: int
    caption: str
    mask: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shelf:
    """The images of an entry, predicted by the run of this seed."""

    seed: int
    examples: list[Shown]
    worst: list[Shown]


@dataclass(kw_only=True, slots=True)
class Gallery:
    """The pictures of a table. `images` has those that are shown: index -> encoded truth and thumbnail."""

    height: int
    width: int
    has_thumbnails: bool
    shelves: dict[str, Shelf]
    failed: list[Shown]
    failed_count: int
    trained: int
    images: dict[int, dict[str, str]] = field(default_factory=dict)

    def drawn(self) -> dict[str, object]:
        """The data that the script draws."""
        images = {str(index): entry for index, entry in self.images.items()}
        return {"height": self.height, "width": self.width, "images": images}


def gather(table: Table, results: Path, *, worst: int, private: bool) -> Gallery | None:
    """Choose the pictures of a table; None if the results store has no true masks of its test images."""
    test_images, head = table.images, table.head
    if test_images is None:
        return None
    size: Sequence[int] = head.protocol.settings["image_size"]
    if not all(isinstance(side, int) for side in size):  # it is part of a file name
        return None
    pictures = Pictures(results, head.dataset.manifest, size, private=private)
    if pictures.truth is None or len(pictures.truth) != len(test_images.ids):
        return None
    finished = [row for row in table.rows if row.aligned]
    if not finished:
        return None
    kept = np.flatnonzero(with_mask(finished[0], test_images))
    trained = [row for row in finished if not row.deterministic]
    failed = _failed_by_all(trained, kept)
    height, width = shrink(pictures.truth[0]).shape
    gallery = Gallery(
        height=height,
        width=width,
        has_thumbnails=pictures.has_thumbnails,
        shelves=dict(_shelves(finished, kept, test_images, worst)),
        failed=[
            Shown(index=index, caption=f"{_named(test_images, index)}: best IoU {100 * best:.1f} %", mask=None)
            for index, best in failed[:MOST_FAILED]
        ],
        failed_count=len(failed),
        trained=len(trained),
    )
    used = {shown.index for shelf in gallery.shelves.values() for shown in (*shelf.examples, *shelf.worst)}
    for index in sorted(used | {shown.index for shown in gallery.failed}):
        entry = {"truth": encode(shrink(pictures.truth[index]))}
        if pictures.has_thumbnails:
            entry["image"] = pictures.thumbnail(index)
        gallery.images[index] = entry
    return gallery


def _shelves(rows: Sequence[Row], kept: NDArray[np.intp], test_images: Images, worst: int) -> list[tuple[str, Shelf]]:
    found = []
    for row in rows:
        masks = predictions(row.folders[0])
        if masks is None or len(masks) != len(test_images.ids):
            continue
        ious = row.ious[0]
        order = sorted(kept.tolist(), key=lambda index: (-ious[index], test_images.ids[index]))
        chosen = {"best": order[0], "median": order[len(order) // 2], "worst": order[-1]}

        names = {index: f"{test_images.ids[index]}, IoU {100 * ious[index]:.1f} %" for index in order}
        worst_first = order[::-1][:worst]
        coded = {index: encode(shrink(masks[index])) for index in {*chosen.values(), *worst_first}}
        shelf = Shelf(
            seed=row.runs[0].seed,
            examples=[
                Shown(index=index, caption=f"{word}: {names[index]}", mask=coded[index])
                for word, index in chosen.items()
            ],
            worst=[Shown(index=index, caption=names[index], mask=coded[index]) for index in worst_first],
        )
        found.append((row.label, shelf))
    return found


def _failed_by_all(rows: Sequence[Row], kept: NDArray[np.intp]) -> list[tuple[int, float]]:
    """Images on which no trained entry reaches `FAILED` in the mean over its seeds, and the best IoU; hardest first."""
    if not rows:
        return []
    best = np.stack([row.ious.mean(0) for row in rows]).max(0)
    failed = [(int(index), float(best[index])) for index in kept if best[index] < FAILED]
    return sorted(failed, key=lambda entry: (entry[1], entry[0]))


def _named(test_images: Images, index: int) -> str:
    snr = test_images.snr[index]
    return f"{test_images.ids[index]}{f' ({snr:.1f} dB)' if np.isfinite(snr) else ''}"
