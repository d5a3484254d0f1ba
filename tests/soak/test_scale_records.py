"""10,000 records: how long `bench leaderboard` takes (printed), and that it takes less than 1 GB.

make soak, or alone: python -m pytest tests/soak/test_scale_records.py -m soak -s

Every record is a complete folder, made from a committed run: the same files of about the same size (pictures are
cut), with checksums, a verification and a plugin that is found, so a badge costs here what it costs elsewhere.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import MASK, Data, write_manifest, write_references

from benchmark import scores
from benchmark.plugins import registry
from benchmark.plugins.source import hash_file
from benchmark.records import checksums, keys, schema, store
from benchmark.records.tables import write_csv
from benchmark.records.verify.badges import VERIFICATION

pytestmark = pytest.mark.soak

ROOT = Path(__file__).parent.parent.parent
SEEDS = 5
ENTRIES = 100
IMAGES = 128  # as many as the quick protocol tests on
PICTURE = 4_000
"""Bytes that are left of a picture: 20,000 records with whole ones would not fit into memory."""


@dataclass(frozen=True)
class Template:
    """A committed run: its record, and every other file that is not made anew."""

    record: dict[str, Any]
    verification: dict[str, Any]
    others: dict[str, bytes]


def templates() -> list[Template]:
    """One finished run of each architecture, all of one protocol."""
    found = {}
    for path, one in store.read_all(ROOT / "results")[0]:
        (source,) = registry.sources("architectures", one.architecture.name)
        if one.status != "finished" or one.protocol.name != "quick" or one.architecture.name in found:
            continue
        others = {name: (path / name).read_bytes() for name in checksums.names(path) if name.startswith("examples/")}
        others = {name: content[:PICTURE] for name, content in others.items()}
        others |= {name: (path / name).read_bytes() for name in ("history.csv", "logits.csv", "predictions.npz")}
        others["plugin.py"] = source.read_bytes()
        whole = json.loads((path / "run.json").read_text())
        whole["architecture"]["source_hash"] = hash_file(source)
        found[one.architecture.name] = Template(whole, verification(), others)
    return list(found.values())


def verification() -> dict[str, Any]:
    """What a committed run says of its evaluation, of as many images with sounds."""
    path = next(iter(sorted((ROOT / "results").glob(f"runs/quick/synthetic/spectral_gate/*/{VERIFICATION}"))))
    return {**json.loads(path.read_text()), "images": IMAGES}


def data_of(number: int) -> Data:
    """Images of 16 songs on 8 backgrounds."""
    index = np.arange(IMAGES)
    return Data(
        groups={"song": [f"s{i % 16}" for i in index], "background": [f"b{(i // 16) % 8}" for i in index]},
        slices=["main"] * IMAGES,
        snr=-5.0 + (index * 7) % 20,
        area=100 + (index * 37) % 400,
        digest=f"{number:064x}"[::-1],
    )


def write_store(results: Path, count: int) -> None:
    """`count` records: tables of 100 entries with 5 seeds."""
    random = np.random.default_rng(0)
    known = templates()
    for table in range(count // (ENTRIES * SEEDS)):
        data = data_of(table)
        write_manifest(results, data)
        write_references(results, data)
        hard = random.normal(0, 0.1, IMAGES)
        for entry in range(ENTRIES):
            level = random.uniform(0.2, 0.7)
            for seed in range(SEEDS):
                ious = np.clip(level + random.normal(0, 0.01) + hard + random.normal(0, 0.05, IMAGES), 0, 1)
                hits = np.rint(ious * MASK).astype(int)
                _write(results, data, known[entry % len(known)], table, entry, seed, hits, random)


def _write(
    results: Path,
    data: Data,
    template: Template,
    table: int,
    entry: int,
    seed: int,
    hits: np.ndarray,
    random: np.random.Generator,
) -> None:
    content = json.loads(json.dumps(template.record))
    name = content["architecture"]["name"]
    content["architecture"].update(parameters={"variant": entry}, label=f"{name}:variant={entry}")
    content["protocol"].update(name=f"table{table:02}", title=f"Table {table}")
    content["dataset"].update(
        manifest=data.digest, images={"train": 4, "val": 2, "test": IMAGES}, test_slices={"main": IMAGES}, slices={}
    )
    content["comparability_key"] = keys.digest({"table": table})
    content.update(seed=seed, run_key=keys.digest({"table": table, "entry": entry, "seed": seed}))
    folder = store.folder(results, f"table{table:02}", "synthetic", name, content["run_key"])
    (folder / "examples").mkdir(parents=True)
    store.write_record(folder, schema.Record.model_validate(content))
    for other, text in template.others.items():
        (folder / other).write_bytes(text)
    gains = random.normal(8, 3, IMAGES)
    rows = [
        [
            data.id(index),
            "main",
            *_counts(hit),
            *(f"{value:.4f}" for value in (snr + gain, snr, snr + gain, snr, -1, -20, 7.0)),
        ]
        for index, (hit, gain, snr) in enumerate(zip(hits.tolist(), gains, data.snr, strict=True))
    ]
    write_csv(folder / "images.csv", ["id", "slice", *scores.COUNT_COLUMNS, *scores.SOUND_COLUMNS], rows)
    checksums.write(folder)
    evaluated = {**template.verification, "sums": checksums.digest(folder / checksums.NAME)}
    (folder / VERIFICATION).write_text(json.dumps(evaluated, indent=2) + "\n")


def _counts(hit: int) -> Sequence[int]:
    return [*[hit, 17, MASK - hit, 9000] * 3, 40, 30, 44, 33]


COMMAND = """
import os, sys, time
from pathlib import Path
start = time.perf_counter()
from benchmark.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
(peak,) = [int(line.split()[1]) / 1e6 for line in Path("/proc/self/status").open() if line.startswith("VmHWM")]
times = os.times()
print(f"{time.perf_counter() - start:.2f} {times.user:.2f} {times.system:.2f} {peak:.3f}", file=sys.stderr)
"""


def leaderboard(results: Path, out: Path) -> list[float]:
    """Seconds, seconds of the processor (user, system) and GB of `bench leaderboard`, without the page."""
    arguments = ["leaderboard", "--results", str(results), "--out", str(out), "--format", "md,csv,json"]
    command = [sys.executable, "-c", COMMAND, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    (line,) = done.stderr.splitlines()  # nothing was skipped
    return [float(number) for number in line.split()]


def test_ten_thousand_records(tmp_path: Path) -> None:
    titles = ("records", "seconds", "user", "system", "peak GB")
    print("\n" + "".join(f"{title:>10}" for title in titles), f"  load {os.getloadavg()[0]:.1f}")
    for count in (1_000, 10_000):
        results, out = tmp_path / f"results-{count}", tmp_path / f"out-{count}"
        write_store(results, count)
        found = leaderboard(results, out)
        print(f"{count:>10}" + "".join(f"{number:>10.2f}" for number in found))
        rows = [row for table in json.loads((out / "leaderboard.json").read_text())["tables"] for row in table["rows"]]
        assert len(rows) == count // SEEDS
        assert {row["badge"] for row in rows} == {"verified"}
        assert found[-1] < 1
        shutil.rmtree(results)
