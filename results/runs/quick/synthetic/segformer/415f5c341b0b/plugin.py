"""SegFormer. Xie, Wang, Yu, Anandkumar, Alvarez & Luo, NeurIPS 2021, https://arxiv.org/abs/2105.15203.

A hierarchical transformer without positions (MiT-B0 ... B5) and a decoder of perceptrons: each level projected to the
same width, enlarged to a quarter of the size, joined, fused. As segmentation-models-pytorch composes it, with the
paper's width of the decoder (256 for B0 and B1, else 768). B2 by default, 27 M parameters.

Legend: N images, H x W their size.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import segmentation_models_pytorch as smp
from torch import nn

from benchmark.contract import ArchitectureSpec
from benchmark.pretrained import first_convolution

Trunk = Literal["b0", "b1", "b2", "b3", "b4", "b5"]


def build(*, in_channels: int, pretrained: bool, trunk: Trunk = "b2") -> nn.Module:
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32."""
    network: Any = smp.Segformer(
        f"mit_{trunk}",
        encoder_weights="imagenet" if pretrained else None,
        decoder_segmentation_channels=256 if trunk in ("b0", "b1") else 768,
        classes=1,
    )
    network.segmentation_head.insert(0, nn.Dropout2d(0.1))  # as in the authors' code, which the library leaves out
    patches = network.encoder.patch_embed1
    patches.proj = first_convolution(patches.proj, in_channels, pretrained=pretrained)
    module: nn.Module = network
    return module


def resolve(parameters: Mapping[str, Any]) -> ArchitectureSpec:
    """Title and weights name the trunk."""
    trunk = parameters.get("trunk", "b2")
    return replace(
        ARCHITECTURE,
        title=f"SegFormer-{trunk.upper()}",
        pretrained=f"ImageNet-1k, smp-hub/mit_{trunk}.imagenet (trunk)",
    )


ARCHITECTURE = ArchitectureSpec(
    build=build,
    title="SegFormer",
    paper="https://arxiv.org/abs/2105.15203",
    citation=(
        "@inproceedings{xie2021segformer, title={SegFormer: Simple and Efficient Design for Semantic Segmentation with "
        "Transformers}, author={Xie, Enze and Wang, Wenhai and Yu, Zhiding and Anandkumar, Anima and Alvarez, Jose M. "
        "and Luo, Ping}, booktitle={NeurIPS}, year={2021}}"
    ),
    size_multiple=32,
    pretrained="ImageNet-1k, smp-hub (trunk)",
    licence="NVIDIA Source Code License for SegFormer (non-commercial)",
    resolve=resolve,
)
