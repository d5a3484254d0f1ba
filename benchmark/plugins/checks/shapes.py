"""Check the shapes of a network's input and output."""

import torch
from torch import Tensor

from benchmark.plugins import network, parameters
from benchmark.plugins.checks.networks import SIZE, Subject, finite, images, perturb, run
from benchmark.plugins.checks.outcome import ContractError


def check_logits(subject: Subject) -> None:
    """Images (N, 3, H, W) give finite logits (N, 1, H, W), without a sigmoid."""
    finite(subject.logits, (SIZE, SIZE))
    outputs = _outputs(subject)
    low, high = float(outputs.min()), float(outputs.max())
    if low >= 0 and high <= 1 and bool(((outputs > 0) & (outputs < 1)).any()):
        raise ContractError(
            "all outputs lie within 0 to 1, whatever the images and weights: they are probabilities; remove the "
            "sigmoid (or softmax) at the end, the core applies its own"
        )
    if high <= 0 and network.parameter_count(subject.network):
        raise ContractError(
            "no output is above 0, whatever the images and weights: every pixel would be background; remove the "
            "log-sigmoid (or log-softmax, or minus) at the end"
        )


def _outputs(subject: Subject) -> Tensor:
    """The outputs for plain, bright and inverted images, and weights with ever more noise: (outputs,), all finite.

    With noise, logits take any value. Outputs that are not finite say nothing and are left out: much noise makes a deep
    network overflow, so there is little of it too.
    """
    found = [subject.logits]
    for size, seed in ((0.0, 0), (0.02, 1), (0.1, 2), (0.1, 3), (0.5, 4), (0.5, 5)):
        net = subject.copy()
        perturb(net, size, seed)
        with torch.no_grad():
            found += [run(net, scale * images()) for scale in (1, 30, -30)]
        outputs = torch.cat([logits.flatten() for logits in found])
        outputs = outputs[outputs.isfinite()]
        if outputs.min() < 0 and outputs.max() > 1:
            break
    return outputs


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
