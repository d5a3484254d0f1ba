"""What is shown of each plugin, remembered as long as nothing that it was learnt from has changed.

To count the parameters of every network takes torch, every library of the plugins, and seconds. What was found is
therefore kept in the cache folder, with a hash of the plugin's file and of the modules that it has of its own, byte by
byte, and of the program. What is installed counts as well: a plugin may take its layers from any package. A plugin that
is broken, or was changed while it was looked at, is not remembered. Imports nothing that takes a while.
"""

import hashlib
import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import benchmark
from benchmark import protocols
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.plugins import registry
from benchmark.plugins.registry import Kind, Plugin


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A plugin as it is listed."""

    title: str = ""
    paper: str = ""
    citation: str = ""
    note: str = ""
    """Of an architecture its number of parameters, of a dataset whether it reads a folder."""
    spelled: str = ""
    """Of an architecture with parameters: its label with all of them."""
    broken: str = ""
    """Why it cannot be used; the rest is said as far as it is known."""


def entries(kind: Kind, report: Report) -> dict[str, Entry]:
    """Every plugin of a kind by its name; none is imported that is remembered.

    Raises:
        UserError: a folder of the user's cannot hold plugins.
    """
    kept, surroundings = _read(), _surroundings()
    keys = {name: _key(kind, name, surroundings) for name in registry.find(kind)}
    known = {name: kept[f"{kind}/{name}"] for name in keys if f"{kind}/{name}" in kept}
    found = {name: Entry(**known[name]["entry"]) for name in known if known[name]["key"] == keys[name]}
    missing = [name for name in keys if name not in found]
    for place, name in enumerate(missing):
        report(f"looking at {kind}", place + 1, len(missing), "")
        found[name], texts = _looked_at(kind, name)
        if not found[name].broken and _hash(texts, surroundings) == keys[name]:
            kept[f"{kind}/{name}"] = {"key": keys[name], "entry": asdict(found[name])}
    if missing:
        _write(kept)
    return {name: found[name] for name in keys}


def _looked_at(kind: Kind, name: str) -> tuple[Entry, list[bytes]]:
    """The entry, and the texts that ran."""
    try:
        plugin = registry.load(kind, name)
    except UserError as error:
        return Entry(broken=str(error)), []
    spec = plugin.spec
    said: dict[str, Any] = {"title": spec.title, "paper": spec.paper, "citation": spec.citation}
    if kind == "datasets":
        said["note"] = "needed" if spec.needs_root else "no"
    else:
        defaults = registry.defaults(plugin)
        said["spelled"] = registry.label(name, defaults) if defaults else ""
        try:
            said["note"] = _size(plugin)
        except UserError as error:
            said["broken"] = str(error)
        except Exception as error:
            said["broken"] = f"{type(error).__name__}: {error}{registry.place(error)}"
    return Entry(**said), [plugin.code, *plugin.modules.values()]


def _size(plugin: Plugin) -> str:
    from benchmark.plugins import network

    count = network.parameter_count(network.sketch(plugin, protocols.load(protocols.DEFAULT)))
    return f"{count / 1e6:.2f} M" if count else "none"


def _key(kind: Kind, name: str, surroundings: str) -> str | None:
    """The hash of the files that the plugin would be loaded from; None where they cannot be read."""
    try:
        return _hash((path.read_bytes() for path in registry.files(kind, name)), surroundings)
    except OSError:
        return None


def _hash(texts: Iterable[bytes], surroundings: str) -> str:
    """Of the texts in any order, of the program, and of what is installed."""
    lines = sorted(hashlib.sha256(text).hexdigest() for text in texts)
    return hashlib.sha256("\n".join([surroundings, *lines]).encode()).hexdigest()


def _surroundings() -> str:
    """Of the core's files, Python, the protocol that sizes are counted under, and what is installed in which version.

    The folder of an installed package's metadata is called after its name and version: none has to be opened.
    """
    core = Path(benchmark.__file__).parent
    texts = [path.read_bytes() for path in sorted(core.rglob("*.py"))]
    kinds = ("*.dist-info", "*.egg-info")
    folders = [Path(folder) for folder in sys.path if folder]
    installed = sorted({path.name for folder in folders for kind in kinds for path in folder.glob(kind)})
    texts += [sys.version.encode(), protocols.load(protocols.DEFAULT).digest.encode(), "\n".join(installed).encode()]
    return hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).hexdigest()


def _path() -> Path:
    return files.cache_folder() / "listing" / "plugins.json"


def _read() -> dict[str, Any]:
    try:
        found = json.loads(_path().read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(found: dict[str, Any]) -> None:
    """The last entry of each name; where the cache cannot be written, the next call takes as long as this one."""
    text = json.dumps(found, ensure_ascii=False, indent=1)
    try:
        files.write_atomically(_path(), partial(Path.write_text, data=text, encoding="utf-8"))
    except (OSError, UserError):
        return
