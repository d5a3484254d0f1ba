"""ViTVS. Kumar, Li & Zhang 2024, https://arxiv.org/abs/2406.09167.

Batch norm on the input, 16x16 patches embedded in 256 dimensions, learned positions, 12 pre-norm transformer blocks
of 16 heads with dropout 0.2, and a linear projection of each token back to the pixels of its patch: no decoder. Sizes
are those of the paper and of its published notebook, at any image size; one logit instead of the notebook's three
channels.

Legend: N images, C channels, H x W their size, T tokens (H/16 x W/16), D the embedding.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import ArchitectureSpec, Reported

PATCH, DIMENSIONS, BLOCKS, HEADS, DROPOUT = 16, 256, 12, 16, 0.2


class Block(nn.Module):
    """Self-attention, then a perceptron of four times the width; each behind a layer norm and beside a shortcut."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(DIMENSIONS)
        self.attention = nn.MultiheadAttention(DIMENSIONS, HEADS, dropout=DROPOUT, batch_first=True)
        self.norm2 = nn.LayerNorm(DIMENSIONS)
        self.perceptron = nn.Sequential(
            nn.Linear(DIMENSIONS, 4 * DIMENSIONS),
            nn.GELU(),
            nn.Linear(4 * DIMENSIONS, DIMENSIONS),
            nn.Dropout(DROPOUT),
        )

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, T, D) -> (N, T, D)."""
        normed = self.norm1(tokens)
        tokens = tokens + self.attention(normed, normed, normed, need_weights=False)[0]
        mixed: Tensor = tokens + self.perceptron(self.norm2(tokens))
        return mixed


class ViTVS(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W as built, multiples of 16."""

    def __init__(self, *, in_channels: int, pretrained: bool, image_size: tuple[int, int]) -> None:
        super().__init__()
        del pretrained  # there are no published weights to start from
        height, width = image_size
        self.norm = nn.BatchNorm2d(in_channels)
        # Unfolding into patches and a linear layer on each are one convolution.
        self.embed = nn.Conv2d(in_channels, DIMENSIONS, kernel_size=PATCH, stride=PATCH)
        self.positions = nn.Parameter(torch.randn(height // PATCH * (width // PATCH), DIMENSIONS))
        self.blocks = nn.Sequential(*(Block() for _ in range(BLOCKS)))
        self.project = nn.Conv2d(DIMENSIONS, PATCH**2, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        patches = self.embed(self.norm(image))  # (N, D, H/16, W/16)
        tokens = self.blocks(patches.flatten(2).transpose(1, 2) + self.positions)  # (N, T, D)
        pixels = self.project(tokens.transpose(1, 2).reshape(patches.shape))  # (N, 256, H/16, W/16)
        return F.pixel_shuffle(pixels, PATCH)  # (N, 1, H, W)


ARCHITECTURE = ArchitectureSpec(
    build=ViTVS,
    title="ViTVS",
    paper="https://arxiv.org/abs/2406.09167",
    citation=(
        "@article{kumar2024vitvs, title={Vision Transformer Segmentation for Visual Bird Sound Denoising}, "
        "author={Kumar, Sahil and Li, Jialu and Zhang, Youshan}, journal={arXiv:2406.09167}, year={2024}}"
    ),
    size_multiple=PATCH,
    reported=Reported.table(
        {
            "validation IoU": 80.9,
            "validation Dice": 88.3,
            "validation F1": 88.3,
            "validation SDR": 11.04,
            "test IoU": 80.0,
            "test Dice": 87.6,
            "test F1": 90.7,
            "test SDR": 10.86,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Kumar, Li & Zhang, arXiv 2406.09167, results table",
        comparable="no: unpublished test masks; their notebook averages over both classes per batch of 8, and its test "
        "F1 is the last validation batch's",
    ),
)
