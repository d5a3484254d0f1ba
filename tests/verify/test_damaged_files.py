"""No damage to any file, and no value in a record, stops the check."""

import json
from typing import Any

import numpy as np
from tampering import Store

from benchmark.records import checksums, verify
from benchmark.records.verify.badges import VERIFICATION


def damages(content: bytes, random: np.random.Generator) -> list[bytes]:
    """The beginning of a file, nothing, noise, and a file with noise in it."""
    cuts = [content[:length] for length in (0, 1, len(content) // 2, len(content) - 9)]
    noise = random.bytes(len(content))
    at = int(random.integers(0, max(1, len(content) - 8)))
    return [*cuts, noise, content[:20] + noise[20:], content[:at] + noise[:8] + content[at + 8 :]]


def test_no_damage_stops_the_check(tuned: Store) -> None:
    """Every file of the store, with the checksums of before and with new ones."""
    random = np.random.default_rng(0)
    for path in [path for path in tuned.results.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        for damaged in damages(content, random):
            path.write_bytes(damaged)
            findings = verify.check(tuned.results)
            assert {path, tuned.run} & {finding.run for finding in findings}, path
            assert all("\n" not in str(finding) for finding in findings), path
            if tuned.run in path.parents and path.name != checksums.NAME:
                kept = (tuned.run / checksums.NAME).read_bytes()
                tuned.seal()
                verify.check(tuned.results)
                (tuned.run / checksums.NAME).write_bytes(kept)
        path.write_bytes(content)
    assert verify.check(tuned.results) == []
    for damaged in damages(b'{"schema": 1, "verdict": "reproduced"}', random):
        (tuned.run / VERIFICATION).write_bytes(damaged)
        (finding,) = verify.check(tuned.results)
        assert finding.file.name == VERIFICATION


ODD: list[Any] = [None, -1, 10**30, 1e308, "", "\0", "../..", "x" * 5000, [], [[]], {}, {"\0": None}, True]


def test_no_value_of_a_record_stops_the_check(tuned: Store) -> None:
    """Of each value in run.json, replaced by some of another kind or size."""
    path = tuned.run / "run.json"
    whole = json.loads(path.read_text())
    for number, names in enumerate(leaves(whole)):
        for odd in ODD[number % 3 :: 3]:
            content = json.loads(json.dumps(whole))
            target = content
            for name in names[:-1]:
                target = target[name]
            if type(target[names[-1]]) is type(odd) and not odd:
                continue  # an empty text is a text
            target[names[-1]] = odd
            path.write_text(json.dumps(content))
            assert verify.check(tuned.results), (names, odd)


def leaves(content: Any) -> list[list[Any]]:
    """The ways to every value, itself a container or not."""
    inside = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    return [[name, *way] for name, value in inside for way in ([], *leaves(value))]
