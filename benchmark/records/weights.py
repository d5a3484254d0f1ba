"""Load the network of a finished run with its stored weights, and evaluate it."""

from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from benchmark import protocols
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report
from benchmark.data.cache import Cached
from benchmark.plugins import network, registry
from benchmark.plugins.blame import blaming
from benchmark.plugins.network import Network
from benchmark.plugins.registry import Plugin
from benchmark.protocols import Protocol
from benchmark.records.find import again
from benchmark.records.schema import Record
from benchmark.records.store import WEIGHTS
from benchmark.training import batches, evaluator, hardware
from benchmark.training.batches import DeviceSplit
from benchmark.training.evaluator import Evaluation
from benchmark.training.hardware import Hardware


def load(path: Path, found: Record, settings: Protocol) -> Network:
    """Load the network of the run in folder `path`, on the CPU. A network without parameters needs no weights.

    The plugin that is installed now is used: code in a run's folder is never run.

    Raises:
        UserError: the plugin's code has changed since, or the weights are missing or of another network.
    """
    plugin = require(path, found)
    net = network.build(plugin, settings.override({"weights": "none"}), found.seed)
    count = network.parameter_count(net)
    if count != found.architecture.parameter_count:
        raise UserError(
            f"{path}: run.json says {found.architecture.parameter_count} parameters, the network has {count}"
        )
    if count == 0:
        return net
    try:
        weights = load_file(path / WEIGHTS)
        _require_same_tensors(weights, net.core.state_dict())
        net.core.load_state_dict(weights)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        text = first_line(error)
        raise UserError(f"{path / WEIGHTS} cannot be used ({text}); train it again: {again(found)}") from error
    return net


def _require_same_tensors(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise ValueError if names, types or shapes differ: torch would convert some of them silently."""
    stored, built = ({name: (value.dtype, value.shape) for name, value in part.items()} for part in (weights, own))
    if differing := sorted({name for name, _ in stored.items() ^ built.items()}):
        raise ValueError(f"{differing[0]} is not as in this network")


def require(path: Path, found: Record) -> Plugin:
    """The plugin of the run, if its code has not changed since and the weights exist.

    Raises:
        UserError: the code has changed, or the weights are missing.
    """
    plugin = registry.load("architectures", found.architecture.label)
    if plugin.source_hash != found.architecture.source_hash:
        raise UserError(
            f"{plugin.name} has changed since {path} was trained (see plugin.py there); check out that "
            f"source, or train it again: {again(found)}"
        )
    if found.architecture.parameter_count and not (path / WEIGHTS).is_file():
        raise UserError(f"{path} has no {WEIGHTS} (weights are not committed); train it again: {again(found)}")
    return plugin


def settings_of(found: Record) -> Protocol:
    """The protocol of the run.

    Raises:
        UserError: it has settings that this version does not have.
    """
    return protocols.recorded(found.protocol.name, found.protocol.settings)


def machine_for(found: Record, device: str) -> Hardware:
    """The requested device with the run's precision and, on a CPU, the run's number of threads.

    Raises:
        UserError: the device does not exist, or does not support the run's precision.
    """
    machine = hardware.resolve(device, found.device.precision, deterministic=found.device.deterministic)
    if machine.device.type == "cpu":
        hardware.pin_threads(found.device.threads)
    return machine


def evaluate(
    path: Path, found: Record, settings: Protocol, cached: Cached, machine: Hardware, report: Report
) -> Evaluation:
    """Evaluate the weights of the run in folder `path` on the test split.

    Raises:
        UserError: the weights are missing, their plugin has changed, or a logit is not a number.
    """
    test = cached.splits["test"]
    resident = batches.fits_on(machine.device, [test])
    with blaming(require(path, found)):
        net = load(path, found, settings)
        net.to(device=machine.device)
        net.to(memory_format=torch.channels_last)  # as in the run
        split = DeviceSplit(test, settings, machine.device, resident=resident)
        try:
            return evaluator.evaluate(net, split, test, settings, machine, report)
        except evaluator.NotANumberError as error:
            raise UserError(f"{path}: the stored weights give logits that are not numbers") from error
