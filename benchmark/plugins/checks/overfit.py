"""Check that a network can learn: it must fit four images."""

import copy
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from benchmark.common.progress import Report
from benchmark.plugins.checks.networks import Subject
from benchmark.plugins.checks.outcome import Result, describe
from benchmark.plugins.network import Network

SIZE, CELL = 128, 16
ENOUGH, SECONDS, STEPS = 0.95, 180.0, 400
RATES = (1e-3, 1e-4)
"""Learning rates of Adam: the second is tried when the first has used a third of the time without success."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Best:
    iou: float
    step: int
    rate: float


def check_overfit(label: str, report: Report) -> Result:
    """Train on four images until each has an IoU of 0.95 in eval mode, for at most 180 seconds.

    The masks are rectangles of 32 pixels and more on a grid of 16 pixels, which a network of coarse resolution can draw
    too. Cross-entropy, Adam, all four images in every step.
    """
    started = time.monotonic()
    subject = Subject(label)
    try:
        net = subject.build(size=(SIZE, SIZE))
        if not any(parameter.requires_grad for parameter in net.parameters()):
            return Result(check="overfit", outcome="skipped", reason="nothing to train")
        best = _Best(iou=-1.0, step=0, rate=RATES[0])
        for rate, share in zip(RATES, (1 / 3, 1.0), strict=True):
            for now in _learn(copy.deepcopy(net), rate, started + share * SECONDS):
                best = max(best, now, key=lambda moment: moment.iou)
                report("overfit", now.step, STEPS, f"{label}, worst IoU {now.iou:.2f}")
            if best.iou >= ENOUGH:
                break
    except (Exception, SystemExit) as error:
        return Result(check="overfit", outcome="failed", reason=describe(error, subject.plugin))
    seconds = time.monotonic() - started
    said = f"IoU {best.iou:.3f} after {best.step} steps of Adam {best.rate:g}, {seconds:.0f} s in total"
    if best.iou >= ENOUGH:
        return Result(check="overfit", outcome="passed", reason=said)
    return Result(check="overfit", outcome="failed", reason=f"the network cannot fit four images: best {said}")


def four_images() -> tuple[Tensor, Tensor]:
    """Images (4, 3, 128, 128) of noise, brighter inside the masks (4, 1, 128, 128)."""
    generator = np.random.default_rng(0)
    cells = SIZE // CELL
    masks = np.zeros((4, cells, cells), np.float32)
    for mask in masks:
        for _ in range(2):
            height, width = generator.integers(2, cells - 2, 2)
            top, left = generator.integers(0, (cells - height + 1, cells - width + 1))
            mask[top : top + height, left : left + width] = 1
    masks = masks.repeat(CELL, axis=1).repeat(CELL, axis=2)[:, None]
    grey = masks + 0.5 * generator.standard_normal(masks.shape).astype(np.float32)
    return torch.from_numpy(grey).expand(-1, 3, -1, -1).contiguous(), torch.from_numpy(masks)


def _learn(net: Network, rate: float, until: float) -> Iterator[_Best]:
    """Train and yield the state at every tenth step; stops when it is good enough or the time is over."""
    images, masks = four_images()
    images = images.contiguous(memory_format=torch.channels_last)
    net = net.to(memory_format=torch.channels_last)
    torch.manual_seed(0)
    optimiser = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=rate, fused=True)
    for step in range(1, STEPS + 1):
        net.train()
        loss = F.binary_cross_entropy_with_logits(net(images), masks)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        over = time.monotonic() > until
        if step % 10 == 0 or over:
            worst = _worst_iou(net, images, masks)
            yield _Best(iou=worst, step=step, rate=rate)
            if over or worst >= ENOUGH:
                return


def _worst_iou(net: Network, images: Tensor, masks: Tensor) -> float:
    """The lowest IoU of the four images in eval mode, with fresh batch norm averages: running ones lag 100 steps."""
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm) and module.track_running_stats:
            module.reset_running_stats()
            module.momentum = None  # the plain average of the batches from here on
    with torch.no_grad():
        net.train()(images)
        net.eval()
        predicted, truth = net(images) > 0, masks > 0
    both, either = ((predicted & truth).sum((1, 2, 3)), (predicted | truth).sum((1, 2, 3)))
    return float((both / either.clamp(min=1)).min())
