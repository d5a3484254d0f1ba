"""Find plugins by their file names, and import the one that is asked for.

A plugin is a file `architectures/NAME.py`, a folder `architectures/NAME/` with an `__init__.py`, or the same below
`datasets/`. It lies in this repository, in a folder that the user names (`--plugins DIR`, `BENCH_PLUGINS`), or in an
installed package that announces it by an entry point of the group `benchmark.architectures` or `benchmark.datasets`.
Listing the names imports no plugin, so a broken plugin never hides the others.
"""

import contextlib
import functools
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import benchmark
from benchmark.common.errors import UserError, first_line, nearest
from benchmark.contract import ArchitectureSpec, DatasetSpec
from benchmark.plugins import blame, loading, parameters, source

Kind = Literal["architectures", "datasets"]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NO_NAME = re.compile(r"[^\w.-]+")
"""What cannot be in the value of a parameter."""
_SPECS: Mapping[Kind, tuple[str, type]] = {
    "architectures": ("ARCHITECTURE", ArchitectureSpec),
    "datasets": ("DATASET", DatasetSpec),
}
_OTHERS = ("benchmark.architectures.", "benchmark.datasets.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """A loaded plugin with the parameters that were asked for (those at their default are left out)."""

    kind: Kind
    name: str
    parameters: Mapping[str, Any]
    spec: Any
    source: Path
    code: bytes
    """The bytes of `source` that ran."""
    modules: Mapping[str, bytes]
    """The other modules of its folder: name in the folder -> bytes."""

    @property
    def label(self) -> str:
        """`unet` or `unet:depth=4,width=32`: one spelling for one configuration."""
        return parameters.label(self.name, self.parameters)

    @property
    def source_hash(self) -> str:
        """SHA-256 of the plugin's code without comments, layout and docstrings."""
        return source.hash_code(self.code, self.modules)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a plugin was found: its module, its file (None: the module has no Python file), and both in words."""

    module: str
    file: Path | None
    words: str


def find(kind: Kind) -> list[str]:
    """The names of all plugins of a kind, in alphabetical order; imports none of them.

    Raises:
        UserError: a folder that the user named cannot hold plugins.
    """
    return sorted(_places(kind))


def _places(kind: Kind) -> dict[str, list[_Place]]:
    """Every plugin's name -> where it was found; more than one place is an error when it is loaded."""
    _check_folders(kind)
    paths = [path for root in benchmark.__path__ for path in sorted((Path(root) / kind).glob("*.py"))]
    paths += [path for root in benchmark.__path__ for path in sorted((Path(root) / kind).glob("*/__init__.py"))]
    named = [(path.parent.name if path.name == "__init__.py" else path.stem, path) for path in paths]
    places = [
        (name, _Place(module=f"benchmark.{kind}.{name}", file=path, words=str(path)))
        for name, path in named
        if is_name(name)
    ]
    found: dict[str, list[_Place]] = {}
    for name, place in dict.fromkeys([*places, *_installed(kind, tuple(sys.path))]):
        found.setdefault(name, []).append(place)
    return found


@functools.lru_cache
def _installed(kind: Kind, _path: tuple[str, ...]) -> Sequence[tuple[str, _Place]]:
    """The plugins that installed packages announce; looking through all packages takes a while."""
    found = []
    for distribution in distributions():
        with contextlib.suppress(Exception):  # the damaged list of one package hides no plugin of another
            for entry in distribution.entry_points:
                if entry.group == f"benchmark.{kind}" and is_name(entry.name):
                    module = entry.value.partition(":")[0].strip()
                    words = f"entry point {entry.value} of {distribution.name}"
                    found.append((entry.name, _Place(module=module, file=source.find_module(module), words=words)))
    return found


def is_name(text: str) -> bool:
    """Whether a plugin, and so its file, may be called this."""
    return _NAME.fullmatch(text) is not None


def add_folder(folder: Path) -> None:
    """Search a folder with `architectures/` or `datasets/` for plugins as well; worker processes search it too.

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

    Every architecture with pretrained weights also takes `weights=none`: random weights, whatever the protocol says.

    Raises:
        UserError: an unknown name or parameter, a value of the wrong type, or a file that cannot be imported; the last
            message names file and line.
    """
    name, colon, given = text.partition(":")
    found = _only_place(kind, name)
    module, code, modules = _import(found)
    attribute, wanted = _SPECS[kind]
    spec = getattr(module, attribute, None)
    if found.file is None or not isinstance(spec, wanted):
        raise UserError(f"{found.words} must end with {attribute} = {wanted.__name__}(...)")
    try:
        chosen = parameters.parse(text, given, spec) if colon else {}
        if isinstance(spec, ArchitectureSpec):
            spec = parameters.resolved(spec, chosen, text)
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:
        what = f"{type(error).__name__}: {first_line(error)}{blame.place(error, found.file)}"
        raise UserError(f"the parameters of '{text}' cannot be read: {what}") from error
    return Plugin(kind=kind, name=name, parameters=chosen, spec=spec, source=found.file, code=code, modules=modules)


def named_after(plugin: Plugin, root: Path | None) -> Plugin:
    """A dataset that takes a `name` and was given none, with the name of its folder: two folders are two columns."""
    if root is None or parameters.defaults(plugin.spec).get("name") != "" or "name" in plugin.parameters:
        return plugin
    name = _NO_NAME.sub("_", root.resolve().name)
    return replace(plugin, parameters={**plugin.parameters, "name": name}) if name else plugin


def _only_place(kind: Kind, name: str) -> _Place:
    """The place where the plugin of that name lies."""
    known = _places(kind)
    if name not in known:
        listed = (path for root in benchmark.__path__ for path in (Path(root) / kind).glob("*.py"))
        misnamed = next((path for path in listed if path.stem == name), None)
        if misnamed is not None:
            raise UserError(f"rename {misnamed}: a plugin's name has lower-case letters, digits and _ only")
        there = ", ".join(sorted(known))
        raise UserError(f"no {singular(kind)} '{name}'{nearest(name, known)}; there are: {there}")
    if len(known[name]) > 1:
        first, second, *_ = known[name]
        raise UserError(f"two {kind} are called '{name}': {first.words} and {second.words}; rename one of them")
    return known[name][0]


def _import(found: _Place) -> tuple[ModuleType, bytes, Mapping[str, bytes]]:
    """The module, the bytes of its file, and those of the other modules of its folder."""
    if found.file is None:
        raise UserError(
            f"{found.words} cannot be imported: it has no Python file; correct the package that announces it"
        )
    package = _package(found.module, found.file)
    others = source.files(found.file)
    names = {short: f"{package}.{short}".removesuffix(".__init__") for short in others}
    files = {found.module: found.file, **{names[short]: others[short] for short in others}}
    try:
        module = loading.load(found.module, files)
        codes = {name: loading.code(name, file) for name, file in files.items()}
        for name, file in files.items():
            _refuse_other_plugins(found, source.imports(codes[name], file, _package(name, file)))
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:  # SystemExit too: no plugin ends the program without a message
        what = error.msg if isinstance(error, SyntaxError) else first_line(error)
        where = blame.place(error, found.file)
        raise UserError(f"{found.words} cannot be imported: {type(error).__name__}: {what}{where}") from error
    return module, codes[found.module], {short: codes[names[short]] for short in others}


def _package(module: str, file: Path) -> str:
    return module if file.name == "__init__.py" else module.rpartition(".")[0]


def _refuse_other_plugins(found: _Place, imported: Iterable[str]) -> None:
    """Refuse a plugin that imports another one: its record would not hold that code, and its hash would not see it."""
    for name in imported:
        if name.startswith(_OTHERS) and not f"{name}.".startswith(f"{found.module}."):
            raise UserError(
                f"{found.words} imports {name}, which its record would not hold: make the plugin a folder with an "
                "__init__.py, and put its helpers there"
            )


def sources(kind: Kind, name: str) -> list[Path]:
    """The files in which a plugin of that name is found now; imports none of them."""
    if not is_name(name):  # never make an unchecked name into a path
        return []
    folders = [Path(root) / kind for root in benchmark.__path__]
    found = [path for folder in folders for path in (folder / f"{name}.py", folder / name / "__init__.py")]
    there = [path for path in found if path.is_file()]
    return there or [place.file for known, place in _installed(kind, tuple(sys.path)) if known == name and place.file]


def singular(kind: Kind) -> str:
    """The word for one of a kind."""
    return {"architectures": "architecture", "datasets": "dataset"}[kind]


def _check_folders(kind: Kind) -> None:
    for folder in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep):
        if folder and not any((Path(folder) / name).is_dir() for name in _SPECS):
            raise UserError(f"BENCH_PLUGINS: {folder} has no folder architectures/ or datasets/")
    for root in benchmark.__path__:
        if (Path(root) / kind / "__init__.py").exists():
            raise UserError(f"remove {Path(root) / kind / '__init__.py'}: it would hide the plugins of other folders")
