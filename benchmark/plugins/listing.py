"""What there is: tables of architectures, datasets and protocols for `bench list`."""

from collections.abc import Iterable, Iterator, Mapping

from rich.table import Table
from rich.text import Text

from benchmark import protocols
from benchmark.common.errors import one_line
from benchmark.common.progress import Report
from benchmark.plugins import catalogue, registry
from benchmark.plugins.catalogue import Entry


def tables(report: Report) -> Iterator[Table]:
    """Architectures with their parameter counts, datasets, protocols; a plugin that fails shows why."""
    found = catalogue.entries("architectures", report)
    rows = _table("Architectures", ("name", "title", "parameters", "paper"), _rows("architectures", found))
    choices = ", ".join(entry.spelled for entry in found.values() if entry.spelled)
    rows.caption = Text(f"Of several sizes or kinds, here at their defaults: {choices}")
    rows.caption_justify = "left"
    yield rows
    found = catalogue.entries("datasets", report)
    yield _table("Datasets", ("name", "title", "--data", "paper"), _rows("datasets", found))
    yield _table("Protocols", ("name", "title", "dataset"), _protocols())


def citations(report: Report) -> Iterator[str]:
    """The BibTeX entries of every architecture and dataset that has one."""
    kinds: tuple[registry.Kind, ...] = ("architectures", "datasets")
    for kind in kinds:
        for name, entry in catalogue.entries(kind, report).items():
            known = entry.citation or not entry.broken
            citation = entry.citation if known else f"% {name} is broken: {entry.broken}"
            if citation:
                yield citation


def _rows(kind: registry.Kind, found: Mapping[str, Entry]) -> Iterator[tuple[str, ...]]:
    for name, entry in found.items():
        if entry.broken:
            yield name, f"broken: {entry.broken}", "", ""
        else:
            yield name, entry.title, entry.note, entry.paper.removeprefix("https://") or "–"
    for line in registry.damaged(kind):
        yield "–", one_line(f"broken: {line}"), "", ""


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
