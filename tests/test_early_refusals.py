"""What can be seen to be wrong at once is said at once: before torch is imported, which takes seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MISSING = "no folder nowhere; --data wants the folder that holds the dataset"
NO_PLUGINS = "nowhere has no folder architectures/ or datasets/"
NO_RUNS = "no runs in nowhere; begin with"
UNKNOWN = "no architecture 'unett' (did you mean 'unet'?)"
NO_PROTOCOL = "no protocol 'qick' (did you mean 'quick'?)"
NO_DATASET = "no dataset 'foldr' (did you mean 'folder'?)"
COMMITTED = f"--results {ROOT / 'results'}"
CASES = {
    "run --arch unet --dataset folder --data nowhere": MISSING,
    "run --arch unet --dataset folder": "say which with --data ROOT",
    "run --arch unet --data nowhere": "is embedded and reads no folder",
    "run --arch all --protocol paper": "say which with --data ROOT",
    "run --arch unet --arch unett": UNKNOWN,
    "run --arch unet --protocol qick": NO_PROTOCOL,
    "run --arch unet --protocol nowhere.toml": "no protocol file nowhere.toml",
    "run --arch unet --dataset foldr": NO_DATASET,
    "run --arch unet --plugins nowhere": NO_PLUGINS,
    "speed unet --dataset folder --data nowhere": MISSING,
    "speed unet unett": UNKNOWN,
    "speed --protocol qick": NO_PROTOCOL,
    "speed unet --plugins nowhere": NO_PLUGINS,
    f"transfer unet --dataset folder --data nowhere {COMMITTED}": MISSING,
    f"transfer unet --dataset foldr {COMMITTED}": NO_DATASET,
    "transfer unet --dataset folder --results nowhere": "no run(s) in nowhere",
    "check --dataset folder --data nowhere": MISSING,
    "check --dataset foldr": NO_DATASET,
    "check unet unett": UNKNOWN,
    "check unet --plugins nowhere": NO_PLUGINS,
    "denoise nowhere.wav": "no file or folder nowhere.wav",
    "denoise some.wav --run nowhere": "no run(s) in results have a key that begins with 'nowhere'",
    "denoise some.wav --run best --results nowhere": "can clean recordings; name another folder",
    "data mix --song nowhere --background other --out out": "nowhere",
    "data audit nowhere": "nowhere is not a folder",
    "compare a b --results nowhere": NO_RUNS,
    "leaderboard --results nowhere": NO_RUNS,
    "verify --results nowhere": NO_RUNS,
    "verify unet --results nowhere": "no run(s) in nowhere",
    f"verify unet --predict --data nowhere {COMMITTED}": MISSING,
    "list --plugins nowhere": NO_PLUGINS,
}
HELP = ("--help", "--version", "run --help", "list --help", "denoise --help", "data mix --help")
EACH = """
import contextlib, io, json, sys
from benchmark.cli import main

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name in {"torch", "torchvision", "timm", "segmentation_models_pytorch", "pandas", "matplotlib"}:
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refusal())
told = {}
for words in json.load(sys.stdin):
    error = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
        try:
            main(words.split())
        except SystemExit as end:
            told[words] = [int(end.code or 0), error.getvalue()]
json.dump(told, sys.stdout)
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """How each command ended and what it said, in one process in which torch cannot be imported."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "some.wav").touch()
    (folder / "other").mkdir()
    words = json.dumps([*CASES, *HELP])
    command, settings = [sys.executable, "-c", EACH], dict(os.environ)
    ran = subprocess.run(command, input=words, capture_output=True, text=True, check=True, cwd=folder, env=settings)
    assert sorted(path.name for path in folder.iterdir()) == ["other", "some.wav"]
    found: dict[str, tuple[int, str]] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("words", CASES)
def test_it_is_refused_without_torch(told: dict[str, tuple[int, str]], words: str) -> None:
    code, text = told[words]
    (line,) = text.splitlines()
    assert line.startswith("bench: ")
    assert CASES[words] in line
    assert code == 2


@pytest.mark.parametrize("words", HELP)
def test_help_is_given_without_torch(told: dict[str, tuple[int, str]], words: str) -> None:
    assert told[words] == [0, ""]
