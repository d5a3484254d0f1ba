"""From a finished run and data to what its weights give on the test split."""

from pathlib import Path

import torch

from benchmark import evaluator, hardware, inputs, protocol, registry, stored
from benchmark.data import batches
from benchmark.data.batches import DeviceSplit
from benchmark.data.cache import Cached
from benchmark.errors import UserError
from benchmark.evaluator import Evaluation
from benchmark.hardware import Hardware
from benchmark.progress import Report
from benchmark.protocol import Protocol
from benchmark.record import Record
from benchmark.registry import Plugin


def settings_of(found: Record) -> Protocol:
    """The protocol of the run.

    Raises:
        UserError: it has settings that this version does not know.
    """
    return protocol.recorded(found.protocol.name, found.protocol.settings)


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
    return dataset, inputs.load_data(dataset, settings, root, report)


def evaluate(
    path: Path, found: Record, settings: Protocol, cached: Cached, machine: Hardware, report: Report
) -> Evaluation:
    """Count the test split under the weights of the run in folder `path`.

    Raises:
        UserError: the weights or their plugin are not to be had, or the logits are not numbers.
    """
    test = cached.splits["test"]
    resident = batches.fits_on(machine.device, [test])
    with inputs.blaming(stored.require(path, found)):
        net = stored.load(path, found, settings)
        net.to(device=machine.device)
        net.to(memory_format=torch.channels_last)  # as it was tested
        split = DeviceSplit(test, settings, machine.device, resident=resident)
        try:
            return evaluator.evaluate(net, split, test, settings, machine, report)
        except evaluator.NotANumberError as error:
            raise UserError(f"{path}: the logits of the stored weights are not numbers") from error
