"""What goes wrong ends in one line, or in a record that says so; never in half a result."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import NEW_PLUGIN, SMALL, TINY, Bench, runs

from benchmark.common.errors import UserError


def test_all_leaves_a_broken_plugin_out_and_says_so(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmark.plugins import registry

    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "broken.py").write_text("import nowhere_at_all")
    found = registry.find
    few = {"otsu", "broken"}
    monkeypatch.setattr(
        registry, "find", lambda kind: [name for name in found(kind) if name in few or kind == "datasets"]
    )
    ran = bench("run", "--arch", "all", *TINY, "--plugins", tmp_path, "--results", tmp_path / "r")
    assert ran.code == 2
    assert re.search(r"bench: left out: .*broken\.py, line 1", ran.err)
    assert [run.architecture.label for run in runs(tmp_path / "r")] == ["otsu"]


MISTAKES = [
    (("run", "--arch", "unett"), "no architecture 'unett' (did you mean 'unet'?)"),
    (("run", "--arch", "unet:widht=3"), "did you mean 'width'"),
    (("run", "--arch", "otsu", "--protocol", "qick"), "no protocol 'qick' (did you mean 'quick'"),
    (("run", "--arch", "otsu", "--dataset", "sintetic"), "no dataset 'sintetic' (did you mean 'synthetic'"),
    (
        ("run", "--arch", "otsu", "--set", "epoch=3"),
        "unknown setting 'epoch' on the command line (did you mean 'epochs'",
    ),
    (("run", "--arch", "otsu", "--set", "epochs"), "write NAME=VALUE"),
    (("run", "--arch", "otsu", "--weights", "imagenet"), "setting 'weights' = 'imagenet'"),
    (("run", "--arch", "otsu", "--protocol", "paper"), "say which with --data ROOT"),
    (("run", "--arch", "otsu", "--protocol", "paper", "--data", "nowhere"), "no folder nowhere"),
    (("run", "--arch", "otsu", "--data", "."), "is embedded and reads no folder"),
    (
        ("run", "--arch", "otsu", "--batch-size", "9", "--dataset", SMALL),
        "batch size 9 is larger than the training split",
    ),
    (("run", "--arch", "otsu", "--device", "cuda:77"), "CUDA device"),
    (("run", "--arch", "otsu", "--plugins", "nowhere"), "has no folder architectures/ or datasets/"),
    (("leaderboard",), "no runs in"),
    (("check", "unett"), "did you mean 'unet'"),
]


@pytest.mark.parametrize(
    ("words", "message"), MISTAKES, ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_a_mistake_is_one_line_and_code_2(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = bench(*words)
    assert ran.code == 2
    (line,) = [line for line in ran.err.splitlines() if line.startswith("bench: ")]
    assert message in line
    assert "Traceback" not in ran.err
    assert list(tmp_path.iterdir()) == []


def test_leakage_is_refused_unless_the_user_says_otherwise(bench: Bench, birdsounds: Path, tmp_path: Path) -> None:
    for kind in ("Images", "Masks"):
        (birdsounds / "Test" / kind / "XC107.png").rename(birdsounds / "Test" / kind / "XC101_right.png")
    words = ("run", "--arch", "otsu", "--dataset", "birdsounds", "--data", birdsounds, "--image-size", "32")
    words += ("--batch-size", "2", "--results", tmp_path / "r")
    refused = bench(*words)
    assert refused.code == 2
    assert "leakage: train/XC101 and test/XC101_right have the same recording XC101 (1 such case)" in refused.err
    assert not (tmp_path / "r").exists()
    assert bench(*words, "--allow-leakage").code == 0
    assert "recording 4/2/2 shared" in bench("leaderboard", "--full", "--results", tmp_path / "r").out
    (found,) = runs(tmp_path / "r")
    assert "--data ROOT --allow-leakage --device cpu --precision " in found.command


def test_divergence_is_recorded_and_tried_again(bench: Bench, tmp_path: Path) -> None:
    words = ("run", "--arch", "unet:width=4", *TINY, "--set", "optimiser=sgd", "--lr", "1e30", "--results", tmp_path)
    for _ in range(2):
        ran = bench(*words)
        assert ran.code == 0
        assert "diverged (the loss was not finite in epoch" in ran.out
    (found,) = runs(tmp_path)
    assert found.status == "diverged"
    assert "diverged" in bench("leaderboard", "--results", tmp_path).out


@pytest.mark.parametrize("place", ["__init__", "forward"])
def test_an_exception_in_a_plugin_names_its_line(bench: Bench, tmp_path: Path, place: str) -> None:
    before = {"__init__": "        super().__init__()", "forward": "        return self.layer(image)"}[place]
    (tmp_path / "architectures").mkdir()
    failing = NEW_PLUGIN.replace(before, f"        raise ValueError('I cannot')\n{before}")
    (tmp_path / "architectures" / "failing.py").write_text(failing)
    ran = bench("run", "--arch", "failing", *TINY, "--plugins", tmp_path, "--results", tmp_path / "r")
    assert ran.code == 2
    line = failing.splitlines().index("        raise ValueError('I cannot')") + 1
    assert re.search(rf"failing failed: ValueError: I cannot \(.*failing\.py, line {line}\)", ran.err)
    assert not (tmp_path / "r").exists()


def test_a_results_folder_that_cannot_be_written_is_refused_before_the_training(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    ran = bench("run", "--arch", "unet:width=4", *TINY, "--results", tmp_path / "file")
    assert ran.code == 2
    assert "cannot write to" in ran.err
    assert "epoch" not in ran.err
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.parametrize(
    ("returned", "shape"),
    [
        ("self.layer(image).repeat(1, 2, 1, 1)", r"\(1, 2, 32, 32\)"),
        ("self.layer(image)[..., ::2]", r"\(1, 1, 32, 16\)"),
        ("nn.functional.pad(self.layer(image), (0, 1))", r"\(1, 1, 32, 33\)"),
        ("self.layer(image)[:, 0]", r"\(1, 32, 32\)"),
    ],
)
def test_logits_of_another_shape_are_refused(bench: Bench, tmp_path: Path, returned: str, shape: str) -> None:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "odd.py").write_text(NEW_PLUGIN.replace("self.layer(image)", returned))
    ran = bench("run", "--arch", "odd", *TINY, "--plugins", tmp_path, "--results", tmp_path / "r")
    assert ran.code == 2
    assert re.search(rf"bench: odd: forward\(\) returns logits of {shape}; they must be \(1, 1, 32, 32\)", ran.err)
    assert not (tmp_path / "r").exists()


def test_memory_that_runs_out_is_recorded(bench: Bench, tmp_path: Path) -> None:
    hungry = NEW_PLUGIN.replace("return self", "return image.new_empty(1 << 50).sum() + self").replace("Blur", "Hungry")
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "hungry.py").write_text(hungry)
    ran = bench("run", "--arch", "hungry", *TINY, "--plugins", tmp_path, "--results", tmp_path)
    assert "out-of-memory" in ran.out, ran.err
    assert [run.status for run in runs(tmp_path)] == ["out-of-memory"]


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), pytest.param("SIGKILL", -9, marks=pytest.mark.soak)])
def test_an_interrupted_run_leaves_no_record(bench: Bench, tmp_path: Path, name: str, code: int) -> None:
    assert bench("run", "--arch", "otsu", *TINY, "--results", tmp_path).code == 0
    words = ["run", "--arch", "unet:width=4", *TINY, "--epochs", "100000", "--results", str(tmp_path)]
    # A shell starts what runs in its background deaf to interruptions, and so would be this process.
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmark", *words],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stderr is not None
    for line in process.stderr:
        if "epoch 2/" in line:
            break
    process.send_signal(getattr(signal, name))
    rest = process.communicate(timeout=60)[1]
    assert process.returncode == code
    if name == "SIGINT":
        assert rest.splitlines()[-1].startswith("bench: interrupted")
        assert "Traceback" not in rest
    assert [run.architecture.label for run in runs(tmp_path)] == ["otsu"]
    board = bench("leaderboard", "--results", tmp_path)
    assert board.code == 0
    assert "skipped" not in board.err


def test_a_batch_of_one_that_a_network_cannot_learn_from(bench: Bench, tmp_path: Path) -> None:
    """DeepLabV3 pools each channel to one value, over which a batch norm has no variance."""
    words = ("--dataset", "synthetic:train=3,val=2,test=2,ood=1", "--image-size", "32", "--batch-size", "2")
    ran = bench("run", "--arch", "deeplabv3", *words, "--epochs", "1", "--results", tmp_path)
    assert ran.code == 2
    assert "deeplabv3 cannot learn from a batch of one image" in ran.err.splitlines()[-1]
    assert runs(tmp_path) == []


DAMAGES = {
    "is not a record of schema 1": ("run.json", lambda text: text.replace('"schema": 1', '"schema": 2')),
    "is not a record of schema 1 (file: ": ("run.json", lambda text: text[:99]),
    "images.csv is damaged": ("images.csv", lambda text: text[: len(text) // 2]),
    "images.csv is damaged (": ("images.csv", lambda _: ""),
    "dataset.test_slices": ("run.json", lambda text: re.sub(r'"test_slices": {[^}]*}', '"test_slices": {}', text)),
    "has no run.json": ("run.json", None),
    "has no images.csv": ("images.csv", None),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_what_is_there_and_cannot_be_read_is_replaced_by_force_alone(
    bench: Bench, tmp_path: Path, message: str
) -> None:
    command = ("run", "--arch", "otsu", *TINY, "--results", tmp_path)
    assert bench(*command).code == 0
    (folder,) = tmp_path.glob("runs/*/*/otsu/*")
    name, damage = DAMAGES[message]
    damaged = folder / name
    if damage:
        damaged.write_text(damage(damaged.read_text()))
    else:
        damaged.unlink()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ran = bench(*command)
    assert (ran.code, ran.err.count("bench: ")) == (2, 1)
    assert message in ran.err
    assert "; restore it, or replace what is there with --force" in ran.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert bench(*command, "--force").code == 0
    assert bench("verify", "--results", tmp_path).code == 0


def test_a_failure_replaces_nothing_not_even_by_force(bench: Bench, tmp_path: Path) -> None:
    command = ("run", "--arch", "diverging", *TINY, "--results", tmp_path, "--plugins", tmp_path)
    (tmp_path / "architectures").mkdir()
    plugin = tmp_path / "architectures" / "diverging.py"
    plugin.write_text(NEW_PLUGIN.replace("return ", "return float('nan') * "))
    assert bench(*command).code == 0
    (record,) = tmp_path.glob("runs/*/*/diverging/*/run.json")
    assert '"status": "diverged"' in record.read_text()
    record.write_text("of another schema")
    assert "the finished run was kept" in bench(*command, "--force").out
    assert record.read_text() == "of another schema"


def test_more_threads_than_any_machine_has_are_refused(bench: Bench, tmp_path: Path) -> None:
    ran = bench("run", "--arch", "otsu", *TINY, "--results", tmp_path, "--threads", 100_000)
    assert ran.code == 2
    assert "100000 threads are more than 256: choose fewer with --threads" in ran.err


def test_an_output_that_cannot_show_a_sign_shows_the_rest(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "benchmark", "list"]
    ran = subprocess.run(words, capture_output=True, check=True, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert b"custom_resnet34" in ran.stdout
    assert b"\\u2013" in ran.stdout


@pytest.mark.parametrize("place", [0, 2, 4])
def test_debug_may_stand_anywhere(bench: Bench, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_DEBUG", "")
    words = ["run", "--arch", "otsu", "--seed=0", "--data=."]
    words.insert(place, "--debug")
    with pytest.raises(UserError, match="is embedded"):
        bench(*words)
