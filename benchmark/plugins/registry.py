"""Finds plugins by their file names; imports only the one that is asked for.

A plugin is a file `architectures/<name>.py` or `datasets/<name>.py`: in this repository, in a folder that the user
names (`--plugins DIR`, `BENCH_PLUGINS`), or in an installed package that announces it by an entry point of the group
`benchmark.architectures` or `benchmark.datasets`. Looking for names runs no plugin code, so that a broken plugin never
hides the others.
"""

import contextlib
import functools
import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, distributions, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_type_hints

import benchmark
from benchmark.common.errors import UserError, first_line, nearest
from benchmark.contract import ArchitectureSpec, DatasetSpec
from benchmark.plugins import guard, loading, source

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

_WEIGHTS = "weights"
"""The parameter that the core adds to architectures."""
_ADDED = inspect.Parameter(_WEIGHTS, inspect.Parameter.KEYWORD_ONLY, default=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A loaded plugin with the parameters that were asked for (those at their default are left out)."""

    kind: Kind
    name: str
    parameters: Mapping[str, Any]
    spec: Any
    source: Path
    code: bytes
    """The file as it was compiled: what ran."""
    modules: Mapping[str, bytes]
    """The same of the modules that it has of its own, by their dotted names."""

    @property
    def label(self) -> str:
        """`unet` or `unet:depth=4,width=32`: one spelling for one configuration."""
        return label(self.name, self.parameters)

    @property
    def source_hash(self) -> str:
        """SHA-256 of the plugin's code, and of its own modules', without comments, layout and docstrings."""
        return source.hash_code(self.code, self.modules)


def label(name: str, parameters: Mapping[str, Any]) -> str:
    """The row's name: `unet:width=32`, parameters in alphabetical order."""
    if not parameters:
        return name
    return name + ":" + ",".join(f"{key}={_text(parameters[key])}" for key in sorted(parameters))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a plugin was found: the module to import, and where that is, in words."""

    module: str
    words: str


def find(kind: Kind) -> list[str]:
    """The names of every plugin of a kind, in alphabetical order. Imports none of them.

    Raises:
        UserError: a folder of the user's cannot hold plugins.
    """
    return sorted(_places(kind))


def _places(kind: Kind) -> dict[str, list[_Place]]:
    """Every plugin's name -> where it was found; more than one place is an error when it is loaded."""
    _check_folders(kind)
    places = [
        (path.stem, _Place(module=f"benchmark.{kind}.{path.stem}", words=str(path)))
        for root in benchmark.__path__
        for path in sorted((Path(root) / kind).glob("*.py"))
        if is_name(path.stem)
    ]
    places += [(entry.name, entry.place) for entry in _entry_points(kind)]
    found: dict[str, list[_Place]] = {}
    for name, place in dict.fromkeys(places):
        found.setdefault(name, []).append(place)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class _Entry:
    """What a package announces; `wrong` says why it can be no plugin."""

    name: str
    place: _Place
    wrong: str = ""


def damaged(kind: Kind) -> list[str]:
    """Entry points that can be no plugin, a line for each: they are not found, and hide no other."""
    return [f"{entry.place.words}: {entry.wrong}" for entry in _announced(kind, tuple(sys.path)) if entry.wrong]


def _entry_points(kind: Kind) -> list[_Entry]:
    return [entry for entry in _announced(kind, tuple(sys.path)) if not entry.wrong]


@functools.lru_cache
def _announced(kind: Kind, _path: tuple[str, ...]) -> Sequence[_Entry]:
    """Looking through all installed packages takes a while; they stay what they are as long as the path does."""
    group = f"benchmark.{kind}"
    try:
        found = list(entry_points(group=group))
    except Exception:  # one package's list is damaged
        found = []
        for distribution in distributions():
            with contextlib.suppress(Exception):
                found += [entry for entry in distribution.entry_points if entry.group == group]
    return [_read(entry) for entry in found]


def _read(entry: EntryPoint) -> _Entry:
    words = f"entry point {entry.value}"
    with contextlib.suppress(Exception):  # a package without metadata has no name
        words += f" of {entry.dist.name}" if entry.dist is not None else ""
    module = entry.value.partition(":")[0].strip()
    wrong = ""
    if not is_name(entry.name):
        wrong = f"'{entry.name}' cannot be a plugin's name (lower-case letters, digits and _, a letter first)"
    elif not all(part.isidentifier() for part in module.split(".")):
        wrong = f"'{entry.value}', announced as '{entry.name}', names no module"
    return _Entry(name=entry.name, place=_Place(module=module, words=words), wrong=wrong)


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

    Every architecture with pretrained weights also takes `weights=none`: from random ones, whatever the protocol says.

    Raises:
        UserError: unknown name or parameter, a value of the wrong type, or a file that cannot be imported; the last
            names file and line.
    """
    name, colon, given = text.partition(":")
    known = _places(kind)
    if name not in known:
        ignored = _files(kind, name)
        if ignored:
            raise UserError(f"rename {ignored[0]}: a plugin's name has lower-case letters, digits and _ only")
        there = ", ".join(sorted(known))
        raise UserError(f"no {singular(kind)} '{name}'{nearest(name, known)}; there are: {there}")
    if len(known[name]) > 1:
        first, second, *_ = known[name]
        raise UserError(f"two {kind} are called '{name}': {first.words} and {second.words}; rename one of them")
    module, code, modules = _loaded(known[name][0], f"{singular(kind)} '{name}'")
    attribute, wanted = _SPECS[kind]
    spec = getattr(module, attribute, None)
    if not isinstance(spec, wanted):
        raise UserError(f"{known[name][0].words} must end with {attribute} = {wanted.__name__}(...)")
    path = Path(str(module.__spec__.origin if module.__spec__ else known[name][0].words))  # __file__ is the plugin's
    try:
        parameters = _parse(kind, text, given, spec) if colon else {}
        if isinstance(spec, ArchitectureSpec) and spec.resolve is not None:
            spec = spec.resolve(own_parameters(parameters, spec.build))
            if not isinstance(spec, ArchitectureSpec):
                raise TypeError(f"resolve() gives a {type(spec).__name__}, not an ArchitectureSpec")
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:
        what = f"{type(error).__name__}: {first_line(error)}{place(error, path)}"
        raise UserError(f"the parameters of '{text}' cannot be read: {what}") from error
    if isinstance(spec, ArchitectureSpec) and parameters:
        spec = _changed(spec, parameters, text)
    return Plugin(kind=kind, name=name, parameters=parameters, spec=spec, source=path, code=code, modules=modules)


def _changed(spec: ArchitectureSpec, parameters: Mapping[str, Any], text: str) -> ArchitectureSpec:
    """Of the plugin with parameters: published is the plugin as it stands, not any other size of it."""
    spec = replace(spec, reported=())
    if own_parameters(parameters, spec.build) == parameters:
        return spec
    if spec.pretrained is None:
        raise UserError(f"'{text}': it has no pretrained weights; leave out {_WEIGHTS}=none")
    return replace(spec, pretrained=None, licence=None)


def hash_file(path: Path) -> str:
    """The hash that a plugin's file would have if it were loaded now (`source.hash_file`).

    Raises:
        OSError: it cannot be read.
    """
    return source.hash_file(path, _module_of(path))


def _module_of(path: Path) -> str:
    for kind in _SPECS:
        if any(path.parent == Path(root) / kind for root in benchmark.__path__):
            return f"benchmark.{kind}.{path.stem}"
    modules = (entry.place.module for kind in _SPECS for entry in _entry_points(kind))
    return next((module for module in modules if path in source.files_of(module)), path.stem)


def sources(kind: Kind, name: str) -> list[Path]:
    """The files in which a plugin of that name is found now; imports none of them, nor a package around them."""
    found = _files(kind, name)
    if found:
        return found  # looking through installed packages is slow
    modules = [entry.place.module for entry in _entry_points(kind) if entry.name == name]
    return [path for module in modules for path in source.files_of(module)]


def files(kind: Kind, name: str) -> list[Path]:
    """All files of which a plugin of that name would be loaded now, at every place where there is one; imports none."""
    modules = [found.module for found in _places(kind)[name]]
    found = [(path, module) for module in modules for path in source.files_of(module)]
    return [file for path, module in found for file in source.files(path, module)]


def installed(kind: Kind) -> list[Path]:
    """The files of every plugin that an installed package brings, and of their modules; imports none of them."""
    modules = [entry.place.module for entry in _entry_points(kind)]
    found = [(path, module) for module in modules for path in source.files_of(module)]
    return [file for path, module in found for file in source.files(path, module)]


def _files(kind: Kind, name: str) -> list[Path]:
    """Those of that name among the files that there are: a name is never made into a path."""
    listed = (path for root in benchmark.__path__ for path in (Path(root) / kind).glob("*.py"))
    return [path for path in listed if path.stem == name and path.is_file()]


def accepted(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """The parameters of a plugin's `build` or `load` by name."""
    return inspect.signature(function).parameters


def own_parameters(parameters: Mapping[str, Any], function: Callable[..., Any]) -> dict[str, Any]:
    """Those that go to the plugin: without the core's own `weights`, where the plugin has none of that name."""
    return {name: value for name, value in parameters.items() if name != _WEIGHTS or _WEIGHTS in accepted(function)}


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


def place(error: BaseException, source: Path | None = None) -> str:
    """` (file, line N)` where a plugin failed: the innermost line in a folder of plugins, or where its syntax ends."""
    if isinstance(error, SyntaxError):
        return f" ({error.filename or source}, line {error.lineno or 1})"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename).parent.name in _SPECS or frame.filename == str(source)
    ]
    return f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""


