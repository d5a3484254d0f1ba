"""What goes into a network, and what comes out."""

import torch
from torch import Tensor

from benchmark.plugins import network, registry
from benchmark.plugins.checks.networks import SIZE, Subject, finite, images, perturb, run
from benchmark.plugins.checks.outcome import ContractError


def check_logits(subject: Subject) -> None:
    """(N, 3, H, W) float -> finite logits (N, 1, H, W), without a sigmoid."""
    finite(subject.logits, (SIZE, SIZE))
    if network.parameter_count(subject.network) == 0 or not _like_probabilities(subject.logits):
        return
    for seed in range(3):  # a network far from its beginning, whose logits lie anywhere
        net = subject.copy()
        perturb(net, 0.5, seed)
        with torch.no_grad():
            if not _like_probabilities(run(net, images())):
                return
    raise ContractError("logits never leave 0 ... 1: take the sigmoid out, the core has its own")


def _like_probabilities(logits: Tensor) -> bool:
    return bool(((logits >= 0) & (logits <= 1)).all())


def check_grey(subject: Subject) -> None:
    """One channel as well as three."""
    with torch.no_grad():
        finite(run(subject.build(channels=1), images(channels=1)), (SIZE, SIZE))


def check_odd_sizes(subject: Subject) -> None:
    """Any size works once it is padded to `size_multiple`."""
    size = (SIZE + 5, SIZE - 9)
    sized = "image_size" in registry.accepted(subject.spec.build)
    net = subject.build(size=size) if sized else subject.network
    with torch.no_grad():
        finite(run(net, images(size=size)), size)


def check_untouched_input(subject: Subject) -> None:
    """The images are as they were: others use them too."""
    batch = images()
    with torch.no_grad():
        run(subject.network, batch)
    if not torch.equal(batch, images()):
        raise ContractError("forward() changes its input: use no in-place operation on it")
