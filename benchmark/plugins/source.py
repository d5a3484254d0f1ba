"""Which source files belong to a plugin, and the hash of their code.

A plugin is one file (`architectures/unet.py`) or a folder with an `__init__.py` (`architectures/unet/`), of which every
Python file counts. An installed plugin counts with the package folder that its module lies in. Other packages do not
count: the record lists their versions.
"""

import ast
import hashlib
import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmark.common.code import digest as _hash


def hash_code(code: bytes, modules: Mapping[str, bytes] | None = None) -> str:
    """SHA-256 of Python code without comments, layout and docstrings, together with the plugin's other modules.

    Raises:
        SyntaxError, ValueError: the code is not Python.
    """
    if not modules:
        return _hash(code)
    lines = [_hash(code), *(f"{name} {_hash(modules[name])}" for name in sorted(modules))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hash_file(entry: Path) -> str:
    """The hash of a plugin as its files are now. A plugin that is not Python gets the hash of its bytes.

    Raises:
        OSError: a file cannot be read.
    """
    code, modules = entry.read_bytes(), {name: file.read_bytes() for name, file in files(entry).items()}
    try:
        return hash_code(code, modules)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two: nested too deep
        return hashlib.sha256(b"\0".join([code, *modules.values()])).hexdigest()


def files(entry: Path) -> dict[str, Path]:
    """The other Python files of a plugin: their names inside its folder (`layers`, `parts.up`) -> their paths.

    A plugin of one file has none.
    """
    folder = entry.parent
    if not is_package(folder):
        return {}
    paths = (path for path in sorted(folder.rglob("*.py")) if path != entry)
    named = {path.relative_to(folder).with_suffix("").parts: path for path in paths}
    return {".".join(parts): path for parts, path in named.items() if all(part.isidentifier() for part in parts)}


def all_files(entry: Path) -> list[Path]:
    """All Python files of a plugin."""
    return [entry, *files(entry).values()]


def is_package(folder: Path) -> bool:
    """Whether the files of a folder belong together."""
    return (folder / "__init__.py").is_file()


def find_module(module: str) -> Path | None:
    """The Python file of an installed module, found without importing it; None if there is none."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # the program's own `__main__` has none
        return None
    if spec is None:
        return None
    folders = [Path(place).joinpath(*rest) for place in spec.submodule_search_locations or ()]
    candidates = [
        file for folder in folders for file in (folder / "__init__.py", folder.with_name(f"{folder.name}.py"))
    ]
    if not rest:
        candidates = [Path(spec.origin)] if spec.origin and spec.has_location else []  # others are built in
    return next((file for file in candidates if file.suffix == ".py" and file.is_file()), None)


def imports(code: bytes, file: Path, package: str) -> Iterator[str]:
    """The full names of everything that the import statements of a module in `package` name.

    Raises:
        SyntaxError: the code is not Python.
    """
    for node in ast.walk(ast.parse(code, str(file))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = [*above, *([node.module] if node.module else [])]
            yield from (".".join([*base, alias.name]) for alias in node.names)
