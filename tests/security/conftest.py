"""A file that exists only if something was run that must not be."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from bombs import Bomb


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """What a planted file makes if it is run; the test fails if it is there in the end."""
    path = tmp_path / "it-ran"
    assert pickle.loads(pickle.dumps(Bomb(path))) is None
    assert path.exists()  # the bomb works
    path.unlink()
    yield path
    assert not path.exists(), "what was read was run"
