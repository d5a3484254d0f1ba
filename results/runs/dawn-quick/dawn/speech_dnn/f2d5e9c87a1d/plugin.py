"""The speech-enhancement DNN. Xu, Du, Dai & Lee, IEEE Signal Processing Letters 2014 (online 2013),
https://doi.org/10.1109/LSP.2013.2291240.

Eleven frames of the spectrogram in, three layers of 2048 sigmoid units, one frame out; here the mask's logits of the
middle frame in the place of its clean log-power spectrum. Inputs are normalised per frequency, as in the paper. Over
a whole image that is a convolution along time, with the frequencies as its channels.

The paper initialises its layers by restricted Boltzmann machines. Here they begin with the variance that Glorot &
Bengio (AISTATS 2010) derive, four times as wide for sigmoids: every entry trains under one loss only.

Legend: N images, H x W their size (frequencies x frames).
"""

import math

from torch import Tensor, nn

from benchmark.contract import ArchitectureSpec

CONTEXT, HIDDEN, LAYERS = 11, 2048, 3


class SpeechDNN(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H as built, any W."""

    def __init__(self, *, in_channels: int, pretrained: bool, image_size: tuple[int, int]) -> None:
        super().__init__()
        del in_channels, pretrained  # channels are averaged; there are no published weights
        frequencies = image_size[0]
        self.normalise = nn.BatchNorm1d(frequencies, affine=False)
        layers: list[nn.Module] = []
        for layer in range(LAYERS):
            first = layer == 0
            convolution = nn.Conv1d(
                frequencies if first else HIDDEN,
                HIDDEN,
                kernel_size=CONTEXT if first else 1,
                padding=CONTEXT // 2 if first else 0,
            )
            inputs = CONTEXT * frequencies if first else HIDDEN
            bound = 4 * math.sqrt(6 / (inputs + HIDDEN))
            nn.init.uniform_(convolution.weight, -bound, bound)
            layers += [convolution, nn.Sigmoid()]
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Conv1d(HIDDEN, frequencies, kernel_size=1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        frames = self.normalise(image.mean(1))  # (N, H, W)
        logits: Tensor = self.head(self.hidden(frames))  # (N, H, W)
        return logits.unsqueeze(1)


ARCHITECTURE = ArchitectureSpec(
    build=SpeechDNN,
    title="Speech-enhancement DNN",
    paper="https://doi.org/10.1109/LSP.2013.2291240",
    citation=(
        "@article{xu2014experimental, title={An Experimental Study on Speech Enhancement Based on Deep Neural "
        "Networks}, author={Xu, Yong and Du, Jun and Dai, Li-Rong and Lee, Chin-Hui}, journal={IEEE Signal Processing "
        "Letters}, volume={21}, number={1}, pages={65--68}, year={2014}}"
    ),
)
