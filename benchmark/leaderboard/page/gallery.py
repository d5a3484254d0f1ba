"""Choose the pictures: the best, median and worst images of each entry, and those on which every network fails."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.board import Row, Table
from benchmark.leaderboard.page.encoding import encode, pictures, predictions, shrink
from benchmark.leaderboard.strata import Images
from benchmark.leaderboard.tables import with_mask

FAILED = 0.5
"""Below this IoU an image counts as failed."""
MOST_FAILED = 20


Shown: TypeAlias = dict[str, Any]
"""An image: its `index`, a `caption`, and as `mask` the encoded prediction, None to show only the truth."""


def gather(table: Table, results: Path, *, worst: int, private: bool) -> dict[str, Any] | None:
    """Choose the pictures of a table; None if the results store has no true masks of its test images.

    `shelves` has for each entry three `examples` and its `worst` images; `failed` are the images that no network
    manages; `drawn` is the data that the script of the page draws: every image that is shown, once.
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
    kept = np.flatnonzero(with_mask(finished[0], test_images))
    trained = [row for row in finished if not row.deterministic]
    failed = _failed_by_all(trained, kept)
    shelves = _shelves(finished, kept, test_images, worst)
    hardest: list[Shown] = [
        {"index": index, "caption": f"{_named(test_images, index)}: best IoU {100 * best:.1f} %", "mask": None}
        for index, best in failed[:MOST_FAILED]
    ]
    on_shelves = [shown for shelf in shelves.values() for shown in (*shelf["examples"], *shelf["worst"])]
    images = {}
    for index in sorted({shown["index"] for shown in (*on_shelves, *hardest)}):
        images[str(index)] = {"truth": encode(shrink(truth[index]))}
        if thumbnails:
            images[str(index)]["image"] = base64.b64encode(thumbnails[index]).decode()
    height, width = shrink(truth[0]).shape
    return {
        "has_thumbnails": bool(thumbnails),
        "shelves": shelves,
        "failed": hardest,
        "failed_count": len(failed),
        "trained": len(trained),
        "drawn": {"height": height, "width": width, "images": images},
    }


def _shelves(rows: Sequence[Row], kept: NDArray[np.intp], test_images: Images, worst: int) -> dict[str, dict[str, Any]]:
    """Label of an entry -> its images as the run of its first seed predicts them."""
    found = {}
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
        found[row.label] = {
            "seed": row.runs[0].seed,
            "examples": [
                {"index": index, "caption": f"{word}: {names[index]}", "mask": coded[index]}
                for word, index in chosen.items()
            ],
            "worst": [{"index": index, "caption": names[index], "mask": coded[index]} for index in worst_first],
        }
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
