"""Import plugins from the bytes that are hashed and recorded, in this process and in its workers.

Python uses an old `.pyc` if its source has the same size and was changed in the same second; then the code that runs is
older than the file. The files of plugins are therefore read once and compiled from memory. Workers get the bytes that
ran in the process that started them, even if the files have changed since.
"""

import importlib.abc
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TypeAlias

from benchmark.common import workers

_Texts: TypeAlias = dict[str, tuple[str, bytes]]
"""Full name of a module -> its file, and the bytes that were read from it."""

_texts: _Texts = {}
_received: set[str] = set()


def load(module: str, files: Mapping[str, Path]) -> ModuleType:
    """Import a plugin's module; `files` are those of all of its modules by their full names.

    Raises:
        OSError: a file cannot be read.
    """
    if module not in sys.modules:
        for name, file in files.items():
            if name not in sys.modules and name not in _received:
                _texts[name] = (str(file), file.read_bytes())
    return importlib.import_module(module)


def code(module: str, file: Path) -> bytes:
    """The bytes that ran as a module."""
    return _texts[module][1] if module in _texts else file.read_bytes()


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules whose bytes were read."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        del path, target
        if name not in _texts:
            return None
        file = _texts[name][0]
        return importlib.util.spec_from_file_location(name, file, loader=_Loader(name, file))


class _Loader(SourceFileLoader):
    """Compiles the bytes that were read."""

    def get_code(self, fullname: str) -> CodeType:
        compiled: CodeType = self.source_to_code(_texts[fullname][1], self.path)
        return compiled


def _receive(texts: _Texts) -> None:
    """In a worker: import what ran in the process that started it."""
    _texts.update(texts)
    _received.update(texts)


sys.meta_path.insert(0, _Finder())
workers.at_start(lambda: partial(_receive, dict(_texts)))
