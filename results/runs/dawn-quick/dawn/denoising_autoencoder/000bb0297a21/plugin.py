"""A deep denoising autoencoder on frames. Joshi, Panda & Das, ISCSLP 2018, "Enhanced denoising auto-encoder for robust
speech recognition in unseen noise conditions", pages 359-363.

Eleven noisy frames are encoded into a short code and decoded into eleven frames; windows overlap by all but one frame
and their results add up. Here what is decoded are the mask's logits.

The paper's text is behind a wall and was not at hand, so neither its sizes nor its enhancements are claimed: the
layers (1024, a code of 256, 1024, with batch norm and ReLU) are chosen here, after the family's founding paper, Lu,
Tsao, Matsuda & Hori, Interspeech 2013.

Legend: N images, H x W their size (frequencies x frames).
"""

from torch import Tensor, nn

from benchmark.contract import ArchitectureSpec

CONTEXT, HIDDEN, CODE = 11, 1024, 256


class DenoisingAutoencoder(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W); H as built, any W."""

    def __init__(self, *, in_channels: int, pretrained: bool, image_size: tuple[int, int]) -> None:
        super().__init__()
        del in_channels, pretrained  # channels are averaged; there are no published weights
        frequencies = image_size[0]
        self.normalise = nn.BatchNorm1d(frequencies, affine=False)
        self.encoder = nn.Sequential(
            nn.Conv1d(frequencies, HIDDEN, kernel_size=CONTEXT, padding=CONTEXT // 2, bias=False),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.Conv1d(HIDDEN, CODE, kernel_size=1, bias=False),
            nn.BatchNorm1d(CODE),
            nn.ReLU(),
        )
        self.decoder = nn.Sequential(
            nn.Conv1d(CODE, HIDDEN, kernel_size=1, bias=False),
            nn.BatchNorm1d(HIDDEN),
            nn.ReLU(),
            nn.ConvTranspose1d(HIDDEN, frequencies, kernel_size=CONTEXT, padding=CONTEXT // 2),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the mask."""
        frames = self.normalise(image.mean(1))  # (N, H, W)
        code = self.encoder(frames)  # (N, 256, W)
        logits: Tensor = self.decoder(code)  # (N, H, W)
        return logits.unsqueeze(1)


ARCHITECTURE = ArchitectureSpec(
    build=DenoisingAutoencoder,
    title="Denoising autoencoder",
    paper="Enhanced denoising auto-encoder for robust speech recognition in unseen noise conditions, ISCSLP 2018",
    citation=(
        "@inproceedings{joshi2018enhanced, title={Enhanced Denoising Auto-Encoder for Robust Speech Recognition in "
        "Unseen Noise Conditions}, author={Joshi, Sonal and Panda, Ashish and Das, Biswajit}, booktitle={ISCSLP}, "
        "pages={359--363}, year={2018}}"
    ),
)
