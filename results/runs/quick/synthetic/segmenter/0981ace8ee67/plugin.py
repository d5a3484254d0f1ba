"""Segmenter. Strudel, Garcia, Laptev & Schmid, ICCV 2021, https://arxiv.org/abs/2105.05633.

A plain ViT (timm's) and the mask transformer: two more blocks in which the patches meet one learned token per class;
a class's mask is the product of its normalised token with the normalised patches, enlarged bilinearly (section
3.2.2). The trunk is ViT-S/16 pretrained at 384 pixels, the paper's Seg-S-Mask/16.

With the two classes that a mask has (bird, background) the paper's layer norm over the classes would leave nothing
but a sign. In its place the logit is the difference of both products times a learned scale. As in the authors' code:
drop path of 0.1 in the trunk, dropout of 0.1 in the decoder, whose layers start from normal weights of 0.02. Not as
there: the trunk's weights were learned on images normalised by 0.5, here the protocol normalises for all.

Legend: N images, H x W their size, T patches (H/16 x W/16), D the trunk's dimensions.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import timm
import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import ArchitectureSpec, Reported

Trunk = Literal["tiny", "small", "base"]
PATCH, CLASSES, BLOCKS, DROP = 16, 2, 2, 0.1


class MaskTransformer(nn.Module):
    """Patches (N, T, D) -> logits (N, T): how much nearer each is to the bird's token than to the background's."""

    def __init__(self, dimensions: int, heads: int) -> None:
        super().__init__()
        self.enter = nn.Linear(dimensions, dimensions)
        self.classes = nn.Parameter(0.02 * torch.randn(1, CLASSES, dimensions))
        self.blocks = nn.Sequential(
            *(Block(dimensions, heads, qkv_bias=True, proj_drop=DROP, attn_drop=DROP) for _ in range(BLOCKS))
        )
        self.norm = nn.LayerNorm(dimensions)
        self.patch_projection = nn.Linear(dimensions, dimensions, bias=False)
        self.class_projection = nn.Linear(dimensions, dimensions, bias=False)
        self.scale = nn.Parameter(torch.tensor(10.0))
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, patches: Tensor) -> Tensor:
        """The difference of two cosines, scaled."""
        tokens = torch.cat([self.enter(patches), self.classes.expand(len(patches), -1, -1)], dim=1)
        tokens = self.norm(self.blocks(tokens))  # (N, T + 2, D)
        patches, classes = tokens[:, :-CLASSES], tokens[:, -CLASSES:]
        patches = F.normalize(self.patch_projection(patches), dim=-1)  # (N, T, D)
        classes = F.normalize(self.class_projection(classes), dim=-1)  # (N, 2, D)
        products = patches @ classes.transpose(1, 2)  # (N, T, 2)
        return self.scale * (products[..., 0] - products[..., 1])


class Segmenter(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W as built, multiples of 16."""

    def __init__(
        self, *, in_channels: int, pretrained: bool, image_size: tuple[int, int], trunk: Trunk = "small"
    ) -> None:
        super().__init__()
        self.trunk: Any = timm.create_model(
            f"vit_{trunk}_patch16_384",
            pretrained=pretrained,
            in_chans=in_channels,
            img_size=image_size,
            num_classes=0,
            global_pool="",
            drop_path_rate=DROP,
        )
        dimensions: Any = self.trunk.embed_dim
        self.decoder = MaskTransformer(dimensions, heads=dimensions // 64)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        tokens = self.trunk.forward_features(image)  # (N, 1 + T, D)
        logits = self.decoder(tokens[:, self.trunk.num_prefix_tokens :])  # (N, T)
        height, width = (size // PATCH for size in image.shape[-2:])
        coarse = logits.view(len(image), 1, height, width)  # (N, 1, H/16, W/16)
        return F.interpolate(coarse, scale_factor=PATCH, mode="bilinear", align_corners=False)  # (N, 1, H, W)


def resolve(parameters: Mapping[str, Any]) -> ArchitectureSpec:
    """Title and weights name the trunk."""
    trunk = parameters.get("trunk", "small")
    return replace(
        ARCHITECTURE,
        title=f"Segmenter (Seg-{trunk[0].upper()}-Mask/16)",
        pretrained=f"ImageNet-21k, then -1k at 384 pixels, timm vit_{trunk}_patch16_384.augreg_in21k_ft_in1k (trunk)",
    )


ARCHITECTURE = ArchitectureSpec(
    build=Segmenter,
    title="Segmenter",
    paper="https://arxiv.org/abs/2105.05633",
    citation=(
        "@inproceedings{strudel2021segmenter, title={Segmenter: Transformer for Semantic Segmentation}, "
        "author={Strudel, Robin and Garcia, Ricardo and Laptev, Ivan and Schmid, Cordelia}, booktitle={ICCV}, "
        "year={2021}}"
    ),
    size_multiple=PATCH,
    pretrained="ImageNet-21k, timm (trunk)",
    licence="Apache-2.0 (timm, augreg); trained on ImageNet-21k, whose images are for research",
    reported=Reported.table(
        {
            "validation IoU": 59.6,
            "validation Dice": 72.5,
            "validation F1": 72.6,
            "validation SDR": 9.24,
            "test IoU": 57.7,
            "test Dice": 70.7,
            "test F1": 70.8,
            "test SDR": 8.52,
        },
        dataset="BirdSoundsDenoising (full)",
        source="Zhang & Li, arXiv 2210.10196, Table 2",
        comparable="no: unpublished test masks, averaging not stated; the SDR is a natural logarithm without clean "
        "reference",
    ),
    resolve=resolve,
)
