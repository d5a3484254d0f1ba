"""The same training as people run it today, for `bench speed --against`.

Each contestant trains the same network on the same images, with the protocol's loss, learning rate and batch size.

ours                the trainer of this benchmark, images decoded beforehand
notebook            PNG decoding in every epoch in the one process, fp32, PyTorch's defaults, `.item()` at every step
lightning           Lightning, bf16-mixed where the hardware has it, channels_last, PNG decoding in workers
lightning cached    the same with the decoded images in memory
"""

import math
import os
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from benchmark import training
from benchmark.common.errors import UserError
from benchmark.plugins import datasets, network, registry
from benchmark.plugins.network import Network
from benchmark.protocols import Protocol
from benchmark.tools.speed import measure
from benchmark.tools.speed.measure import Task
from benchmark.training.batches import Normalisation
from benchmark.training.hardware import Hardware
from benchmark.training.steps import loss_function

RIVALS = ("notebook", "lightning")
OURS = "ours"
CONTESTANTS = {"notebook": ("notebook",), "lightning": ("lightning", "lightning cached")}
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True, slots=True)
class Raced:
    """Images per second, the median of `epochs` (None: of the trainer's own choice); of the notebook also the seconds
    that decoding one image takes.
    """

    images_per_second: float
    epochs: int | None = None
    decode_seconds: float | None = None


def check(rivals: list[str]) -> None:
    """Refuse what cannot race, before anything is measured.

    Raises:
        UserError: an unknown rival, or Lightning is not installed.
    """
    for rival in rivals:
        if rival not in RIVALS:
            raise UserError(f"no rival '{rival}'; use {' or '.join(RIVALS)}")
    if "lightning" in rivals:
        try:
            import lightning  # noqa: F401 - whether it is there
        except ImportError as error:
            raise UserError("--against lightning needs it: pip install 'birdmask-bench[lightning]'") from error


def write_files(task: Task, count: int, folder: Path) -> int:
    """The first images and masks of the training split as PNG files at their own size; returns how many."""
    dataset = registry.load("datasets", task.protocol.dataset)
    with datasets.blaming(dataset):
        samples = dataset.spec.load(root=task.data_root, **dataset.parameters)["train"][:count]
    for number, sample in enumerate(samples):
        example = sample.read()
        Image.fromarray(example.image).save(folder / f"{number:05d}.image.png")
        Image.fromarray(example.mask.astype(np.uint8) * 255).save(folder / f"{number:05d}.mask.png")
    return len(samples)


def race(task: Task, contestant: str, folder: Path, images: int) -> Raced:
    """One contestant, in a process of its own."""
    machine, split = measure.prepare(task)
    plugin = registry.load("architectures", task.architecture)
    net = network.build(plugin, task.protocol, seed=0)
    net.to(machine.device)
    if contestant == OURS:
        net.to(memory_format=torch.channels_last)
        execution = training.choose(task.execution, machine, task.protocol, micro_batch=None)
        some = measure.first(split, images)
        speed = measure.training_speed(net, some, task.protocol, machine, execution, task.seconds)
        return Raced(images_per_second=speed)
    if contestant == "notebook":
        return _notebook(task, net, machine, _Files(folder, task.protocol))
    cached = contestant == "lightning cached"
    data: Dataset[Any] = _Files(folder, task.protocol)
    if cached:
        items = [data[number] for number in range(images)]
        data = TensorDataset(*(torch.stack(parts) for parts in zip(*items, strict=True)))
    rates = _lightning(task, net, machine, data, images, workers=0 if cached else _workers())
    return Raced(images_per_second=median(rates), epochs=len(rates))


class _Files(Dataset[tuple[Tensor, Tensor]]):
    """Decodes and resizes a PNG whenever it is asked for, as the public notebooks do."""

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


def _notebook(task: Task, net: nn.Module, machine: Hardware, data: _Files) -> Raced:
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark = True, False  # as PyTorch comes
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
    started = time.perf_counter()
    for number in range(min(len(data), 8)):
        data[number]
    decode = (time.perf_counter() - started) / min(len(data), 8)

    def epoch() -> None:
        for images, masks in loader:
            step(images, masks)

    rates = _epochs(epoch, len(data), task.seconds)
    return Raced(images_per_second=median(rates), epochs=len(rates), decode_seconds=decode)


def _epochs(epoch: Callable[[], None], images: int, seconds: float) -> list[float]:
    rates: list[float] = []
    begun = time.perf_counter()
    while not rates or time.perf_counter() - begun < seconds:
        started = time.perf_counter()
        epoch()
        rates.append(images / (time.perf_counter() - started))
    return rates


def _workers() -> int:
    return min(8, os.cpu_count() or 1)


def _lightning(
    task: Task, net: Network, machine: Hardware, data: Dataset[Any], images: int, *, workers: int
) -> list[float]:
    import lightning

    settings = task.protocol
    net.to(memory_format=torch.channels_last)

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
        """Times whole epochs, the first apart, and ends when the time is up."""

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
                self.rates.append(images / (now - self._started))
                trainer.should_stop = now - self._begun >= task.seconds

    loader = DataLoader(
        data,
        batch_size=settings.batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=machine.device.type == "cuda",
    )
    clock = Clock()
    with _quiet():
        lightning.Trainer(
            accelerator="gpu" if machine.device.type == "cuda" else machine.device.type,
            devices=[machine.device.index or 0] if machine.device.type == "cuda" else 1,
            precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
            max_epochs=10_000,
            callbacks=[clock],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        ).fit(Module(), loader)
    return clock.rates


class _quiet(warnings.catch_warnings):  # noqa: N801 - used like the function that it extends
    """Lightning's advice on workers and its banner are not for the user of `bench speed`."""

    def __enter__(self) -> Any:
        import logging

        entered = super().__enter__()
        warnings.simplefilter("ignore")
        for name in ("lightning", "lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.ERROR)
        return entered


def contestants(rivals: list[str]) -> Iterator[str]:
    """Ours first, then each rival's lines."""
    yield OURS
    for rival in rivals:
        yield from CONTESTANTS[rival]
