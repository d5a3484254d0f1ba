"""Plugins are compiled from the bytes that are hashed and recorded: Python's bytecode caches are never asked.

A `.pyc` counts as fresh if its source has the same size and was changed in the same second, so that what runs may be
older than the file. Plugin files, and the packages that installed plugins are of, are therefore compiled anew in every
process, and the bytes are kept. Workers are sent those that ran in the process that started them.
"""

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType

FOLDERS = ("benchmark.architectures", "benchmark.datasets")


class Loader(SourceFileLoader):
    """One file of Python, read once; `code` is what was compiled."""

    code: bytes = b""

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file, or the bytes that ran in the process that started this worker."""
        self.code = _given.get(fullname) or self.get_data(self.path)
        code: CodeType = self.source_to_code(self.code, self.path)
        return code


class _Finder(importlib.abc.MetaPathFinder):
    """Finds what Python would find, and loads it as above."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if not name.startswith(tuple(f"{folder}." for folder in FOLDERS)) and name.partition(".")[0] not in _packages:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        spec = next(filter(None, (finder.find_spec(name, path, target) for finder in others)), None)
        if spec is not None and type(spec.loader) is SourceFileLoader:
            spec.loader = Loader(name, spec.loader.path)
        return spec


_packages: set[str] = set()
_given: dict[str, bytes] = {}


def install() -> None:
    """Let plugins be loaded so; once per process."""
    sys.meta_path.insert(0, _Finder())


def add_packages(names: Iterable[str]) -> None:
    """Load these packages so as well: installed plugins are of them."""
    _packages.update(names)


def code(module: object) -> bytes | None:
    """The bytes that ran as a module; None if something else loaded it."""
    loader = getattr(getattr(module, "__spec__", None), "loader", None)
    return loader.code if isinstance(loader, Loader) else None


def executed() -> tuple[frozenset[str], Mapping[str, bytes]]:
    """For `receive` in a worker: the packages, and module -> the bytes that ran in this process."""
    found = ((name, code(module)) for name, module in list(sys.modules.items()))
    return frozenset(_packages), _given | {name: text for name, text in found if text is not None}


def receive(packages: Iterable[str], texts: Mapping[str, bytes]) -> None:
    """In a worker, before anything is loaded: what ran in the process that started it is what runs here."""
    add_packages(packages)
    _given.update(texts)
