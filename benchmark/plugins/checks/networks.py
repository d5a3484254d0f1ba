"""The networks that the checks run: each is built once, because building takes longer than most checks."""

import copy
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmark import protocols
from benchmark.contract import ArchitectureSpec
from benchmark.plugins import network, registry
from benchmark.plugins.checks import global_settings
from benchmark.plugins.checks.outcome import ContractError, InapplicableError
from benchmark.plugins.network import Network
from benchmark.plugins.registry import Plugin
from benchmark.protocols import Protocol

SIZE = 64
"""Side of the checks' images, small and a multiple of most strides."""


class Subject:
    """The plugin that is checked.

    Raises:
        UserError: it cannot be found or imported.
    """

    def __init__(self, label: str) -> None:
        self.settings_before = global_settings.read()
        self.plugin: Plugin = registry.load("architectures", label)
        self.spec: ArchitectureSpec = self.plugin.spec
        self.changed_at_import = global_settings.changed(self.settings_before)
        global_settings.restore(self.settings_before)

    def build(self, *, channels: int = 3, size: tuple[int, int] = (SIZE, SIZE), seed: int = 0) -> Network:
        """A new network in eval mode with a little noise on its weights: zeros would hide what comes after them."""
        net = network.build(self.plugin, settings(channels, size), seed).eval()
        perturb(net, 0.02)
        return net

    @cached_property
    def network(self) -> Network:
        """The network with three channels and seed 0, in eval mode. Take a `copy` to change it."""
        return self.build()

    def copy(self) -> Network:
        """A network that may be changed."""
        return copy.deepcopy(self.network)

    def needs_parameters(self) -> None:
        """Skip the check for a network that has nothing to train.

        Raises:
            InapplicableError: there are no parameters, or all are frozen.
        """
        if network.parameter_count(self.network) == 0:
            raise InapplicableError("no parameters")
        if not any(parameter.requires_grad for parameter in self.network.parameters()):
            raise InapplicableError("all parameters are frozen")

    @cached_property
    def logits(self) -> Tensor:
        """The logits of `network` on `images()`: (2, 1, SIZE, SIZE)."""
        with torch.no_grad():
            return run(self.network, images())


def settings(channels: int, size: tuple[int, int], weights: str = "none") -> Protocol:
    """The default protocol with another shape of images."""
    return protocols.load(protocols.DEFAULT).override({"channels": channels, "image_size": size, "weights": weights})


def images(*, channels: int = 3, size: tuple[int, int] = (SIZE, SIZE)) -> Tensor:
    """Two images of noise, the same at every call: (2, channels, *size)."""
    return torch.randn(2, channels, *size, generator=torch.Generator().manual_seed(0))


def perturb(net: nn.Module, size: float, seed: int = 0) -> None:
    """Add noise to every parameter, the same for the same seed."""
    # Drawn once and repeated: drawing a number for each of 80 M parameters takes longer than a check.
    noise = torch.randn(65_537, generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for parameter in net.parameters():
            count = parameter.numel()
            parameter.add_(noise.repeat(count // len(noise) + 1)[:count].view(parameter.shape), alpha=size)


def run(net: nn.Module, batch: Tensor) -> Tensor:
    """The network's logits; dropout draws the same numbers at every call."""
    torch.manual_seed(0)
    logits: Tensor = net(batch)
    return logits


def loss(net: Network, batch: Tensor) -> Tensor:
    """Cross-entropy against the bright half of the images; if asked for, the network's own loss instead."""
    if net.own_loss:
        return net.loss_of(*net.outputs(batch, (batch[:, :1] > 0).float()))
    return F.binary_cross_entropy_with_logits(run(net, batch).float(), (batch[:, :1] > 0).float())


def finite(logits: Tensor, size: tuple[int, int], where: str = "") -> None:
    """Require logits of two images in finite float32.

    Raises:
        ContractError: they have another shape or type, or are not finite.
    """
    if logits.shape != (2, 1, *size):
        raise ContractError(f"logits are {tuple(logits.shape)}, not (2, 1, {size[0]}, {size[1]})")
    if logits.dtype != torch.float32 or not bool(logits.isfinite().all()):
        raise ContractError(f"logits are not finite float32{where}")


def same(first: Tensor, second: Tensor, message: str) -> None:
    """Require that both are finite and agree within 1e-4 of the largest logit.

    Raises:
        ContractError: `message`, with their largest difference; or a logit is not finite.
    """
    if not bool(first.isfinite().all() and second.isfinite().all()):
        raise ContractError(f"{message} (some are not finite numbers)")
    scale = float(second.abs().max()) or 1.0
    difference = float((first - second).abs().max())
    if not difference <= 1e-4 * scale:
        raise ContractError(f"{message} (by up to {difference:.2g})")
