"""A decoded split on the device: uint8 there, expanded and normalised batch by batch.

Legend: N images of the split, n of a batch, C channels, H x W the protocol's size.
"""

import numpy as np
import torch
from torch import Tensor

from benchmark.data.cache import CachedSplit
from benchmark.protocol import Protocol

# torchvision's ImageNet statistics; a single channel takes their mean over the three.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class Normalisation:
    """uint8 pixels on the device -> what a network takes."""

    def __init__(self, protocol: Protocol, device: torch.device) -> None:
        mean, deviation = (torch.tensor(values, device=device) for values in (_MEAN, _DEVIATION))
        if protocol.channels == 1:
            mean, deviation = mean.mean(0, keepdim=True), deviation.mean(0, keepdim=True)
        if protocol.normalisation == "none":
            mean, deviation = torch.zeros_like(mean), torch.ones_like(deviation)
        self._scale = (1 / (255 * deviation)).view(1, -1, 1, 1)
        self._shift = (-mean / deviation).view(1, -1, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        """(n, H, W) or (n, H, W, 3) uint8 -> normalised float (n, C, H, W) in channels-last memory."""
        pixels = pixels.unsqueeze(1) if pixels.ndim == 3 else pixels.permute(0, 3, 1, 2)  # (n, 1 or 3, H, W)
        # One grey channel is expanded to C by the broadcast of the statistics: on the device, not in the cache.
        images = pixels.float() * self._scale + self._shift  # (n, C, H, W)
        return images.contiguous(memory_format=torch.channels_last)


class DeviceSplit:
    """Images and masks of a split on `device`, as batches for a network."""

    def __init__(self, split: CachedSplit, protocol: Protocol, device: torch.device) -> None:
        self._images = torch.from_numpy(np.asarray(split.images)).to(device)  # (N, H, W) or (N, H, W, 3) uint8
        self._masks = torch.from_numpy(np.asarray(split.masks)).to(device)  # (N, H, W) bool
        self.device = device
        self.not_empty = torch.tensor([row.foreground > 0 for row in split.rows], device=device)  # (N,) bool
        self._normalise = Normalisation(protocol, device)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._masks)

    def images(self, indices: Tensor) -> Tensor:
        """(n,) indices -> normalised float (n, C, H, W) in channels-last memory."""
        return self._normalise(self._images.index_select(0, indices))

    def masks(self, indices: Tensor) -> Tensor:
        """(n,) indices -> bool (n, H, W)."""
        return self._masks.index_select(0, indices)
