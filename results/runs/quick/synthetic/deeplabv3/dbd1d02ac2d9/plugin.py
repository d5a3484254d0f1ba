"""DeepLabV3, which is DVAD. Chen, Papandreou, Schroff & Adam 2017, https://arxiv.org/abs/1706.05587.

"DVAD" of Zhang & Li (WACV 2023, https://arxiv.org/abs/2210.10196) is this network on BirdSoundsDenoising. A ResNet
whose last two stages dilate instead of striding, atrous spatial pyramid pooling with rates 12, 24, 36 and the image
pool, then bilinear upsampling by 8: torchvision's own, without the auxiliary head of its training recipe.

Legend: N images, H x W their size.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from torch import Tensor, nn
from torchvision.models import ResNet50_Weights, ResNet101_Weights
from torchvision.models.segmentation import deeplabv3_resnet50, deeplabv3_resnet101

from benchmark.contract import ArchitectureSpec, Reported
from benchmark.pretrained import TORCHVISION_LICENCE, first_convolution

Trunk = Literal["resnet50", "resnet101"]
TRUNKS = {
    "resnet50": (deeplabv3_resnet50, ResNet50_Weights.IMAGENET1K_V1),
    "resnet101": (deeplabv3_resnet101, ResNet101_Weights.IMAGENET1K_V1),
}


class DeepLabV3(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 8."""

    def __init__(self, *, in_channels: int, pretrained: bool, trunk: Trunk = "resnet50") -> None:
        super().__init__()
        build, weights = TRUNKS[trunk]
        self.network = build(
            weights=None,
            weights_backbone=weights if pretrained else None,
            num_classes=1,
            aux_loss=False,
            progress=False,
        )
        self.network.backbone.conv1 = first_convolution(self.network.backbone.conv1, in_channels, pretrained=pretrained)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        logits: Tensor = self.network(image)["out"]  # (N, 1, H, W)
        return logits


def resolve(parameters: Mapping[str, Any]) -> ArchitectureSpec:
    """Title and weights name the trunk."""
    trunk = parameters.get("trunk", "resnet50")
    return replace(
        ARCHITECTURE,
        title=f"DeepLabV3 (DVAD), {trunk.replace('resnet', 'ResNet-')}",
        pretrained=f"ImageNet-1k, torchvision {TRUNKS[trunk][1]} (trunk)",
    )


ARCHITECTURE = ArchitectureSpec(
    build=DeepLabV3,
    title="DeepLabV3 (DVAD)",
    paper="https://arxiv.org/abs/1706.05587",
    citation=(
        "@inproceedings{zhang2023birdsoundsdenoising, title={BirdSoundsDenoising: Deep Visual Audio Denoising for Bird "
        "Sounds}, author={Zhang, Youshan and Li, Jialu}, booktitle={WACV}, year={2023}}\n"
        "@article{chen2017rethinking, title={Rethinking Atrous Convolution for Semantic Image Segmentation}, "
        "author={Chen, Liang-Chieh and Papandreou, George and Schroff, Florian and Adam, Hartwig}, "
        "journal={arXiv:1706.05587}, year={2017}}"
    ),
    size_multiple=8,
    pretrained="ImageNet-1k, torchvision (trunk)",
    licence=TORCHVISION_LICENCE,
    reported=Reported.table(
        {
            "validation IoU": 73.5,
            "validation Dice": 82.6,
            "validation F1": 82.6,
            "validation SDR": 10.33,
            "test IoU": 72.3,
            "test Dice": 81.6,
            "test F1": 81.6,
            "test SDR": 9.96,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Zhang & Li, arXiv 2210.10196, Table 2",
        comparable="no: unpublished test masks, averaging not stated; the SDR is a natural logarithm without clean "
        "reference",
    ),
    resolve=resolve,
)
