"""A hook of mkdocs: the site has the files of the repository at the places where the repository has them.

So a link such as ../results/leaderboard.md leads to the same file in a checkout and on the site. The pages are
README.md, CONTRIBUTING.md and docs/*.md; every file that a page links, and every page so found, comes along.
"""

import posixpath
import re
from pathlib import Path
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Leave pages that this checkout does not have out of the menu."""
    config.nav = [entry for entry in config.nav or [] if all((ROOT / page).is_file() for page in entry.values())]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace docs/ by all the files that the site has; files of the theme stay."""
    for file in [file for file in files if file.abs_src_path and Path(file.abs_src_path).is_relative_to(ROOT / "docs")]:
        files.remove(file)
    for name in [*linked(), *map(str, config.extra_css)]:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def linked() -> list[str]:
    """The names of the pages and of all that they link, relative to the repository's top folder."""
    found: set[str] = set()
    to_read = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted((ROOT / "docs").glob("*.md")))]
    while to_read:
        name = to_read.pop()
        if name in found or name.startswith("../") or not (ROOT / name).is_file():
            continue
        found.add(name)
        if name.endswith(".md"):
            folder = posixpath.dirname(name)
            for target in LINK.findall((ROOT / name).read_text(encoding="utf-8")):
                to_read.append(posixpath.normpath(posixpath.join(folder, unquote(target))))
    return sorted(found)
