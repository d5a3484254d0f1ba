"""`bench data`: make a dataset from recordings, or inspect one."""

import re
import shlex
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.common import one_line_errors, say
from benchmark.common import files

if TYPE_CHECKING:
    from benchmark.tools.mix.settings import Settings

data = typer.Typer(no_args_is_help=True, help="Make a dataset from recordings, or inspect one.")

_count = partial(typer.Option, min=1, rich_help_panel="Counts")
_sound = partial(typer.Option, rich_help_panel="Sound")
_range = partial(_sound, metavar="LOW HIGH")
_mask = partial(typer.Option, rich_help_panel="Mask")


def _name(what: str, files_of: str, more: str = "") -> Any:
    return typer.Option(help=f"Regular expression that finds the {what} in each {files_of}'s file name{more}.")


@data.command()
@one_line_errors
def mix(
    *,
    song: Annotated[Path, typer.Option(help="Recordings of the birds to find.", metavar="DIR")],
    background: Annotated[Path, typer.Option(help="Recordings of background noise.", metavar="DIR")],
    out: Annotated[Path, typer.Option(help="Folder to write the dataset to.", metavar="DIR")],
    other: Annotated[
        list[Path] | None,
        typer.Option(
            help="Birds to test on but never train on; their scores get a column named after the folder. Repeatable.",
            metavar="DIR",
        ),
    ] = None,
    bird: Annotated[
        str, _name("bird's name", "song", ", e.g. 'finch-([A-Za-z]+)'. With six birds or more, each stays in one split")
    ] = "",
    species: Annotated[str, _name("species", "song")] = "",
    site: Annotated[str, _name("site", "background")] = "",
    seed: Annotated[int, typer.Option(help="Seed of everything that is drawn.", min=0)] = 0,
    train: Annotated[int, _count("--train", help="Training images.")] = 1000,
    val: Annotated[int, _count("--val", help="Validation images.")] = 200,
    test: Annotated[int, _count("--test", help="Test images.")] = 300,
    slice_: Annotated[int, _count("--slice", help="Images of each further test slice (--other, loud animals).")] = 100,
    seconds: Annotated[float, _sound(help="Length of a mixture, in s.")] = 4.0,
    sample_rate: Annotated[int, _sound(help="Sample rate of the mixtures, in Hz.")] = 32_000,
    channel: Annotated[int, _sound(help="Channel to use, from 0.")] = 0,
    highpass: Annotated[float, _sound(help="High-pass, in Hz; 0: none.")] = 500.0,
    lowpass: Annotated[
        float | None, _sound(help="Low-pass, in Hz. Default: just below the lowest Nyquist frequency.")
    ] = None,
    snr: Annotated[tuple[float, float], _range(help="Range of signal-to-noise ratios, in dB.")] = (-5.0, 15.0),
    active_db: Annotated[float, _sound(help="Frames this many dB below the loudest still count as song.")] = 30.0,
    peak: Annotated[float, _sound(help="Peak of a mixture before its gain.")] = 0.9,
    gain: Annotated[tuple[float, float], _range(help="Range of gains below the peak, in dB.")] = (-10.0, 0.0),
    foreign_db: Annotated[
        float, _sound(help="Put backgrounds with transients above this many dB into a test slice of their own.")
    ] = 15.0,
    smoothing: Annotated[float, _mask(help="Gaussian that smooths the powers, in bins and frames.")] = 4.0,
    floor_db: Annotated[float, _mask(help="Ignore song below this many dB of its 99.5 % quantile.")] = -30.0,
    radius: Annotated[int, _mask(help="Radius in pixels for closing gaps and removing spikes.")] = 3,
    smallest: Annotated[int, _mask(help="Remove specks and fill holes smaller than this many pixels.")] = 200,
) -> None:
    """Mix recordings of song and of background into a dataset with known masks and clean sounds."""
    options = locals()  # named like the settings, except the ranges
    from benchmark.common.progress import bars
    from benchmark.tools.mix import make
    from benchmark.tools.mix.settings import Settings, checked

    ranges = {"snr_low": snr[0], "snr_high": snr[1], "gain_low": gain[0], "gain_high": gain[1]}
    settings = checked(**ranges, **{name: options[name] for name in Settings.model_fields if name in options})
    # The command in the card has words in the place of folders, because paths differ between machines.
    words = ["bench", "data", "mix", "--song", "SONG", "--background", "BACKGROUND", "--out", "OUT"]
    words += [word for folder in other or () for word in ("--other", folder.name)]
    words += _changed(settings, Settings())
    with bars() as report:
        made = make.make(
            song=song,
            background=background,
            others=[folder.resolve() for folder in other or ()],
            out=out,
            settings=settings,
            command=shlex.join(words),
            report=report,
        )
    say(made.card)
    again = f" ({made.kept} had been made before)" if made.kept else ""
    folder = shlex.quote(str(out))
    say(f"{sum(made.counts.values())} mixtures in {out}{again}.")
    say(f"Next: bench data audit {folder}, then bench run --arch all --protocol mix-quick --data {folder}")


