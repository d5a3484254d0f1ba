"""Otsu's threshold. Otsu, IEEE Trans. Systems, Man, and Cybernetics 1979, https://doi.org/10.1109/TSMC.1979.4310076.

Each image is cut at the grey level that maximises the variance between the two classes. No parameters, no training:
the floor that every learned entry must beat.

Legend: N images, C channels, H x W their size, B bins.
"""

import torch
from torch import Tensor, nn

from benchmark.contract import ArchitectureSpec

BINS = 256


class Otsu(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W), positive above the image's threshold."""

    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        del in_channels, pretrained

    def forward(self, image: Tensor) -> Tensor:
        """Distance of each pixel to the image's threshold, in units of its range."""
        grey = image.float().mean(1).flatten(1)  # (N, H W)
        low, high = grey.amin(1, keepdim=True), grey.amax(1, keepdim=True)
        level = (grey - low) / (high - low).clamp(min=1e-12)  # (N, H W) in 0 ... 1
        distance = level - otsu_threshold(level)  # (N, H W)
        return distance.view(len(image), 1, *image.shape[-2:])


def otsu_threshold(level: Tensor) -> Tensor:
    """Values in 0 ... 1, (N, P) -> thresholds (N, 1), between the bins that equation 12 of the paper separates best."""
    count, pixels = level.shape
    bins = (level * BINS).long().clamp(max=BINS - 1)
    bins = bins + BINS * torch.arange(count, device=level.device).view(-1, 1)
    histogram = torch.bincount(bins.flatten(), minlength=count * BINS).view(count, BINS).double() / pixels  # (N, B)
    centre = (torch.arange(BINS, device=level.device, dtype=torch.float64) + 0.5) / BINS
    below = histogram.cumsum(1)  # omega: share of pixels up to a bin
    moment = (histogram * centre).cumsum(1)  # mu
    total = moment[:, -1:]
    between = (total * below - moment) ** 2 / (below * (1 - below)).clamp(min=1e-12)  # sigma_B^2
    best = between[:, :-1].argmax(1, keepdim=True)  # the last bin would leave nothing above
    return ((best + 1) / BINS).to(level.dtype)


ARCHITECTURE = ArchitectureSpec(
    build=Otsu,
    title="Otsu's threshold",
    paper="https://doi.org/10.1109/TSMC.1979.4310076",
    citation=(
        "@article{otsu1979threshold, title={A Threshold Selection Method from Gray-Level Histograms}, author={Otsu, "
        "Nobuyuki}, journal={IEEE Transactions on Systems, Man, and Cybernetics}, volume={9}, "
        "number={1}, pages={62--66}, year={1979}}"
    ),
)
