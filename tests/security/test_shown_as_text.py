"""What comes from elsewhere is shown as it stands: in the terminal, Markdown, LaTeX, CSV and the page."""

import csv
import io
from pathlib import Path

import pytest
from helpers import Bench
from rich.console import Console
from test_leaderboard import write

from benchmark.common import errors
from benchmark.leaderboard import formats, page, tables
from benchmark.leaderboard.formats.markdown import pages

EVIL = (
    "</script><img src=x onerror=alert(1)>[a](javascript:b)|{{7*7}}\"'&"
    "\x1b]0;t\x07\x1b[2J\r\n\t# h\u202e\x9b\\input{/etc/passwd}\\write18{id}$^_~%\x02"
)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A results folder whose records say that wherever a text may stand."""
    text = dict.fromkeys(("command", "dataset__title", "dataset__label", "dataset__citation", "dataset__licence"), EVIL)
    text |= {
        f"architecture__{name}": EVIL for name in ("label", "title", "paper", "citation", "weights", "weights_licence")
    }
    text |= {"device__kind": EVIL, "device__precision": EVIL, "protocol__name": EVIL, "protocol__title": EVIL}
    number = {"dataset": EVIL, "split": "test", "metric": "IoU", "value": 1.0, "source": EVIL, "comparable": EVIL}
    write(tmp_path, label="a", architecture__reported=[number], protocol__overrides={EVIL: EVIL}, **text)
    write(tmp_path, label="b", status="diverged", message=EVIL, **text)
    return tmp_path


def test_the_terminal_is_told_nothing_but_text(bench: Bench, hostile: Path) -> None:
    board = tables.build(hostile)
    console = Console(width=4000, file=io.StringIO(), highlight=False, force_terminal=False)
    formats.print_terminal(board, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    ran = bench("verify", "--results", hostile)
    assert "\\x1b" in text
    board_out = bench("leaderboard", "--results", hostile)
    for shown in (text, ran.out + ran.err, board_out.out, board_out.err):
        assert {sign for sign in shown if errors.printable(sign) != sign} <= {"\n"}


def test_messages_are_one_line_without_escape_sequences(bench: Bench, tmp_path: Path) -> None:
    ran = bench("denoise", tmp_path / "a\x1b[2J\nb\udcff.wav", "--results", tmp_path)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert "a\\x1b[2J\\nb\\udcff.wav" in line


def test_markdown_holds_no_html_no_link_and_no_line_of_its_own(hostile: Path) -> None:
    text = "\n".join(pages(tables.build(hostile)).values())
    prose = [line for line in text.splitlines() if not line.startswith("    ")]
    assert not [line for line in prose if "<" in line]
    assert "](" not in "".join(prose)
    assert not [line for line in text.splitlines() if line.startswith("# h")]
    assert all(sign == "\n" or errors.printable(sign) == sign for sign in text)


def test_latex_reads_and_runs_nothing(hostile: Path) -> None:
    text = formats.latex(tables.build(hostile))
    assert "input" in text
    assert "\\input" not in text
    assert "\\write" not in text
    assert "\x02" not in text
    assert text.count("\\textbf{") <= 2


def test_a_spreadsheet_computes_nothing(tmp_path: Path) -> None:
    for number, start in enumerate("=+-@"):
        write(
            tmp_path,
            label=f"{start}cmd|' C calc'!A0",
            seed=number,
            architecture__weights=f"{start}1",
            dataset__label=f"{start}x",
            protocol__name=f"{start}y",
            comparability_key=f"{number}" * 64,
        )
    lines = list(csv.DictReader(io.StringIO(formats.csv(tables.build(tmp_path)))))
    assert len(lines) == 4
    for line in lines:
        texts = [value for value in line.values() if value and not _is_number(value)]
        assert not [value for value in texts if value[0] in "=+-@\t\r"]
    assert {line["architecture"][:2] for line in lines} == {"'=", "'+", "'-", "'@"}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_the_page_is_html_of_ours_alone(hostile: Path) -> None:
    text = page.rendered(tables.build(hostile), hostile)
    assert "<img" not in text
    assert "</script><" not in text.replace("</script></body>", "")
    assert "{{7*7}}" in text
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e", "\x02"}


def test_plain_texts_stay_as_they_are(tmp_path: Path) -> None:
    title = 'Café "U" \\ ± – Ångström\u00a0<1 °'
    write(tmp_path, architecture__title=title)
    assert tables.build(tmp_path).tables[0].rows[0].runs[0].architecture.title == title
    assert errors.printable("a\nb\t", keep="\n") == "a\nb\\t"
