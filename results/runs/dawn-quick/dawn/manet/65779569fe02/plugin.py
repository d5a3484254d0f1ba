"""MA-Net. Fan, Wang, Li & Wang, IEEE Access 2020, https://doi.org/10.1109/ACCESS.2020.3025372.

A U-Net with two kinds of attention: position-wise at the bottom (every place attends to every other), and multi-scale
fusion in the decoder (channels of both inputs weighted before they are joined). On a ResNet-34, as
segmentation-models-pytorch composes it, but for the position-wise attention, which is written here: the library's
(0.6) shares one softmax among all pairs of places, and folds its result back with channels and places mixed up. ViTVS
does not name its trunk; ResNet-34 is the reference paper's.

Legend: N images, C channels, H x W the size of the map, K = 64 channels of queries and keys.
"""

from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from benchmark.contract import ArchitectureSpec, Reported
from benchmark.pretrained import TORCHVISION_LICENCE

KEYS = 64


class PositionAttention(nn.Module):
    """Position-wise attention block (the paper's Figure 3): (N, C, H, W) -> (N, C, H, W)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, KEYS, kernel_size=1)
        self.key = nn.Conv2d(channels, KEYS, kernel_size=1, bias=False)  # the softmax is blind to a bias of keys
        self.value = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.out = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Each place takes up what it attends to."""
        query = self.query(features).flatten(2).transpose(1, 2)  # (N, HW, K)
        attention = (query @ self.key(features).flatten(2)).softmax(-1)  # (N, HW, HW)
        taken = attention @ self.value(features).flatten(2).transpose(1, 2)  # (N, HW, C)
        out: Tensor = self.out(features + taken.transpose(1, 2).reshape(features.shape))
        return out


def build(*, in_channels: int, pretrained: bool) -> nn.Module:
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32."""
    network: Any = smp.MAnet(
        "resnet34", encoder_weights="imagenet" if pretrained else None, in_channels=in_channels, classes=1
    )
    network.decoder.center = PositionAttention(network.encoder.out_channels[-1])
    module: nn.Module = network
    return module


ARCHITECTURE = ArchitectureSpec(
    build=build,
    title="MA-Net",
    paper="https://doi.org/10.1109/ACCESS.2020.3025372",
    citation=(
        "@article{fan2020manet, title={MA-Net: A Multi-Scale Attention Network for Liver and Tumor Segmentation}, "
        "author={Fan, Tongle and Wang, Guanglei and Li, Yan and Wang, Hongrui}, journal={IEEE Access}, volume={8}, "
        "pages={179656--179665}, year={2020}}"
    ),
    size_multiple=32,
    pretrained="ImageNet-1k, smp-hub/resnet34.imagenet (trunk)",
    licence=TORCHVISION_LICENCE,
    reported=Reported.table(
        {
            "validation IoU": 71.7,
            "validation Dice": 83.5,
            "validation F1": 83.5,
            "validation SDR": 10.12,
            "test IoU": 70.9,
            "test Dice": 82.4,
            "test F1": 82.4,
            "test SDR": 9.92,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Kumar, Li & Zhang, arXiv 2406.09167, results table",
        comparable="no: unpublished test masks; their notebook averages over both classes per batch of 8",
    ),
)
