"""Everything that a training must remember to go on with the same bits: as tensors and notes for a checkpoint."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.training.distributed import Peers
from benchmark.training.steps import Steps


def seed_device(seed: int, peers: Peers) -> None:
    """Start torch's generators; each process has a stream of its own."""
    torch.manual_seed(seed + peers.rank)  # dropout


def seed_host(seed: int, epoch: int, peers: Peers) -> None:
    """Start Python's and NumPy's generators, from which a plugin may draw, anew in each epoch: nothing to remember."""
    mixed = int(np.random.SeedSequence([seed, epoch, peers.rank]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - the one that a plugin may draw from


def weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of parameters and buffers, those as well that a state dict leaves out."""
    return {name: value.detach().clone() for name, value in _live(network).items()}


def put_weights(network: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Bring such a copy back, into the memory and the strides that the network has."""
    with torch.no_grad():
        for name, value in _live(network).items():
            value.copy_(saved[name])


def fits(network: nn.Module, saved: Mapping[str, Tensor]) -> bool:
    """Whether the copy has the network's names and shapes."""
    live = {name: value.shape for name, value in _live(network).items()}
    return live == {name: value.shape for name, value in saved.items()}


def random_states(steps: Steps, peers: Peers, device: torch.device) -> dict[str, Tensor]:
    """The generators' states, of all processes (count, bytes) where each has its own."""
    tensors = {"order": steps.order.get_state(), "torch": peers.gathered(torch.get_rng_state())}
    if device.type == "cuda":
        tensors["device"] = peers.gathered(torch.cuda.get_rng_state(device))
    if device.type == "mps":
        tensors["device"] = torch.mps.get_rng_state().unsqueeze(0)
    return tensors


def put_random_states(tensors: Mapping[str, Tensor], steps: Steps, peers: Peers, device: torch.device) -> None:
    """Bring the generators back to where they were."""
    steps.order.set_state(tensors["order"])
    torch.set_rng_state(tensors["torch"][peers.rank].clone())  # torch reads from where the memory begins
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["device"][peers.rank].clone(), device)
    if device.type == "mps":
        torch.mps.set_rng_state(tensors["device"][0].clone())


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """`<number of the parameter>.<name>` -> tensor."""
    state: Mapping[int, Mapping[str, Any]] = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, entry in state.items() for name, value in entry.items()
            if isinstance(value, Tensor)}  # fmt: skip


def put_optimiser_tensors(optimiser: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Restore them with the strides of their parameters.

    A file holds tensors contiguously. PyTorch's fused Adam walks a parameter and its moments through memory side by
    side, so contiguous moments beside a channels-last parameter would be added, silently, to the wrong weights.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in saved.items():
        number, _, name = key.partition(".")
        parameter = parameters[int(number)]
        if value.shape == parameter.shape:
            value = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _live(network: nn.Module) -> dict[str, Tensor]:
    # Tied weights have several names; each holds the same values, so that no name is missing when they come back.
    return {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }
