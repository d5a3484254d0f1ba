"""The losses that a protocol may name. Legend: n images of a batch, H x W the protocol's size."""

from torch import Tensor
from torch.nn import functional as F

from benchmark.protocols import Protocol


def loss_function(logits: Tensor, masks: Tensor, protocol: Protocol) -> Tensor:
    """The protocol's loss of logits and masks, (n, 1, H, W) float each.

    `bce` is binary cross-entropy on logits (the paper's equation 1); `bce_dice` adds one minus the soft Dice per image.
    The others are segmentation_models_pytorch's: `dice` and `tversky` count over all images together.
    """
    if protocol.loss in ("bce", "bce_dice"):
        cross_entropy = F.binary_cross_entropy_with_logits(logits, masks)
        return cross_entropy if protocol.loss == "bce" else cross_entropy + _dice_per_image(logits, masks)
    from segmentation_models_pytorch import losses  # takes seconds

    result: Tensor
    if protocol.loss == "focal":
        result = losses.FocalLoss("binary", gamma=protocol.focal_gamma)(logits, masks)
    elif protocol.loss == "tversky":
        missed = protocol.tversky_missed
        result = losses.TverskyLoss("binary", alpha=1 - missed, beta=missed)(logits, masks)
    else:
        result = losses.DiceLoss("binary")(logits, masks)
    return result


def _dice_per_image(logits: Tensor, masks: Tensor) -> Tensor:
    probability = logits.sigmoid()
    both = (probability * masks).sum((1, 2, 3))  # (n,)
    either = probability.sum((1, 2, 3)) + masks.sum((1, 2, 3))  # (n,)
    return (1 - (2 * both + 1) / (either + 1)).mean()
