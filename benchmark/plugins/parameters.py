"""The parameters of a plugin: `width` and `depth` in the label `unet:depth=4,width=32`."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal, get_type_hints

from benchmark.common.errors import UserError, nearest
from benchmark.contract import ArchitectureSpec

_WEIGHTS, _LOSS = "weights", "loss"
_ADDED: Mapping[str, Any] = {_WEIGHTS: Literal["none"], _LOSS: Literal["own"]}
"""The parameters that the core adds to architectures, and their values."""


def label(name: str, parameters: Mapping[str, Any]) -> str:
    """The name of a configuration: `unet:width=32`, parameters in alphabetical order."""
    if not parameters:
        return name
    return name + ":" + ",".join(f"{key}={_text(parameters[key])}" for key in sorted(parameters))


def parse(text: str, given: str, spec: Any) -> dict[str, Any]:
    """The values in `given` ("width=32,depth=4") by their annotations; those at their default are left out.

    Raises:
        UserError: an unknown parameter, or a value of the wrong type; the message quotes the whole label, `text`.
    """
    from pydantic import TypeAdapter, ValidationError

    known, hints = _taken(spec)
    parameters: dict[str, Any] = {}
    for part in given.split(","):
        key, equals, value = part.partition("=")
        if key not in known:
            takes = ", ".join(known) or "no parameters"
            raise UserError(f"'{text}': unknown parameter '{key}'{nearest(key, known)}; it takes {takes}")
        if not equals:
            raise UserError(f"'{text}': parameter '{key}' has no value; write {key}=VALUE")
        try:
            parsed = TypeAdapter(hints.get(key, str)).validate_strings(value)
        except ValidationError as error:
            raise UserError(f"'{text}': {key} = '{value}': {error.errors()[0]['msg'].lower()}") from error
        if parsed != known[key].default:
            parameters[key] = parsed
    return parameters


def resolved(spec: ArchitectureSpec, parameters: Mapping[str, Any], text: str) -> ArchitectureSpec:
    """The spec of an architecture with these parameters.

    Published numbers belong to the plugin at its defaults, not to another size.

    Raises:
        UserError: `weights=none` of a plugin without pretrained weights, `loss=own` of one without a loss.
    """
    own = own_parameters(parameters, spec.build)
    if spec.resolve is not None:
        spec = spec.resolve(own)
        if not isinstance(spec, ArchitectureSpec):
            raise TypeError(f"resolve() returns a {type(spec).__name__}, not an ArchitectureSpec")
    if not parameters:
        return spec
    spec = replace(spec, reported=())
    added = parameters.keys() - own.keys()
    if _LOSS in added and spec.loss is None:
        raise UserError(f"'{text}': it has no loss of its own; leave out {_LOSS}=own")
    if _WEIGHTS in added and spec.pretrained is None:
        raise UserError(f"'{text}': it has no pretrained weights; leave out {_WEIGHTS}=none")
    return replace(spec, pretrained=None, licence=None) if _WEIGHTS in added else spec


def wants_own_loss(parameters: Mapping[str, Any], spec: ArchitectureSpec) -> bool:
    """Whether the architecture trains with the loss of its plugin."""
    return _LOSS in parameters.keys() - own_parameters(parameters, spec.build).keys()


def accepted(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a plugin's `build` or `load` by name."""
    return inspect.signature(function).parameters


def own_parameters(parameters: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    """The parameters that the plugin takes: without those that the core adds, if the plugin has none of that name."""
    return {name: value for name, value in parameters.items() if name not in _ADDED or name in accepted(function)}


def defaults(spec: Any) -> dict[str, Any]:
    """The parameters that a user may set, at their defaults."""
    return {name: parameter.default for name, parameter in _free(spec).items()}


def _free(spec: Any) -> dict[str, inspect.Parameter]:
    """The parameters of a plugin without those that the core passes itself."""
    reserved = ("in_channels", "pretrained", "image_size") if isinstance(spec, ArchitectureSpec) else ("root",)
    return {name: parameter for name, parameter in accepted(_builder(spec)).items() if name not in reserved}


def _taken(spec: Any) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """The parameters that a user may give, and the types of their values."""
    function = _builder(spec)
    hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    known = _free(spec)
    if isinstance(spec, ArchitectureSpec):
        for name, there in ((_WEIGHTS, spec.pretrained or spec.resolve), (_LOSS, spec.loss)):
            if there and name not in known:
                known[name] = inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None)
                hints[name] = _ADDED[name]
    return known, hints


def _builder(spec: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = spec.build if isinstance(spec, ArchitectureSpec) else spec.load
    return function


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
