"""SegNet. Badrinarayanan, Kendall & Cipolla, TPAMI 2017, https://arxiv.org/abs/1511.00561.

The 13 convolutions of VGG-16 with batch normalisation as encoder; the decoder mirrors it, and each of its five stages
first unpools with the positions that the encoder's max pool remembered (section 3.1, Figure 3). 29.4 M parameters.
`width` is the number of channels of the first stage; VGG-16 has 64, and only then there are weights.

torch's own max_unpool2d has no deterministic implementation. Unpooling is written here as a choice: repeat the pooled
map 2x2 and keep a value where its remembered position is the pixel's own. That passes deterministic mode, bf16,
channels_last and `torch.export`.

Legend: N images, C channels, H x W their size.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import VGG16_BN_Weights, vgg16_bn

from benchmark.contract import ArchitectureSpec, Reported
from benchmark.pretrained import TORCHVISION_LICENCE, first_convolution

STAGES = ((1, 1), (2, 2), (4, 4, 4), (8, 8, 8), (8, 8, 8))
"""Channels of the convolutions in each stage of VGG-16, in multiples of the width."""
WIDTH = 64


def conv_stage(channels_in: int, channels: tuple[int, ...]) -> nn.Sequential:
    """Convolution 3x3, batch norm, ReLU for each entry of `channels`."""
    layers: list[nn.Module] = []
    for channels_out in channels:
        layers += [
            nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(inplace=True),
        ]
        channels_in = channels_out
    return nn.Sequential(*layers)


def unpool(pooled: Tensor, positions: Tensor) -> Tensor:
    """Put each value back where the 2x2 max pool found it, zeros elsewhere: (N, C, H/2, W/2) -> (N, C, H, W)."""
    height, width = 2 * pooled.shape[-2], 2 * pooled.shape[-1]
    here = torch.arange(height * width, device=pooled.device).view(height, width)  # position within a channel's map
    return torch.where(
        _repeat(positions) == here, _repeat(pooled), torch.zeros((), dtype=pooled.dtype, device=pooled.device)
    )


def _repeat(values: Tensor) -> Tensor:
    return values.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


class SegNet(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32."""

    def __init__(self, *, in_channels: int, pretrained: bool, width: int = WIDTH) -> None:
        super().__init__()
        stages = [tuple(width * multiple for multiple in stage) for stage in STAGES]
        inputs = (in_channels, *(channels[-1] for channels in stages))
        self.encoder = nn.ModuleList(
            conv_stage(first, channels) for first, channels in zip(inputs, stages, strict=False)
        )
        # The mirror image: the last convolution of a stage brings it to the channels of the stage above,
        # and the very last one, to the classes, is the head.
        above = [(channels[-1],) for channels in stages[:-1]]
        self.decoder = nn.ModuleList(
            conv_stage(channels[-1], (*channels[:-1], *target))
            for channels, target in zip(reversed(stages), reversed([(), *above]), strict=True)
        )
        self.head = nn.Conv2d(stages[0][-1], 1, kernel_size=3, padding=1)
        if pretrained:
            self._load_vgg(in_channels)

    def _load_vgg(self, in_channels: int) -> None:
        """Copy VGG-16-BN's convolutions, in their order, into the encoder."""
        vgg = vgg16_bn()
        vgg.load_state_dict(VGG16_BN_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True))
        vgg.features[0] = first_convolution(vgg.features[0], in_channels, pretrained=True)
        theirs = [layer for layer in vgg.features if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
        ours = [layer for layer in self.encoder.modules() if isinstance(layer, nn.Conv2d | nn.BatchNorm2d)]
        for target, source in zip(ours, theirs, strict=True):
            target.load_state_dict(source.state_dict())

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        features, remembered = image, []
        for stage in self.encoder:
            features, positions = F.max_pool2d(stage(features), 2, return_indices=True)  # (N, C, H/2^k, W/2^k)
            remembered.append(positions)
        for stage in self.decoder:
            features = stage(unpool(features, remembered.pop()))  # (N, C, H/2^k, W/2^k)
        logits: Tensor = self.head(features)  # (N, 1, H, W)
        return logits


def resolve(parameters: Mapping[str, Any]) -> ArchitectureSpec:
    """Another width has neither weights nor published numbers."""
    if parameters.get("width", WIDTH) == WIDTH:
        return ARCHITECTURE
    return replace(ARCHITECTURE, pretrained=None, licence=None, reported=())


ARCHITECTURE = ArchitectureSpec(
    build=SegNet,
    title="SegNet",
    paper="https://arxiv.org/abs/1511.00561",
    citation=(
        "@article{badrinarayanan2017segnet, title={SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image "
        "Segmentation}, author={Badrinarayanan, Vijay and Kendall, Alex and Cipolla, Roberto}, journal={TPAMI}, "
        "volume={39}, number={12}, pages={2481--2495}, year={2017}}"
    ),
    size_multiple=32,
    pretrained="ImageNet-1k, torchvision VGG16_BN_Weights.IMAGENET1K_V1 (encoder)",
    licence=TORCHVISION_LICENCE,
    reported=Reported.table(
        {
            "validation IoU": 66.9,
            "validation Dice": 77.5,
            "validation F1": 77.5,
            "validation SDR": 9.55,
            "test IoU": 65.3,
            "test Dice": 76.2,
            "test F1": 76.1,
            "test SDR": 9.43,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Zhang & Li, arXiv 2210.10196, Table 2",
        comparable="no: unpublished test masks, averaging not stated; the SDR is a natural logarithm without clean "
        "reference",
    ),
    resolve=resolve,
)
