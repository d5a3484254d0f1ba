"""`bench doctor` in broken surroundings: it names what is amiss and what to do, and is never broken itself."""

import errno
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers import Bench, planted

from benchmark.common import files
from benchmark.plugins import registry
from benchmark.tools.doctor import machine, software

FEW = {"architectures": ["custom_resnet34", "otsu"], "datasets": ["synthetic"]}
GIB = 1024**3
FIND, TRIED = registry.find, machine._tried


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Few plugins; nothing is compiled; a folder of results that is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(registry, "find", lambda kind: FEW[kind])
    monkeypatch.setattr(machine, "_tried", lambda *_: "")


def findings(bench: Bench, *, code: int = 0) -> dict[str, dict[str, str]]:
    """Findings by name; whatever is not ok has a remedy, and what can be seen of it agrees."""
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
    assert {"Python", "torch", "pillow", "processor", "memory", "arithmetic", "compiler", "cache folder"} <= set(found)
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
    found = findings(bench, code=2)["results folder"]
    assert "No locks available" in found["found"]
    assert "no file locks" in found["remedy"]


@pytest.mark.parametrize(
    ("package", "there", "status", "said"),
    [
        ("pillow", "12.1.0", "problem", "pip install 'pillow>=13'"),
        ("filelock", None, "problem", "pip install 'filelock>="),
        ("submitit", None, "note", "birdmask-bench[cluster]"),
        ("pillow", "13.0", "ok", ""),
    ],
)
def test_a_package_that_is_old_or_missing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, package: str, there: str | None, status: str, said: str
) -> None:
    version = software._version
    monkeypatch.setattr(software, "_version", lambda name: there if name == package else version(name))
    found = findings(bench, code=2 if status == "problem" else 0)[package]
    assert found["status"] == status
    assert said in found["remedy"]


def test_a_torch_that_cannot_be_imported(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find", lambda kind: [] if kind == "architectures" else FEW[kind])
    monkeypatch.setitem(sys.modules, "torch", None)
    found = findings(bench, code=2)
    assert found["torch"]["status"] == "problem"
    assert "pip install" in found["torch"]["remedy"]
    assert "compiler" not in found
    assert found["cache folder"]["status"] == "ok"


@pytest.mark.parametrize(
    ("driver", "build", "said", "status", "remedy"),
    [
        (False, None, "Torch not compiled with CUDA enabled", "note", "nothing, where there is no NVIDIA GPU"),
        (True, None, "Torch not compiled with CUDA enabled", "warning", "install a CUDA build of torch"),
        (True, "13.2", "The NVIDIA driver on your system is too old", "warning", "update the driver"),
    ],
)
def test_why_there_is_no_cuda(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    driver: bool,
    build: str | None,
    said: str,
    status: str,
    remedy: str,
) -> None:
    def refuse() -> None:
        raise AssertionError(f"{said}\nand more")

    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "init", refuse)
    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(machine, "_has_driver", lambda: driver)
    found = findings(bench)["CUDA"]
    assert found["found"] == f"not usable: {said}"
    assert found["status"] == status
    assert found["remedy"].startswith(remedy)


@pytest.mark.parametrize("wrong", ["", "no kernel image is available"])
def test_a_gpu(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    card = SimpleNamespace(name="Some GPU", total_memory=16 * GIB, major=7, minor=5)
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.14  Thu Feb 22\n")
    monkeypatch.setattr(machine, "_DRIVER", tmp_path / "version")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)  # only its card is examined: nothing is computed
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: card)
    monkeypatch.setattr(machine, "_tried", lambda _, device: wrong if device == "cuda:0" else "")
    found = findings(bench, code=2 if wrong else 0)["cuda:0"]
    assert found["found"].startswith("Some GPU, 16.0 GiB, compute capability 7.5, driver 550.54.14")
    assert wrong in found["found"]


def test_a_compiler_that_is_missing_is_tried_and_is_a_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_tried", TRIED)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setenv("CXX", "")
    (found,) = machine.compiler()
    assert found.status == "note"
    assert found.found.startswith("not usable: ")
    assert "g++" in found.remedy


def test_fewer_threads_than_cores_is_a_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr("benchmark.common.workers.processors", lambda: 9)
    monkeypatch.setattr("benchmark.training.hardware.pin_threads", lambda _: 1)
    found = findings(bench)["processor"]
    assert found["remedy"] == "bench run --threads 9, or unset OMP_NUM_THREADS, which is 1"


def test_little_memory_is_a_warning(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_memory", lambda: GIB)
    assert findings(bench)["memory"]["status"] == "warning"


def test_weights_at_hand(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    found = findings(bench)["weights of torchvision"]
    assert found["status"] == "note"
    assert "missing: resnet34-b627a593.pth (custom_resnet34)" in found["found"]
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet34-b627a593.pth").touch()
    assert findings(bench)["weights of torchvision"]["status"] == "ok"


def test_weights_of_hugging_face(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    named = {"a": "ImageNet-1k, smp-hub/mit_b2.imagenet (trunk)", "b": "ImageNet-21k, timm vit_small.augreg (trunk)"}
    for name in ("models--smp-hub--mit_b2.imagenet", "models--timm--vit_small.augreg"):
        (found,) = software._weights(named)
        assert f"{name} (" in found.found
        (tmp_path / "hub" / name / "snapshots").mkdir(parents=True)
    (found,) = software._weights(named)
    assert found.status == "ok"


def test_a_broken_plugin_is_named(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted(tmp_path, "architectures", "import nowhere_at_all")
    monkeypatch.setattr(registry, "find", lambda kind: ["planted", *FEW[kind]] if kind == "architectures" else [])
    found = findings(bench)["architecture"]
    assert found["status"] == "warning"
    assert "planted.py, line 1" in found["found"]


def test_a_folder_of_plugins_that_is_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find", FIND)
    monkeypatch.setenv("BENCH_PLUGINS", "/nowhere")
    assert "BENCH_PLUGINS" in findings(bench, code=2)["plugins"]["remedy"]


def test_a_program_that_is_missing_is_a_note(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: Any) -> None:
        return None

    monkeypatch.setattr(shutil, "which", nowhere)
    assert [findings(bench)[name]["status"] for name in ("browser", "LaTeX")] == ["note", "note"]
