"""The schema of run.json: what was run, on what, and how long it took."""

from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from benchmark.common.errors import printable
from benchmark.contract import Rendering, Reported
from benchmark.data.manifest import headline

Schema: TypeAlias = Literal[1]
SCHEMA: Schema = 1

Status = Literal["finished", "diverged", "out-of-memory"]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""A SHA-256. File names begin with its first digits, so nothing else is accepted."""


class Part(BaseModel):
    """A part of a record: frozen, and without unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class ProtocolRecord(Part):
    """The protocol with all its settings; `overrides` are those changed on the command line."""

    name: str
    title: str
    digest: Digest
    revision: int
    settings: dict[str, Any]
    overrides: dict[str, Any]


class Isolation(Part):
    """Whether the splits share groups of one kind (recordings, species, ...), and how many groups each split has."""

    relation: Literal["disjoint", "shared"]
    counts: dict[str, int]


class SliceRecord(Part):
    """A slice of the test split, by kind of group: number of groups, and of images whose group is new.

    A group is new if it is neither in the training nor in the validation split: the validation chooses the epoch.
    """

    groups: dict[str, int]
    unseen: dict[str, int]


class DatasetRecord(Part):
    """The dataset: its manifest digest, sizes per split and test slice, and groups."""

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
    rendering: Rendering | None = None

    @property
    def short_name(self) -> str:
        """What the user calls the data (`name=` of the label), or the dataset without its parameters."""
        name, _, given = self.label.partition(":")
        return next((part.removeprefix("name=") for part in given.split(",") if part.startswith("name=")), name)


class ArchitectureRecord(Part):
    """The network; `weights` names its initial weights, `gflops` is 2 x multiply-adds / 1e9 of one image forward."""

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
    reported: list[Reported]
    weights_licence: str | None = None
    pixelwise: bool = False
    """Whether it classifies each pixel by a fixed neighbourhood: the baseline of its table."""
    own_loss: bool = False
    """Whether it was trained with the loss of its plugin, not with the protocol's."""


class DeviceRecord(Part):
    """The device and how it was used. `threads` are torch's on a CPU; `execution` is eager or compiled."""

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
        """The precision, and the size of micro-batches if there are any, since batch norm averages over these."""
        return f"{self.precision}, micro-batches of {self.micro_batch}" if self.micro_batch else self.precision


class CandidateRecord(Part):
    """The training at one learning rate: IoU of its selected epoch; None and 0 if it diverged."""

    learning_rate: float
    validation_iou: float | None
    best_epoch: int


class TrainingRecord(Part):
    """The training; seconds and images/s exclude validation. `best_epoch` counts from 1; 0 means not trained.

    `others` is the share of the machine's processor time that other processes took during training and test. It is
    None if that is unknown: nothing was trained, the training was resumed, or the
    system is not Linux.

    `continued_after` lists the epochs after which the training was resumed. If the protocol has several learning rates,
    `learning_rate` is the chosen one (None if all diverged, or nothing was trained) and `candidates` are all of them in
    the order of training; the epochs are those of the chosen one, seconds and `continued_after` are of all together.
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


class Record(Part):
    """One run."""

    schema_version: Schema = Field(default=SCHEMA, alias="schema")
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
    only_class: dict[str, Literal["foreground", "background"]] = {}
    """Of the validation and the test split, if every pixel of it was predicted as one class: that class."""
    peak_memory_bytes: int | None
    """Of the device, or on a CPU of the process; None if the process had run something before."""
    environment: dict[str, str]

    @property
    def headline_slice(self) -> str:
        """The slice of the test split that is ranked: "main", or the first slice if none has that name."""
        return headline(list(self.dataset.test_slices))


R = TypeVar("R", bound=BaseModel)


def shown(found: R) -> R:
    """The record with every text on one line and without control characters; the same object if it is so already.

    Everything that is shown of a record passes through here, so a format escapes its own markup only.
    """
    text = found.model_dump_json()
    if text.isprintable() and "\\" not in text.replace(r"\\", "").replace(r"\"", ""):
        return found  # JSON escapes nothing else that is printable
    return type(found).model_validate(_spelled(found.model_dump(by_alias=True)))


def _spelled(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_spelled(key): _spelled(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_spelled(item) for item in value]
    return value
