"""Every decoder on every encoder of segmentation-models-pytorch, https://github.com/qubvel-org/segmentation_models.pytorch.

`smp:decoder=Unet,encoder=resnet50`. Decoders are the library's classes, as they are (its MAnet has an attention of
its own: `manet` has the paper's); encoders its own names, or `tu-` and any of timm's. Pretrained weights are those of
ImageNet that the library has, or timm's for the tag after the dot.

Legend: N images, H x W their size.
"""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import segmentation_models_pytorch as smp
import timm
from torch import nn

from benchmark.contract import ArchitectureSpec, UserError

DECODERS = {decoder.__name__: decoder for decoder in smp.MODEL_ARCHITECTURES_MAPPING.values()}
TIMM = "tu-"
SIZE_MULTIPLES = {"PAN": 128}
"""PAN pools three times more below a sixteenth of the size."""
UNUSED = {"PSPNet": ("encoder.*",), "DPT": ("encoder.model.norm.*", "encoder.model.head.*")}
"""Parameters that a decoder leaves out: PSPNet reads the first three stages, whichever parameters those are."""


def build(*, in_channels: int, pretrained: bool, decoder: str = "Unet", encoder: str = "resnet34") -> nn.Module:
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32, for PAN of 128.

    Raises:
        UserError: the library cannot compose these two.
    """
    weights = (True if encoder.startswith(TIMM) else "imagenet") if pretrained else None
    # A plain vision transformer has positions for one size; this lets it take any.
    extra = {"dynamic_img_size": True} if decoder == "DPT" else {}
    try:
        network: nn.Module = DECODERS[decoder](
            encoder, encoder_weights=weights, in_channels=in_channels, classes=1, **extra
        )
    except (KeyError, NotImplementedError, TypeError, ValueError) as error:
        raise UserError(f"smp cannot put {decoder} on {encoder}: {str(error).splitlines()[0]}") from error
    return network


def resolve(parameters: Mapping[str, Any]) -> ArchitectureSpec:
    """Title and weights name decoder and encoder.

    Raises:
        UserError: there is no such decoder or encoder.
    """
    decoder, encoder = parameters.get("decoder", "Unet"), parameters.get("encoder", "resnet34")
    _check("decoder", decoder, list(DECODERS))
    if encoder.startswith(TIMM):
        name = encoder.removeprefix(TIMM)
        model, _, tag = name.partition(".")
        _check("encoder", model, timm.list_models())
        weights = timm.list_pretrained(f"{model}.*")
        if tag:
            _check("weights", name, weights)
        # Without a tag timm takes its default, which is another in another version: the record names it.
        default = timm.get_pretrained_cfg(model)
        tag = tag or (default.tag if default is not None else "")
        pretrained = f"timm {model}.{tag}" if weights else None
        licence = f"see timm/{model}.{tag}" if weights else None
    else:
        _check("encoder", encoder, smp.encoders.get_encoder_names())
        has_weights = "imagenet" in smp.encoders.encoders[encoder]["pretrained_settings"]
        pretrained = f"ImageNet-1k, smp-hub/{encoder}.imagenet" if has_weights else None
        licence = f"see smp-hub/{encoder}.imagenet" if has_weights else None
    return replace(
        ARCHITECTURE,
        title=f"smp {decoder}, {encoder}",
        size_multiple=SIZE_MULTIPLES.get(decoder, 32),
        pretrained=pretrained,
        licence=licence,
        without_gradient=UNUSED.get(decoder, ()),
    )


def _check(what: str, name: str, known: list[str]) -> None:
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
        raise UserError(f"smp has no {what} '{name}'; near it: {', '.join(close) or ', '.join(known[:12])}")


ARCHITECTURE = ArchitectureSpec(
    build=build,
    title="smp Unet, resnet34",
    paper="https://github.com/qubvel-org/segmentation_models.pytorch",
    citation=(
        "@misc{iakubovskii2019, title={Segmentation Models Pytorch}, author={Iakubovskii, Pavel}, "
        "howpublished={GitHub}, year={2019}}"
    ),
    size_multiple=32,
    pretrained="ImageNet-1k, smp-hub/resnet34.imagenet",
    licence="see smp-hub/resnet34.imagenet",
    resolve=resolve,
)
