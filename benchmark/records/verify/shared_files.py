"""Checks of what lies beside the runs, once for all runs on the same data: reference scores and thumbnails."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark import protocols
from benchmark.data.manifest import Row
from benchmark.records import store, tables
from benchmark.records.verify.across_runs import Essence
from benchmark.records.verify.run_files import DAMAGED, Fault, Finding, UnreadableError, manifest_rows
from benchmark.scores import separation

_AGAIN = "remove it, and run any architecture without parameters on the same data again with --force: it writes it"
_ROUNDING = 1e-3
"""dB; four decimals are stored, of which the last may differ where the recording went through a spectrogram."""


def check_beside(results: Path, runs: Sequence[Essence]) -> Iterator[Finding]:
    """What is wrong with the files that these finished runs share, each once: the file stands for the run."""
    references: dict[tuple[str, int], list[Essence]] = {}
    pictures: dict[Path, str] = {}
    for run in runs:
        digest, stored = run.record.dataset.manifest, run.record.protocol
        if "sisdr_noisy" in run.truth:
            references.setdefault((digest, stored.revision), []).append(run)
        size = protocols.recorded(stored.name, stored.settings).image_size
        pictures[store.pictures_path(results, digest, size)] = digest
    for (digest, revision), those in references.items():
        path = store.references_path(results, digest, revision)
        yield from _findings(path, _check_references(path, _tested(results, digest), those))
    for path, digest in pictures.items():
        if path.is_file():
            yield from _findings(path, _check_thumbnails(path, len(_tested(results, digest))))


def _findings(path: Path, texts: Iterator[str]) -> Iterator[Finding]:
    try:
        for text in texts:
            yield Finding.of(path, Fault(path, text, _AGAIN))
    except FileNotFoundError:
        yield Finding.of(path, Fault(path, "it is missing", _AGAIN))
    except DAMAGED as error:
        yield Finding.of(path, Fault(path, f"it cannot be read ({type(error).__name__})", _AGAIN))


def _tested(results: Path, digest: str) -> list[Row]:
    try:
        return [row for row in manifest_rows(results, digest) if row.split == "test"]
    except UnreadableError:
        return []  # said of the runs


def _check_references(path: Path, rows: Sequence[Row], runs: Sequence[Essence]) -> Iterator[str]:
    """They are of these images, within their limits, and know the noisy recording as the runs do."""
    found = tables.read_references(path)
    if (found.ids, found.slices) != ([row.id for row in rows], [row.slice for row in rows]):
        yield "its images are not the test split of the manifest"
        return
    for name, values in found.sounds.items():
        limit = next(limit for score, limit in separation.LIMITS.items() if name.endswith(f"_{score}"))
        if (abs(values) > limit + _ROUNDING).any():
            yield f"{name} is beyond +-{limit:g} dB"
    for score in ("sisdr", "sdr"):
        noisy = [run.truth[f"{score}_noisy"] for run in runs if len(run.truth[f"{score}_noisy"]) == len(rows)]
        ours = found.sounds[f"all_foreground_{score}"]
        if noisy and not np.isclose(ours, np.median(np.stack(noisy), axis=0), 0, _ROUNDING, equal_nan=True).all():
            yield f"all_foreground_{score} is not the {score}_noisy of the runs"


def _check_thumbnails(path: Path, images: int) -> Iterator[str]:
    """As many WebP files as there are test images, end to end; none where the data are not ours to publish."""
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if not {"ends", "thumbnails"} & set(archive.files):
            return
        ends, joined = archive["ends"], archive["thumbnails"]
    if (ends.dtype, joined.dtype, ends.shape, joined.ndim) != (np.int64, np.uint8, (images,), 1):
        yield f"its thumbnails are not {images}, as the manifest's test images"
    elif not (np.diff(ends, prepend=0) > 0).all() or ends[-1] != len(joined):
        yield "'ends' of its thumbnails does not increase up to their length"
    elif not all(_is_webp(joined[start:end]) for start, end in zip([0, *ends[:-1]], ends, strict=True)):
        yield "one of its thumbnails is no WebP file"


def _is_webp(file: NDArray[Any]) -> bool:
    start = file[:12].tobytes()
    return start[:4] == b"RIFF" and start[8:] == b"WEBP"
