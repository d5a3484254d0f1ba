"""U-Net. Ronneberger, Fischer & Brox, MICCAI 2015, https://arxiv.org/abs/1505.04597.

Figure 1 of the paper with 64 ... 1024 channels: four times two convolutions and a 2x2 max pool down, the same number of
2x2 up-convolutions with concatenated skips up. Two changes that everyone makes since: same padding, so that the output
has the input's size and skips need no crop, and batch normalisation after each convolution. 31.0 M parameters.

Legend: N images, H x W their size, w the width of the first level.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import ArchitectureSpec, Reported

LEVELS = 4


def double_conv(channels_in: int, channels_out: int) -> nn.Sequential:
    """Convolution 3x3, batch norm, ReLU, twice."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 16. `width` channels at the first level."""

    def __init__(self, *, in_channels: int, pretrained: bool, width: int = 64) -> None:
        super().__init__()
        del pretrained  # there are no published weights to start from
        widths = [width * 2**level for level in range(LEVELS + 1)]
        self.down = nn.ModuleList(
            double_conv(narrow, wide) for narrow, wide in zip([in_channels, *widths], widths, strict=False)
        )
        self.enlarge = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], widths[level], kernel_size=2, stride=2)
            for level in reversed(range(LEVELS))
        )
        self.up = nn.ModuleList(double_conv(widths[level + 1], widths[level]) for level in reversed(range(LEVELS)))
        self.head = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        features = image
        skips: list[Tensor] = []
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else F.max_pool2d(features, 2))  # (N, w 2^level, H/2^level, ...)
            skips.append(features)
        skips.pop()
        for enlarge, block in zip(self.enlarge, self.up, strict=True):
            features = block(torch.cat([skips.pop(), enlarge(features)], dim=1))  # (N, w 2^level, H/2^level, ...)
        logits: Tensor = self.head(features)  # (N, 1, H, W)
        return logits


ARCHITECTURE = ArchitectureSpec(
    build=UNet,
    title="U-Net",
    paper="https://arxiv.org/abs/1505.04597",
    citation=(
        "@inproceedings{ronneberger2015unet, title={U-Net: Convolutional Networks for Biomedical Image Segmentation}, "
        "author={Ronneberger, Olaf and Fischer, Philipp and Brox, Thomas}, booktitle={MICCAI}, year={2015}}"
    ),
    size_multiple=16,
    reported=Reported.table(
        {
            "validation IoU": 64.3,
            "validation Dice": 75.7,
            "validation F1": 75.7,
            "validation SDR": 9.44,
            "test IoU": 62.9,
            "test Dice": 74.4,
            "test F1": 74.4,
            "test SDR": 8.92,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Zhang & Li, arXiv 2210.10196, Table 2",
        comparable="no: unpublished test masks, averaging not stated; the SDR is a natural logarithm without clean "
        "reference",
    ),
)
