"""Check the shapes of a network's input and output."""

import torch
from torch import Tensor

from benchmark.plugins import network, parameters
from benchmark.plugins.checks.networks import SIZE, Subject, finite, images, perturb, run
from benchmark.plugins.checks.outcome import ContractError


def check_logits(subject: Subject) -> None:
    """Images (N, 3, H, W) give finite logits (N, 1, H, W), without a sigmoid."""
    finite(subject.logits, (SIZE, SIZE))
    if network.parameter_count(subject.network) == 0 or not _like_probabilities(subject.logits):
        return
    for seed in range(3):  # with much noise on the weights, logits take any value
        net = subject.copy()
        perturb(net, 0.5, seed)
        with torch.no_grad():
            if not _like_probabilities(run(net, images())):
                return
    raise ContractError("all logits lie within 0 to 1: remove the sigmoid, the core applies its own")


def _like_probabilities(logits: Tensor) -> bool:
    return bool(((logits >= 0) & (logits <= 1)).all())


def check_grey(subject: Subject) -> None:
    """The network also takes images of one channel."""
    with torch.no_grad():
        finite(run(subject.build(channels=1), images(channels=1)), (SIZE, SIZE))


def check_odd_sizes(subject: Subject) -> None:
    """Any image size works after padding to `size_multiple`."""
    size = (SIZE + 5, SIZE - 9)
    sized = "image_size" in parameters.accepted(subject.spec.build)
    net = subject.build(size=size) if sized else subject.network
    with torch.no_grad():
        finite(run(net, images(size=size)), size)


def check_untouched_input(subject: Subject) -> None:
    """forward() leaves the images unchanged: others use them too."""
    batch = images()
    with torch.no_grad():
        run(subject.network, batch)
    if not torch.equal(batch, images()):
        raise ContractError("forward() changes its input: use no in-place operations on it")
