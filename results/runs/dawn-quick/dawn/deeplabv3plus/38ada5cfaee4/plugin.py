"""DeepLabV3+. Chen, Zhu, Papandreou, Schroff & Adam, ECCV 2018, https://arxiv.org/abs/1802.02611.

DeepLabV3 at a sixteenth of the size (so with rates 6, 12, 18), with depthwise separable convolutions and a decoder
that joins the trunk's map at a quarter of the size (Figure 2). On a ResNet-50, as segmentation-models-pytorch
composes it.

Legend: N images, H x W their size.
"""

import segmentation_models_pytorch as smp
from torch import nn

from benchmark.contract import ArchitectureSpec
from benchmark.pretrained import TORCHVISION_LICENCE


def build(*, in_channels: int, pretrained: bool) -> nn.Module:
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 16."""
    network: nn.Module = smp.DeepLabV3Plus(
        "resnet50",
        encoder_weights="imagenet" if pretrained else None,
        decoder_atrous_rates=(6, 12, 18),
        in_channels=in_channels,
        classes=1,
    )
    return network


ARCHITECTURE = ArchitectureSpec(
    build=build,
    title="DeepLabV3+",
    paper="https://arxiv.org/abs/1802.02611",
    citation=(
        "@inproceedings{chen2018deeplabv3plus, title={Encoder-Decoder with Atrous Separable Convolution for Semantic "
        "Image Segmentation}, author={Chen, Liang-Chieh and Zhu, Yukun and Papandreou, George and Schroff, Florian and "
        "Adam, Hartwig}, booktitle={ECCV}, year={2018}}"
    ),
    size_multiple=16,
    pretrained="ImageNet-1k, smp-hub/resnet50.imagenet (trunk)",
    licence=TORCHVISION_LICENCE,
)
