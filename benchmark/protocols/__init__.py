"""Frozen settings of an experiment, and their digest.

A protocol is a TOML file. The digest covers everything in it that can change a number. It leaves out titles, comments
and settings at their default, so a new setting changes no old digest. Seeds, devices, precision and paths are not part
of a protocol.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from benchmark.common.errors import UserError, nearest

REVISION = 2
"""Part of the digest. Raise it when trainer, evaluator or data change numbers; the golden run guards it."""

FOLDER = Path(__file__).parent
DEFAULT = "quick"

UNDIGESTED = ("name", "title", "about")
"""Fields that change no number."""

PositiveInt = Annotated[int, Field(gt=0, le=1_000_000)]
"""The limit is far above every real value, and far below what breaks other code."""
Side = Annotated[int, Field(gt=0, le=16_384)]
"""In pixels; a colour image of the largest size takes 800 MB."""
PositiveFloat = Annotated[float, Field(gt=0)]
_NAME = re.compile(r"[A-Za-z0-9_-]+")

_RETIRED = (("empty_masks", "excluded"),)
"""Settings of older records, with the only value that they ever had."""


def _square(value: object) -> object:
    return (value, value) if isinstance(value, int) else value


class Protocol(BaseModel):
    """The settings; defaults are the reference paper's (sections 4 and 5.3). Sizes are (height, width) in pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: str
    title: str
    about: str
    dataset: str
    """Dataset and its parameters, e.g. `synthetic:train=64`."""
    image_size: Annotated[tuple[Side, Side], BeforeValidator(_square)] = (512, 512)
    """A single number sets both."""
    channels: Literal[1, 3] = 3
    normalisation: Literal["none", "imagenet"] = "imagenet"
    weights: Literal["none", "pretrained"] = "pretrained"
    loss: Literal["bce", "bce_dice", "dice", "focal", "tversky"] = "bce"
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    """Of the focal loss: how far easy pixels count less."""
    tversky_missed: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """Of the Tversky loss: the weight of missed foreground; that of false alarms is the rest of 1."""
    optimiser: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-4
    learning_rates: tuple[PositiveFloat, ...] = ()
    """Each network takes the one with the best validation IoU; if empty, all take `learning_rate`. Ascending."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    gradient_clip: Annotated[float, Field(ge=0)] = 0.0
    """The largest norm of all gradients together; 0: any."""
    schedule: Literal["constant", "cosine"] = "constant"
    warm_up: Annotated[float, Field(ge=0)] = 0.0
    """Epochs in which the learning rate rises to the schedule's."""
    epochs: PositiveInt = 30
    batch_size: PositiveInt = 16
    augmentation: Literal["none", "time_roll"] = "none"
    """`time_roll` shifts each image in time around its edge."""
    flips: Literal["none", "time", "both"] = "none"
    """Each image is mirrored in time (left-right), or also upside down, with a chance of one half each."""
    selection: Literal["best_validation_iou", "last_epoch"] = "best_validation_iou"
    threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5

    @field_validator("*", mode="before")
    @classmethod
    def _no_truth_values(cls, value: object) -> object:
        """Refuse `epochs = true`, which pydantic would read as 1."""
        if any(isinstance(part, bool) for part in (value if isinstance(value, list | tuple) else [value])):
            raise ValueError("settings are never true or false")
        return value

    @field_validator("learning_rates")
    @classmethod
    def _worth_choosing_from(cls, rates: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        """Check the rates and sort them, so the same rates give the same table."""
        if len(rates) == 1 or len(set(rates)) < len(rates):
            raise ValueError("list two or more different learning rates, or [] to choose none")
        own = info.data.get("learning_rate")  # missing if it is invalid itself
        if rates and own is not None and own not in rates:
            # Otherwise it would change the digest, but no number.
            raise ValueError(f"the protocol's own learning rate, {own}, must be among them")
        return tuple(sorted(rates))

    @property
    def candidates(self) -> tuple["Protocol", ...]:
        """A protocol with a fixed rate for each of `learning_rates`: first its own rate, then the others, ascending."""
        rates = sorted(self.learning_rates, key=lambda rate: (rate != self.learning_rate, rate))
        return tuple(self.override({"learning_rate": rate, "learning_rates": ()}) for rate in rates)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON of the settings and the revision; fields at their default are left out."""
        return self.digest_at(REVISION)

    def digest_at(self, revision: int) -> str:
        """The digest under another revision."""
        settings = self.model_dump(mode="json", exclude_defaults=True, exclude=set(UNDIGESTED))
        text = json.dumps({"revision": revision, **settings}, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def override(self, changes: Mapping[str, Any]) -> "Protocol":
        """Copy the protocol with other settings, checked like those of a file.

        Raises:
            UserError: an unknown setting or a value that it does not take.
        """
        fixed = [name for name in changes if name in UNDIGESTED]
        if fixed:
            raise UserError(f"'{fixed[0]}' cannot be set; it only names the protocol")
        return _checked({**self.model_dump(), **changes}, source="on the command line")

    def changes_from(self, other: "Protocol") -> dict[str, Any]:
        """The settings in which this protocol differs from another, with this one's values."""
        mine, theirs = (protocol.model_dump(mode="json", exclude=set(UNDIGESTED)) for protocol in (self, other))
        return {key: value for key, value in mine.items() if theirs[key] != value}


def rates_around(rate: float, count: int) -> list[float]:
    """List `count` learning rates around `rate`, ascending by factors of sqrt(10); an even count has one more below.

    The rate itself is kept exactly; the others are rounded to three digits, to be readable in records.
    """
    steps = range(-(count // 2), count - count // 2)
    return [float(f"{rate * 10 ** (step / 2):.3g}") if step else rate for step in steps]


def names() -> list[str]:
    """The protocols that come with the benchmark, the default first."""
    return sorted((path.stem for path in FOLDER.glob("*.toml")), key=lambda name: (name != DEFAULT, name))


def load(name: str) -> Protocol:
    """Read a protocol by name, or by the path of a TOML file.

    Raises:
        UserError: no such protocol, not TOML, an unknown setting, or a value that it does not take.
    """
    path = Path(name) if name.endswith(".toml") else FOLDER / f"{name}.toml"
    if name.endswith(".toml") and (path.stem in names() or not _NAME.fullmatch(path.stem)):
        raise UserError(f"rename {path}: use letters, digits, - and _, and not the name of a built-in protocol")
    if name not in names() and not name.endswith(".toml"):
        raise UserError(
            f"no protocol '{name}'{nearest(name, names())}; there are: {', '.join(names())}, or a .toml file"
        )
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise UserError(f"no protocol file {path}") from error
    except (ValueError, RecursionError, OSError) as error:  # not TOML, not UTF-8, nested too deep
        raise UserError(f"{path} is not a readable TOML file: {error}") from error
    settings.setdefault("title", path.stem)
    settings.setdefault("about", "")
    return _checked({**settings, "name": path.stem}, source=f"in {path}")


def recorded(name: str, settings: Mapping[str, Any]) -> Protocol:
    """The protocol of a record, from its name and its settings; settings that it leaves out had their default.

    Raises:
        UserError: an unknown setting or a value that it does not take.
    """
    settings = {key: value for key, value in settings.items() if (key, value) not in _RETIRED}
    return _checked({**settings, "name": name, "title": "", "about": ""}, source=f"in a record of {name}")


def _checked(settings: Mapping[str, Any], source: str) -> Protocol:
    known = [field for field in Protocol.model_fields if field not in UNDIGESTED]
    try:
        return Protocol.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        setting = str(first["loc"][0]) if first["loc"] else "protocol"
        if first["type"] == "extra_forbidden":
            message = f"unknown setting '{setting}' {source}{nearest(setting, known)}; there are: {', '.join(known)}"
        elif first["type"] == "missing":
            message = f"setting '{setting}' is missing {source}"
        else:
            given, why = first["input"], first["msg"].removeprefix("Value error, ")
            message = f"setting '{setting}' = {given!r} {source}: {why[0].lower()}{why[1:]}"
        raise UserError(message) from error
