"""AtrousSegNet. Chemboli, public notebook, https://github.com/VaibhavChemboli116/Noise_Isolation_Bird_Sound_Images.

Three dilated convolutions (rates 1, 2, 4; 64, 128, 256 channels) with a max pool after the first and the second, two
up-convolutions to which the encoder's maps are added. 0.72 M parameters.

Legend: N images, H x W their size.
"""

from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.contract import ArchitectureSpec, Reported


def conv(channels_in: int, channels_out: int, dilation: int) -> nn.Sequential:
    """Dilated convolution 3x3, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=dilation, dilation=dilation),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(inplace=True),
    )


class AtrousSegNet(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H and W multiples of 4. `width` channels at the first level."""

    def __init__(self, *, in_channels: int, pretrained: bool, width: int = 64) -> None:
        super().__init__()
        del pretrained  # there are no published weights to start from
        self.down1 = conv(in_channels, width, dilation=1)
        self.down2 = conv(width, 2 * width, dilation=2)
        self.down3 = conv(2 * width, 4 * width, dilation=4)
        self.enlarge2 = nn.ConvTranspose2d(4 * width, 2 * width, kernel_size=2, stride=2)
        self.up2 = conv(2 * width, 2 * width, dilation=1)
        self.enlarge1 = nn.ConvTranspose2d(2 * width, width, kernel_size=2, stride=2)
        self.up1 = conv(width, width, dilation=1)
        self.head = nn.Conv2d(width, 1, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        full = self.down1(image)  # (N, 64, H, W)
        half = self.down2(F.max_pool2d(full, 2))  # (N, 128, H/2, W/2)
        quarter = self.down3(F.max_pool2d(half, 2))  # (N, 256, H/4, W/4)
        half = self.up2(self.enlarge2(quarter) + half)  # (N, 128, H/2, W/2)
        full = self.up1(self.enlarge1(half) + full)  # (N, 64, H, W)
        logits: Tensor = self.head(full)  # (N, 1, H, W)
        return logits


ARCHITECTURE = ArchitectureSpec(
    build=AtrousSegNet,
    title="AtrousSegNet",
    paper="https://github.com/VaibhavChemboli116/Noise_Isolation_Bird_Sound_Images",
    citation=(
        "@misc{chemboli2025atroussegnet, title={Noise Isolation in Bird Sound Spectrograms using AtrousSegNet}, "
        "author={Chemboli, Vaibhav}, howpublished={public notebook}, year={2025}}"
    ),
    size_multiple=4,
    reported=Reported.table(
        {"validation IoU": 66.28, "test IoU": 65.33},
        dataset="BirdSoundsDenoising (1000/200/300 images)",
        source="Chemboli, public notebook (256 pixels, 128 epochs)",
        comparable="no: IoU of each batch of 16, then averaged over the batches, at 256 pixels; the notebook saves the "
        "last epoch's weights as its best",
    ),
)