def raised_in(error: BaseException, source: Path) -> bool:
    """Whether it is a line of this file that raised, and not one that it called."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename == str(source)


def _builder(spec: Any) -> Callable[..., Any]:
    function: Callable[..., Any] = spec.build if isinstance(spec, ArchitectureSpec) else spec.load
    return function


def _loaded(found: _Place, who: str) -> tuple[ModuleType, bytes, Mapping[str, bytes]]:
    """The module, its text and those of its own modules. What is refused is imported, and refused, again next time."""
    announced = (entry.place.module for kind in _SPECS for entry in _entry_points(kind))
    loading.add_packages(module.partition(".")[0] for module in announced)
    before = set(sys.modules)
    try:
        with guard.unchanged(who, "when it is imported"):
            module = _import(found)
        spec = getattr(module, "__spec__", None)
        if not isinstance(module, ModuleType) or getattr(spec, "name", None) != found.module:
            raise UserError(f"{found.words} puts something else in its own place: leave sys.modules and __spec__ alone")
    except UserError:
        source.forget(found.module, set(sys.modules) - before)
        raise
    try:
        code = loading.code(module) or Path(str(module.__spec__ and module.__spec__.origin)).read_bytes()
        own = source.own_modules(module, code)
    except OSError as error:
        raise UserError(f"{found.words} has no source of Python, which a record keeps: {first_line(error)}") from error
    strays = list(source.strays(module, own, set(sys.modules) - before))
    if strays:
        source.forget(found.module, set(sys.modules) - before, [name for name, _ in strays])
        name, file = strays[0]
        raise UserError(
            f"{who} imports {name} ({file}), which no record would hold: write 'import' statements of Python files "
            "beside it or in its package, or put that into an installed package of its own"
        )
    return module, code, own


def _import(found: _Place) -> ModuleType:
    """The module; an exception in it, even an attempt to end the program, is its author's to mend."""
    try:
        return importlib.import_module(found.module)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        what = error.msg if isinstance(error, SyntaxError) else first_line(error)
        where = place(error) or _outermost(error)
        raise UserError(f"{found.words} cannot be imported: {type(error).__name__}: {what}{where}") from error


def _outermost(error: BaseException) -> str:
    """Where the import of a package failed: its first line behind the import system's and ours."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "importlib" not in frame.filename and frame.filename != __file__
    ]
    return f" ({frames[0].filename}, line {frames[0].lineno})" if frames else ""


def _parse(kind: Kind, text: str, given: str, spec: Any) -> dict[str, Any]:
    from pydantic import TypeAdapter, ValidationError

    known, hints = _taken(kind, spec)
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


def _taken(kind: Kind, spec: Any) -> tuple[dict[str, inspect.Parameter], dict[str, Any]]:
    """The parameters that a user may give, and the types of their values."""
    function = _builder(spec)
    hints = get_type_hints(function.__init__ if inspect.isclass(function) else function)
    known = {name: parameter for name, parameter in accepted(function).items() if name not in _RESERVED[kind]}
    if isinstance(spec, ArchitectureSpec) and (spec.pretrained or spec.resolve) and _WEIGHTS not in known:
        known[_WEIGHTS], hints[_WEIGHTS] = _ADDED, Literal["none"]
    return known, hints


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def singular(kind: Kind) -> str:
    """The word for one of a kind."""
    return {"architectures": "architecture", "datasets": "dataset"}[kind]
