"""Several processes that train one network together, one device each (PyTorch's DistributedDataParallel, torchrun).

    torchrun --nproc-per-node 4 -m benchmark run --arch unet

Alone, every method is the identity and costs nothing.
"""

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from benchmark.common.errors import UserError

_PATIENCE = datetime.timedelta(hours=2)  # the others wait while the first one decodes a dataset or validates


@dataclass(frozen=True, kw_only=True, slots=True)
class Peers:
    """This process among `count`; the first one validates, tests and writes."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this process is the one that speaks and writes."""
        return self.rank == 0

    def part(self, batch: Tensor) -> Tensor:
        """This process's images of a batch: consecutive, the parts differ by at most one image."""
        return batch.tensor_split(self.count)[self.rank]

    def wrap(self, network: nn.Module, *, unused: bool) -> nn.Module:
        """The network whose gradients are averaged over the processes; it shares the parameters.

        `unused`: some parameters may be left without gradient.

        Raises:
            UserError: batch norm on a CPU, where PyTorch cannot synchronise it.
        """
        if self.count == 1:
            return network
        norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
        if norms and next(network.parameters()).device.type == "cpu":
            raise UserError(
                "batch norm cannot be synchronised between processes on a CPU (PyTorch's SyncBatchNorm is for "
                "CUDA): run this network in one process"
            )
        own = [type(norm).__name__ for norm in norms if type(norm).__module__ != _BatchNorm.__module__]
        if own:  # PyTorch would put a plain one in its place, without what else it does
            raise UserError(f"{own[0]} cannot be synchronised between processes: run this network in one process")
        if norms:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        return nn.parallel.DistributedDataParallel(network, find_unused_parameters=unused)

    def total(self, value: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.count > 1:
            dist.all_reduce(value)
        return value

    def gathered(self, value: Tensor) -> Tensor:
        """(...) of this process -> (count, ...) of all."""
        if self.count == 1:
            return value.unsqueeze(0)
        parts = [torch.empty_like(value, device=_wire()) for _ in range(self.count)]
        dist.all_gather(parts, value.to(_wire()))
        return torch.stack(parts).to(value.device)

    def agreed(self, value: float) -> float:
        """The first one's value, for all."""
        if self.count == 1:
            return value
        box = torch.tensor(value, dtype=torch.float64, device=_wire())
        dist.broadcast(box, src=0)
        return float(box)


def _wire() -> str:
    """Where tensors must lie to be sent."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


ALONE = Peers()


def expected() -> int:
    """How many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def first() -> bool:
    """Whether this process speaks: the first of all machines."""
    return os.environ.get("RANK", "0") == "0"


def local_rank() -> int:
    """This process's number on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


@contextmanager
def joined(device: torch.device) -> Iterator[Peers]:
    """The processes that torchrun started, joined over NCCL (CUDA) or Gloo (CPU); this one alone without torchrun."""
    if expected() == 1:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    yield Peers(rank=dist.get_rank(), count=dist.get_world_size())
    # Not after an error: it would wait for the others, who wait for this process; torchrun ends them when it dies.
    dist.destroy_process_group()