@data.command()
@one_line_errors
def split(
    *,
    root: Annotated[Path, typer.Argument(help="Folder with images/ and masks/, or x.jpg and x_mask.png.")],
    out: Annotated[Path, typer.Option(help="Folder to write the splits to; it must not exist.", metavar="DIR")],
    group: Annotated[
        str, typer.Option(help="Regular expression that finds the recording in a name; each stays in one split.")
    ] = "",
    mask_suffix: Annotated[str, typer.Option(help="What the name of a mask has besides that of its image.")] = "_mask",
    shares: Annotated[
        tuple[int, int, int], typer.Option(help="Shares of train, val and test in per cent.", metavar="TRAIN VAL TEST")
    ] = (60, 20, 20),
    seed: Annotated[int, typer.Option(help="Seed of the draw.", min=0)] = 0,
) -> None:
    """Split a folder of images and masks into train, val and test. Files are linked or copied, never moved."""
    from benchmark.scores.intervals import FEWEST_GROUPS
    from benchmark.tools import split as splitting

    made = splitting.split(root, out, group=group, mask_suffix=mask_suffix, shares=shares, seed=seed)
    counts = ", ".join(f"{len(names)} {name}" for name, names in made.items())
    say(f"{counts} images in {out}{'' if group else '; recordings are not known (--group REGEX keeps them together)'}")
    tested = len({match[0] for name in made["test"] if group and (match := re.search(group, name))})
    if 0 < tested < FEWEST_GROUPS:
        say(
            f"The test has {tested} recording(s) by --group; tables rank from {FEWEST_GROUPS} on: add recordings, or "
            "give a larger share to the test with --shares"
        )
    dataset = shlex.quote(f"folder:group={group}" if group else "folder")
    folder = shlex.quote(str(out))
    say(f"Next: bench data audit {folder}, then bench run --arch unet --dataset {dataset} --data {folder}")


@data.command()
@one_line_errors
def audit(
    *,
    root: Annotated[Path, typer.Argument(help="The dataset's top folder.", metavar="ROOT")],
    picture: Annotated[Path, typer.Option(help="File of the contact sheet.")] = Path("audit.png"),
) -> None:
    """Inspect a dataset: damaged files, masks, duplicates, the same recording in two splits.

    Draws a contact sheet. Exit code 2 on leakage and problems.
    """
    from benchmark.common.progress import bars
    from benchmark.tools.audit import scan

    files.check_writable(picture.parent, "--picture")
    with bars() as report:
        found = scan.scan(root, report)
    from benchmark.tools.audit import show

    say(show.table(found))
    show.contact_sheet(found, picture)
    say(f"Contact sheet: {picture}")
    if not found.sound:
        raise typer.Exit(2)


@data.command()
@one_line_errors
def fetch(
    *,
    name: Annotated[str, typer.Argument(help="The recipe, e.g. dawn.", metavar="NAME")],
    source: Annotated[
        str | None,
        typer.Option("--from", help="Take the recordings from this address or folder instead.", metavar="ADDRESS"),
    ] = None,
    to: Annotated[
        Path | None, typer.Option(help="Folder to put them into; the cache folder if not given.", metavar="DIR")
    ] = None,
) -> None:
    """Download the public recordings of a recipe, four at a time, each checked by its SHA-256.

    Recordings that are there already are kept: give the same command again after an interruption.
    """
    from benchmark.common.progress import bars
    from benchmark.data import recipe

    recordings = recipe.read(name)
    folder = to or recipe.recordings_folder(name)
    say(f"{name}: {recipe.licences(recordings)}\n  into {folder}")
    from benchmark.tools import fetch as download

    with bars() as report:
        count = download.fetch(recordings, folder, source, report)
    page, text = folder / "ATTRIBUTION.md", recipe.attribution(name, recordings)
    files.write_atomically(page, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    say(f"{count} recordings fetched, {len(recordings) - count} were there. Who recorded what: {page}")


@data.command()
@one_line_errors
def make(
    *,
    name: Annotated[str, typer.Argument(help="The recipe, e.g. dawn.", metavar="NAME")],
    recordings: Annotated[
        Path | None,
        typer.Option(help="Folder that bench data fetch put them into; the cache folder if not given.", metavar="DIR"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder to write the dataset to; the cache folder if not given.", metavar="DIR")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a setting, for an experiment: sides=2. Repeatable.", metavar="NAME=VALUE"),
    ] = None,
) -> None:
    """Mix the fetched recordings of a recipe, the same to the byte everywhere. An interrupted command is continued."""
    from benchmark.common.progress import bars
    from benchmark.data import recipe
    from benchmark.tools.mix import make, recipe_pools
    from benchmark.tools.mix.settings import checked

    given = recipe.mixing(name)
    changed = dict(one.partition("=")[::2] for one in settings or ())
    chosen = checked(**{**given["settings"], **changed})
    folder = out or recipe.made_folder(name)
    words = ["bench", "data", "make", name, *(word for one in settings or () for word in ("--set", one))]
    with bars() as report:
        pools = recipe_pools.pools(name, recordings or recipe.recordings_folder(name), chosen, report)
        made = make.write(pools, chosen, folder, shlex.join(words), report, name=name)
    say(made.card)
    say(f"{sum(made.counts.values())} mixtures in {folder}, of which {made.kept} had been made before.")
    if changed:
        say(f"Next: bench run --dataset {name} --data {shlex.quote(str(folder))}")
    elif made.digest == given["digest"]:
        say(f"The same to the byte as everyone's {name}: {made.digest}")
    else:
        say(
            f"Not the same as everyone's {name}: {made.digest}, not {given['digest']}. Scores on it stand in tables of "
            f"their own. Other versions of libsndfile or numpy decode or filter differently; the versions in "
            "requirements.txt give the digest."
        )


def _changed(settings: "Settings", usual: "Settings") -> list[str]:
    """The options that differ from their defaults, as a user types them."""
    words = []
    mine, theirs = settings.model_dump(), usual.model_dump()
    for name, value in mine.items():
        low = name.removesuffix("_low")
        if name.endswith("_low"):
            pair = (value, mine[f"{low}_high"])
            words += [f"--{low}", *map(str, pair)] if pair != (theirs[name], theirs[f"{low}_high"]) else []
        elif not name.endswith("_high") and value != theirs[name]:
            words += [f"--{name.rstrip('_').replace('_', '-')}", str(value)]
    return words
