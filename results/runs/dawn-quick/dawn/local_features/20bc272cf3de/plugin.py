"""Local features and a perceptron, without any shape. The floor of this benchmark; no paper.

Each pixel is described by ten fixed numbers: its level, blurs of it of five sizes, the medians of its row and of its
column, its row, and how far that is from the middle. A perceptron of 1 x 1 convolutions judges the pixel by these
alone: how loud a place is beside its surroundings. What is not clearly above it does not show that it sees shapes.

Legend: N images, C channels, H x W their size (frequencies x frames), F features.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import ArchitectureSpec

BLURS = (3, 5, 9, 17, 33)  # pixels
FEATURES = 1 + len(BLURS) + 2 + 2


class LocalFeatures(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W)."""

    def __init__(self, *, in_channels: int, pretrained: bool, hidden: int = 64) -> None:
        super().__init__()
        del in_channels, pretrained  # channels are averaged; there are no published weights
        self.normalise = nn.BatchNorm2d(FEATURES)
        self.perceptron = nn.Sequential(
            nn.Conv2d(FEATURES, hidden, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, hidden, kernel_size=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden, 1, kernel_size=1),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        logits: Tensor = self.perceptron(self.normalise(features(image)))
        return logits


def features(image: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, F, H, W), none of which is learned."""
    level = image.mean(1, keepdim=True)  # (N, 1, H, W)
    blurs = [_blur(level, size) for size in BLURS]
    row, column = _median(level, 3), _median(level, 2)  # (N, 1, H, 1), (N, 1, 1, W)
    place = torch.linspace(-1, 1, image.shape[-2], device=image.device).view(1, 1, -1, 1)  # 0 Hz may be the middle
    found = [level, *blurs, row, column, place, place.abs()]
    return torch.cat([feature.expand_as(level) for feature in found], 1)


def _blur(level: Tensor, size: int) -> Tensor:
    """Mean of the surrounding `size` x `size` pixels, as far as they are inside the image."""
    for kernel in ((size, 1), (1, size)):
        padding = (kernel[0] // 2, kernel[1] // 2)
        level = F.avg_pool2d(level, kernel, stride=1, padding=padding, count_include_pad=False)
    return level


def _median(level: Tensor, axis: int) -> Tensor:
    """The lower median along an axis, which stays with length 1. By sorting: CUDA's own median may not repeat."""
    return level.sort(axis).values.narrow(axis, (level.shape[axis] - 1) // 2, 1)


ARCHITECTURE = ArchitectureSpec(
    build=LocalFeatures,
    title="Local features, perceptron",
    paper="this repository, architectures/local_features.py",
    citation="@misc{birdmask_bench_local_features, title={Local features of birdmask-bench}, year={2026}}",
    pixelwise=True,
)
