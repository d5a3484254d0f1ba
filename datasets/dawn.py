"""dawn: public recordings of 132 kinds of birds, mixed with 37 kinds of noise. `bench data make dawn` makes it.

The test asks what people ask: does a network find birds that it has never heard? Its main slice has kinds of birds of
which neither training nor validation has a recording. Further slices: known-species (kinds of the training, other
recordings), new-noise (kinds of noise that training never hears), animals (frogs, coyotes, dogs and other birds behind
the song). dawn.tsv lists the recordings, dawn.toml says how they are mixed.

`train`, `val`, `test` and `slices` limit the number of images of each split, and of each further slice of the test; 0
takes all.
"""

from dataclasses import replace
from pathlib import Path

from benchmark.contract import DatasetSpec, Splits, UserError
from benchmark.data import layout, mixtures, recipe


def load(*, root: Path | None, train: int = 0, val: int = 0, test: int = 0, slices: int = 0) -> Splits:
    """The three splits.

    Raises:
        UserError: the dataset has not been made, or a file is missing.
    """
    folder = _folder(root)
    wanted = {"train": train, "val": val, "test": test}
    found = mixtures.samples(folder, _table(folder))
    return {name: mixtures.first_of(part, wanted[name], slices) for name, part in found.items()}


def resolve(*, root: Path | None, **_: object) -> DatasetSpec:
    """How the images were made is written in the folder."""
    folder = _folder(root)
    return replace(DATASET, rendering=mixtures.rendering(folder, _table(folder)))


def _folder(root: Path | None) -> Path:
    return root or recipe.made_folder("dawn")


def _table(folder: Path) -> mixtures.Table:
    table = layout.read_samples(folder)
    if not table:
        raise UserError(f"dawn is not in {folder}; bring it with: bench data fetch dawn && bench data make dawn")
    return table


DATASET = DatasetSpec(
    load=load,
    title="dawn: birds that no network was trained on",
    paper="",
    citation="",
    licence="the recordings' own; bench data fetch dawn writes who recorded what",
    needs_root=False,
    takes_root=True,
    resolve=resolve,
)
