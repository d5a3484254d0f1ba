"""The report of an output folder: a row for each recording, as a table and as a page; it says what is done already."""

import csv
import os
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from benchmark.common import files
from benchmark.common.errors import UserError, printable
from benchmark.tools.denoise import clean
from benchmark.tools.denoise.clean import Cleaned
from benchmark.tools.denoise.settings import Settings

TABLE, PAGE = "report.tsv", "report.html"
_PAUSE = 5.0
"""Seconds between two writings of the table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A line of report.tsv. What was not measured is empty; the addresses are relative to the folder of the report."""

    file: str
    duration_s: str = ""
    sample_rate_hz: str = ""
    channels: str = ""
    snr_before_db: str = ""
    energy_removed: str = ""
    time_with_song: str = ""
    warnings: str = ""
    refused: str = ""
    network: str = ""
    source: str
    cleaned: str
    residue: str = ""
    labels: str = ""
    settings: str = ""

    @property
    def picture(self) -> str:
        """The address of the picture before and after."""
        return self.cleaned.removesuffix(".wav") + ".png"


class Report:
    """The rows of the output folder, old and new."""

    def __init__(self, out: Path) -> None:
        """Read the rows of earlier calls.

        Raises:
            UserError: the folder has another report.tsv.
        """
        self._out = out
        self._rows = {row.cleaned: row for row in _read(out / TABLE)}
        self._written = time.monotonic()

    def done(self, target: Path, key: str, settings: Settings) -> Row | None:
        """The row of a file that was cleaned with the same settings and is there with all that is asked for."""
        row = self._rows.get(self._address(target))
        if row is None or row.settings != key or row.refused:
            return None
        listed = clean.labels(target, settings)
        wanted = [target, *clean.pictures(target)]
        if settings.residue:
            wanted.append(clean.residue(target))
        if listed:
            wanted.append(listed)
        recorded = (row.residue or not settings.residue) and (not listed or row.labels == self._address(listed))
        return row if recorded and all(path.is_file() for path in wanted) else None

    def add(self, cleaned: Cleaned, warnings: list[str], key: str, settings: Settings, network: str) -> None:
        """Add a cleaned recording. Files of an earlier cleaning that this one did not write again are removed."""
        listed = clean.labels(cleaned.target, settings)
        row = Row(
            file=printable(str(cleaned.source)),
            duration_s=f"{cleaned.header.seconds:.3f}",
            sample_rate_hz=str(cleaned.header.sample_rate),
            channels=str(cleaned.header.channels),
            snr_before_db="" if cleaned.snr is None else f"{cleaned.snr:.1f}",
            energy_removed=f"{cleaned.removed:.4f}",
            time_with_song=f"{cleaned.song:.4f}",
            warnings="; ".join(warnings),
            network=network,
            source=self._address(cleaned.source),
            cleaned=self._address(cleaned.target),
            residue=self._address(clean.residue(cleaned.target)) if settings.residue else "",
            labels=self._address(listed) if listed else "",
            settings=key,
        )
        before = self._rows.get(row.cleaned)
        if before and before.residue and not row.residue:
            clean.residue(cleaned.target).unlink(missing_ok=True)
        self._put(row)

    def refuse(self, source: Path, target: Path, error: UserError) -> None:
        """Add a recording that could not be cleaned; the result of an earlier call stays, if there is one."""
        row = Row(
            file=printable(str(source)),
            refused=str(error),
            source=self._address(source),
            cleaned=self._address(target),
        )
        self._put(row)

    def _put(self, row: Row) -> None:
        self._rows[row.cleaned] = row
        if time.monotonic() > self._written + _PAUSE:
            self._write_table()

    def save(self) -> None:
        """Write both files. Rows whose cleaned file, or whose refused source, has gone are left out.

        Raises:
            UserError: they cannot be written.
        """
        self._rows = {key: row for key, row in sorted(self._rows.items()) if self._there(row)}
        self._write_table()
        templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )
        page = templates.get_template("report.html.jinja").render(rows=list(self._rows.values()))
        files.write_atomically(self._out / PAGE, lambda path: path.write_text(page, encoding="utf-8"))

    def _write_table(self) -> None:
        def write(path: Path) -> None:
            with path.open("w", encoding="utf-8", newline="") as file:
                table = csv.DictWriter(file, _COLUMNS, delimiter="\t", lineterminator="\n")
                table.writeheader()
                table.writerows(asdict(row) for row in self._rows.values())

        files.write_atomically(self._out / TABLE, write)
        self._written = time.monotonic()

    def _there(self, row: Row) -> bool:
        from urllib.parse import unquote_to_bytes

        return (self._out / os.fsdecode(unquote_to_bytes(row.source if row.refused else row.cleaned))).exists()

    def _address(self, path: Path) -> str:
        """The address of a file relative to the output folder; any name of bytes can be written so."""
        return quote(os.fsencode(Path(os.path.relpath(path.resolve(), self._out.resolve())).as_posix()))


_COLUMNS = [field.name for field in fields(Row)]


def _read(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            table = csv.DictReader(file, delimiter="\t", strict=True)
            if table.fieldnames != _COLUMNS:
                raise UserError(f"{path} is not a report of bench denoise; move it, or choose another --out")
            return [Row(**{name: line[name] or "" for name in _COLUMNS}) for line in table]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read ({error}); move it, or choose another --out") from error
