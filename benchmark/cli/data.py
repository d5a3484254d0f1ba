"""`bench data`: make a dataset from recordings, and look at one before it is believed."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from benchmark.cli.common import say, speaking
from benchmark.common import files

if TYPE_CHECKING:
    from benchmark.tools.mix.settings import Settings

data = typer.Typer(no_args_is_help=True, help="Make a dataset from recordings; look at one before it is believed.")

_EXPRESSION = "Regular expression, whose group, or all of whose match, is in the file name of every (also --other)"
_COUNTS, _SOUND, _MASK = "Counts", "Sound", "Mask"


def _count(name: str, help_: str) -> Any:
    return typer.Option(name, help=help_, min=1, rich_help_panel=_COUNTS)


@data.command()
@speaking
def mix(
    *,
    song: Annotated[Path, typer.Option(help="Recordings of the birds to be found.", metavar="DIR")],
    background: Annotated[Path, typer.Option(help="Recordings of background.", metavar="DIR")],
    out: Annotated[Path, typer.Option(help="The dataset's folder.", metavar="DIR")],
    other: Annotated[
        list[Path] | None,
        typer.Option(help="Other birds, for a slice of the test named after the folder. Repeatable.", metavar="DIR"),
    ] = None,
    bird: Annotated[str, typer.Option(help=f"{_EXPRESSION} song: the bird, e.g. 'finch-([A-Za-z]+)'.")] = "",
    species: Annotated[str, typer.Option(help=f"{_EXPRESSION} song: the species.")] = "",
    site: Annotated[str, typer.Option(help=f"{_EXPRESSION} background: the site.")] = "",
    seed: Annotated[int, typer.Option(min=0)] = 0,
    train: Annotated[int, _count("--train", "Images to train.")] = 1000,
    val: Annotated[int, _count("--val", "Images to validate.")] = 200,
    test: Annotated[int, _count("--test", "Images to test.")] = 300,
    slice_: Annotated[int, _count("--slice", "Images of each further slice of the test.")] = 100,
    seconds: Annotated[float, typer.Option(help="Length of a mixture.", rich_help_panel=_SOUND)] = 4.0,
    sample_rate: Annotated[int, typer.Option(help="Hz.", rich_help_panel=_SOUND)] = 32_000,
    channel: Annotated[int, typer.Option(help="Which channel, from 0.", rich_help_panel=_SOUND)] = 0,
    highpass: Annotated[float, typer.Option(help="Hz; 0 for none.", rich_help_panel=_SOUND)] = 500.0,
    lowpass: Annotated[
        float | None,
        typer.Option(help="Hz; by default just below the lowest Nyquist frequency.", rich_help_panel=_SOUND),
    ] = None,
    snr: Annotated[
        tuple[float, float], typer.Option(help="dB over active frames.", metavar="LOW HIGH", rich_help_panel=_SOUND)
    ] = (-5.0, 15.0),
    active_db: Annotated[
        float, typer.Option(help="A frame is active within so many dB of the loudest.", rich_help_panel=_SOUND)
    ] = 30.0,
    peak: Annotated[float, typer.Option(help="Of a mixture, before its gain.", rich_help_panel=_SOUND)] = 0.9,
    gain: Annotated[
        tuple[float, float], typer.Option(help="dB below the peak.", metavar="LOW HIGH", rich_help_panel=_SOUND)
    ] = (-10.0, 0.0),
    foreign_db: Annotated[
        float,
        typer.Option(
            help="Backgrounds with transients above so many dB are a test slice of their own.", rich_help_panel=_SOUND
        ),
    ] = 15.0,
    smoothing: Annotated[
        float, typer.Option(help="Gaussian over the powers, bins and frames.", rich_help_panel=_MASK)
    ] = 4.0,
    floor_db: Annotated[
        float, typer.Option(help="Lowest song power, dB of its 99.5 % quantile.", rich_help_panel=_MASK)
    ] = -30.0,
    radius: Annotated[int, typer.Option(help="Disk of closing and opening.", rich_help_panel=_MASK)] = 3,
    smallest: Annotated[
        int, typer.Option(help="Components and holes under so many pixels go.", rich_help_panel=_MASK)
    ] = 200,
) -> None:
    """Mix recordings of song and of background into a dataset whose true masks and clean sounds are known."""
    from benchmark.common.progress import bars
    from benchmark.tools.mix import make
    from benchmark.tools.mix.settings import Settings, checked

    given = {
        "seed": seed,
        "train": train,
        "val": val,
        "test": test,
        "slice_": slice_,
        "seconds": seconds,
        "sample_rate": sample_rate,
        "channel": channel,
        "highpass": highpass,
        "lowpass": lowpass,
        "snr_low": snr[0],
        "snr_high": snr[1],
        "active_db": active_db,
        "peak": peak,
        "gain_low": gain[0],
        "gain_high": gain[1],
        "foreign_db": foreign_db,
        "smoothing": smoothing,
        "floor_db": floor_db,
        "radius": radius,
        "smallest": smallest,
        "bird": bird,
        "species": species,
        "site": site,
    }
    settings = checked(**given)
    # Folders are named by a word, because paths differ between machines.
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
    say(f"{sum(made.counts.values())} mixtures in {out}{again}. Look: bench data audit {shlex.quote(str(out))}")
    say(f"Train: bench run --arch all --protocol mix-quick --data {shlex.quote(str(out))}")


@data.command()
@speaking
def audit(
    *,
    root: Annotated[Path, typer.Argument(help="The dataset's top folder.", metavar="ROOT")],
    picture: Annotated[Path, typer.Option(help="Where the contact sheet goes.")] = Path("audit.png"),
) -> None:
    """Look at a dataset before it is believed: damage, masks, duplicates, and leakage (exit code 2)."""
    from benchmark.common.progress import bars
    from benchmark.tools.audit import scan

    files.check_writable(picture.parent, "--picture")
    with bars() as report:
        found = scan.scan(root, report)
    from benchmark.tools.audit import show

    say(show.table(found))
    show.contact_sheet(found, picture)
    say(f"Contact sheet: {picture}")
    if found.leaks:
        raise typer.Exit(2)


def _changed(settings: "Settings", usual: "Settings") -> list[str]:
    """The options that differ from their defaults, as they are typed."""
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
