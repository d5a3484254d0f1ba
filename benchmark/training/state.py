"""Everything that a resumed training needs to end with the same bits, as tensors for a checkpoint."""

import random
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.training.steps import Steps


def seed_epoch(seed: int, epoch: int) -> None:
    """Start Python's and NumPy's generators anew, so a checkpoint need not store them; a plugin may draw from them."""
    mixed = int(np.random.SeedSequence([seed, epoch, 0]).generate_state(1)[0])
    random.seed(mixed)
    np.random.seed(mixed)  # noqa: NPY002 - the generator that a plugin may draw from


def weights(network: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers, including the buffers that a state dict leaves out."""
    return {name: value.detach().clone() for name, value in _live(network).items()}


def put_weights(network: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Copy saved weights back, into the memory and the strides that the network has."""
    with torch.no_grad():
        for name, value in _live(network).items():
            value.copy_(saved[name])


def fits(network: nn.Module, saved: Mapping[str, Tensor]) -> bool:
    """Whether the saved weights have the network's names and shapes."""
    live = {name: value.shape for name, value in _live(network).items()}
    return live == {name: value.shape for name, value in saved.items()}


def random_states(steps: Steps, device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators."""
    tensors = {"order": steps.order.get_state(), "torch": torch.get_rng_state()}
    if device.type == "cuda":
        tensors["device"] = torch.cuda.get_rng_state(device)
    if device.type == "mps":
        tensors["device"] = torch.mps.get_rng_state()
    return tensors


def put_random_states(tensors: Mapping[str, Tensor], steps: Steps, device: torch.device) -> None:
    """Set torch's generators to saved states."""
    steps.order.set_state(tensors["order"])
    torch.set_rng_state(tensors["torch"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(tensors["device"], device)
    if device.type == "mps":
        torch.mps.set_rng_state(tensors["device"])


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's tensors by `<number of the parameter>.<name>`."""
    state: Mapping[int, Mapping[str, Any]] = optimiser.state_dict()["state"]
    return {f"{number}.{name}": value for number, entry in state.items() for name, value in entry.items()
            if isinstance(value, Tensor)}  # fmt: skip


def put_optimiser_tensors(optimiser: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Restore the optimiser's tensors with the strides of their parameters.

    A file holds tensors contiguously. PyTorch's fused Adam walks a parameter and its moments through memory in
    parallel, so it would silently add contiguous moments to the wrong weights of a channels-last parameter.
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
    # Tied weights stand under each of their names, so no name is missing when they are copied back.
    return {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }
