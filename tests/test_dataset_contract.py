"""The contract of datasets, on every plugin that there is; and proof that each of its checks can fail."""

from pathlib import Path

import pytest
from helpers import planted

from benchmark.common.errors import UserError
from benchmark.plugins import checks

CHECKS = list(checks.dataset_checks())


def test_the_embedded_dataset_keeps_the_contract() -> None:
    results = checks.check_dataset("synthetic:train=8,val=4,test=4,ood=2")
    assert [result.check for result in results] == CHECKS
    checks.require(results)


def test_the_published_layout_keeps_the_contract(birdsounds: Path) -> None:
    checks.require(checks.check_dataset("birdsounds", birdsounds))


TEMPLATE = """
from dataclasses import replace
from functools import partial
from pathlib import Path
import numpy as np
from benchmark.contract import Audio, DatasetSpec, Example, Rendering, Sample

CALLS = []

def load(*, {signature}):
    CALLS.append(1)
    splits = {{split: [sample(split, number, root) for number in range(4)] for split in ("train", "val", "test")}}
    {change}
    return splits

def sample(split, number, root):
    return Sample(id=f"{{split}}{{number}}", groups={{"recording": f"{{split}}{{number}}"}},
                  read=partial(read, number), files=(root / "a.txt",) if root else ())

def read(number):
    mask = np.zeros((8, 9), np.bool_)
    mask[2:4] = True
    image = np.full((8, 9), number, np.uint8)
    example = Example(image=image, mask=mask)
    {example}
    return example

DATASET = DatasetSpec(load=load, title={title!r}, paper="", citation={citation!r}, licence="MIT",
                      needs_root={needs_root}, {fields})
"""
GOOD = {
    "signature": "root",
    "change": "pass",
    "example": "pass",
    "title": "Data",
    "citation": "",
    "needs_root": "True",
    "fields": "",
}
FIRST = "splits['train'][0] = replace(splits['train'][0], {})"
# So many samples make a spectrogram of four frames.
SOUND = (
    "sound = np.ones(128 + 64 * 3, np.float32); flat = np.zeros((1024, 4), np.uint8); "
    "example = Example(image=flat, mask=flat == 0, audio=Audio(noisy=sound, clean=sound, sample_rate=8000)); "
    "example.mask[0] = False"
)
BROKEN = [
    ("signature", {"signature": "root, width"}),
    ("metadata", {"title": ""}),
    ("metadata", {"citation": "Data, 2020"}),
    ("splits", {"change": "del splits['val']"}),
    ("splits", {"change": "splits['val'] = []"}),
    ("splits", {"change": "splits['trian'] = []"}),
    ("splits", {"change": "splits['train'][1] = splits['train'][0]"}),
    ("splits", {"change": "splits['train'][0] = 'x'"}),
    ("splits", {"change": FIRST.format("id='a\\nb'")}),
    ("order", {"change": "splits['train'] = splits['train'][:: 1 if len(CALLS) % 2 else -1]"}),
    ("groups", {"change": FIRST.format("groups={'bird': 'x'}")}),
    ("splits", {"change": FIRST.format("groups={'recording': ''}")}),
    ("leakage", {"change": FIRST.format("groups={'recording': 'val0'}")}),
    ("leakage", {"change": "splits['test'][0] = replace(splits['test'][0], groups={'recording': 'val0'})"}),
    ("leakage", {"change": FIRST.format("groups={'recording': 'test0'}")}),
    ("splits", {"change": FIRST.format("strata={'snr': float('nan')}")}),
    ("splits", {"change": FIRST.format("slice=''")}),
    ("files", {"change": FIRST.format("files=()")}),
    ("files", {"change": FIRST.format("files=(root / 'b.txt',)")}),
    ("files", {"change": FIRST.format("files=(Path(__file__),)")}),
    ("workers", {"change": FIRST.format("read=lambda: read(0)")}),
    ("workers", {"example": "assert CALLS, 'not listed here'"}),
    ("examples", {"example": "example = replace(example, mask=example.mask.astype(np.uint8))"}),
    ("examples", {"example": "example = replace(example, image=example.image[1:])"}),
    ("examples", {"example": "example = (example.image, example.mask)"}),
    ("repeatable", {"example": "example.image[0] = np.random.default_rng().integers(256, size=9)"}),
    ("masks", {"example": "example.mask[:] = False"}),
    ("masks", {"example": "example.mask[:] = True"}),
    ("audio", {"example": SOUND}),
    ("audio", {"example": SOUND, "fields": "rendering=Rendering(sample_rate=16000)"}),
    ("examples", {"example": SOUND.replace("8000", "0"), "fields": "rendering=Rendering()"}),
    (
        "audio",
        {
            "example": f"{SOUND}; example = example if number else Example(image=image, mask=mask)",
            "fields": "rendering=Rendering(sample_rate=8000)",
        },
    ),
]


def plant(folder: Path, **changes: str) -> tuple[str, Path]:
    data = folder / "data"
    data.mkdir()
    (data / "a.txt").write_text("a")
    name = planted(folder, "datasets", TEMPLATE.format(**{**GOOD, **changes}))
    return name, data


def test_the_template_of_the_broken_ones_is_good(tmp_path: Path) -> None:
    checks.require(checks.check_dataset(*plant(tmp_path)))


@pytest.mark.parametrize(("check", "changes"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_a_broken_plugin_fails_the_check_meant_for_it(tmp_path: Path, check: str, changes: dict[str, str]) -> None:
    results = {result.check: result for result in checks.check_dataset(*plant(tmp_path, **changes))}
    assert results[check].outcome == "failed", results
    assert results[check].reason
    assert "\n" not in results[check].reason


def test_where_the_splits_fail_other_checks_of_the_listing_are_skipped(tmp_path: Path) -> None:
    results = checks.check_dataset(*plant(tmp_path, change="splits['val'] = []"))
    assert [result.check for result in results if result.outcome == "failed"] == ["splits"]


def test_every_check_has_a_plugin_that_fails_it() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)


def test_a_folder_that_is_missing_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="say which with --data ROOT"):
        checks.check_dataset("birdsounds")
    with pytest.raises(UserError, match="no folder"):
        checks.check_dataset("birdsounds", tmp_path / "nowhere")
