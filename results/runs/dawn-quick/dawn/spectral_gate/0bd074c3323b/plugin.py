"""Spectral gating. The stationary gate of Sainburg, Thielk & Gentner, PLoS Computational Biology 2020,
https://doi.org/10.1371/journal.pcbi.1008228 (the package noisereduce).

Each frequency has a noise floor, its mean over time, and passes what lies more than 1.5 standard deviations above it.
No parameters, no training. The package measures in decibel and smooths its mask; here the image's own grey levels are
measured, because a plugin does not know how they were scaled, and the mask is left as it is.

Legend: N images, C channels, H x W their size (frequencies x frames).
"""

from torch import Tensor, nn

from benchmark.contract import ArchitectureSpec


class SpectralGate(nn.Module):
    """(N, in_channels, H, W) -> logits (N, 1, H, W), positive where the gate is open."""

    def __init__(self, *, in_channels: int, pretrained: bool, deviations: float = 1.5) -> None:
        super().__init__()
        del in_channels, pretrained
        self.deviations = deviations

    def forward(self, image: Tensor) -> Tensor:
        """Level above the gate's threshold, in units of the image."""
        level = image.mean(1, keepdim=True)  # (N, 1, H, W)
        floor = level.mean(-1, keepdim=True)  # (N, 1, H, 1)
        spread = level.std(-1, keepdim=True, correction=0)  # (N, 1, H, 1)
        # Where a frequency is silent all the time, its mean may lie a rounding below its only value.
        margin = 1e-5 * (level.amax((-2, -1), keepdim=True) - level.amin((-2, -1), keepdim=True))  # (N, 1, 1, 1)
        return level - floor - self.deviations * spread - margin


ARCHITECTURE = ArchitectureSpec(
    build=SpectralGate,
    title="Spectral gate",
    paper="https://doi.org/10.1371/journal.pcbi.1008228",
    citation=(
        "@article{sainburg2020finding, title={Finding, visualizing, and quantifying latent structure across diverse "
        "animal vocal repertoires}, author={Sainburg, Tim and Thielk, Marvin and Gentner, Timothy Q.}, journal={PLoS "
        "Computational Biology}, volume={16}, number={10}, pages={e1008228}, year={2020}}"
    ),
)
