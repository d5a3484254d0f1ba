"""Every segmentation network of torchvision, https://pytorch.org/vision/stable/models.html#semantic-segmentation.

`torchvision_segmentation:name=fcn_resnet50`, with one class and without the auxiliary head of its training recipe.
Pretrained is the trunk, on ImageNet.

Legend: N images, H x W their size.
"""

import difflib
import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor, nn
from torchvision import models

from benchmark.contract import ArchitectureSpec, UserError
from benchmark.pretrained import TORCHVISION_LICENCE, first_convolution

NAMES = models.list_models(module=models.segmentation)
DEFAULT = "fcn_resnet50"
PAPERS = {
    "fcn": (
        "https://arxiv.org/abs/1411.4038",
        "@inproceedings{long2015fully, title={Fully Convolutional Networks for Semantic Segmentation}, author={Long, "
        "Jonathan and Shelhamer, Evan and Darrell, Trevor}, booktitle={CVPR}, year={2015}}",
    ),
    "deeplabv3": (
        "https://arxiv.org/abs/1706.05587",
        "@article{chen2017rethinking, title={Rethinking Atrous Convolution for Semantic Image Segmentation}, "
        "author={Chen, Liang-Chieh and Papandreou, George and Schroff, Florian and Adam, Hartwig}, "
        "journal={arXiv:1706.05587}, year={2017}}",
    ),
    "lraspp": (
        "https://arxiv.org/abs/1905.02244",
        "@inproceedings{howard2019searching, title={Searching for MobileNetV3}, author={Howard, Andrew and Sandler, "
        "Mark and Chu, Grace and Chen, Liang-Chieh and Chen, Bo and Tan, Mingxing and Wang, Weijun and Zhu, Yukun and "
        "Pang, Ruoming and Vasudevan, Vijay and Le, Quoc V. and Adam, Hartwig}, booktitle={ICCV}, year={2019}}",
    ),
}
"""By the first word of a network's name: the paper's address and citation."""


class TorchvisionSegmentation(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 8."""

    def __init__(self, *, in_channels: int, pretrained: bool, name: str = DEFAULT) -> None:
        super().__init__()
        weights = trunk_weights(name) if pretrained else None
        self.network = models.get_model(name, weights=None, weights_backbone=weights, num_classes=1, progress=False)
        place, convolution = next(
            (place, module) for place, module in self.network.named_modules() if isinstance(module, nn.Conv2d)
        )
        self.network.set_submodule(place, first_convolution(convolution, in_channels, pretrained=pretrained))

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        logits: Tensor = self.network(image)["out"]  # (N, 1, H, W)
        return logits


def trunk_weights(name: str) -> Any:
    """What torchvision itself starts this network's trunk from."""
    return inspect.signature(models.get_model_builder(name)).parameters["weights_backbone"].default


def resolve(parameters: Mapping[str, Any]) -> ArchitectureSpec:
    """Title and weights are the network's.

    Raises:
        UserError: torchvision has no such network.
    """
    name = parameters.get("name", DEFAULT)
    if name not in NAMES:
        close = difflib.get_close_matches(name, NAMES, n=1)
        near = f" (did you mean '{close[0]}'?)" if close else ""
        raise UserError(f"torchvision has no segmentation network '{name}'{near}; there are: {', '.join(NAMES)}")
    paper, citation = PAPERS[name.partition("_")[0]]
    return replace(
        ARCHITECTURE,
        title=f"torchvision {name}",
        paper=paper,
        citation=citation,
        pretrained=f"ImageNet-1k, torchvision {trunk_weights(name)} (trunk)",
    )


ARCHITECTURE = ArchitectureSpec(
    build=TorchvisionSegmentation,
    title=f"torchvision {DEFAULT}",
    paper=PAPERS["fcn"][0],
    citation=PAPERS["fcn"][1],
    size_multiple=8,
    pretrained="ImageNet-1k, torchvision (trunk)",
    licence=TORCHVISION_LICENCE,
    resolve=resolve,
)
