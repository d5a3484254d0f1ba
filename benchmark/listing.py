"""What there is: tables of architectures, datasets and protocols for `bench list`."""

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from benchmark import protocol, registry
from benchmark.contract import ArchitectureSpec, DatasetSpec
from benchmark.errors import UserError, one_line
from benchmark.progress import Report


def tables(report: Report) -> Iterator[Table]:
    """Architectures with their parameter counts, datasets, protocols; a plugin that fails shows why."""
    rows = _table("Architectures", ("name", "title", "parameters", "paper"), _architectures(report))
    rows.caption = Text(f"Of several sizes or kinds, here at their defaults: {', '.join(_choices())}")
    rows.caption_justify = "left"
    yield rows
    yield _table("Datasets", ("name", "title", "--data", "paper"), _datasets())
    yield _table("Protocols", ("name", "title", "dataset"), _protocols())


def citations() -> Iterator[str]:
    """The BibTeX entries of every architecture and dataset that has one."""
    for kind in ("architectures", "datasets"):
        for name in registry.find(kind):
            try:
                citation = registry.load(kind, name).spec.citation
            except UserError as error:
                citation = f"% {name} is broken: {error}"
            if citation:
                yield citation


def _choices() -> Iterator[str]:
    """The architectures that take parameters, spelled out."""
    for name in registry.find("architectures"):
        try:
            defaults = registry.defaults(registry.load("architectures", name))
        except UserError:
            continue
        if defaults:
            yield registry.label(name, defaults)


def _architectures(report: Report) -> Iterator[tuple[str, ...]]:
    from benchmark import network

    settings = protocol.load(protocol.DEFAULT)
    names = registry.find("architectures")
    for place, name in enumerate(names):
        report("looking", place + 1, len(names), "")
        try:
            plugin = registry.load("architectures", name)
            count = network.parameter_count(network.sketch(plugin, settings))
        except UserError as error:
            yield name, f"broken: {error}", "", ""
            continue
        except Exception as error:
            yield name, f"broken: {type(error).__name__}: {error}{registry.place(error)}", "", ""
            continue
        spec: ArchitectureSpec = plugin.spec
        yield name, spec.title, f"{count / 1e6:.2f} M" if count else "none", _address(spec.paper)
    yield from _damaged("architectures")


def _datasets() -> Iterator[tuple[str, ...]]:
    for name in registry.find("datasets"):
        try:
            spec: DatasetSpec = registry.load("datasets", name).spec
        except UserError as error:
            yield name, f"broken: {error}", "", ""
            continue
        yield name, spec.title, "needed" if spec.needs_root else "no", _address(spec.paper)
    yield from _damaged("datasets")


def _damaged(kind: registry.Kind) -> Iterator[tuple[str, ...]]:
    for line in registry.damaged(kind):
        yield "–", one_line(f"broken: {line}"), "", ""


def _address(paper: str) -> str:
    return paper.removeprefix("https://") or "–"


def _protocols() -> Iterator[tuple[str, ...]]:
    for name in protocol.names():
        settings = protocol.load(name)
        default = " (default)" if name == protocol.DEFAULT else ""
        yield name + default, settings.title, settings.dataset


def _table(title: str, header: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, no_wrap=index == 0, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table
