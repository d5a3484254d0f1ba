"""A trained network that can clean: that of a run, or the one that ships with the program."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark import protocols
from benchmark.common.errors import UserError, first_line
from benchmark.contract import Rendering
from benchmark.plugins import registry
from benchmark.protocols import Protocol
from benchmark.records.schema import Record
from benchmark.tools.denoise import choose_run

if TYPE_CHECKING:
    from benchmark.plugins.network import Network

SHIPPED = "shipped"
"""The name of the network that ships, where a run could be named."""
FOLDER = Path(__file__).parent / "shipped"
WEIGHTS, DESCRIPTION, CARD = "network.safetensors", "network.json", "README.md"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained:
    """What cleaning needs to know of a network. `key` changes whenever its weights do."""

    label: str
    origin: str
    key: str
    title: str
    """Of the data that it was trained on."""
    protocol: Protocol
    rendering: Rendering
    load: Callable[[], "Network"] = field(compare=False)


def named(results: Path, run: str, table: str) -> Trained:
    """The network that ships, if `run` is "shipped", or that of a run, see `choose_run.choose`.

    Raises:
        UserError: there is no such run, or it cannot clean.
    """
    return shipped() if run == SHIPPED else of_run(*choose_run.choose(results, run, table))


def of_run(path: Path, found: Record) -> Trained:
    """The network of a finished run whose data name a rendering."""
    assert found.dataset.rendering is not None  # choose() checked it
    settings = protocols.recorded(found.protocol.name, found.protocol.settings)
    return Trained(
        label=found.architecture.label,
        origin=f"trained with {found.protocol.name} ({path})",
        key=found.run_key,
        title=found.dataset.title,
        protocol=settings,
        rendering=found.dataset.rendering,
        load=partial(_of_run, path, found, settings),
    )


def shipped(folder: Path = FOLDER) -> Trained:
    """The network that ships.

    Raises:
        UserError: its files are missing or damaged.
    """
    try:
        text = (folder / DESCRIPTION).read_bytes()
        content = hashlib.sha256(text + (folder / WEIGHTS).read_bytes()).hexdigest()
        described = json.loads(text)
        settings = protocols.load(described["protocol"]).override(described["settings"])
        rendering = Rendering(**described["rendering"])
        label = str(described["architecture"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"the shipped network in {folder} is damaged ({first_line(error)}); install it again"
        ) from error
    return Trained(
        label=label,
        origin=f"the network that ships ({described['title']})",
        key=content,
        title=described["title"],
        protocol=settings,
        rendering=rendering,
        load=partial(_shipped, folder, label, settings),
    )


def _of_run(path: Path, found: Record, settings: Protocol) -> "Network":
    from benchmark.records import weights  # imports torch, which takes seconds

    return weights.load(path, found, settings)


def _shipped(folder: Path, label: str, settings: Protocol) -> "Network":
    from safetensors.torch import load_file

    from benchmark.plugins import network

    net = network.build(registry.load("architectures", label), settings, seed=0)
    stored = load_file(folder / WEIGHTS)  # 16 bits
    own = net.core.state_dict()
    net.core.load_state_dict({name: stored[name].to(value.dtype) for name, value in own.items()})
    return net
