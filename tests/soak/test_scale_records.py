"""10,000 records: how long `bench leaderboard` takes, and how much memory. Prints; asserts what does not hang on time.

make soak, or alone: python -m pytest tests/soak/test_scale_records.py -m soak -s
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from records import MASK, Data, write_manifest, write_references
from test_leaderboard import TEMPLATE

from benchmark import files, keys, metrics, store

pytestmark = pytest.mark.soak

SEEDS = 5
ENTRIES = 100
IMAGES = 128  # as many as the quick protocol tests on


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
    """`count` records: tables of 100 entries with 5 seeds, each with images.csv and checksums."""
    random = np.random.default_rng(0)
    for table in range(count // (ENTRIES * SEEDS)):
        data = data_of(table)
        write_manifest(results, data)
        write_references(results, data)
        hard = random.normal(0, 0.1, IMAGES)
        for entry in range(ENTRIES):
            level = random.uniform(0.2, 0.7)
            for seed in range(SEEDS):
                ious = np.clip(level + random.normal(0, 0.01) + hard + random.normal(0, 0.05, IMAGES), 0, 1)
                _write(results, data, table, entry, seed, np.rint(ious * MASK).astype(int), random)


def _write(
    results: Path,
    data: Data,
    table: int,
    entry: int,
    seed: int,
    hits: np.ndarray,
    random: np.random.Generator,
) -> None:
    content = json.loads(json.dumps(TEMPLATE))
    label = f"net{entry:03}"
    content["architecture"].update(name=label, label=label, source_hash=keys.digest({"of": label}))
    content["protocol"].update(name=f"table{table:02}", title=f"Table {table}")
    content["dataset"].update(
        manifest=data.digest, images={"train": 4, "val": 2, "test": IMAGES}, test_slices={"main": IMAGES}
    )
    content["comparability_key"] = keys.digest({"table": table})
    content.update(seed=seed, run_key=keys.digest({"table": table, "entry": entry, "seed": seed}))
    folder = store.folder(results, f"table{table:02}", "toy", label, content["run_key"])
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps(content, indent=2) + "\n")
    gains = random.normal(8, 3, IMAGES)
    rows = [
        [data.id(index), "main", *_counts(hit), *(f"{value:.4f}" for value in (snr + gain, snr, snr + gain, snr, 7.0))]
        for index, (hit, gain, snr) in enumerate(zip(hits.tolist(), gains, data.snr, strict=True))
    ]
    files.write_csv(folder / "images.csv", ["id", "slice", *metrics.COUNT_COLUMNS, *metrics.SOUND_COLUMNS], rows)


def _counts(hit: int) -> Sequence[int]:
    return [*[hit, 17, MASK - hit, 9000] * 3, 40, 30, 44, 33]


COMMAND = """
import sys, time
from pathlib import Path
start = time.perf_counter()
from benchmark.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
(peak,) = [int(line.split()[1]) / 1e6 for line in Path("/proc/self/status").open() if line.startswith("VmHWM")]
print(f"{time.perf_counter() - start:.2f} {peak:.3f}", file=sys.stderr)
"""


def leaderboard(results: Path, out: Path) -> tuple[float, float]:
    """Seconds and GB of `bench leaderboard`, without the page."""
    arguments = ["leaderboard", "--results", str(results), "--out", str(out), "--format", "md,csv,json"]
    done = subprocess.run([sys.executable, "-c", COMMAND, *arguments], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    seconds, memory = done.stderr.splitlines()[-1].split()
    return float(seconds), float(memory)


def test_ten_thousand_records(tmp_path: Path) -> None:
    print(f"\n{'records':>8}{'call':>8}{'seconds':>10}{'peak GB':>10}   load {os.getloadavg()[0]:.1f}")
    for count in (1_000, 10_000, 20_000):
        results, outs = tmp_path / f"results-{count}", []
        write_store(results, count)
        time.sleep(3)  # what changed a moment ago is not remembered
        for call in ("first", "second"):
            out = tmp_path / f"{call}-{count}"
            began = time.perf_counter()
            seconds, memory = leaderboard(results, out)
            print(f"{count:>8}{call:>8}{seconds:>10.2f}{memory:>10.2f}   {time.perf_counter() - began:.2f} s in all")
            outs.append({path.name: path.read_bytes() for path in sorted(out.iterdir())})
        assert outs[0] == outs[1]
