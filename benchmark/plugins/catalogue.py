"""Titles and parameter counts of all plugins, remembered in the cache folder until something they depend on changes.

Counting the parameters of every network imports torch and every library of the plugins, which takes seconds. The
result is stored with a hash of the plugin's files, of the program, and of the names and versions of all installed
packages. Broken plugins are not remembered. This module imports nothing slow.
"""

import hashlib
import json
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import benchmark
from benchmark import protocols
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.plugins import blame, parameters, registry, source
from benchmark.plugins.registry import Kind, Plugin


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A plugin as it is listed."""

    title: str = ""
    paper: str = ""
    citation: str = ""
    note: str = ""
    """The number of parameters of an architecture, or whether a dataset needs a folder."""
    spelled: str = ""
    """The label of an architecture with all of its parameters, if it has any."""
    broken: str = ""
    """Why it cannot be used."""


def entries(kind: Kind, report: Report) -> dict[str, Entry]:
    """Every plugin of a kind by its name; only plugins that are not remembered are imported.

    Raises:
        UserError: a folder that the user named cannot hold plugins.
    """
    remembered, program = _read(), _program()
    keys = {name: _key(kind, name, program) for name in registry.find(kind)}
    known = {name: remembered[f"{kind}/{name}"] for name in keys if f"{kind}/{name}" in remembered}
    found = {name: Entry(**known[name]["entry"]) for name in known if known[name]["key"] == keys[name]}
    missing = [name for name in keys if name not in found]
    for place, name in enumerate(missing):
        report(f"reading {kind}", place + 1, len(missing), "")
        found[name] = _examine(kind, name)
        if not found[name].broken and _key(kind, name, program) == keys[name]:
            remembered[f"{kind}/{name}"] = {"key": keys[name], "entry": asdict(found[name])}
    if missing:
        _write(remembered)
    return {name: found[name] for name in keys}


def _examine(kind: Kind, name: str) -> Entry:
    try:
        plugin = registry.load(kind, name)
    except UserError as error:
        return Entry(broken=str(error))
    spec = plugin.spec
    entry = partial(Entry, title=spec.title, paper=spec.paper, citation=spec.citation)
    if kind == "datasets":
        return entry(note="needed" if spec.needs_root else "optional" if spec.takes_root else "no")
    defaults = parameters.defaults(spec)
    spelled = parameters.label(name, defaults) if defaults else ""
    try:
        return entry(spelled=spelled, note=_size(plugin))
    except UserError as error:
        return entry(spelled=spelled, broken=str(error))
    except Exception as error:
        return entry(spelled=spelled, broken=f"{type(error).__name__}: {error}{blame.place(error, plugin.source)}")


def _size(plugin: Plugin) -> str:
    from benchmark.plugins import network

    count = network.parameter_count(network.sketch(plugin, protocols.load(protocols.DEFAULT)))
    return f"{count / 1e6:.2f} M" if count else "none"


def _key(kind: Kind, name: str, program: str) -> str | None:
    """A hash of the plugin's files and of the program; None if a file cannot be read."""
    try:
        texts = [path.read_bytes() for entry in registry.sources(kind, name) for path in source.all_files(entry)]
    except OSError:
        return None
    return _hash([program.encode(), *texts])


def _program() -> str:
    """A hash of the core's files, Python, the default protocol, and the names and versions of installed packages.

    The folder of an installed package's metadata has its name and version: none has to be opened.
    """
    core = Path(benchmark.__file__).parent
    folders = [Path(folder) for folder in sys.path if folder]
    installed = {path.name for folder in folders for end in ("dist", "egg") for path in folder.glob(f"*.{end}-info")}
    described = [sys.version, protocols.load(protocols.DEFAULT).digest, *sorted(installed)]
    return _hash([*(path.read_bytes() for path in sorted(core.rglob("*.py"))), "\n".join(described).encode()])


def _hash(texts: list[bytes]) -> str:
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
    """Store the entries; if the cache cannot be written, the next call takes as long as this one."""
    text = json.dumps(found, ensure_ascii=False, indent=1)
    try:
        files.write_atomically(_path(), partial(Path.write_text, data=text, encoding="utf-8"))
    except (OSError, UserError):
        return
