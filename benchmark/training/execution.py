"""Execute a training step eagerly or compiled, on the whole batch at once or in micro-batches.

The arithmetic is the same; only its rounding and its speed may differ.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast, get_args

import torch
from torch import Tensor

from benchmark.common.errors import UserError, first_line
from benchmark.protocols import Protocol

Mode: TypeAlias = Literal["eager", "compiled"]
MODES: tuple[str, ...] = get_args(Mode)


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """`micro_batch`: images whose gradients are computed at a time; they are summed over the protocol's batch."""

    mode: Mode = "eager"
    micro_batch: int | None = None


EAGER = Execution()


class ExecutionError(UserError):
    """The compiler refuses this network. The process in which it was tried must not go on."""


def choose(mode: str, protocol: Protocol, *, micro_batch: int | None) -> Execution:
    """The execution that `--execution` and `--micro-batch` ask for.

    Raises:
        UserError: there is no such execution, or it does not go with micro-batches.
    """
    if mode not in MODES:
        raise UserError(f"no execution '{mode}'; use {' or '.join(MODES)}")
    micro_batch = effective_micro_batch(micro_batch, protocol)
    if mode == "compiled" and micro_batch is not None:
        raise UserError("--execution compiled needs whole batches; leave out --micro-batch, or use --execution eager")
    return Execution(mode=cast(Mode, mode), micro_batch=micro_batch)


def effective_micro_batch(micro_batch: int | None, protocol: Protocol) -> int | None:
    """The micro-batch, or None where it would be the whole batch."""
    return micro_batch if micro_batch is not None and micro_batch < protocol.batch_size else None


def compiled(network: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The network through torch.compile.

    Calling it raises:
        ExecutionError: the compiler refuses, or there is none.
    """
    fast = torch.compile(network, dynamic=False)

    def forward(images: Tensor) -> Tensor:
        try:
            result: Tensor = fast(images)
        except Exception as error:
            if not type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
                raise
            reason = first_line(error) or type(error).__name__
            raise ExecutionError(f"the network cannot be compiled here ({reason}): use --execution eager") from error
        return result

    return forward
