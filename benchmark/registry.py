"""Finds plugins by their file names; imports only the one that is asked for.

A plugin is a file `architectures/<name>.py` or `datasets/<name>.py`: in this repository, in a folder that the user
names (`--plugins DIR`, `BENCH_PLUGINS`), or in an installed package that announces it by an entry point of the group
`benchmark.architectures` or `benchmark.datasets`. Looking for names runs no plugin code, so that a broken plugin never
hides the others.
"""

import ast
import hashlib
import importlib
import importlib.util
import inspect
import os
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_type_hints

import benchmark
from benchmark.contract import ArchitectureSpec, DatasetSpec
from benchmark.errors import UserError, nearest

Kind = Literal["architectures", "datasets"]

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_SPECS: Mapping[Kind, tuple[str, type]] = {
    "architectures": ("ARCHITECTURE", ArchitectureSpec),
    "datasets": ("DATASET", DatasetSpec),
}
# What the core itself passes to a plugin: no user parameter.
_RESERVED: Mapping[Kind, frozenset[str]] = {
    "architectures": frozenset({"in_channels", "pretrained", "image_size"}),
    "datasets": frozenset({"root"}),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A loaded plugin with the parameters that were asked for (those at their default are left out)."""

    kind: Kind
    name: str
    parameters: Mapping[str, Any]
    spec: Any
    source: Path
    code: bytes
    """The file as it was when it was loaded."""

    @property
    def label(self) -> str:
        """`unet` or `unet:depth=4,width=32`: one spelling for one configuration."""
        return label(self.name, self.parameters)

    @property
    def source_hash(self) -> str:
        """SHA-256 of the plugin's code without comments, layout and docstrings."""
        return hash_code(self.code)


def label(name: str, parameters: Mapping[str, Any]) -> str:
    """The row's name: `unet:width=32`, parameters in alphabetical order."""
    if not parameters:
        return name
    return name + ":" + ",".join(f"{key}={_text(parameters[key])}" for key in sorted(parameters))


def find(kind: Kind) -> dict[str, str]:
    """Every plugin of a kind: name -> module to import, in alphabetical order. Imports none of them.

    Raises:
        UserError: two plugins share a name, or a folder of the user's cannot hold plugins.
    """
    _check_folders(kind)
    found: dict[str, tuple[str, str]] = {}
    places = [
        (path.stem, f"benchmark.{kind}.{path.stem}", str(path))
        for root in benchmark.__path__
        for path in sorted((Path(root) / kind).glob("*.py"))
        if _NAME.fullmatch(path.stem)
    ]
    places += [
        (entry.name, entry.module, f"entry point {entry.value}") for entry in entry_points(group=f"benchmark.{kind}")
    ]
    for name, module, place in places:
        known = found.get(name)
        if known is not None and known[1] != place:
            raise UserError(f"two {kind} are called '{name}': {known[1]} and {place}; rename one of them")
        found[name] = (module, place)
    return {name: module for name, (module, _) in sorted(found.items())}


def is_name(text: str) -> bool:
    """Whether a plugin, and so its file, may be called this."""
    return _NAME.fullmatch(text) is not None


def add_folder(folder: Path) -> None:
    """Take plugins from a folder laid out like ours, `architectures/*.py` and `datasets/*.py`; workers see it too.

    Raises:
        UserError: it has neither.
    """
    if not any((folder / kind).is_dir() for kind in _SPECS):
        raise UserError(f"{folder} has no folder architectures/ or datasets/; put your plugin file into one of them")
    root = str(folder.resolve())
    known = [path for path in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep) if path]
    os.environ["BENCH_PLUGINS"] = os.pathsep.join(dict.fromkeys([*known, root]))
    if root not in benchmark.__path__:
        benchmark.__path__.append(root)


def load(kind: Kind, text: str) -> Plugin:
    """Import a plugin: "unet" or "unet:width=32,depth=4", parameter values parsed by their annotations.

    Raises:
        UserError: unknown name or parameter, a value of the wrong type, or a file that cannot be imported; the last
            names file and line.
    """
    name, colon, given = text.partition(":")
    known = find(kind)
    if name not in known:
        ignored = [path for root in benchmark.__path__ if (path := Path(root) / kind / f"{name}.py").is_file()]
        if ignored:
            raise UserError(f"rename {ignored[0]}: a plugin's name has lower-case letters, digits and _ only")
        raise UserError(f"no {singular(kind)} '{name}'{nearest(name, known)}; there are: {', '.join(known)}")
    module = _import(known[name])
    attribute, wanted = _SPECS[kind]
    spec = getattr(module, attribute, None)
    if not isinstance(spec, wanted):
        raise UserError(f"{module.__file__} must end with {attribute} = {wanted.__name__}(...)")
    parameters = _parse(kind, text, given, _builder(spec)) if colon else {}
    if isinstance(spec, ArchitectureSpec) and spec.resolve is not None:
        spec = spec.resolve(parameters)
    if isinstance(spec, ArchitectureSpec) and parameters:
        spec = replace(spec, reported=())  # published is the plugin as it stands, not any other size of it
    source = Path(inspect.getfile(module))
    return Plugin(kind=kind, name=name, parameters=parameters, spec=spec, source=source, code=source.read_bytes())


def hash_code(code: bytes) -> str:
    """SHA-256 of Python code without what does not run: comments, layout, docstrings."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_docstring(part)]  # type: ignore[attr-defined]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def accepted(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a plugin's `build` or `load` by name."""
    return inspect.signature(function).parameters


def defaults(plugin: Plugin) -> dict[str, Any]:
    """The parameters that a user may set, at the values that they have unless set."""
    known = accepted(_builder(plugin.spec))
    return {name: known[name].default for name in known if name not in _RESERVED[plugin.kind]}


def _check_folders(kind: Kind) -> None:
    for folder in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep):
        if folder and not any((Path(folder) / name).is_dir() for name in _SPECS):
            raise UserError(f"BENCH_PLUGINS: {folder} has no folder architectures/ or datasets/")
    for root in benchmark.__path__:
        if (Path(root) / kind / "__init__.py").exists():
            raise UserError(f"remove {Path(root) / kind / '__init__.py'}: it would hide the plugins of other folders")


def place(error: Exception, source: Path | None = None) -> str:
    """` (file, line N)` where a plugin failed: the innermost line in a folder of plugins, or where its syntax ends."""
    if isinstance(error, SyntaxError):
        return f" ({error.filename}, line {error.lineno})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent.name in _SPECS or frame.filename == str(source)
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def _builder(spec: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = spec.build if isinstance(spec, ArchitectureSpec) else spec.load
    return function


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:
        what = error.msg if isinstance(error, SyntaxError) else error
        where = place(error, _source(name))
        raise UserError(f"{name} cannot be imported: {type(error).__name__}: {what}{where}") from error


def _source(name: str) -> Path | None:
    """The file of a module that may be broken; None where even its package is."""
    try:
        spec = importlib.util.find_spec(name)
    except Exception:
        return None
    return Path(spec.origin) if spec and spec.origin else None


def _parse(kind: Kind, text: str, given: str, function: Callable[..., Any]) -> dict[str, Any]:
    from pydantic import TypeAdapter, ValidationError

    target = function.__init__ if inspect.isclass(function) else function
    hints = get_type_hints(target)
    known = {name: parameter for name, parameter in accepted(function).items() if name not in _RESERVED[kind]}
    parameters = {}
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


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def singular(kind: Kind) -> str:
    """The word for one of a kind."""
    return {"architectures": "architecture", "datasets": "dataset"}[kind]
