"""`bench doctor` on broken machines: it names what is wrong and how to fix it."""

import errno
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from helpers import Bench

from benchmark.common import files
from benchmark.tools.doctor import machine, software

GIB = 1024**3


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder without results."""
    monkeypatch.chdir(tmp_path)


def findings(bench: Bench, *, code: int = 0) -> dict[str, dict[str, str]]:
    """Findings by name; every one that is not ok has a remedy."""
    ran = bench("doctor", "--json")
    assert ran.out, ran.err
    told = json.loads(ran.out)
    assert ran.code == code
    assert told["usable"] == (code == 0) == all(each["status"] != "problem" for each in told["findings"])
    for each in told["findings"]:
        assert set(each) == {"name", "status", "found", "remedy"}
        assert each["found"]
        assert bool(each["remedy"]) == (each["status"] != "ok"), each
    return {each["name"]: each for each in told["findings"]}


def test_the_text_says_what_the_json_says(bench: Bench, tmp_path: Path) -> None:
    found = findings(bench)
    ran = bench("doctor")
    assert ran.code == 0
    lines = ran.out.splitlines()
    for name, each in found.items():
        assert any(line.split() == f"{each['status']} {name}: {each['found']}".split() for line in lines), each
        assert not each["remedy"] or f"-> {each['remedy']}" in ran.out
    assert {"Python", "torch", "processor", "memory", "arithmetic", "cache folder", "results folder"} <= set(found)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["cache folder", "results folder"])
def test_a_folder_that_cannot_be_written(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "file").touch()
    if name == "cache folder":
        monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "file" / "below"))
    else:
        (tmp_path / "results").symlink_to("file")
    found = findings(bench, code=2)
    assert [each for each in found if found[each]["status"] == "problem"] == [name]
    assert "cannot write to" in found[name]["found"]
    assert ("BENCH_CACHE" if name == "cache folder" else "--results") in found[name]["remedy"]


def test_a_disk_without_locks_or_without_room(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=GIB))
    assert findings(bench)["cache folder"]["status"] == "warning"

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files, "_acquire", refuse)
    assert "No locks available" in findings(bench, code=2)["results folder"]["found"]


@pytest.mark.parametrize(
    ("package", "there", "said"),
    [
        ("pillow", "12.1.0", "pip install 'pillow>=13'"),
        ("filelock", None, "pip install 'filelock>="),
        ("pillow", "13.0", ""),
    ],
)
def test_a_package_that_is_old_or_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, package: str, there: str | None, said: str
) -> None:
    version = software._version
    monkeypatch.setattr(software, "_version", lambda name: there if name == package else version(name))
    found = findings(bench, code=2 if said else 0)
    assert (package in found) == bool(said)
    if said:
        assert found[package]["status"] == "problem"
        assert said in found[package]["remedy"]


def test_a_torch_that_cannot_be_imported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = findings(bench, code=2)
    assert found["torch"]["status"] == "problem"
    assert "pip install" in found["torch"]["remedy"]
    assert "arithmetic" not in found
    assert found["cache folder"]["status"] == "ok"


@pytest.mark.parametrize(
    ("driver", "build", "said", "status", "remedy"),
    [
        (None, None, "Torch not compiled with CUDA enabled", "note", "none needed without an NVIDIA GPU"),
        ("nvidia-smi", None, "Torch not compiled with CUDA enabled", "warning", "install a CUDA build of torch"),
        ("nvidia-smi", "13.2", "The NVIDIA driver on your system is too old", "warning", "update the driver"),
    ],
)
def test_why_there_is_no_cuda(
    monkeypatch: pytest.MonkeyPatch, driver: str | None, build: str | None, said: str, status: str, remedy: str
) -> None:
    def refuse() -> None:
        raise AssertionError(f"{said}\nand more")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "init", refuse)
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(shutil, "which", lambda _: driver)
    (found,) = machine.gpus()
    assert (found.found, found.status) == (f"not usable: {said}", status)
    assert found.remedy.startswith(remedy)


@pytest.mark.parametrize("wrong", ["", "no kernel image is available"])
def test_a_gpu(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    ones = torch.ones

    def compute(count: int, device: str) -> torch.Tensor:
        assert device == "cuda:0"
        if wrong:
            raise RuntimeError(wrong)
        return ones(count)

    card = SimpleNamespace(name="Some GPU", total_memory=16 * GIB, major=7, minor=5)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(torch, "ones", compute)
    (found,) = machine.gpus()
    assert found.found.startswith("Some GPU, 16.0 GiB, compute capability 7.5")
    assert (found.status, found.found.endswith(f"fails: {wrong}")) == (("problem", True) if wrong else ("ok", False))


def test_fewer_threads_than_cores_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("benchmark.common.workers.processors", lambda: 9)
    monkeypatch.setattr("benchmark.training.hardware.pin_threads", lambda _: 1)
    found = machine.processor()
    assert found.remedy == "bench run --threads 9, or unset OMP_NUM_THREADS, which is 1"


def test_little_memory_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_memory", lambda: GIB)
    assert machine.memory().status == "warning"
