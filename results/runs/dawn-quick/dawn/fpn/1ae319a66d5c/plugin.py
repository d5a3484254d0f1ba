"""FPN for segmentation. Lin, Dollar, Girshick, He, Hariharan & Belongie, CVPR 2017, https://arxiv.org/abs/1612.03144.

A feature pyramid of 256 channels on a ResNet-34, each level upsampled to a quarter of the size, added up (dropout
0.2), then bilinearly enlarged: the semantic branch of Kirillov et al.
(https://arxiv.org/abs/1901.02446) as segmentation-models-pytorch composes it. ViTVS does not name the trunk of its
FPN; ResNet-34 is the reference paper's.

Legend: N images, H x W their size.
"""

import segmentation_models_pytorch as smp
from torch import nn

from benchmark.contract import ArchitectureSpec, Reported
from benchmark.pretrained import TORCHVISION_LICENCE


def build(*, in_channels: int, pretrained: bool) -> nn.Module:
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32."""
    network: nn.Module = smp.FPN(
        "resnet34", encoder_weights="imagenet" if pretrained else None, in_channels=in_channels, classes=1
    )
    return network


ARCHITECTURE = ArchitectureSpec(
    build=build,
    title="FPN",
    paper="https://arxiv.org/abs/1612.03144",
    citation=(
        "@inproceedings{lin2017fpn, title={Feature Pyramid Networks for Object Detection}, author={Lin, Tsung-Yi and "
        "Doll{\\'a}r, Piotr and Girshick, Ross and He, Kaiming and Hariharan, Bharath and Belongie, Serge}, "
        "booktitle={CVPR}, year={2017}}"
    ),
    size_multiple=32,
    pretrained="ImageNet-1k, smp-hub/resnet34.imagenet (trunk)",
    licence=TORCHVISION_LICENCE,
    reported=Reported.table(
        {
            "validation IoU": 70.1,
            "validation Dice": 82.5,
            "validation F1": 82.4,
            "validation SDR": 9.91,
            "test IoU": 69.3,
            "test Dice": 81.2,
            "test F1": 81.2,
            "test SDR": 9.64,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Kumar, Li & Zhang, arXiv 2406.09167, results table",
        comparable="no: unpublished test masks; their notebook averages over both classes per batch of 8",
    ),
)
