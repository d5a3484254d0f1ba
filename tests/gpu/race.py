"""Races this benchmark's trainer against a notebook's loop and Lightning: the same network, images and settings.

    PYTHONPATH=. python tests/gpu/race.py custom_resnet34 --protocol mix --data mixtures --images 32

ours                the trainer of this benchmark; images are decoded beforehand
notebook            one process decodes PNG files in every epoch; fp32, PyTorch's defaults, `.item()` at every step
lightning           Lightning with bf16-mixed where the hardware has it, channels-last, workers that decode PNG files
lightning cached    the same with the decoded images in memory

Each contestant has a process of its own, in turns. It prints images per second as a Markdown table. A ratio compares
two contestants in the same round.
"""

import argparse
import logging
import math
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from tabulate import tabulate
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmark import protocols, training
from benchmark.plugins import network, registry
from benchmark.protocols import Protocol
from benchmark.tools.speed import measure, session
from benchmark.tools.speed.measure import Task
from benchmark.training.batches import Normalisation
from benchmark.training.hardware import Hardware
from benchmark.training.steps import loss_function

CONTESTANTS = ("ours", "notebook", "lightning", "lightning cached")


def write_files(task: Task, count: int, folder: Path) -> int:
    """Write the first images and masks of the training split as PNG files at their own size; returns how many."""
    dataset = registry.load("datasets", task.protocol.dataset)
    samples = dataset.spec.load(root=task.data_root, **dataset.parameters)["train"][:count]
    for number, sample in enumerate(samples):
        example = sample.read()
        Image.fromarray(example.image).save(folder / f"{number:05d}.image.png")
        Image.fromarray(example.mask.astype(np.uint8) * 255).save(folder / f"{number:05d}.mask.png")
    return len(samples)


def race(task: Task, contestant: str, folder: Path, images: int) -> list[float]:
    """Train as one contestant does, on the files of `folder`; returns images per second of each timed epoch.

    For ours it is the median alone. Call it in a fresh process.
    """
    machine, split = measure.prepare(task)
    net = network.build(registry.load("architectures", task.architecture), task.protocol, seed=0)
    net.to(machine.device)
    if contestant != "notebook":
        net.to(memory_format=torch.channels_last)
    if contestant == "ours":
        execution = training.choose(task.execution, task.protocol, micro_batch=None)
        some = measure.first(split, images)
        return [measure.training_speed(net, some, task.protocol, machine, execution, task.seconds)]
    data = PngFiles(folder, task.protocol)
    if contestant == "notebook":
        return _notebook(task, net, machine, data)
    if contestant == "lightning":
        return _lightning(task, net, machine, data, workers=min(8, os.cpu_count() or 1))
    items = zip(*(data[number] for number in range(images)), strict=True)
    return _lightning(task, net, machine, TensorDataset(*map(torch.stack, items)), workers=0)


class PngFiles(Dataset[tuple[Tensor, Tensor]]):
    """Decodes and resizes a PNG file whenever it is asked for, as the public notebooks do."""

    def __init__(self, folder: Path, settings: Protocol) -> None:
        self._images = sorted(folder.glob("*.image.png"))
        self._height, self._width = settings.image_size
        self._mode = "RGB" if settings.channels == 3 else "L"
        self._normalise = Normalisation(settings, torch.device("cpu"))

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, number: int) -> tuple[Tensor, Tensor]:
        path = self._images[number]
        size = (self._width, self._height)
        with Image.open(path) as file:
            image = np.asarray(file.convert(self._mode).resize(size, Image.Resampling.BILINEAR))
        with Image.open(str(path).replace(".image.", ".mask.")) as file:
            mask = np.asarray(file.convert("L").resize(size, Image.Resampling.NEAREST)) > 127
        pixels = self._normalise(torch.from_numpy(image.copy())[None])[0].contiguous()
        return pixels, torch.from_numpy(mask).float()[None]


