"""Helpers for plugins that start from the weights of a classifier of colour images."""

from torch import nn

__all__ = ["TORCHVISION_LICENCE", "first_convolution"]

TORCHVISION_LICENCE = "BSD-3-Clause (torchvision); trained on ImageNet-1k, whose images are for research"


def first_convolution(convolution: nn.Conv2d, in_channels: int, *, pretrained: bool) -> nn.Conv2d:
    """The same convolution for images of `in_channels`; returned unchanged if it takes that many already.

    The old convolution saw a grey image as three equal channels, apart from their normalisation. The sum of its weights
    over the channels, divided equally among the new ones, gives the same response to equal channels.
    """
    if convolution.in_channels == in_channels:
        return convolution
    new = nn.Conv2d(
        in_channels,
        convolution.out_channels,
        kernel_size=convolution.kernel_size,  # type: ignore[arg-type]  # torch types its own attribute too widely
        stride=convolution.stride,  # type: ignore[arg-type]
        padding=convolution.padding,  # type: ignore[arg-type]
        bias=convolution.bias is not None,
    )
    if pretrained:
        weight = convolution.weight.data.sum(1, keepdim=True) / in_channels
        new.weight.data = weight.repeat(1, in_channels, 1, 1)
        if convolution.bias is not None and new.bias is not None:
            new.bias.data = convolution.bias.data.clone()
    return new
