"""A decoded split on the device: uint8 there, expanded and normalised batch by batch.

Legend: N images of the split, n of a batch, C channels, H x W the protocol's size.
"""

from collections.abc import Iterable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor

from benchmark.data.cache import CachedSplit
from benchmark.protocols import Protocol

# torchvision's ImageNet statistics; a single channel takes their mean over the three.
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


class Normalisation:
    """uint8 pixels -> a network's input, on the device."""

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
    """Images and masks of a split, as batches on `device`.

    A `resident` split lies on the device as uint8. Otherwise `prefetch` sends each batch from pinned memory while the
    device works on the batch before.
    """

    def __init__(self, split: CachedSplit, protocol: Protocol, device: torch.device, *, resident: bool = True) -> None:
        images, masks = (torch.from_numpy(np.asarray(pixels)) for pixels in (split.images, split.masks))
        self._store = (_Resident if resident else _Streamed)(images, masks, device)
        self._count = len(masks)
        self.device, self.resident = device, resident
        self.index_device = self._store.index_device
        """The device on which `indices` must lie."""
        self.not_empty = torch.tensor([row.foreground > 0 for row in split.rows], device=device)  # (N,) bool
        self.normalise = Normalisation(protocol, device)

    def __len__(self) -> int:
        """Number of images."""
        return self._count

    def pixels(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) indices -> uint8 (n, H, W) or (n, H, W, 3) and bool (n, H, W), on the device."""
        return self._store.pixels(indices)

    def prefetch(self, indices: Tensor) -> None:
        """Send the next batch ahead."""
        self._store.prefetch(indices)


def fits_on(device: torch.device, splits: Iterable[CachedSplit]) -> bool:
    """Whether the decoded splits take at most half of a CUDA device's memory; other devices share the host's memory.

    The rule counts all memory, not the free memory, because a resumed run must execute as before.
    """
    if device.type != "cuda":
        return True
    memory: int = torch.cuda.get_device_properties(device).total_memory
    return sum(split.images.nbytes + split.masks.nbytes for split in splits) <= memory / 2


class _Resident:
    """The whole split on the device."""

    def __init__(self, images: Tensor, masks: Tensor, device: torch.device) -> None:
        self._images, self._masks = images.to(device), masks.to(device)
        self.index_device = device

    def pixels(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        # On a CPU index_select is several times faster than images[indices].
        return self._images.index_select(0, indices), self._masks.index_select(0, indices)

    def prefetch(self, indices: Tensor) -> None:
        del indices


class _Streamed:
    """The split memory-mapped on the host; the next batch is sent while the device works."""

    def __init__(self, images: Tensor, masks: Tensor, device: torch.device) -> None:
        self._images, self._masks, self._device = images, masks, device
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._ahead: tuple[Tensor, tuple[Tensor, Tensor]] | None = None
        self.index_device = torch.device("cpu")

    def pixels(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        if self._ahead is None or not torch.equal(self._ahead[0], indices):
            self.prefetch(indices)
        assert self._ahead is not None
        batch = self._ahead[1]
        self._ahead = None
        if self._stream is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_stream(self._stream)
            for tensor in batch:
                tensor.record_stream(current)  # keeps its memory from the next batch until this one is used
        return batch

    def prefetch(self, indices: Tensor) -> None:
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            batch = (self._sent(self._images, indices), self._sent(self._masks, indices))
        self._ahead = (indices, batch)

    def _sent(self, pixels: Tensor, indices: Tensor) -> Tensor:
        chosen = pixels.index_select(0, indices)
        if self._stream is None:
            return chosen
        return chosen.pin_memory().to(self._device, non_blocking=True)
