"""Read the recordings of a recipe (datasets/NAME.tsv), which says to which split each belongs."""

from pathlib import Path

import numpy as np

from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.data import recipe, recordings
from benchmark.data.layout import SPLITS
from benchmark.data.recipe import Recording
from benchmark.tools.mix.settings import Settings
from benchmark.tools.mix.sources import FRAME, Pool, Source, band_powers, lot


def pools(name: str, folder: Path, settings: Settings, report: Report) -> list[Pool]:
    """The pools of a recipe, whose recordings were fetched into `folder`.

    A slice of the test that names only songs meets the backgrounds of the main slice, and the reverse.

    Raises:
        UserError: recordings are missing, or cannot be used.
    """
    rows = recipe.read(name)
    missing = sum(not recipe.is_whole(folder / row.file, row) for row in rows)
    if missing:
        raise UserError(
            f"{missing} of {len(rows)} recordings of {name} are not in {folder}; run: bench data fetch {name}"
        )
    found: dict[tuple[str, str, str], list[Source]] = {}
    for number, row in enumerate(rows, start=1):
        found.setdefault((row.split, row.part, row.role), []).append(_source(row, folder, settings))
        report("reading", number, len(rows), row.kind)
    places = sorted(
        {place[:2] for place in found}, key=lambda place: (list(SPLITS).index(place[0]), place[1] != "main", place[1])
    )
    result = []
    for split, part in places:
        songs, backgrounds = (
            found.get((split, part, role)) or found[split, "main", role] for role in ("song", "background")
        )
        # In a drawn order: otherwise the first images would be those of the first species in the alphabet.
        drawn = sorted(songs, key=lambda song: lot(settings.seed, song.name))
        result.append(Pool(split=split, slice=part, songs=tuple(drawn), backgrounds=tuple(backgrounds)))
    return result


def _source(row: Recording, folder: Path, settings: Settings) -> Source:
    path = folder / row.file
    with recordings.quiet_decoder(), recordings.opened(path) as file:
        rate = int(file.samplerate)
        recordings.skip(file, round(row.start * rate))
        samples = file.read(round(row.seconds * rate), dtype="float64", always_2d=True)[:, settings.channel]
    recordings.check_numbers(samples, path)
    power = band_powers(samples, rate, settings)[0]
    if not power.max(initial=0) > 0:
        raise UserError(f"{path} is silent above {settings.highpass:g} Hz; leave it out of the recipe")
    kind = "species" if row.role == "song" else "noise"
    return Source(
        name=row.file,
        recording=row.xeno_canto or row.file,
        path=path,
        groups={kind: row.kind},
        start=row.start,
        seconds=round(len(samples) / rate, 6),
        sample_rate=rate,
        sha256=row.sha256,
        power=np.asarray(power),
        frame_seconds=round(FRAME * rate) / rate,
        transients_db=0.0,
    )