def _notebook(task: Task, net: nn.Module, machine: Hardware, data: PngFiles) -> list[float]:
    """Images per second of each epoch."""
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = True, False  # PyTorch's defaults
    settings = task.protocol
    loader = DataLoader(data, batch_size=settings.batch_size, shuffle=True, num_workers=0)
    optimiser = torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
    net.train()

    def step(images: Tensor, masks: Tensor) -> float:
        images, masks = images.to(machine.device), masks.to(machine.device)
        optimiser.zero_grad()
        loss = loss_function(net(images), masks, settings)
        loss.backward()
        optimiser.step()
        return loss.item()

    step(*next(iter(loader)))  # warm-up
    rates: list[float] = []
    begun = time.perf_counter()
    while not rates or time.perf_counter() - begun < task.seconds:
        started = time.perf_counter()
        for images, masks in loader:
            step(images, masks)
        rates.append(len(data) / (time.perf_counter() - started))
    return rates


def _lightning(task: Task, net: nn.Module, machine: Hardware, data: Dataset[Any], *, workers: int) -> list[float]:
    """Images per second of each epoch but the first."""
    import lightning

    settings = task.protocol

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def training_step(self, batch: tuple[Tensor, Tensor], _: int) -> Tensor:
            images, masks = batch
            return loss_function(self.net(images.to(memory_format=torch.channels_last)).float(), masks, settings)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), lr=settings.learning_rate)

    class Clock(lightning.Callback):
        """Times whole epochs but the first, and ends the training when the time is up."""

        def __init__(self) -> None:
            self.rates: list[float] = []
            self._begun = math.inf

        def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
            del module
            machine.synchronise()
            self._started = time.perf_counter()
            if trainer.current_epoch == 1:
                self._begun = self._started

        def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
            del module
            machine.synchronise()
            now = time.perf_counter()
            if trainer.current_epoch > 0:
                self.rates.append(len(data) / (now - self._started))  # type: ignore[arg-type]
                trainer.should_stop = now - self._begun >= task.seconds

    cuda = machine.device.type == "cuda"
    loader = DataLoader(
        data,
        batch_size=settings.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=cuda,
    )
    clock = Clock()
    for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # advice on workers
        lightning.Trainer(
            accelerator="gpu" if cuda else machine.device.type,
            devices=[machine.device.index or 0] if cuda else 1,
            precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
            max_epochs=10_000,
            callbacks=[clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), loader)
    return clock.rates


def rounds(task: Task, names: Sequence[str], images: int, count: int) -> dict[str, list[float]]:
    """Images per second of each contestant in each of `count` rounds."""
    rates: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory(prefix="bench-race-") as folder:
        written = session.in_fresh_process(write_files, task, images, Path(folder))
        for number in range(count):
            # Every other round is reversed, so that a drift of the machine favours nobody.
            for name in names if number % 2 == 0 else reversed(names):
                rates[name].append(median(session.in_fresh_process(race, task, name, Path(folder), written)))
    return rates


def table(rates: Mapping[str, Sequence[float]]) -> str:
    """A row per contestant, as Markdown."""
    rows = []
    for name, theirs in rates.items():
        ratios = sorted(ours / other for ours, other in zip(rates["ours"], theirs, strict=True))
        factor = "" if name == "ours" else f"{median(ratios):.2f} x ({ratios[0]:.2f}-{ratios[-1]:.2f})"
        rows.append([name, f"{median(theirs):.3g}", " ".join(f"{rate:.3g}" for rate in theirs), factor])
    header = ["training", "images/s", "in each round", "ours is faster by"]
    return tabulate(rows, header, tablefmt="github", disable_numparse=True)


def main(words: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("architecture")
    parser.add_argument("--protocol", default="quick")
    parser.add_argument("--data", type=Path, metavar="ROOT")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--against", nargs="+", choices=CONTESTANTS[1:], default=CONTESTANTS[1:])
    parser.add_argument("--images", type=int, default=64, help="images per timed epoch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0, help="seconds per contestant and round")
    given = parser.parse_args(words)
    task = Task(
        architecture=given.architecture,
        protocol=protocols.load(given.protocol).override({"weights": "none"}),
        data_root=given.data,
        device=given.device,
        precision="auto",
        threads=None,
        execution="eager",
        seconds=given.seconds,
    )
    print(table(rounds(task, ("ours", *given.against), given.images, given.rounds)))


if __name__ == "__main__":
    main(sys.argv[1:])
