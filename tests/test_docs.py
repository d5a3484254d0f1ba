"""`make docs`: documentation and page of the results as one folder of files, in which every link leads somewhere."""

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent


class Links(HTMLParser):
    """What a page links, and what it loads when it is opened."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.linked: list[str] = []
        self.loaded: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("href", "src") and value:
                (self.linked if tag == "a" else self.loaded).append(value)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for name in ("mkdocs", "material"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install -e '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    silent = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=silent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def pages(site: Path) -> list[Path]:
    """The pages that mkdocs has made; the page of the results has tests of its own."""
    return [path for path in site.rglob("*.html") if path.name == "index.html"]


def test_every_page_of_docs_and_the_page_of_the_results_are_there(site: Path) -> None:
    made = {path.parent.name for path in pages(site)}
    assert {path.stem for path in (ROOT / "docs").glob("*.md")} <= made
    assert (site / "results" / "leaderboard.html").read_bytes() == (ROOT / "results" / "leaderboard.html").read_bytes()


def test_every_link_leads_to_a_file(site: Path) -> None:
    for page in pages(site):
        found = Links(page)
        for link in found.linked + found.loaded:
            parts = urlsplit(link)
            if not parts.scheme and not parts.netloc and parts.path:
                target = page.parent / unquote(parts.path)
                assert (target / "index.html" if parts.path.endswith(("/", ".")) else target).is_file(), (page, link)


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for page in pages(site):
        assert not [link for link in Links(page).loaded if urlsplit(link).netloc], page
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8")


def test_the_search_knows_every_page(site: Path) -> None:
    known = {
        entry["location"].split("#")[0] for entry in json.loads((site / "search/search_index.json").read_text())["docs"]
    }
    assert {f"docs/{path.stem}/" for path in (ROOT / "docs").glob("*.md")} <= known


def test_the_picture_of_the_readme_is_drawn_from_the_committed_runs(tmp_path: Path) -> None:
    hero = runpy.run_path(str(ROOT / "docs" / "hero.py"))
    hero["main"](tmp_path / "hero.png")
    with Image.open(tmp_path / "hero.png") as drawn, Image.open(hero["PICTURE"]) as committed:
        assert drawn.size == committed.size
