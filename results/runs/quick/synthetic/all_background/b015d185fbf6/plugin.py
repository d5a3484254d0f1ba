"""Nothing is bird: the floor under every floor.

Its IoU is 0 wherever there is a bird, and its masks are right where there is none. An entry that scores like this one
has learned nothing but the share of background.

Legend: N images, H x W their size.
"""

import torch
from torch import Tensor, nn

from benchmark.contract import ArchitectureSpec


class AllBackground(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W), -1 everywhere."""

    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        del in_channels, pretrained

    def forward(self, image: Tensor) -> Tensor:
        """The same for every image."""
        return -torch.ones_like(image[:, :1])


ARCHITECTURE = ArchitectureSpec(
    build=AllBackground,
    title="All background",
    paper="none",
    citation="@misc{birdmaskbench, title={birdmask-bench}, note={the empty mask}}",
)
