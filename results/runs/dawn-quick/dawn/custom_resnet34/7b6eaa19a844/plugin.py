"""ResNet-34 encoder with a transposed-convolution decoder: the reference entry.

Kishore Kumar, "Custom Image Segmentation Model for Visual Bird Sound Denoising" (test IoU 62.25 %, its Table 1).

What the paper states: torchvision's pretrained ResNet-34 without its fully connected layer (section 3.1.1); a series of
transposed convolutions, each followed by a block of convolutions, batch normalisation and ReLU (section 3.1.2).

Where it is silent, chosen here:
- the average pool goes too: behind it there is no map to decode;
- five stages, because the trunk divides the resolution by 32;
- 256-128-64-32-16 channels, halving from the trunk's 512, the decoder's usual shape and the smaller of the two sizes
  that fit the text (23.6 M parameters against 29.3 M with 512-256-128-64-32);
- transposed convolutions of 2x2, stride 2, which overlap nowhere and so make no checkerboard;
- conv 3x3, batch norm, ReLU, twice in a block, without a bias that the norm would cancel;
- one logit by a 1x1 convolution; no skip connections, as none are described.

Legend: N images, H x W their size.
"""

from torch import Tensor, nn
from torchvision.models import ResNet34_Weights, resnet34

from benchmark.contract import ArchitectureSpec, Reported
from benchmark.pretrained import TORCHVISION_LICENCE, first_convolution

CHANNELS = (256, 128, 64, 32, 16)


def conv_block(channels: int) -> nn.Sequential:
    """Convolution 3x3, batch norm, ReLU, twice."""
    layers: list[nn.Module] = []
    for _ in range(2):
        layers += [
            nn.Conv2d(channels, channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers)


def encoder(in_channels: int, *, pretrained: bool) -> nn.Sequential:
    """ResNet-34 without pool and classifier: (N, C, H, W) -> (N, 512, H/32, W/32)."""
    trunk = resnet34()
    if pretrained:
        trunk.load_state_dict(ResNet34_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True))
    layers = dict(trunk.named_children())
    del layers["avgpool"], layers["fc"]
    layers["conv1"] = first_convolution(trunk.conv1, in_channels, pretrained=pretrained)
    return nn.Sequential(*layers.values())


class CustomResNet34(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 32."""

    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        self.encoder = encoder(in_channels, pretrained=pretrained)
        stages: list[nn.Module] = []
        for wide, narrow in zip((512, *CHANNELS), CHANNELS, strict=False):
            stages += [nn.ConvTranspose2d(wide, narrow, kernel_size=2, stride=2), conv_block(narrow)]
        self.decoder = nn.Sequential(*stages)
        self.head = nn.Conv2d(CHANNELS[-1], 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        features = self.encoder(image)  # (N, 512, H/32, W/32)
        restored = self.decoder(features)  # (N, 16, H, W)
        logits: Tensor = self.head(restored)  # (N, 1, H, W)
        return logits


ARCHITECTURE = ArchitectureSpec(
    build=CustomResNet34,
    title="Custom ResNet-34",
    paper="Custom Image Segmentation Model for Visual Bird Sound Denoising",
    citation=(
        "@misc{kishorekumar2024custom, title={Custom Image Segmentation Model for Visual Bird Sound Denoising}, "
        "author={Kishore Kumar, Niranjan Kumar}, note={Yeshiva University}}"
    ),
    size_multiple=32,
    pretrained="ImageNet-1k, torchvision ResNet34_Weights.IMAGENET1K_V1",
    licence=TORCHVISION_LICENCE,
    reported=Reported.table(
        {"test IoU": 62.25},
        dataset="BirdSoundsDenoising (1000/200/300 images)",
        source="Kishore Kumar, Table 1",
        comparable="no: unpublished selection of images, split and averaging of the IoU not stated",
    ),
)
