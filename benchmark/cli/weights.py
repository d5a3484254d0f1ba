"""`make weights` and `make rivals`: train the network that ships, and compare it with what people use today."""

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli.common import one_line_errors
from benchmark.common.progress import bars
from benchmark.data import recipe
from benchmark.tools.denoise.trained import FOLDER

app = typer.Typer(add_completion=False, no_args_is_help=True, help=__doc__)
_RECORDINGS = typer.Option(help="Folder of the recordings; by default where bench data fetch puts them.")
_DATASET = typer.Option(help="Folder of the dataset; by default where bench data make puts it.")


@app.command()
@one_line_errors
def train(
    name: Annotated[str, typer.Argument(metavar="RECIPE")],
    *,
    out: Annotated[Path, typer.Option(help="Folder for the weights.")] = FOLDER,
    recordings: Annotated[Path | None, _RECORDINGS] = None,
    dataset: Annotated[Path | None, _DATASET] = None,
    architecture: Annotated[str, typer.Option(help="A network with at most 4 million parameters.")] = "unet:width=8",
    steps: Annotated[int, typer.Option(help="Batches of 8 scenes.")] = 1_500,
    seed: int = 0,
    device: str = "auto",
    precision: Annotated[str, typer.Option(help="bf16 is twice as fast on processors that have it.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="Threads on a CPU.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that draw scenes; 0: this one.")] = 0,
) -> None:
    """Train the network that ships; an interrupted training is continued."""
    from benchmark.tools.mix.settings import Settings
    from benchmark.tools.shipped import card
    from benchmark.tools.shipped import train as training
    from benchmark.tools.shipped.scenes import Pools, Scenes
    from benchmark.training import hardware

    machine = hardware.resolve(device, precision)
    hardware.pin_threads(threads)
    settings = Settings(**recipe.mixing(name)["settings"])
    plan = training.Plan(recipe=name, architecture=architecture, steps=steps, seed=seed)
    assert training.RENDERING.lowpass is not None
    out.mkdir(parents=True, exist_ok=True)
    with bars() as report:
        folder = recordings or recipe.recordings_folder(name)
        pools = Pools.read(name, folder, settings, training.RENDERING.lowpass, report)
        scenes = Scenes(pools=pools, samples=training.SAMPLES)
        training.train(scenes, dataset or recipe.made_folder(name), out, plan, machine, workers, report)
    card.write(out)


@app.command()
@one_line_errors
def judge(
    name: Annotated[str, typer.Argument(metavar="RECIPE")],
    *,
    out: Annotated[Path, typer.Option(help="The tables are written to OUT.md and OUT.csv.")] = Path("results/rivals"),
    network: Annotated[Path, typer.Option(help="Folder of the weights.")] = FOLDER,
    dataset: Annotated[Path | None, _DATASET] = None,
) -> None:
    """Compare the network that ships with its rivals, on birds that it never heard."""
    from benchmark.tools.shipped import judge as judging

    with bars() as report:
        print(judging.judge(network, name, dataset or recipe.made_folder(name), out, report))  # noqa: T201


if __name__ == "__main__":
    app()
