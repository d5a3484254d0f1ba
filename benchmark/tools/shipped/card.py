"""Write the model card of the network that ships."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.common import files
from benchmark.data import recipe
from benchmark.data.recipe import Recording
from benchmark.tools.denoise.trained import CARD, DESCRIPTION, WEIGHTS

_TEXT = """# The network that cleans recordings

`bench denoise` uses it unless `--run` names another. `make weights` made these files:

    {command}

- **Network**: `{architecture}`, {megabytes:.1f} MB with 16 bits. Images: {rows} x {frames} pixels, one-sided, {window}
  samples per window at {rate} Hz, decibels above the steady noise of each frequency, so neither loudness nor the colour
  of the noise matters. It hears {low:g} to {high:g} Hz.
- **Training**: {steps} batches of {batch} scenes of {seconds:.1f} s; no scene comes twice. Half of the songs are those
  of {songs} public recordings of {species} kinds of birds, half are invented; of the noises six in ten come from
  {noises} recordings of {kinds} kinds. The loss is that of the sound (noise-to-signal ratio of the masked spectrum).
- **Choice**: the weights of the best of {validations} validations, on dawn's validation split: other kinds of birds
  than in training. There they gain {gain:.1f} dB SI-SDR and make {worse:.0f} % of the recordings worse.
- **Scores on birds that it never heard**: docs/denoise.md, by `make rivals`.
- **Where it fails**: see there; voices below {low:g} Hz, frogs, dogs and other birds behind the song (it keeps them,
  for they are no steady noise), and songs that hardly pause, which look like the steady noise that they stand on.
- **Licence of the weights**: CC BY-SA 4.0, because some of the recordings are under it. The code is under the MIT
  licence.

## Whose recordings it was trained on

| recordist or source | licence | kinds | recordings |
|---|---|---|--:|
{attributions}
"""


def write(folder: Path) -> None:
    """Write README.md beside the weights in `folder`."""
    described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    card = text(described, (folder / WEIGHTS).stat().st_size)
    files.write_atomically(folder / CARD, lambda path: path.write_text(card, encoding="utf-8"))


def text(described: dict[str, Any], size: int) -> str:
    """The card of a network by its description, and the bytes of its weights."""
    plan, image = described["training"], described["rendering"]
    best = max(plan["validation"], key=lambda each: each["gain"])
    used = [row for row in recipe.read("dawn") if row.split == "train"]
    songs, noises = ([row for row in used if row.role == role] for role in ("song", "background"))
    return _TEXT.format(
        command=f"make weights ARCH={plan['architecture']} STEPS={plan['steps']} SEED={plan['seed']}",
        architecture=plan["architecture"],
        megabytes=size / 1e6,
        rows=described["settings"]["image_size"][0],
        frames=plan["reach"],
        window=image["window"],
        rate=image["sample_rate"],
        low=image["highpass"],
        high=image["lowpass"],
        steps=plan["steps"],
        batch=plan["batch"],
        seconds=(image["window"] + image["hop"] * (plan["frames"] - 1)) / image["sample_rate"],
        songs=len(songs),
        species=len({row.kind for row in songs}),
        noises=len(noises),
        kinds=len({row.kind for row in noises}),
        validations=len(plan["validation"]),
        gain=best["gain"],
        worse=100 * best["worse"],
        attributions="\n".join(_attributions(used)),
    )


def _attributions(rows: Sequence[Recording]) -> list[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        # A repository's own licence covers what its authors recorded.
        who = "/".join(row.file.split("/")[:2]) if row.attribution == "repository licence" else row.attribution
        found.setdefault((who, row.licence), []).append(row.kind)
    return [
        f"| {who} | {licence} | {', '.join(sorted(set(kinds)))} | {len(kinds)} |"
        for (who, licence), kinds in sorted(found.items())
    ]
