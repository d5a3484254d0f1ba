"""Texts in the cache folder, by the question that they answer: the last few of a kind."""

import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.common import files
from benchmark.common.errors import UserError

_MOST = 16


def place(kind: str, question: Any) -> Path:
    """Where the answer to a question (JSON) is kept, of whatever kind of text."""
    name = hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:24]
    return files.cache_folder() / kind / f"{name}.json"


def keep(path: Path, text: str) -> None:
    """Beside the last few; where the cache cannot be written the next call takes as long as this one."""
    try:
        files.write_atomically(path, partial(Path.write_text, data=text, encoding="utf-8"))
        older = sorted(path.parent.glob("*.json"), key=lambda other: other.stat().st_mtime_ns, reverse=True)
        for other in older[_MOST:]:
            other.unlink(missing_ok=True)
    except (OSError, UserError):
        return
