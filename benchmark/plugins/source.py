"""What of a plugin's code counts: its file, and the modules of its own that it imports.

Its own are those of its folder (`benchmark.architectures.shared`) or, if an installed package announces it, those of
that package; found by their import statements, wherever these stand, from module to module. They are part of the hash
that says which code ran, and are stored beside the plugin. Other packages are not: the record lists their versions.
"""

import ast
import functools
import hashlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import benchmark
from benchmark.common.code import digest as _hash
from benchmark.plugins import loading


def hash_code(code: bytes, modules: Mapping[str, bytes] | None = None) -> str:
    """SHA-256 of Python code without what does not run: comments, layout, docstrings; with that of its own modules.

    A module without code (an empty `__init__`) does not count.
    """
    own = {name: _hash(text) for name, text in (modules or {}).items()}
    return _joined(_hash(code), {name: hashed for name, hashed in own.items() if hashed != _hash(b"")})


def _joined(plugin: str, own: Mapping[str, str]) -> str:
    if not own:
        return plugin
    lines = [plugin, *(f"{name} {own[name]}" for name in sorted(own))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def hash_file(path: Path, module: str) -> str:
    """The same of a plugin's file as it is now; it is parsed once as long as it does not change.

    What is no Python has the hash of its bytes.

    Raises:
        OSError: it, or a module of its own, cannot be read.
    """
    state = path.stat()
    hashed, alone = _hash_file(path, module, state.st_mtime_ns, state.st_ctime_ns, state.st_size)
    if alone:
        return hashed
    texts = {name: file.read_bytes() for name, file in _own_files(path, module).items()}
    return _whole(path.read_bytes(), texts)


def files(path: Path, module: str) -> list[Path]:
    """A plugin's file, and those of the modules that it has of its own, as they are now."""
    return [path, *_own_files(path, module).values()]


def _own_files(path: Path, module: str) -> dict[str, Path]:
    return _own(module, _imports(module, path, path.read_bytes()), lambda _, file: file.read_bytes())


@functools.lru_cache
def _hash_file(path: Path, module: str, *_state: int) -> tuple[str, bool]:
    """The hash, and whether the file imports no module of its own."""
    code = path.read_bytes()
    own = any(_is_own(name, module) for name in _imports(module, path, code))
    return _whole(code, {}), not own


def _whole(code: bytes, texts: Mapping[str, bytes]) -> str:
    try:
        return hash_code(code, texts)
    except (SyntaxError, ValueError, MemoryError, RecursionError):  # the last two: nested too deep
        return hashlib.sha256(b"\0".join([code, *texts.values()])).hexdigest()


def own_modules(module: ModuleType, code: bytes) -> Mapping[str, bytes]:
    """The modules that a plugin which was just imported has of its own: dotted name -> what was compiled.

    Raises:
        OSError: one that is imported later (in a function) cannot be read.
    """
    found = _own(_name(module), _imports(_name(module), _file(module), code), _text)
    return {name: _text(name, file) for name, file in found.items()}


def _text(name: str, file: Path) -> bytes:
    return loading.code(sys.modules.get(name)) or file.read_bytes()


def strays(module: ModuleType, known: Iterable[str], new: Iterable[str]) -> Iterator[tuple[str, Path]]:
    """Of the modules that an import brought in, the plugin's own that no import statement shows, with their files.

    Also what lies in the user's folder elsewhere, or was compiled by another compiler: no record could hold it.
    """
    core, folder = Path(benchmark.__file__).parent, _file(module).parent
    for name in sorted({*new} - {*known, _name(module)}):
        file = getattr(sys.modules.get(name), "__file__", None)
        if not isinstance(file, str):
            continue
        ours = name.startswith("benchmark.") and not Path(file).is_relative_to(core)
        beside = _name(module).startswith(_FOLDERS) and Path(file).is_relative_to(folder)
        if ours or beside or _is_own(name, _name(module)):
            yield name, Path(file)


def forget(module: str, new: Iterable[str], strays: Iterable[str] = ()) -> None:
    """What a plugin that is refused brought in of its own is imported again the next time, and refused again."""
    for name in [name for name in new if name == module or _is_own(name, module)]:
        del sys.modules[name]
    for name in strays:
        sys.modules.pop(name, None)


def files_of(module: str) -> list[Path]:
    """The files that may be this module, that which Python takes first; imports nothing."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):  # the program's own `__main__` has none
        return []
    if spec is None:
        return []
    folders = [Path(place).joinpath(*rest) for place in spec.submodule_search_locations or ()]
    candidates = [file for folder in folders for file in (folder / "__init__.py", folder.parent / f"{folder.name}.py")]
    if not rest:
        candidates = [Path(spec.origin)] if spec.origin and spec.has_location else []  # others are built in
    return [file for file in candidates if file.is_file()]


_FOLDERS = tuple(f"{folder}." for folder in loading.FOLDERS)


def _is_own(name: str, module: str) -> bool:
    """Whether a module, by its name, belongs to a plugin's folder or package."""
    folder = next((folder for folder in _FOLDERS if module.startswith(folder)), None)
    return name.startswith(folder) if folder else name.partition(".")[0] == module.partition(".")[0]


def _own(module: str, imports: Iterable[str], read: Callable[[str, Path], bytes]) -> dict[str, Path]:
    """From module to module: dotted name -> file. Names that are no module (`from x import function`) have none."""
    found: dict[str, Path] = {}
    waiting = list(imports)
    while waiting:
        name = waiting.pop()
        if name in found or name == module or not _is_own(name, module):
            continue
        files = [file for file in files_of(name) if file.suffix == ".py"]
        if files:
            found[name] = files[0]
            waiting += _imports(name, files[0], read(name, files[0]))
    return found


def _imports(name: str, file: Path, code: bytes) -> set[str]:
    """What a module names in its import statements, with all packages around that and around itself."""
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return set()  # whoever imports it says so
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    names = {name}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    parts = [name.split(".") for name in names]
    return {".".join(part[:length]) for part in parts for length in range(1, len(part) + 1)} - {name}


# __name__ and __file__ are the plugin's to set.
def _name(module: ModuleType) -> str:
    return module.__spec__.name if module.__spec__ else module.__name__


def _file(module: ModuleType) -> Path:
    return Path(str(module.__spec__.origin if module.__spec__ else module.__file__))
