"""The tables of architectures, datasets and protocols that `bench list` prints."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from benchmark import protocols
from benchmark.common.progress import Report
from benchmark.plugins import catalogue, registry
from benchmark.plugins.catalogue import Entry


def tables(report: Report) -> Iterator[Table]:
    """Architectures with their parameter counts, datasets, protocols; a broken plugin is listed with the reason."""
    found = catalogue.entries("architectures", report)
    table = _table("Architectures", ("name", "title", "parameters", "paper"), _rows(found))
    choices = ", ".join(entry.spelled for entry in found.values() if entry.spelled)
    table.caption = Text(f"Parameters that you may set, at their defaults: {choices}")
    table.caption_justify = "left"
    yield table
    yield _table("Datasets", ("name", "title", "--data", "paper"), _rows(catalogue.entries("datasets", report)))
    yield _table("Protocols", ("name", "title", "dataset"), _protocols())


def facts(report: Report) -> dict[str, dict[str, Any]]:
    """The same for scripts: architectures, datasets and protocols by name."""
    kinds: tuple[registry.Kind, ...] = ("architectures", "datasets")
    found: dict[str, dict[str, Any]] = {
        kind: {name: asdict(each) for name, each in catalogue.entries(kind, report).items()} for kind in kinds
    }
    settings = {name: protocols.load(name) for name in protocols.names()}
    return {
        **found,
        "protocols": {name: {"title": each.title, "dataset": each.dataset} for name, each in settings.items()},
    }


def citations(report: Report) -> Iterator[str]:
    """The BibTeX entries of all architectures and datasets that have one."""
    kinds: tuple[registry.Kind, ...] = ("architectures", "datasets")
    for kind in kinds:
        for name, entry in catalogue.entries(kind, report).items():
            if entry.citation:
                yield entry.citation
            elif entry.broken:
                yield f"% {name} is broken: {entry.broken}"


def _rows(found: Mapping[str, Entry]) -> Iterator[tuple[str, ...]]:
    for name, entry in found.items():
        if entry.broken:
            yield name, f"broken: {entry.broken}", "", ""
        else:
            yield name, entry.title, entry.note, entry.paper.removeprefix("https://") or "–"


def _protocols() -> Iterator[tuple[str, ...]]:
    for name in protocols.names():
        settings = protocols.load(name)
        default = " (default)" if name == protocols.DEFAULT else ""
        yield name + default, settings.title, settings.dataset


def _table(title: str, header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
