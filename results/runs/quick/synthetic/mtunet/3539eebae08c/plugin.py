"""MT-UNet, the mixed transformer U-Net. Wang, Xie, Lin, Iwamoto, Han, Chen & Tong, ICASSP 2022,
https://arxiv.org/abs/2111.04734.

Three convolutional levels down and up as in U-Net; below them, at 1/8, 1/16 and 1/32 of the size, mixed transformer
modules (MTM): attention inside windows of 4x4, a dynamic convolution that sums each window up in one token, Gaussian-
weighted attention along each token's row and column (LGG-SA, section 2.2), then external attention to a memory that
all images share (section 2.3). Sizes are those of the authors' published code.

Left out: an output layer of the axial attention that the authors' code builds and never calls (3.8 of its 79.1 M
parameters); and what cannot learn, because a softmax is blind to what it adds to all of its entries and a batch norm to
what it adds to a channel: the biases of keys, of the memory's keys and before a norm, and the Gaussian's constant. The
axial attention's products are divided by the root of the width, as everywhere else.

Legend: N images, C channels, H x W the size of the map, T = H x W tokens, h heads, k slots of the memory.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import ArchitectureSpec, Reported

STEM = (64, 128, 256)
WINDOW, HEADS, SLOTS = 4, 8, 64
EXPANSION = 4  # of width and of heads in the external attention


class ResidualConv(nn.Module):
    """Two convolutions 3x3 with batch norm; a 1x1 convolution is added to their result."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
            nn.Conv2d(channels_out, channels_out, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels_out),
        )
        self.pointwise = nn.Sequential(
            nn.Conv2d(channels_out, channels_out, kernel_size=1, bias=False), nn.BatchNorm2d(channels_out)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, C_in, H, W) -> (N, C_out, H, W)."""
        features = self.convolutions(features)
        out: Tensor = (features + self.pointwise(features)).relu()
        return out


class WindowAttention(nn.Module):
    """Multi-head self-attention inside each window of 4x4 tokens."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, windows: Tensor) -> Tensor:
        """(N, H/4, W/4, 16, C) -> the same."""

        def heads(tokens: Tensor) -> Tensor:
            split: Tensor = tokens.unflatten(-1, (HEADS, -1)).transpose(-2, -3)  # (N, H/4, W/4, h, 16, C/h)
            return split

        mixed = F.scaled_dot_product_attention(
            heads(self.query(windows)), heads(self.key(windows)), heads(self.value(windows))
        )
        out: Tensor = self.out(mixed.transpose(-2, -3).flatten(-2))
        return out


class GaussianAxialAttention(nn.Module):
    """Each token attends to its row and to its column; what lies far away counts less (equation 5)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels, bias=False)
        self.value = nn.Linear(channels, channels)
        self.decay = nn.Parameter(torch.randn(1).abs())  # 1 / (2 sigma^2)

    def forward(self, tokens: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        query, key, value = self.query(tokens), self.key(tokens), self.value(tokens)
        rows = self._along(query, key, value)  # (N, H, W, C)
        columns = self._along(*(part.transpose(1, 2) for part in (query, key, value)))  # (N, W, H, C)
        return rows + columns.transpose(1, 2)

    def _along(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attention along the third axis: (N, A, B, C) -> (N, A, B, C)."""
        place = torch.arange(query.shape[2], device=query.device, dtype=query.dtype)
        distance = (place[:, None] - place[None, :]) ** 2  # (B, B)
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) - self.decay * distance  # (N, A, B, B)
        return scores.softmax(-1) @ value


class LocalGlobalAttention(nn.Module):
    """LGG-SA: windows, one token for each window, rows and columns of those, and both levels together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.windows = WindowAttention(channels)
        self.weigh = nn.Linear(channels, WINDOW**2)
        self.windows_among_themselves = GaussianAxialAttention(channels)
        self.squeeze = nn.Conv2d(2 * channels, channels, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C); H and W multiples of 4."""
        count, height, width, channels = features.shape
        high, wide = height // WINDOW, width // WINDOW
        windows = features.view(count, high, WINDOW, wide, WINDOW, channels).transpose(2, 3).flatten(3, 4)
        windows = self.windows(windows)  # (N, H/4, W/4, 16, C)
        weights = self.weigh(windows.mean(-2)).softmax(-1)  # (N, H/4, W/4, 16)
        summary = (windows * weights.unsqueeze(-1)).sum(-2)  # (N, H/4, W/4, C)
        coarse = self.windows_among_themselves(summary).permute(0, 3, 1, 2)  # (N, C, H/4, W/4)
        coarse = F.interpolate(coarse, scale_factor=WINDOW, mode="bilinear", align_corners=True)  # (N, C, H, W)
        fine = windows.unflatten(3, (WINDOW, WINDOW)).transpose(2, 3).reshape(features.shape)  # (N, H, W, C)
        both: Tensor = self.squeeze(torch.cat([coarse, fine.permute(0, 3, 1, 2)], dim=1))  # (N, C, H, W)
        return both.permute(0, 2, 3, 1)


