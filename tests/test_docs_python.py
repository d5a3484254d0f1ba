"""The Python of docs/formats.md and docs/results.md is run, block after block, on a small run; so is the notebook."""

import re
import shutil
from pathlib import Path

import pytest

DOCS = Path(__file__).parent.parent / "docs"


@pytest.mark.parametrize("page", ["formats.md", "results.md"])
def test_its_python_runs(page: str, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(tiny_run, tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
    assert len(blocks) > 2
    namespace: dict[str, object] = {}
    for block in blocks:
        exec(block, namespace)


def test_every_file_of_a_run_is_described(tiny_run: Path) -> None:
    text = (DOCS / "formats.md").read_text()
    (run,) = tiny_run.glob("runs/*/*/*/*")
    for path in run.iterdir():
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text


def test_the_notebook_runs(tmp_path: Path) -> None:
    """On the committed results, in a kernel of its own; what it writes is looked at."""
    nbclient = pytest.importorskip("nbclient", reason="nbclient runs the notebook: pip install 'birdmask-bench[dev]'")
    pytest.importorskip("ipykernel", reason="a kernel runs the notebook: pip install 'birdmask-bench[dev]'")
    import nbformat

    (tmp_path / "docs").mkdir()
    (tmp_path / "results").symlink_to(DOCS.parent / "results")
    notebook = nbformat.read(DOCS / "results-to-figure.ipynb", as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells)  # none are committed: they would go stale
    nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path / "docs")}}).execute()
    assert (tmp_path / "docs" / "figure.pdf").read_bytes().startswith(b"%PDF")
    table = (tmp_path / "docs" / "table.tex").read_text().splitlines()
    assert table[0] == r"\begin{tabular}{lrrrr}"
    assert len({line.count("&") for line in table if "&" in line}) == 1
    assert sum("&" in line for line in table) > 10
