"""Build an architecture plugin's network for images of any size, and count its parameters and operations."""

import copy
import inspect
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.parameter import UninitializedParameter
from torch.utils.flop_counter import FlopCounterMode

from benchmark.common.errors import UserError, first_line
from benchmark.contract import ArchitectureSpec
from benchmark.plugins import blame, parameters
from benchmark.plugins.registry import Plugin
from benchmark.protocols import Protocol


class Network(nn.Module):
    """Pads images at the right and bottom to the architecture's size multiple, and crops its logits.

    (N, C, H, W) float -> (N, 1, H, W). The border is repeated, because black would mean silence. `own_loss` is the
    plugin's loss if the network is to train with it. Of the outputs of a training pass, `side_outputs` says, the first
    are the logits.
    """

    def __init__(
        self,
        core: nn.Module,
        size_multiple: int,
        label: str,
        *,
        own_loss: Callable[[Any, Tensor], Tensor] | None = None,
        side_outputs: bool = False,
    ) -> None:
        super().__init__()
        self.core = core
        self.size_multiple = size_multiple
        self.label = label
        self.own_loss = own_loss
        self.side_outputs = side_outputs

    def outputs(self, image: Tensor, mask: Tensor) -> tuple[Any, Tensor]:
        """All that the architecture returns of the padded images, and the masks (N, 1, H, W) padded alike."""
        return self.core(self._padded(image)), self._padded(mask)

    def loss_of(self, outputs: Any, mask: Tensor) -> Tensor:
        """The plugin's own loss, of outputs in 32 bits.

        Raises:
            UserError: it is not one number that depends on the outputs.
        """
        assert self.own_loss is not None
        found: object = self.own_loss(_in_32_bits(outputs), mask)
        if not isinstance(found, Tensor) or found.numel() != 1 or not found.requires_grad:
            what = f"a tensor of {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
            raise UserError(f"{self.label}: loss() returns {what}; it must be one number that depends on the outputs")
        return found.reshape(())

    def _padded(self, image: Tensor) -> Tensor:
        down, right = (-size % self.size_multiple for size in image.shape[-2:])
        return F.pad(image, (0, right, 0, down), mode="replicate") if down or right else image

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the padded image, cropped.

        Raises:
            UserError: the architecture's logits are not (N, 1, H, W).
        """
        height, width = image.shape[-2:]
        image = self._padded(image)
        logits: object = self.core(image)
        if self.training and self.side_outputs and isinstance(logits, list | tuple):
            logits = logits[0]
        expected = (len(image), 1, *image.shape[-2:])
        if not isinstance(logits, Tensor):
            raise UserError(f"{self.label}: forward() returns {_instead(logits)}")
        if logits.shape != expected:
            raise UserError(
                f"{self.label}: forward() returns logits of {tuple(logits.shape)}; they must be {expected}"
                f"{_reshaped(logits, expected)}"
            )
        if not logits.is_floating_point() or logits.layout != torch.strided or logits.device != image.device:
            raise UserError(
                f"{self.label}: forward() returns logits of {logits.dtype}, {logits.layout}, on {logits.device}; they "
                f"must be dense floats on {image.device}"
            )
        return logits[..., :height, :width]


def _in_32_bits(outputs: Any) -> Any:
    if isinstance(outputs, Tensor):
        return outputs.float()
    if isinstance(outputs, Mapping):
        return {name: _in_32_bits(value) for name, value in outputs.items()}
    return [_in_32_bits(value) for value in outputs] if isinstance(outputs, list | tuple) else outputs


def _instead(output: object) -> str:
    """What a forward pass returned in place of logits, and how to return the logits."""
    kind = type(output).__name__
    if isinstance(output, Mapping):  # of torchvision, or an output of transformers
        names = [str(name) for name in output]
        name = next((name for name in ("out", "logits") if name in names), names[0] if names else "")
        return f"a {kind} ({', '.join(names)}), not a tensor of logits: return its ['{name}']"
    if isinstance(output, list | tuple):
        return f"a {kind} of {len(output)}, not a tensor of logits: return the one that is the final map, e.g. its [0]"
    if hasattr(output, "logits"):
        return f"a {kind}, not a tensor of logits: return its .logits"
    return f"a {kind}, not a tensor of logits"


def _reshaped(logits: Tensor, expected: tuple[int, ...]) -> str:
    """How to make the logits that are wanted from those of another shape; empty if that is not plain."""
    count, _, height, width = expected
    if logits.shape == (count, height, width):
        return ": add .unsqueeze(1)"
    if logits.ndim != 4 or len(logits) != count:
        return ""
    if logits.shape[1] == 2:
        return ": of two classes, return logits[:, 1:] - logits[:, :1]"
    if logits.shape[1] > 2:
        return f": it has {logits.shape[1]} classes; build it with one"
    return ": enlarge them with torch.nn.functional.interpolate(logits, size=image.shape[-2:], mode='bilinear')"


def build(plugin: Plugin, protocol: Protocol, seed: int) -> Network:
    """The plugin's network, seeded, with the weights that the protocol asks for.

    Raises:
        UserError: the pretrained weights cannot be loaded, or `build` does not give a network.
    """
    spec: ArchitectureSpec = plugin.spec
    pretrained = starts_pretrained(spec, protocol)
    torch.manual_seed(seed)
    arguments = _arguments(plugin, protocol, pretrained=pretrained)
    try:
        with _weights_only():
            core: object = spec.build(**arguments)
    except TypeError as error:
        if blame.place(error, plugin.source):
            raise
        raise UserError(f"{plugin.label}: build cannot be called: {error}") from error
    except (OSError, EOFError, RuntimeError, SafetensorError, pickle.UnpicklingError) as error:
        if not pretrained:
            raise
        text = first_line(error) or type(error).__name__
        raise UserError(
            f"the weights of {plugin.label} ({spec.pretrained}) cannot be loaded: {text}; put the file where "
            f"TORCH_HOME or HF_HOME points, or train from random weights: --arch {plugin.name}:weights=none, or "
            "--weights none for all entries (another table)"
        ) from error
    if not isinstance(core, nn.Module):
        raise UserError(f"{plugin.label}: build() returns a {type(core).__name__}, not a torch.nn.Module")
    if type(core).forward is nn.Module.forward:
        raise UserError(f"{plugin.label}: {type(core).__name__} has no forward(); write forward(self, image)")
    if any(isinstance(parameter, UninitializedParameter) for parameter in core.parameters()):
        raise UserError(f"{plugin.label} has lazy layers, whose sizes are unknown when it is built: state their sizes")
    own = spec.loss if parameters.wants_own_loss(plugin.parameters, spec) else None
    return Network(core, spec.size_multiple, plugin.label, own_loss=own, side_outputs=spec.loss is not None)


@contextmanager
def _weights_only() -> Iterator[None]:
    """Let torch.load read only tensors meanwhile, whatever a library asks for.

    torchvision's files are pickles, torch.hub reads them with weights_only=False, and it compares their hash only when
    it downloads them: a file that somebody put into TORCH_HOME would run.
    """
    name = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
    before = os.environ.get(name)
    os.environ[name] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def starts_pretrained(spec: ArchitectureSpec, protocol: Protocol) -> bool:
    """Whether the protocol asks for pretrained weights and the architecture has some."""
    return protocol.weights == "pretrained" and spec.pretrained is not None


def weights(spec: ArchitectureSpec, protocol: Protocol) -> str:
    """The weights that a run starts from, in words."""
    return str(spec.pretrained) if starts_pretrained(spec, protocol) else "random"


def parameter_count(module: nn.Module) -> int:
    """Number of parameters, trained or not."""
    return sum(parameter.numel() for parameter in module.parameters())


def gigaflops(network: Network, protocol: Protocol) -> float:
    """1e9 floating-point operations of one forward image: 2 x multiply-adds of convolutions and matrix products.

    Counted on the meta device, which computes nothing; with a real image if the network depends on the values.
    """
    if parameter_count(network) == 0:
        return 0.0
    try:
        return _count(copy.deepcopy(network).to("meta"), protocol, "meta")
    except Exception:
        return _count(copy.deepcopy(network), protocol, "cpu")


def _count(network: Network, protocol: Protocol, device: str) -> float:
    image = torch.zeros(1, protocol.channels, *protocol.image_size, device=device)
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        network.eval()(image)
    return counter.get_total_flops() / 1e9


def sketch(plugin: Plugin, protocol: Protocol) -> nn.Module:
    """The network on the meta device, without the values of its weights: enough to count them, and fast."""
    arguments = _arguments(plugin, protocol, pretrained=False)
    try:
        with torch.device("meta"):
            core: nn.Module = plugin.spec.build(**arguments)
    except Exception:  # it computes with its weights while it is built
        core = plugin.spec.build(**arguments)
    return core


def _arguments(plugin: Plugin, protocol: Protocol, *, pretrained: bool) -> Mapping[str, Any]:
    arguments: dict[str, Any] = {"in_channels": protocol.channels, "pretrained": pretrained}
    try:
        if isinstance(plugin.spec.build, nn.Module):
            raise TypeError("it is a network; give the class or function that makes one")
        arguments |= parameters.own_parameters(plugin.parameters, plugin.spec.build)
        if "image_size" in parameters.accepted(plugin.spec.build):
            multiple = plugin.spec.size_multiple
            arguments["image_size"] = tuple(size + -size % multiple for size in protocol.image_size)
        inspect.signature(plugin.spec.build).bind(**arguments)
    except (TypeError, ValueError) as error:
        raise UserError(f"{plugin.label}: build(*, in_channels, pretrained, ...) cannot be called: {error}") from error
    return arguments
