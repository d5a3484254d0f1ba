"""How a training step is executed. The arithmetic is the same; only its rounding and its speed may differ."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from benchmark.common.errors import UserError, first_line
from benchmark.protocols import Protocol
from benchmark.training.hardware import Hardware

Mode: TypeAlias = Literal["eager", "graph", "compiled"]
MODES = ("auto", "eager", "graph", "compiled")

_WARM_UP = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Execution:
    """`micro_batch`: images whose gradients are computed at a time; the sum over the batch is the protocol's."""

    mode: Mode = "eager"
    micro_batch: int | None = None


EAGER = Execution()


def choose(
    wanted: str,
    hardware: Hardware,
    protocol: Protocol,
    *,
    micro_batch: int | None,
    resident: bool = True,
) -> Execution:
    """The execution for `--execution`.

    "auto" is eager. On a CPU compiling costs tens of seconds and did not pay (results/speed); on CUDA no measurement
    says yet from which size on a graph or a compilation pays: that constant is to come from one (docs/gpu.md).

    Raises:
        UserError: no such execution, or not one for this device.
    """
    if micro_batch is not None and hardware.devices > 1:
        raise UserError("--micro-batch is for one process; with more processes each takes a smaller part of a batch")
    if wanted not in MODES:
        raise UserError(f"no execution '{wanted}'; use {', '.join(MODES)}")
    micro_batch = effective_micro_batch(micro_batch, protocol)
    whole = hardware.devices == 1 and micro_batch is None
    recordable = whole and hardware.device.type == "cuda" and resident and protocol.optimiser != "sgd"
    if wanted == "graph" and not recordable:
        raise UserError(
            "--execution graph is for one CUDA device that holds the data, Adam or AdamW, and whole batches; use eager"
        )
    if wanted == "compiled" and not whole:
        raise UserError("--execution compiled is for one process and whole batches; use eager")
    mode: Mode = "graph" if wanted == "graph" else "compiled" if wanted == "compiled" else "eager"
    return Execution(mode=mode, micro_batch=micro_batch)


def effective_micro_batch(micro_batch: int | None, protocol: Protocol) -> int | None:
    """None where it would be the whole batch."""
    return micro_batch if micro_batch is not None and micro_batch < protocol.batch_size else None


Step: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(indices (n,), time offsets (n, 1)) -> loss (), with the parameters updated."""


class ExecutionError(UserError):
    """This network cannot be executed so. The process in which it was tried must not go on."""


class GraphedStep:
    """A step of a full batch, recorded once as a CUDA graph and replayed; other batches are executed as they come.

    The first steps are executed on a side stream, as PyTorch's notes on CUDA graphs ask for: they are part of the
    training, so nothing is computed twice. A graph repeats what was launched, not what Python did: a network that
    draws from Python's, NumPy's or the CPU's generator, or looks at its values, is refused. One that counts its steps
    in Python is not noticed; a counter must be a buffer.
    """

    def __init__(self, step: Step, batch_size: int) -> None:
        self._step, self._batch_size = step, batch_size
        self._graph: torch.cuda.CUDAGraph | None = None
        self._side: torch.cuda.Stream | None = None
        self._executed = 0

    def __call__(self, indices: Tensor, offsets: Tensor) -> Tensor:
        """One step; the loss is valid until the next one.

        Raises:
            ExecutionError: a step cannot be recorded.
        """
        if len(indices) != self._batch_size:
            return self._step(indices, offsets)
        if self._executed < _WARM_UP:
            self._executed += 1
            return self._aside(indices, offsets)
        if self._graph is None:
            self._graph = self._record(indices, offsets)
        self._indices.copy_(indices)
        self._offsets.copy_(offsets)
        self._graph.replay()
        return self._loss

    def _aside(self, indices: Tensor, offsets: Tensor) -> Tensor:
        # One for all: what a stream has freed no other stream can use, and a step may take most of the memory.
        stream = self._side = self._side or torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            loss = self._step(indices, offsets)
        torch.cuda.current_stream().wait_stream(stream)
        return loss

    def _record(self, indices: Tensor, offsets: Tensor) -> "torch.cuda.CUDAGraph":
        self._indices, self._offsets = indices.clone(), offsets.clone()
        graph = torch.cuda.CUDAGraph()
        before = _host_randomness()
        try:
            with torch.cuda.graph(graph):
                self._loss = self._step(self._indices, self._offsets)
        except RuntimeError as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            cause = error.__context__ or error  # what ended the recording comes after what broke it
            raise ExecutionError(
                f"a step cannot be recorded as a CUDA graph ({_line(cause)}): use --execution eager"
            ) from error
        if _host_randomness() != before:
            raise ExecutionError(
                "a step draws random numbers on the host, which a CUDA graph would repeat: use --execution eager"
            )
        return graph


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
            raise ExecutionError(f"it cannot be compiled here ({_line(error)}): use --execution eager") from error
        return result

    return forward


def _line(error: BaseException) -> str:
    return first_line(error) or type(error).__name__


def _host_randomness() -> tuple[object, ...]:
    _, keys, position, *_ = np.random.get_state()  # noqa: NPY002 - the one that a plugin may draw from
    return random.getstate(), bytes(np.asarray(keys)), position, bytes(torch.get_rng_state().numpy())
