"""A damaged file or an odd value in a record is a finding. A bug of a check is not: it ends the command."""

import json
from typing import Any

import numpy as np
import pytest
from helpers import Bench
from tampering import Store

from benchmark.records import checksums, verify
from benchmark.records.verify import counts
from benchmark.records.verify.badges import VERIFICATION
from benchmark.records.verify.run_files import RunFolder


def damages(content: bytes, random: np.random.Generator) -> list[bytes]:
    """The beginning of a file, nothing, noise, and a file with noise in it."""
    cuts = [content[:length] for length in (0, 1, len(content) // 2, len(content) - 9)]
    noise = random.bytes(len(content))
    at = int(random.integers(0, max(1, len(content) - 8)))
    return [*cuts, noise, content[:20] + noise[20:], content[:at] + noise[:8] + content[at + 8 :]]


def test_a_damaged_file_is_found(store: Store) -> None:
    """Every file of a run and of its data; checksums that fit again do not stop the check."""
    random = np.random.default_rng(0)
    shared = [path for name in ("manifests", "pictures") for path in (store.results / name).iterdir()]
    for path in [*shared, *(path for path in store.run.rglob("*") if path.is_file())]:
        content = path.read_bytes()
        for damaged in damages(content, random):
            path.write_bytes(damaged)
            findings = verify.check(store.results, [store.run])
            assert findings, path
            assert all("\n" not in str(finding) for finding in findings), path
            if store.run in path.parents and path.name != checksums.NAME:
                before = (store.run / checksums.NAME).read_bytes()
                store.seal()
                verify.check(store.results, [store.run])
                (store.run / checksums.NAME).write_bytes(before)
        path.write_bytes(content)
    assert verify.check(store.results) == []
    for damaged in damages(b'{"schema": 1, "verdict": "reproduced"}', random):
        (store.run / VERIFICATION).write_bytes(damaged)
        (finding,) = verify.check(store.results)
        assert finding.file.name == VERIFICATION


ODD: list[Any] = [None, -1, 10**30, 1e308, "", "\0", "../..", "x" * 5000, [], [[]], {}, {"\0": None}, True]


def test_an_odd_value_in_a_record_is_found(store: Store) -> None:
    """Each value in run.json is replaced by some of another kind or size."""
    path = store.run / "run.json"
    original = json.loads(path.read_text())
    for number, names in enumerate(leaves(original)):
        for odd in ODD[number % 3 :: 3]:
            content = json.loads(json.dumps(original))
            target = content
            for name in names[:-1]:
                target = target[name]
            if type(target[names[-1]]) is type(odd) and not odd:
                continue  # an empty text is a text
            target[names[-1]] = odd
            path.write_text(json.dumps(content))
            assert verify.check(store.results, [store.run]), (names, odd)


def leaves(content: Any) -> list[list[Any]]:
    """The ways to every value, itself a container or not."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [[name, *way] for name, value in inside for way in ([], *leaves(value))]


@pytest.mark.parametrize("kind", [AttributeError, KeyError, TypeError, ValueError, RuntimeError, ZeroDivisionError])
def test_a_bug_of_a_check_is_not_a_damaged_record(
    bench: Bench, store: Store, monkeypatch: pytest.MonkeyPatch, kind: type[Exception]
) -> None:
    def broken(run: RunFolder) -> Any:
        assert len(run.images["id"]) == 6
        raise kind("a bug")

    monkeypatch.setattr("benchmark.records.verify.checks.FINISHED_RUN", (counts.check_slices, broken))
    with pytest.raises(kind):
        verify.check(store.results)
    ran = bench("verify", "--results", store.results)
    assert (ran.code, "this is a bug of birdmask-bench" in ran.err) == (1, True)
