"""Check that the core can choose device, precision and memory format, and can export the network."""

import torch
from torch import Tensor

from benchmark.plugins import blame
from benchmark.plugins.checks.networks import SIZE, Subject, finite, images, loss, run, same
from benchmark.plugins.checks.outcome import ContractError, InapplicableError, quiet


def check_device(subject: Subject) -> None:
    """The whole network moves to a device, and forward() makes its tensors on the device of its input."""
    assert subject.logits.numel()  # a network that fails on any device fails here, with its own reason
    for where, module in subject.network.core.named_modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):
                raise ContractError(
                    f"{where + '.' * bool(where)}{name} does not move with the network: use register_buffer"
                )
    batch, net = images(), subject.build()
    try:
        # "meta" as default device stands for a device that is not that of the images.
        with torch.no_grad(), torch.device("meta"):
            logits = net(batch)
    except Exception as error:
        place = blame.place(error, subject.plugin.source)
        raise ContractError(f"forward() makes a tensor without device=image.device{place}") from error
    if logits.device.type == "meta":
        raise ContractError("forward() returns a tensor on another device than its input")


def check_deterministic_mode(subject: Subject) -> None:
    """Forward and backward run when torch allows only deterministic algorithms."""
    net, before = subject.copy().train(), torch.get_deterministic_debug_mode()
    torch.use_deterministic_algorithms(True)
    try:
        value = loss(net, images())
        if value.requires_grad:
            value.backward()
    finally:
        torch.set_deterministic_debug_mode(before)


def check_bf16(subject: Subject) -> None:
    """Under bf16 autocast the logits stay finite and close to those in fp32."""
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = run(subject.network, images()).float()
    finite(logits, (SIZE, SIZE), " under bf16 autocast")
    expected = subject.logits
    if torch.allclose(logits, expected, rtol=0.02, atol=0.02 * float(expected.abs().max())):
        return  # also logits that are the same everywhere, which have no correlation
    correlation = float(torch.corrcoef(torch.stack([logits.flatten(), expected.flatten()]))[0, 1])
    if not correlation >= 0.9:
        raise ContractError(f"logits under bf16 autocast correlate only {correlation:.2f} with those in fp32")


def check_channels_last(subject: Subject) -> None:
    """The channels-last memory format gives the same logits."""
    net = subject.copy().to(memory_format=torch.channels_last)
    with torch.no_grad():
        logits = run(net, images().contiguous(memory_format=torch.channels_last))
    same(logits, subject.logits, "the channels-last memory format changes the logits")


def check_export(subject: Subject) -> None:
    """`torch.export` gives the same logits."""
    multiple = subject.spec.size_multiple
    size = (SIZE + -SIZE % multiple,) * 2  # the network needs no padding
    batch = images(size=size)
    with quiet():
        try:
            exported = torch.export.export(subject.network.core, (batch,)).module()
        except Exception as error:
            if "report an issue to PyTorch" not in str(error):
                raise
            raise InapplicableError(f"torch {torch.__version__} cannot export one of its own operators") from error
    with torch.no_grad():
        same(exported(batch), run(subject.network, batch), "the exported network gives different logits")
