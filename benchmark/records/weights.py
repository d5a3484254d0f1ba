"""The network of a finished run, with the weights that it was stored with."""

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
from benchmark.plugins import datasets, network, registry
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
    """The network of the run in folder `path`, on the CPU; one without parameters as it is built.

    The plugin is the one that is found now: code that lies in a run's folder is never run.

    Raises:
        UserError: the plugin's code is no longer the run's, or the weights are missing or of another network.
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
        _require_alike(weights, net.core.state_dict())
        net.core.load_state_dict(weights)
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        text = first_line(error)
        raise UserError(f"{path / WEIGHTS} cannot be used ({text}); train it again: {again(found)}") from error
    return net


def _require_alike(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Refuse what torch would convert without a word, and what no finished training stores.

    Raises:
        ValueError: other tensors than the network has, one of another number format or shape, or one that is not
            finite.
    """
    odd = sorted(weights.keys() ^ own.keys())
    if odd:  # torch would let the counter of a batch norm be missing
        raise ValueError(f"{odd[0]} is {'missing' if odd[0] in own else 'of no such network'}")
    for name, value in weights.items():
        if value.dtype != own[name].dtype:
            raise ValueError(f"{name} is {value.dtype}, that of the network is {own[name].dtype}")
        if value.shape != own[name].shape:  # torch 2.6 takes a number out of a list of them
            raise ValueError(f"{name} is of {tuple(value.shape)}, that of the network of {tuple(own[name].shape)}")
        if not bool(value.isfinite().all()):
            raise ValueError(f"{name} holds what is no finite number")


def require(path: Path, found: Record) -> Plugin:
    """The plugin of the run, if its code is still what ran and the weights are there.

    Raises:
        UserError: it is not, or they are not.
    """
    plugin = registry.load("architectures", found.architecture.label)
    if plugin.source_hash != found.architecture.source_hash:
        raise UserError(
            f"{plugin.name} has changed since {path} was trained (see plugin.py there); check out the source of then, "
            f"or train it again: {again(found)}"
        )
    if found.architecture.parameter_count and not (path / WEIGHTS).is_file():
        raise UserError(f"{path} has no {WEIGHTS} (weights are not committed); train it again: {again(found)}")
    return plugin


def settings_of(found: Record) -> Protocol:
    """The protocol of the run.

    Raises:
        UserError: it has settings that this version does not know.
    """
    return protocols.recorded(found.protocol.name, found.protocol.settings)


def machine_for(found: Record, device: str) -> Hardware:
    """The device that is asked for, with the arithmetic and, on a CPU, the threads of the run.

    Raises:
        UserError: the device is not there, or does not know the run's precision.
    """
    machine = hardware.resolve(device, found.device.precision, deterministic=found.device.deterministic)
    if machine.device.type == "cpu":
        hardware.pin_threads(found.device.threads)
    return machine


def load_data(label: str, settings: Protocol, root: Path | None, report: Report) -> tuple[Plugin, Cached]:
    """A dataset by its label, decoded at the protocol's size.

    Raises:
        UserError: there is no such dataset, or the folder does not hold what it should.
    """
    dataset = registry.load("datasets", label)
    return dataset, datasets.load_data(dataset, settings, root, report)


def evaluate(
    path: Path, found: Record, settings: Protocol, cached: Cached, machine: Hardware, report: Report
) -> Evaluation:
    """Count the test split under the weights of the run in folder `path`.

    Raises:
        UserError: the weights or their plugin are not to be had, or the logits are not numbers.
    """
    test = cached.splits["test"]
    resident = batches.fits_on(machine.device, [test])
    with datasets.blaming(require(path, found)):
        net = load(path, found, settings)
        net.to(device=machine.device)
        net.to(memory_format=torch.channels_last)  # as it was tested
        split = DeviceSplit(test, settings, machine.device, resident=resident)
        try:
            return evaluator.evaluate(net, split, test, settings, machine, report)
        except evaluator.NotANumberError as error:
            raise UserError(f"{path}: the logits of the stored weights are not numbers") from error
