"""Check what training needs: gradients, train and eval modes that agree, and a complete state dict."""

import fnmatch
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils.hooks import RemovableHandle

from benchmark.plugins.checks.networks import SIZE, Subject, images, loss, perturb, run, same
from benchmark.plugins.checks.outcome import ContractError
from benchmark.plugins.network import Network


def check_gradients(subject: Subject) -> None:
    """Every trainable parameter but those in `without_gradient` gets a gradient."""
    subject.needs_parameters()
    # Attention over a single position has nothing to learn: a network of large strides gets two positions.
    size = (SIZE, max(SIZE, 2 * subject.spec.size_multiple))
    net = (subject.copy() if size == (SIZE, SIZE) else subject.build(size=size)).train()
    parameters = dict(net.core.named_parameters())
    declared = {name for pattern in subject.spec.without_gradient for name in fnmatch.filter(parameters, pattern)}
    if parameters and declared == set(parameters):
        raise ContractError("without_gradient names every parameter")
    for pattern in subject.spec.without_gradient:
        if not fnmatch.filter(parameters, pattern):
            raise ContractError(f"without_gradient names {pattern}, but no parameter matches")
    missed = [name for name, one in parameters.items() if one.requires_grad and name not in declared]
    _still(net, images(size=size))  # a path that is dropped gets no gradient
    for attempt in range(4):  # a unit may be dead at one point, hardly at four
        net.zero_grad()
        with _WithoutDropout():
            loss(net, images(size=size)).backward()
        missed = [name for name in missed if not _has_gradient(parameters[name])]
        if not missed:
            return
        perturb(net, 0.05, seed=attempt + 1)
    raise ContractError(f"{missed[0]} gets no gradient: use it, freeze it, or name it in without_gradient")


def _has_gradient(parameter: nn.Parameter) -> bool:
    """Whether there is a gradient that is not zero everywhere, and finite."""
    return parameter.grad is not None and 0 < float(parameter.grad.abs().sum()) < math.inf


def check_modes(subject: Subject) -> None:
    """Train and eval mode differ by normalisation, and by what is drawn at random in training, only."""
    net = subject.copy().train()
    norm, dropout = nn.modules.batchnorm._NormBase, nn.modules.dropout._DropoutNd
    for module in net.modules():
        if isinstance(module, norm | dropout | nn.MultiheadAttention | nn.RNNBase):
            module.eval()
    _still(net, images())
    with torch.no_grad(), _WithoutDropout():
        logits = run(net, images())
    same(logits, subject.logits, "train() and eval() differ by more than normalisation and dropout")


def check_lasting_state(subject: Subject) -> None:
    """An eval pass changes neither parameters nor buffers, nor the next pass."""
    net = subject.copy()
    with torch.no_grad():
        run(net, images() + 1)
    before = subject.network.state_dict()
    changed = [name for name, value in net.state_dict().items() if not torch.equal(value, before[name])]
    if changed:
        raise ContractError(f"an eval pass changes {changed[0].removeprefix('core.')}")
    with torch.no_grad():
        same(run(net, images()), subject.logits, "an eval pass changes the logits of the next one")


def check_independent_images(subject: Subject) -> None:
    """In eval mode, the logits of an image do not depend on the other images of its batch."""
    with torch.no_grad():
        alone = torch.cat([run(subject.network, image[None]) for image in images()])
        among_others = run(subject.network, torch.cat([images(), images().flip(0) + 1]))[:2]
    for logits in (alone, among_others):
        same(logits, subject.logits, "in eval mode, the logits of an image depend on the other images of its batch")


def check_seeded(subject: Subject) -> None:
    """The same seed gives the same network."""
    with torch.no_grad():
        again = run(subject.build(), images())
    same(again, subject.logits, "two networks with the same seed differ: use only torch's global random generator")


def check_state_dict(subject: Subject) -> None:
    """Weights saved to a safetensors file and loaded into another network give the same logits."""
    subject.needs_parameters()
    other, net = subject.build(seed=1), subject.copy().train()
    with torch.no_grad():
        run(net, images() + 1)  # training may change only what is in the state dict
        expected = run(net.eval(), images())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        state = net.core.state_dict()
        save_file({name: value.clone().contiguous() for name, value in state.items()}, path)
        other.core.load_state_dict(load_file(path))
    with torch.no_grad():
        same(run(other, images()), expected, "a network that loads the state_dict of another gives different logits")


_DROPOUTS = (F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout)


class _WithoutDropout(TorchFunctionMode):
    """Switches off dropout that a network calls as a function, also inside attention.

    `look` is called after every function, with the state of torch's random generator before it.
    """

    def __init__(self, look: Callable[[Tensor], None] | None = None) -> None:
        super().__init__()
        self._look = look

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in _DROPOUTS:
            return args[0] if args else kwargs["input"]
        if func is F.scaled_dot_product_attention:
            args, kwargs = args[:4], {**kwargs, "dropout_p": 0.0}
        if self._look is None:
            return func(*args, **kwargs)
        before = torch.get_rng_state()
        try:
            return func(*args, **kwargs)
        finally:
            self._look(before)


def _still(net: Network, batch: Tensor) -> None:
    """Put every module that draws random numbers in train mode into eval mode: DropPath, noise, whoever wrote them."""
    drawing: set[nn.Module] = set()
    hooks = _Running(drawing).attach(net)
    with torch.no_grad(), _WithoutDropout(hooks.look):
        run(net, batch)
    hooks.detach()
    for module in drawing:
        module.training = False  # not that of its parts


class _Running:
    """Notes which module is running while torch's random generator moves."""

    def __init__(self, drawing: set[nn.Module]) -> None:
        self._drawing = drawing
        self._stack: list[nn.Module] = []
        self._hooks: list[RemovableHandle] = []

    def attach(self, net: nn.Module) -> "_Running":
        """Follow the forward passes of all modules of a network."""
        for module in net.modules():
            self._hooks.append(module.register_forward_pre_hook(lambda module, _: self._stack.append(module)))
            self._hooks.append(module.register_forward_hook(lambda *_: self._leave(), always_call=True))
        return self

    def detach(self) -> None:
        """Follow no more."""
        for hook in self._hooks:
            hook.remove()

    def look(self, before: Tensor) -> None:
        """Note the innermost running module if the generator is no longer in the state `before`."""
        if self._stack and not torch.equal(before, torch.get_rng_state()):
            self._drawing.add(self._stack[-1])

    def _leave(self) -> None:
        self._stack.pop()
