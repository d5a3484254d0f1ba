"""U2-Net. Qin, Zhang, Huang, Dehghan, Zaiane & Jagersand, Pattern Recognition 2020, https://arxiv.org/abs/2005.09007.

A U-Net whose eleven stages are themselves small U-Nets, the residual U-blocks RSU-7, -6, -5, -4 and -4F (Figures 2
and 5, Table 1); six side outputs are upsampled and fused into one by a 1x1 convolution. 44.0 M parameters.

The paper also supervises each side output. Here every network has one loss on one output, the fused one, through
which the gradient reaches all sides.

Legend: N images, C channels, H x W the size of the map.
"""

from torch import Tensor, cat, nn
from torch.nn import functional as F

from benchmark.contract import ArchitectureSpec, Reported

# Table 1: height of the U-block (None: RSU-4F), its channels in, inside and out.
ENCODER = ((7, 3, 32, 64), (6, 64, 32, 128), (5, 128, 64, 256), (4, 256, 128, 512), (None, 512, 256, 512))
BOTTOM = (None, 512, 256, 512)
DECODER = ((None, 1024, 256, 512), (4, 1024, 128, 256), (5, 512, 64, 128), (6, 256, 32, 64), (7, 128, 16, 64))


def conv(channels_in: int, channels_out: int, dilation: int = 1) -> nn.Sequential:
    """Convolution 3x3, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


def enlarge(features: Tensor, like: Tensor) -> Tensor:
    """Bilinear, to the height and width of `like`."""
    return F.interpolate(features, size=like.shape[-2:], mode="bilinear", align_corners=False)


class ResidualUBlock(nn.Module):
    """RSU-L: (N, C_in, H, W) -> (N, C_out, H, W). Pools L - 2 times; RSU-4F (height None) dilates instead."""

    def __init__(self, height: int | None, channels_in: int, inside: int, channels_out: int) -> None:
        super().__init__()
        self.pools = height is not None
        # One rate per level; the last level lies at the bottom and dilates once more than the one above it.
        rates = (1,) * (height - 1) + (2,) if height is not None else (1, 2, 4, 8)
        self.enter = conv(channels_in, channels_out)
        self.down = nn.ModuleList(
            conv(inside if level else channels_out, inside, rate) for level, rate in enumerate(rates)
        )
        self.up = nn.ModuleList(
            conv(2 * inside, inside if level else channels_out, rate)
            for level, rate in reversed(list(enumerate(rates[:-1])))
        )

    def forward(self, features: Tensor) -> Tensor:
        """The block's U beside its shortcut."""
        shortcut = features = self.enter(features)
        skips: list[Tensor] = []
        for level, layer in enumerate(self.down):
            bottom = level == len(self.down) - 1
            if self.pools and level > 0 and not bottom:
                features = F.max_pool2d(features, 2)
            features = layer(features)
            skips.append(features)
        features = skips.pop()
        for layer in self.up:
            skip = skips.pop()
            features = layer(cat([enlarge(features, skip), skip], dim=1))
        out: Tensor = features + shortcut
        return out


class U2Net(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32."""

    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        del pretrained  # the published weights are of whole networks for other tasks, on no shared host
        (height, _, inside, out), *others = ENCODER
        self.encoder = nn.ModuleList(ResidualUBlock(*stage) for stage in ((height, in_channels, inside, out), *others))
        self.bottom = ResidualUBlock(*BOTTOM)
        self.decoder = nn.ModuleList(ResidualUBlock(*stage) for stage in DECODER)
        outputs = [BOTTOM[-1], *(stage[-1] for stage in DECODER)]
        self.sides = nn.ModuleList(nn.Conv2d(channels, 1, kernel_size=3, padding=1) for channels in outputs)
        self.fuse = nn.Conv2d(len(outputs), 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        features, skips = image, []
        for stage in self.encoder:
            features = stage(features)  # (N, C, H/2^k, W/2^k)
            skips.append(features)
            features = F.max_pool2d(features, 2)
        features = self.bottom(features)  # (N, 512, H/32, W/32)
        outputs = [features]
        for stage in self.decoder:
            skip = skips.pop()
            features = stage(cat([enlarge(features, skip), skip], dim=1))  # (N, C, H/2^k, W/2^k)
            outputs.append(features)
        sides = [enlarge(side(output), image) for side, output in zip(self.sides, outputs, strict=True)]
        logits: Tensor = self.fuse(cat(sides, dim=1))  # (N, 1, H, W)
        return logits


ARCHITECTURE = ArchitectureSpec(
    build=U2Net,
    title="U2-Net",
    paper="https://arxiv.org/abs/2005.09007",
    citation=(
        "@article{qin2020u2net, title={U2-Net: Going Deeper with Nested U-Structure for Salient Object Detection}, "
        "author={Qin, Xuebin and Zhang, Zichen and Huang, Chenyang and Dehghan, Masood and Zaiane, Osmar R. and "
        "Jagersand, Martin}, journal={Pattern Recognition}, volume={106}, pages={107404}, year={2020}}"
    ),
    size_multiple=32,
    reported=Reported.table(
        {
            "validation IoU": 45.2,
            "validation Dice": 60.6,
            "validation F1": 60.8,
            "validation SDR": 7.85,
            "test IoU": 44.8,
            "test Dice": 59.9,
            "test F1": 60.2,
            "test SDR": 7.70,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Zhang & Li, arXiv 2210.10196, Table 2",
        comparable="no: unpublished test masks, averaging not stated; the SDR is a natural logarithm without clean "
        "reference",
    ),
)
