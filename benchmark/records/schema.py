"""What run.json holds: everything that says what was run, on what, and how long it took."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from benchmark.common.errors import printable
from benchmark.data.manifest import headline

SCHEMA: Literal[1] = 1

Status = Literal["finished", "diverged", "out-of-memory"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256. Files are called after its first digits: nothing else may stand there."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProtocolRecord(_Part):
    """The protocol as it was resolved; `overrides` are the settings changed on the command line."""

    name: str
    title: str
    digest: Digest
    revision: int
    settings: dict[str, Any]
    overrides: dict[str, Any]


class Isolation(_Part):
    """Whether a source of dependence is disjoint between the splits, and how many groups each split has."""

    relation: Literal["disjoint", "shared"]
    counts: dict[str, int]


class SliceRecord(_Part):
    """A slice of the test split, by kind of group: its groups, and its images with one that training never met.

    What the validation had met counts as met, for epochs are chosen by it.
    """

    groups: dict[str, int]
    unseen: dict[str, int]


class RenderingRecord(_Part):
    """How sound became the images: Hz, frames per image, peak; see `benchmark.contract.Rendering`."""

    sample_rate: int | None
    frames: int | None
    highpass: float | None
    lowpass: float | None
    peak: float | None


class DatasetRecord(_Part):
    """The locked data: sizes per split, per test slice, and the leakage groups."""

    label: str
    title: str
    citation: str
    licence: str
    source_hash: str
    manifest: Digest
    images: dict[str, int]
    empty_masks: dict[str, int]
    test_slices: dict[str, int] = Field(min_length=1)
    groups: dict[str, Isolation]
    slices: dict[str, SliceRecord] = {}
    rendering: RenderingRecord | None = None


class ReportedRecord(_Part):
    """A published number, copied so that the leaderboard needs no plugin."""

    dataset: str
    split: str
    metric: str
    value: float
    source: str
    comparable: str


class ArchitectureRecord(_Part):
    """The entry; `weights` says what it started from, `gflops` is 2 x multiply-adds / 1e9 of one forward image."""

    name: str
    label: str
    parameters: dict[str, Any]
    title: str
    paper: str
    citation: str
    source_hash: str
    weights: str
    parameter_count: int
    gflops: float
    reported: list[ReportedRecord]
    weights_licence: str | None = None
    pixelwise: bool = False
    """Whether it judges each pixel by fixed surroundings: the floor of its table."""


class DeviceRecord(_Part):
    """Where and how it ran. `threads` are torch's on a CPU; `execution` is eager or compiled."""

    kind: str
    type: str
    precision: str
    threads: int
    devices: int = 1
    execution: str = "eager"
    micro_batch: int | None = None
    deterministic: bool = False

    @property
    def arithmetic(self) -> str:
        """The precision; and the micro-batches, over which a batch norm averages."""
        return f"{self.precision}, micro-batches of {self.micro_batch}" if self.micro_batch else self.precision


class CandidateRecord(_Part):
    """The training at one learning rate: IoU of its selected epoch; None and 0 where it diverged."""

    learning_rate: float
    validation_iou: float | None
    best_epoch: int


class TrainingRecord(_Part):
    """The training; seconds and images/s exclude validation. `best_epoch` counts from 1; 0 means not trained.

    `others` is the share of the machine's processor time that other processes took during training and test; None where
    that is not known: where nothing was trained, a killed training went on, or the system is not Linux.

    `continued_after` lists the epochs after which a killed training went on. Where the protocol has several learning
    rates, `learning_rate` is the chosen one (None where all diverged, or nothing was trained) and `candidates` are all,
    in the order of training; the epochs are those of the chosen one, seconds and `continued_after` go through all.
    """

    epochs: int
    best_epoch: int
    seconds: float
    images_per_second: float | None
    last_losses: list[float]
    continued_after: list[int] = []
    others: float | None = None
    learning_rate: float | None = None
    candidates: list[CandidateRecord] = []


class Record(_Part):
    """One run."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_version: Literal[1] = Field(default=1, alias="schema")
    status: Status
    message: str = ""
    run_key: Digest
    comparability_key: Digest
    command: str
    finished: str
    seed: int
    protocol: ProtocolRecord
    dataset: DatasetRecord
    architecture: ArchitectureRecord
    device: DeviceRecord
    training: TrainingRecord
    inference_images_per_second: float | None
    peak_memory_bytes: int | None
    """Of the device, or resident memory of the process on a CPU; None where the process had run something before."""
    environment: dict[str, str]

    @property
    def headline_slice(self) -> str:
        """The slice of the test split that the scores are of: "main", or the first where none is called so."""
        return headline(list(self.dataset.test_slices))


R = TypeVar("R", bound=BaseModel)


def shown(found: R) -> R:
    """The record, its texts on one line each and without what a terminal would obey; itself where they are so.

    Everything that is shown of records comes through here: no format needs to know what a terminal or a table cannot
    take beyond its own signs.
    """
    text = found.model_dump_json()
    if text.isprintable() and "\\" not in text.replace(r"\\", "").replace(r"\"", ""):
        return found  # no other escape of JSON stands for a sign that is shown
    return type(found).model_validate(_spelled(found.model_dump(by_alias=True)))


def _spelled(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_spelled(key): _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return value