class ExternalAttention(nn.Module):
    """Attention of all tokens to a learned memory, in 32 heads (Guo et al., https://arxiv.org/abs/2105.02358)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = EXPANSION * HEADS
        self.query = nn.Linear(channels, EXPANSION * channels)
        self.memory_key = nn.Linear(EXPANSION * channels // self.heads, SLOTS, bias=False)
        self.memory_value = nn.Linear(SLOTS, EXPANSION * channels // self.heads)
        self.out = nn.Linear(EXPANSION * channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, H, W, C) -> (N, H, W, C)."""
        query = self.query(features.flatten(1, 2)).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # (N, h, T, 4C/h)
        attention = self.memory_key(query).softmax(-2)  # over the tokens, (N, h, T, k)
        attention = attention / (attention.sum(-1, keepdim=True) + 1e-9)  # then over the slots
        mixed = self.memory_value(attention).transpose(1, 2).flatten(2)  # (N, T, 4C)
        out: Tensor = self.out(mixed)
        return out.view(features.shape)


class MixedTransformer(nn.Module):
    """MTM: both attentions, each behind a layer norm and beside a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels, eps=1e-6)
        self.within = LocalGlobalAttention(channels)
        self.norm2 = nn.LayerNorm(channels, eps=1e-6)
        self.across = ExternalAttention(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        tokens: Tensor = features.permute(0, 2, 3, 1).contiguous()  # (N, H, W, C)
        tokens = tokens + self.within(self.norm1(tokens))
        tokens = tokens + self.across(self.norm2(tokens))
        return tokens.permute(0, 3, 1, 2)


def mixed(channels: int) -> nn.Sequential:
    """Two modules after one another."""
    return nn.Sequential(MixedTransformer(channels), MixedTransformer(channels))


def up(channels: int) -> nn.ConvTranspose2d:
    """Twice the size, half the channels."""
    return nn.ConvTranspose2d(channels, channels // 2, kernel_size=2, stride=2)


class MTUNet(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W as built, multiples of 128."""

    def __init__(self, *, in_channels: int, pretrained: bool, image_size: tuple[int, int]) -> None:
        super().__init__()
        del pretrained  # the published weights are of organs, whole networks for other classes
        height, width = image_size
        first, second, third = STEM
        self.stem = nn.ModuleList(
            [ResidualConv(in_channels, first), ResidualConv(first, second), ResidualConv(second, third)]
        )
        self.enter = nn.Sequential(nn.Conv2d(third, 256, kernel_size=1, bias=False), nn.BatchNorm2d(256), nn.ReLU())
        self.positions = nn.Parameter(torch.zeros(1, 256, height // 8, width // 8))
        self.down8, self.shrink8 = mixed(256), self._shrink(256)
        self.down16, self.shrink16 = mixed(512), self._shrink(512)
        self.bottom = mixed(1024)
        self.up16, self.join16, self.mix16 = up(1024), nn.Conv2d(1024, 512, kernel_size=1), mixed(512)
        self.up8, self.mix8 = up(512), mixed(512)
        self.leave = nn.ModuleList([up(512), up(256), up(128)])
        self.restore = nn.ModuleList([ResidualConv(512, third), ResidualConv(256, second), ResidualConv(128, first)])
        self.head = nn.Conv2d(first, 1, kernel_size=1)

    @staticmethod
    def _shrink(channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(channels, 2 * channels, kernel_size=2, stride=2, bias=False),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        features, skips = image, []
        for block in self.stem:
            features = block(features)
            skips.append(features)
            features = F.max_pool2d(features, 2)  # (N, 256, H/8, W/8) in the end
        level8 = self.down8(self.enter(features) + self.positions)  # (N, 256, H/8, W/8)
        level16 = self.down16(self.shrink8(level8))  # (N, 512, H/16, W/16)
        features = self.bottom(self.shrink16(level16))  # (N, 1024, H/32, W/32)
        features = self.join16(torch.cat([self.up16(features), level16], dim=1))  # (N, 512, H/16, W/16)
        features = self.up8(self.mix16(features))  # (N, 256, H/8, W/8)
        features = self.mix8(torch.cat([features, level8], dim=1))  # (N, 512, H/8, W/8)
        for enlarge, block in zip(self.leave, self.restore, strict=True):
            features = block(torch.cat([skips.pop(), enlarge(features)], dim=1))
        logits: Tensor = self.head(features)  # (N, 1, H, W)
        return logits


ARCHITECTURE = ArchitectureSpec(
    build=MTUNet,
    title="MT-UNet",
    paper="https://arxiv.org/abs/2111.04734",
    citation=(
        "@inproceedings{wang2022mtunet, title={Mixed Transformer U-Net for Medical Image Segmentation}, author={Wang, "
        "Hongyi and Xie, Shiao and Lin, Lanfen and Iwamoto, Yutaro and Han, Xian-Hua and Chen, Yen-Wei and Tong, "
        "Ruofeng}, booktitle={ICASSP}, pages={2390--2394}, year={2022}}"
    ),
    size_multiple=128,
    reported=Reported.table(
        {
            "validation IoU": 56.5,
            "validation Dice": 69.0,
            "validation F1": 69.1,
            "validation SDR": 8.17,
            "test IoU": 55.7,
            "test Dice": 68.3,
            "test F1": 68.3,
            "test SDR": 7.96,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Zhang & Li, arXiv 2210.10196, Table 2",
        comparable="no: unpublished test masks, averaging not stated; the SDR is a natural logarithm without clean "
        "reference",
    ),
)
