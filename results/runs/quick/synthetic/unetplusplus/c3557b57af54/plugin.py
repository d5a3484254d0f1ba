"""U-Net++. Zhou, Siddiquee, Tajbakhsh & Liang, DLMIA 2018, https://arxiv.org/abs/1807.10165.

A U-Net whose skips are dense: every map between encoder and decoder is convolved together with all maps to its left and
the upsampled one below (Figure 1). On a ResNet-34, as segmentation-models-pytorch composes it; without the paper's deep
supervision, which would be another loss. ViTVS does not name its trunk; ResNet-34 is the reference paper's.

Legend: N images, H x W their size.
"""

import segmentation_models_pytorch as smp
from torch import nn

from benchmark.contract import ArchitectureSpec, Reported
from benchmark.pretrained import TORCHVISION_LICENCE


def build(*, in_channels: int, pretrained: bool) -> nn.Module:
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32."""
    network: nn.Module = smp.UnetPlusPlus(
        "resnet34", encoder_weights="imagenet" if pretrained else None, in_channels=in_channels, classes=1
    )
    return network


ARCHITECTURE = ArchitectureSpec(
    build=build,
    title="U-Net++",
    paper="https://arxiv.org/abs/1807.10165",
    citation=(
        "@inproceedings{zhou2018unetplusplus, title={UNet++: A Nested U-Net Architecture for Medical Image "
        "Segmentation}, author={Zhou, Zongwei and Siddiquee, Md Mahfuzur Rahman and Tajbakhsh, Nima and Liang, "
        "Jianming}, booktitle={DLMIA}, year={2018}}"
    ),
    size_multiple=32,
    pretrained="ImageNet-1k, smp-hub/resnet34.imagenet (trunk)",
    licence=TORCHVISION_LICENCE,
    reported=Reported.table(
        {
            "validation IoU": 71.0,
            "validation Dice": 83.1,
            "validation F1": 83.0,
            "validation SDR": 9.98,
            "test IoU": 69.8,
            "test Dice": 82.1,
            "test F1": 82.1,
            "test SDR": 9.87,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Kumar, Li & Zhang, arXiv 2406.09167, results table",
        comparable="no: unpublished test masks; their notebook averages over both classes per batch of 8",
    ),
)
