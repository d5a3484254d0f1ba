"""Datasets of which anything is wrong, in the listing, in what is read, in what they declare: one line each."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzed_plugins import RAISED, filled, numbers, plugin
from fuzzing import cases, count, outcome, require_ended
from helpers import Bench
from hypothesis import example, given
from hypothesis import strategies as st

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data.cache import Cached
from benchmark.plugins import datasets, registry

DATASET = '''"""A dataset."""
import sys
import numpy as np
from pathlib import Path
from benchmark.contract import Audio, DatasetSpec, Example, Rendering, Sample


ERRORS


class Read:
    def __init__(self, seed):
        self.seed = seed

    def __call__(self):
        random = np.random.default_rng(self.seed)
        image = random.integers(0, 255, (16, 16)).astype(np.uint8)
        mask = np.zeros((16, 16), bool)
        mask[3:9, 4:12] = True
        audio = None
        if self.seed % WHICH == 0:
            AT_READ
        return Example(image=IMAGE, mask=MASK, audio=AUDIO)


def sample(number):
    number = number
    return Sample(id=ID, groups=GROUPS, read=READ, slice=SLICE, strata=STRATA, files=FILES)


def load(*, root, size: int = 3):
    AT_LOAD
    return SPLITS


DATASET = DatasetSpec(
    load=LOAD, title="T", paper="", citation="", licence="mine", needs_root=False, rendering=RENDERING, resolve=RESOLVE
)
'''

USUAL = {
    "WHICH": "1",
    "AT_READ": "pass",
    "AT_LOAD": "pass",
    "IMAGE": "image",
    "MASK": "mask",
    "AUDIO": "audio",
    "ID": "f'image-{number}'",
    "GROUPS": "{'recording': f'r{number}'}",
    "READ": "Read(number)",
    "SLICE": "'main'",
    "STRATA": "{'snr_db': 3.0}",
    "FILES": "()",
    "SPLITS": "{s: [sample(10 * n + m) for m in range(size)] for n, s in enumerate(('train', 'val', 'test'))}",
    "LOAD": "load",
    "RENDERING": "None",
    "RESOLVE": "None",
}

ODD = [
    "None",
    "7",
    "'x'",
    "b'x'",
    "[]",
    "{}",
    "()",
    "float('nan')",
    "object()",
    "10**400",
    "'\\0'",
    "'a\\nb'",
    "'\\ud800'",
]

DATA_CHOICES = {
    "WHICH": ["2", "3"],
    "AT_READ": [*RAISED[:19], "return None", "return 7", "return image", "image, mask = mask, image"],
    "AT_LOAD": [*RAISED[:19], "return None", "return 7", "return []", "return {}", "yield"],
    "IMAGE": [
        *ODD,
        "image.astype(float)",
        "image.astype(np.uint16)",
        "image.tolist()",
        "image[0]",
        "image[..., None]",
        "np.dstack([image] * 3)",
        "np.dstack([image] * 4)",
        "image[:0]",
        "image[:, :5]",
        "np.ma.array(image)",
        "image[::-1]",
        "np.zeros((1, 1), np.uint8)",
        "np.asmatrix(image)",
        "image.view(object) if 0 else image",
    ],
    "MASK": [
        *ODD,
        "mask.astype(np.uint8)",
        "mask * 255",
        "mask[:8]",
        "mask[..., None]",
        "~mask",
        "mask & False",
        "mask.T[::2]",
        "mask.tolist()",
        "np.ma.array(mask, mask=mask)",
    ],
    "AUDIO": [
        *ODD,
        "Audio(noisy=np.zeros(9), clean=np.zeros(9), sample_rate=8000)",
        "Audio(noisy=None, clean=None, sample_rate=0)",
        "Audio(noisy=np.zeros((9, 2)), clean=np.zeros(9), sample_rate=-1)",
        "Audio(noisy='x', clean=[1], sample_rate='y')",
        "Audio(noisy=np.zeros(1088) * float('nan'), clean=np.zeros(1088), sample_rate=8000)",
    ],
    "ID": [
        *ODD,
        "''",
        "number",
        "'same'",
        "'../../x' + str(number)",
        "f'{number}\\n'",
        "f'{number}\\0'",
        "f'a/b{number}'",
        "f'🐦{number}'",
        "f'{number},\"x\"'",
        "f'{number}\\u2028'",
        "' '",
        "f' {number} '",
        "f'nan' * number",
        "'=1+1' + str(number)",
        "f'{number}\\r'",
        "f'\"{number}'",
        "'NA' if number == 20 else str(number)",
        "f'\\x1b[31m{number}'",
        "'x' * 70_000 + str(number)",
    ],
    "GROUPS": [
        *ODD,
        "{'recording': number}",
        "{7: 'x'}",
        "{'recording': 'same'}",
        "{'': ''}",
        "{'pixels': 'x'}",
        "{'a\\nb': '\\0'}",
        "{'recording': None}",
    ],
    "READ": [*ODD, "lambda: None", "Read", "print", "lambda: Read(number)()"],
    "SLICE": [
        *ODD,
        "'ood'",
        "'main' if number % 2 else 'a,b\"'",
        "str(number)",
        "'a\\nb' if number % 2 else 'main'",
        "'\\r'",
    ],
    "STRATA": [
        *ODD,
        "{'snr_db': float('nan')}",
        "{'snr_db': 'loud'}",
        "{'snr_db': None}",
        "{'snr_db': 10**400}",
        "{7: 7}",
        "{'x': [1]}",
        "{'snr_db': np.float32(3)}",
        "{'snr_db': 1e308}",
    ],
    "FILES": [*ODD, "(Path('/nowhere/at/all'),)", "('/nowhere',)", "(Path('\\0'),)", "(None,)"],
    "SPLITS": [
        *ODD,
        "{'train': [sample(1)]}",
        "{s: [] for s in ('train', 'val', 'test')}",
        "{s: [7] for s in ('train', 'val', 'test')}",
        "{s: (sample(10 * n + m) for m in range(3)) for n, s in enumerate(('train', 'val', 'test'))}",
        "{s: [sample(m) for m in range(3)] for s in ('train', 'val', 'test')}",
        "{s: 7 for s in ('train', 'val', 'test')}",
        "{s: 'abc' for s in ('train', 'val', 'test')}",
        "{s: {sample(1): 1} for s in ('train', 'val', 'test')}",
        "{s: {n: sample(n)} for n, s in enumerate(('train', 'val', 'test'))}",
        "{s: [sample(10 * n + m) for m in range(3)] for n, s in enumerate(('train', 'val', 'test', 'more', 7))}",
    ],
    "LOAD": ["None", "7", "lambda: None", "lambda root: {}", "sys.exit", "print", "dict", "lambda *, root, **_: None"],
    "RENDERING": [*ODD, "Rendering(sample_rate='x')", "Rendering(peak=float('nan'))"],
    "RESOLVE": [
        "7",
        "lambda: None",
        "lambda **_: None",
        "lambda **_: 7",
        "lambda **_: 1 / 0",
        "lambda **_: sys.exit(3)",
    ],
}


def dataset(**parts: str) -> bytes:
    return filled(DATASET, {**USUAL, **parts})


@st.composite
def wrong_datasets(draw: st.DrawFn) -> bytes:
    chosen = draw(st.lists(st.sampled_from(list(DATA_CHOICES)), min_size=1, max_size=2))
    return dataset(**{name: draw(st.sampled_from(DATA_CHOICES[name])) for name in chosen})


def prepare(name: str) -> tuple[Cached, Any]:
    """List, decode, check and describe it, as a run does."""
    settings = protocols.load("quick").override({"image_size": (16, 16), "batch_size": 1})
    loaded = registry.load("datasets", name)
    cached = datasets.load_data(loaded, settings, None, silent)
    datasets.check_data(cached, settings, allow_leakage=False)
    return cached, datasets.resolved(loaded, None)


def require_right(cached: Cached) -> None:
    for split in cached.splits.values():
        assert len(split.rows) == len(split.images) == len(split.masks) >= 1
        assert len({row.id for row in split.rows}) == len(split.rows)
        assert all(isinstance(row.id, str) and row.id and row.id.isprintable() for row in split.rows)
        assert split.images.dtype == np.uint8


def test_the_usual_dataset_is_right(folder: Path) -> None:
    with plugin(folder, "datasets", dataset()) as name:
        found = outcome(lambda: prepare(name))
    assert not isinstance(found, UserError), found
    require_right(found[0])


EVERY = [(name, part) for name, choices in DATA_CHOICES.items() for part in choices]


@pytest.mark.parametrize(("name", "part"), EVERY)
def test_one_thing_wrong_in_a_dataset(folder: Path, name: str, part: str) -> None:
    with plugin(folder, "datasets", dataset(**{name: part})) as label:
        found = outcome(lambda: prepare(label))
    if not isinstance(found, UserError):
        require_right(found[0])


@cases(60)
@given(code=wrong_datasets())
def test_two_things_wrong_in_a_dataset(folder: Path, code: bytes) -> None:
    with plugin(folder, "datasets", code) as name:
        found = outcome(lambda: prepare(name))
    if not isinstance(found, UserError):
        require_right(found[0])


@cases(5, cost=20, shrink=False)
@given(code=wrong_datasets(), check=st.sampled_from([False, False, True]))
@example(
    code=dataset(ID="'NA' if number == 20 else str(number)", SLICE="'nan' if number == 22 else 'main'"), check=False
)
@example(code=dataset(AT_READ="sys.exit(0)"), check=False)
def test_the_commands_on_a_dataset(bench: Bench, folder: Path, tmp_path: Path, code: bytes, check: bool) -> None:
    results = tmp_path / f"results-{next(numbers)}"
    with plugin(folder, "datasets", code) as name:
        rest = ("--image-size", 16, "--batch-size", 1, "--results", results)
        words = ("check", "--dataset", name) if check else ("run", "--arch", "otsu", "--dataset", name, *rest)
        ran = bench(*words, "--plugins", folder)
        require_ended(ran.code, ran.err or ran.out)  # what a check found stands in its table
        if not check and ran.code == 0:
            shown = bench("leaderboard", "--results", results)
            assert (shown.code, shown.err) == (0, "")
            checked = bench("verify", "--results", results)
            assert checked.code == 0, checked.out
            count("result")
