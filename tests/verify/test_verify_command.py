"""`bench verify` names each run and ends with 2 if anything is found."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import Bench
from tampering import Store, count_changed


def test_the_command_names_each_run_and_ends_with_2(bench: Bench, store: Store) -> None:
    assert bench("verify", "--results", store.results).code == 0
    count_changed(store)
    store.seal()
    ran = bench("verify", "--results", store.results)
    assert ran.code == 2
    assert f"{store.other}: consistent" in ran.out.splitlines()
    assert re.search(rf"^{store.run}: \d finding\(s\)$", ran.out, re.MULTILINE)
    assert f"  {store.run / 'images.csv'}: image test-00000: tp + fp + fn + tn is not 32 x 32" in ran.out
    assert ran.out.splitlines()[-1] == "2 of 3 run(s) consistent"
    assert bench("verify", store.other.name[:6], "--results", store.results).code == 0
    assert bench("verify", store.run, "--results", store.results).code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--predict",), "--predict needs the names of runs"),
        (("ffffzz",), "no run\\(s\\) in .* have a key that begins with 'ffffzz'"),
        ((".",), "lies outside of .*name its results folder with --results"),
    ],
)
def test_refusals(bench: Bench, store: Store, arguments: tuple[str, ...], message: str) -> None:
    ran = bench("verify", *arguments, "--results", store.results)
    assert ran.code == 2
    assert re.search(message, ran.err)


def test_an_empty_store(bench: Bench, tmp_path: Path) -> None:
    ran = bench("verify", "--results", tmp_path)
    assert (ran.code, "begin with: bench run" in ran.err) == (2, True)


def test_verify_needs_no_torch(store: Store) -> None:
    code = (
        "import sys; sys.modules['torch'] = None; from benchmark.cli import main; "
        f"main(['verify', '--results', {str(store.results)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "3 of 3 run(s) consistent"
