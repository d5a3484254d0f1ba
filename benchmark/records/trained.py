"""A trained network that takes images as they are: `benchmark.load`, `bench predict` and `bench export` use it.

Legend: n images, h x w the size of a file, H x W the size of the protocol.
"""

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark.data import images
from benchmark.records import find, weights
from benchmark.records.schema import Record
from benchmark.training import hardware
from benchmark.training.batches import Normalisation


def load(run: str | Path, device: str = "cpu", results: str | Path = "results") -> "TrainedNetwork":
    """The network of a run with its weights, ready to predict, on "cpu", "cuda", "cuda:N", "mps" or "auto".

    `run` is its folder, the beginning of its key, "last", or an architecture of which one run in `results` has weights.

    Raises:
        UserError: there is no such run or device, its weights are missing, or its plugin's code has changed since.
    """
    path, record = find.one(Path(results), str(run), with_weights=True)
    machine = hardware.resolve(device, "fp32")
    return TrainedNetwork(path, record).to(machine.device).eval()


class TrainedNetwork(nn.Module):
    """`network(pixels)` gives logits, `network.mask(image)` and `network.probability(image)` take an image of any size.

    It computes in fp32. `core` is the network itself, which takes normalised images: (pixels / 255 - mean) / deviation,
    see `mean` and `deviation`, a number per channel. `record` is the record of the run, `image_size` is (H, W),
    `threshold` a probability.
    """

    def __init__(self, path: Path, record: Record) -> None:
        super().__init__()
        self.settings = weights.settings_of(record)
        self.path, self.record = path, record
        self.image_size, self.threshold = self.settings.image_size, self.settings.threshold
        self.core = weights.load(path, record, self.settings)
        ends = torch.tensor([[[0]], [[255]]], dtype=torch.uint8)  # black and white, (2, 1, 1)
        black, white = Normalisation(self.settings, torch.device("cpu"))(ends)[..., 0, 0]  # (C,) each
        self.mean = tuple(round(value, 6) for value in (-black / (white - black)).tolist())
        self.deviation = tuple(round(value, 6) for value in (1 / (white - black)).tolist())

    def forward(self, pixels: Tensor) -> Tensor:
        """uint8 (n, H, W) or (n, H, W, 3) -> logits (n, 1, H, W)."""
        logits: Tensor = self.core(Normalisation(self.settings, pixels.device)(pixels))
        return logits

    def prepared(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """An image (h, w) or (h, w, 3) as training and test see it: grey if they do, resized to (H, W)."""
        plain = images.to_grey(image) if self.settings.channels == 1 else image
        return images.resize_image(plain, self.image_size)

    @torch.inference_mode()
    def logits(self, image: NDArray[np.uint8]) -> Tensor:
        """The logits (h, w) of an image uint8 (h, w) or (h, w, 3), enlarged to its size as in the test."""
        device = next((value.device for value in self.core.state_dict().values()), torch.device("cpu"))
        found = self(torch.from_numpy(np.array(self.prepared(image))).to(device)[None])
        size = image.shape[:2]
        return F.interpolate(found.float(), size=size, mode="bilinear", align_corners=False)[0, 0]

    def probability(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """How sure the network is of each pixel of an image uint8 (h, w) or (h, w, 3): from 0 to 1, (h, w)."""
        return np.asarray(self.logits(image).sigmoid().cpu().numpy())

    def mask(self, image: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """The predicted mask, bool (h, w), of an image uint8 (h, w) or (h, w, 3), by the protocol's threshold."""
        return self.mask_of(self.logits(image))

    def mask_of(self, logits: Tensor) -> NDArray[np.bool_]:
        """The mask that logits give."""
        return np.asarray((logits > math.log(self.threshold / (1 - self.threshold))).cpu().numpy())
