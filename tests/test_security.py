"""What comes from elsewhere is data: it is not run, names no file outside of its folder, and is shown as it stands."""

import ast
import csv
import hashlib
import io
import os
import pickle
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import soundfile
import torch
from helpers import NEW_PLUGIN, TINY, Bench
from rich.console import Console
from test_leaderboard import write

from benchmark import checkpoints, files, network, printable, protocol, registry, report, store, stored, sums, verify
from benchmark.checkpoints import Checkpoints
from benchmark.contract import Sample
from benchmark.data import cache, validity
from benchmark.denoise import files as denoise_files
from benchmark.errors import UserError
from benchmark.leaderboard import formats, tables
from benchmark.progress import silent
from benchmark.report import page

ROOT = Path(__file__).parent.parent
PAPER = protocol.load("paper")


# ---------------------------------------------------------------- nothing that could run is called


FORBIDDEN = {
    *("eval", "exec", "compile", "__import__"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open"),
    *(
        "joblib.load",
        "dill.load",
        "dill.loads",
        "cloudpickle.load",
        "cloudpickle.loads",
        "yaml.load",
        "pandas.read_pickle",
    ),
    *("pd.read_pickle", "os.system", "os.popen", "tempfile.mktemp", "importlib.import_module", "runpy.run_path"),
    *("shutil.unpack_archive", "tarfile.open", "zipfile.ZipFile", "torch.hub.load", "torch.package.PackageImporter"),
}
METHODS = {"extractall", "exec_module", "read_pickle", "unpack_archive"}
ALLOWED = {
    # A plugin that the user asked for, by the name of a file in a folder that the user named.
    ("benchmark/registry.py", "importlib.import_module"),
    # What a process sends its own workers through a pipe.
    ("benchmark/workers.py", "pickle.loads"),
}


def offences(source: str, name: str = "x.py") -> Iterator[str]:
    """What a file calls, or takes by name, that runs or unpacks what it reads."""
    tree = ast.parse(source)
    spelled = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name) and isinstance(node.ctx, ast.Load):
            text = spelled.get(ast.unparse(node), ast.unparse(node))
            if text in FORBIDDEN and (name, text) not in ALLOWED:
                yield text
        if isinstance(node, ast.Call):
            yield from _bad_call(node)


def _bad_call(node: ast.Call) -> Iterator[str]:
    called = ast.unparse(node.func)
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if called == "torch.load" and given.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if called.endswith("get_state_dict") and given.get("check_hash") != "True":
        yield "weights whose hash is not checked"
    if given.get("allow_pickle", "False") != "False":
        yield "allow_pickle"
    if given.get("shell", "False") != "False":
        yield "a shell"
    if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS:
        yield node.func.attr


@pytest.mark.parametrize("folder", ["benchmark", "architectures", "datasets"])
def test_nothing_that_is_read_is_run(folder: str) -> None:
    """No archive is unpacked anywhere either: datasets are folders, and .npz is read member by member."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    assert paths
    found = {}
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if bad := list(offences(path.read_text(), name)):
            found[name] = bad
    assert found == {}


@pytest.mark.parametrize(
    "line",
    [
        *("pickle.load(f)", "from pickle import loads\nloads(b)", "from pickle import load as l\nl(f)", "g = eval"),
        *("torch.load(p)", "torch.load(p, weights_only=False)", "np.load(p, allow_pickle=True)", "exec(code)"),
        *("subprocess.run(c, shell=True)", "tempfile.mktemp()", "archive.extractall(p)", "shutil.unpack_archive(p)"),
        *("tarfile.open(p)", "spec.loader.exec_module(m)", "yaml.load(f)", "map(pickle.loads, x)"),
    ],
)
def test_the_search_finds_what_it_is_for(line: str) -> None:
    assert list(offences(line))


# ---------------------------------------------------------------- a real pickle that would run


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "it-ran"
    assert pickle.loads(pickle.dumps(Bomb(path))) is None
    assert path.exists()  # the bomb works
    path.unlink()
    yield path
    assert not path.exists(), "what was read was run"


def lay(path: Path, marker: Path, kind: str) -> Path:
    """A file that would make the marker, in one of the formats that unpickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"conv1.weight": Bomb(marker)}, protocol=2))  # torch warns of others
    elif kind == "torch":
        torch.save({"conv1.weight": Bomb(marker)}, path)
    elif kind == "torch, as before 1.6":
        torch.save({"conv1.weight": Bomb(marker)}, path, _use_new_zipfile_serialization=False)
    else:
        with path.open("wb") as file:
            array = np.array([Bomb(marker)], dtype=object)
            (np.savez if kind == "npz" else np.save)(file, *([array] if kind == "npy" else []), **_members(kind, array))
    return path


def _members(kind: str, array: np.ndarray) -> dict[str, np.ndarray]:
    return {"packed": array, "shape": array, "thumbnails": array, "ends": array} if kind == "npz" else {}


KINDS = ["pickle", "torch", "torch, as before 1.6"]


@pytest.mark.parametrize("kind", [*KINDS, "npz"])
def test_a_checkpoint(tmp_path: Path, marker: Path, kind: str) -> None:
    warned: list[str] = []
    snapshots = Checkpoints(tmp_path / "work", {"a": 1}, warned.append)
    path = snapshots._path(3)
    lay(path, marker, kind)
    assert list(snapshots.newest_first()) == []
    assert ["is damaged" in line for line in warned] == [True]
    assert checkpoints.conditions(tmp_path) == {}
    with pytest.raises(UserError):
        snapshots.numbered(3)


@pytest.mark.parametrize("kind", [*KINDS, "npz"])
def test_stored_weights(tmp_path: Path, marker: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = registry.load("architectures", "unet:width=4")
    settings = PAPER.override({"weights": "none"})
    count = network.parameter_count(network.build(plugin, settings, 0))
    folder = write(tmp_path, label="unet:width=4", architecture__parameter_count=count)
    lay(folder / "model.safetensors", marker, kind)
    monkeypatch.setattr(stored, "require", lambda *_: plugin)
    with pytest.raises(UserError, match=r"model\.safetensors cannot be used \(.*\); train it again") as caught:
        stored.load(folder, store.read(folder), settings)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", [*KINDS, "npz", "npy"])
def test_masks_and_pictures(tmp_path: Path, marker: Path, kind: str) -> None:
    path = lay(tmp_path / "predictions.npz", marker, kind)
    with pytest.raises(verify.UnreadableError):
        verify.unpacked(path, "packed", "shape", path.name)
    folder = write(tmp_path)
    lay(folder / "predictions.npz", marker, kind)
    lay(store.pictures_path(tmp_path, "c" * 64, (8, 8)), marker, kind)
    assert ">net</button>" in page.rendered(tables.build(tmp_path), tmp_path)
    assert verify.check(tmp_path)


@pytest.mark.parametrize("name", ["test.images.npy", "train.masks.npy"])
@pytest.mark.parametrize("kind", ["npy", "npz", "pickle", "torch"])
def test_an_entry_of_the_cache(
    birdsounds: Path, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))

    def prepare() -> cache.Cached:
        splits = registry.load("datasets", "birdsounds").spec.load(root=birdsounds)
        return cache.prepare(splits, identity={}, size=(16, 16), grey=False, report=silent)

    prepare()
    (path,) = (tmp_path / "cache").glob(f"*/{name}")
    lay(path, marker, kind)
    with pytest.raises(UserError, match=r"in the cache is damaged .*; remove it, and it is made again") as caught:
        prepare()
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["custom_resnet34", "deeplabv3", "torchvision_segmentation"])
def test_weights_in_torch_home(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, name: str
) -> None:
    """torch.hub itself would run them."""
    from torchvision.models import ResNet34_Weights, ResNet50_Weights, ResNet101_Weights

    for weights in (ResNet34_Weights.IMAGENET1K_V1, *ResNet50_Weights, *ResNet101_Weights):
        lay(tmp_path / "hub" / "checkpoints" / weights.url.rsplit("/", 1)[1], marker, kind)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError, match="cannot be had") as caught:
        network.build(registry.load("architectures", name), PAPER, 0)
    assert len(str(caught.value).splitlines()) == 1
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["pytorch_model.bin", "model.safetensors"])
@pytest.mark.parametrize("name", ["smp:encoder=tu-resnet18.a1_in1k", "fpn"])
def test_weights_in_hf_home(
    tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch, kind: str, file: str, name: str
) -> None:
    """As timm and segmentation-models-pytorch ask for them: whatever they ask for, this is what they get."""
    path = lay(tmp_path / file, marker, kind)
    (tmp_path / "config.json").write_text("{}")
    asked: list[str] = []

    def downloaded(repo_id: str = "", filename: str = "", **_: object) -> str:
        asked.append(filename)
        if filename == "config.json":
            return str(tmp_path / filename)
        if filename != file and "tu-" in name:
            raise huggingface_hub.utils.LocalEntryNotFoundError("no such file")
        return str(path)

    monkeypatch.setattr("timm.models._hub.hf_hub_download", downloaded)
    monkeypatch.setattr("segmentation_models_pytorch.encoders.hf_hub_download", downloaded)
    with pytest.raises(UserError, match="cannot be had") as caught:
        network.build(registry.load("architectures", name), PAPER, 0)
    assert len(str(caught.value).splitlines()) == 1
    assert asked


# ---------------------------------------------------------------- whose code runs


def test_no_plugin_comes_from_the_current_folder_a_record_or_a_dataset(
    bench: Bench, tmp_path: Path, marker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = f"from pathlib import Path\nPath({str(marker)!r}).touch()\n" + NEW_PLUGIN
    monkeypatch.chdir(tmp_path)
    for place in (".", "architectures", "datasets", "benchmark", "data", "data/architectures", "results/architectures"):
        Path(place).mkdir(parents=True, exist_ok=True)
        for name in ("planted.py", "otsu.py", "plugin.py", "__init__.py", "conftest.py", "sitecustomize.py"):
            (Path(place) / name).write_text(hostile)
    before = list(sys.path)
    assert "planted" not in bench("list").out
    assert bench("run", "--arch", "planted", *TINY).code == 2
    assert bench("run", "--arch", "otsu", *TINY).code == 0
    (folder,) = (tmp_path / "results" / "runs").glob("*/*/*/*")
    (folder / "plugin.py").write_text(hostile)
    assert bench("verify").code == 2
    assert bench("verify", "--predict", folder).code != 0
    assert bench("leaderboard").code == 0
    assert bench("run", "--arch", "otsu", "--dataset", "folder", "--data", tmp_path / "data").code == 2
    assert sys.path == before


@pytest.mark.parametrize(
    "name", ["../evil", "/tmp/evil", "evil.py", "a/b", "..", ".", "", "a\nb", "con.", "é", "x" * 5000, "%2e%2e/evil"]
)
def test_a_name_is_no_path(bench: Bench, tmp_path: Path, marker: Path, name: str) -> None:
    for place in (tmp_path, tmp_path / "architectures"):
        place.mkdir(exist_ok=True)
        (place / "evil.py").write_text(f"from pathlib import Path\nPath({str(marker)!r}).touch()")
    (tmp_path / "architectures" / "net.py").write_text(NEW_PLUGIN)
    common = ("--results", tmp_path / "results")
    plugins = ("--plugins", tmp_path)
    for words in (
        ("run", "--arch", name, *TINY, *common, *plugins),
        ("run", "--arch", "otsu", "--dataset", name, *common, *plugins),
        ("run", "--arch", "otsu", "--protocol", name, *common, *plugins),
        ("check", name, *plugins),
        ("transfer", name, "--dataset", "synthetic", *common, *plugins),
        ("leaderboard", "--protocol", name, *common),
    ):
        ran = bench(*words)
        assert ran.code == 2, words
        assert len(ran.err.splitlines()) == 1, (words, ran.err)
    assert registry.sources("architectures", name) == []
    assert not (tmp_path / "results" / "runs").exists()


def test_workers_begin_without_the_current_folder(tmp_path: Path, marker: Path) -> None:
    """A file there may bear the name of a module that Python itself needs to begin."""
    for name in ("multiprocessing", "pickle", "socket", "torch", "numpy", "benchmark"):
        (tmp_path / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    (tmp_path / "main.py").write_text(
        "import os, sys\nsys.path[0] = sys.argv[1]\nfrom benchmark import workers\n"
        "if __name__ == '__main__':\n    with workers.pool(1) as pool:\n"
        "        print(pool.submit(os.getpid).result())\n"
    )
    (tmp_path / "elsewhere").mkdir()
    main = (tmp_path / "main.py").rename(tmp_path / "elsewhere" / "main.py")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONSAFEPATH"}
    done = subprocess.run(
        [sys.executable, main, ROOT], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().isdecimal()


# ---------------------------------------------------------------- names from records and folders


@pytest.mark.parametrize("field", ["run_key", "comparability_key", "dataset__manifest", "protocol__digest"])
@pytest.mark.parametrize(
    "value", ["../../../etc/passwd", "/etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "\0" * 64]
)
def test_what_files_are_called_after_is_a_digest(bench: Bench, tmp_path: Path, field: str, value: str) -> None:
    folder = write(tmp_path)
    path, names = folder / "run.json", field.split("__")
    content = store.read(folder).model_dump(by_alias=True, mode="json")
    (content[names[0]] if len(names) > 1 else content).update({names[-1]: value})
    path.write_text(__import__("json").dumps(content))
    with pytest.raises(ValueError, match=names[-1]):
        store.read(folder)
    ran = bench("leaderboard", "--results", tmp_path)
    assert ran.code == 2
    assert "is not a record of schema 1" in ran.err


@pytest.mark.parametrize("name", ["../other/run.json", "/etc/passwd", "a/../../b", ".."])
def test_checksums_name_no_file_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / sums.NAME).write_text(f"{'0' * 64}  {name}\n")
    with pytest.raises(ValueError, match="line 1 names a file outside of the folder"):
        sums.read(tmp_path)


@pytest.mark.parametrize("place", ["../runs", "..", "/"])
def test_a_run_lies_in_its_results_folder(bench: Bench, tmp_path: Path, place: str) -> None:
    write(tmp_path / "results")
    write(tmp_path / "other")
    outside = next((tmp_path / "other" / "runs").glob("*/*/*/*"))
    for text in (place, str(outside), f"{tmp_path}/results/runs/../../other/runs"):
        ran = bench("verify", text, "--results", tmp_path / "results")
        assert ran.code == 2
        assert len(ran.err.splitlines()) == 1
    link = tmp_path / "results" / "runs" / "link"
    link.symlink_to(outside)
    assert "lies outside of" in bench("verify", link, "--results", tmp_path / "results").err


def sound(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(4000), 8000)
    return path


def test_cleaning_writes_nowhere_but_into_its_folder(tmp_path: Path) -> None:
    source = sound(tmp_path / "in" / "deep" / "a.wav")
    elsewhere = sound(tmp_path / "elsewhere" / "a.wav")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").symlink_to(elsewhere.parent)
    with pytest.raises(UserError, match="lies behind a link that leads out of"):
        denoise_files.targets([tmp_path / "in"], tmp_path / "out")
    (tmp_path / "out" / "deep").unlink()
    (tmp_path / "out" / "deep").mkdir()
    (tmp_path / "out" / "deep" / "a.wav").symlink_to(source)
    with pytest.raises(UserError, match="is a recording that is to be cleaned"):
        denoise_files.targets([tmp_path / "in"], tmp_path / "out")


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    from benchmark import recordings

    kept = sound(tmp_path / "kept.wav")
    before = hashlib.sha256(kept.read_bytes()).hexdigest()
    for name in ("b.wav", f".tmp-b.wav-{platform.node()}-{os.getpid()}"):
        (tmp_path / name).symlink_to(kept)
    with files.beside(tmp_path / "b.wav") as path, recordings.writer(path, 8000, 1, "PCM_16") as file:
        file.write(np.ones(100))
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == before
    assert not (tmp_path / "b.wav").is_symlink()


IDS = [
    "../../up",
    "/etc/passwd",
    "a/b",
    "..",
    "con",
    "=1+1",
    "$\\frac{$",
    "back\\slash",
    "a\"b'c",
]
NO_IDS = ["\x1b[2Jgone", "x" * 4000, "é\u202egnp", "a\nb", "a\0b", ""]


def test_ids_of_samples_are_no_paths(bench: Bench, tmp_path: Path) -> None:
    """A run on images that are called so ends as any does, and nothing is written but into results and cache."""
    (tmp_path / "mine" / "datasets").mkdir(parents=True)
    (tmp_path / "mine" / "datasets" / "hostile.py").write_text(
        '"""Ids that would like to be paths."""\n'
        "import functools\nimport numpy as np\nfrom benchmark.contract import DatasetSpec, Example, Sample\n"
        f"IDS = {IDS!r}\n\n\n"
        "def read(number):\n"
        "    random = np.random.default_rng(number)\n    mask = np.zeros((32, 32), bool)\n    mask[4:12, 4:20] = True\n"
        "    return Example(image=(random.integers(0, 90, (32, 32)) + 150 * mask).astype(np.uint8), mask=mask)\n\n\n"
        "def load(*, root):\n"
        "    return {split: [Sample(id=name, groups={'recording': f'{split}{name}'}, "
        "read=functools.partial(read, 100 * place + number)) for number, name in enumerate(IDS)] "
        "for place, split in enumerate(('train', 'val', 'test'))}\n\n\n"
        'DATASET = DatasetSpec(load=load, title="=cmd()", paper="", citation="", licence="", needs_root=False)\n'
    )
    results = tmp_path / "deep" / "results"
    plugins = ("--plugins", tmp_path / "mine")
    ran = bench(
        "run",
        "--arch",
        "otsu",
        "--dataset",
        "hostile",
        "--image-size",
        32,
        "--batch-size",
        4,
        "--results",
        results,
        *plugins,
    )
    assert ran.code == 0, ran.err
    assert bench("leaderboard", "--results", results).code == 0
    checked = bench(
        "leaderboard",
        "--results",
        results,
        "--check",
    )
    assert checked.code == 0, checked.err
    made = {path.relative_to(tmp_path).parts[0] for path in tmp_path.rglob("*")}
    assert made <= {"mine", "deep", "it-ran"}
    assert {path.name for path in (tmp_path / "deep").iterdir()} == {"results"}


@pytest.mark.parametrize("name", NO_IDS, ids=range(len(NO_IDS)))
def test_what_is_no_id_is_refused(name: str) -> None:
    samples = {
        split: [Sample(id="a", groups={}, read=int), Sample(id=name, groups={}, read=int)]
        for split in ("train", "val", "test")
    }
    with pytest.raises(UserError, match="is not a text of 1 to 1000 printable characters"):
        validity.checked_listing(samples)


# ---------------------------------------------------------------- what is shown


EVIL = (
    "</script><img src=x onerror=alert(1)>[a](javascript:b)|{{7*7}}\"'&"
    "\x1b]0;t\x07\x1b[2J\r\n\t# h\u202e\x9b\\input{/etc/passwd}\\write18{id}$^_~%\x02"
)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A results folder whose records say that wherever a text may stand."""
    text = dict.fromkeys(("command", "dataset__title", "dataset__label", "dataset__citation", "dataset__licence"), EVIL)
    text |= {
        f"architecture__{name}": EVIL for name in ("label", "title", "paper", "citation", "weights", "weights_licence")
    }
    text |= {"device__kind": EVIL, "device__precision": EVIL, "protocol__name": EVIL, "protocol__title": EVIL}
    number = {"dataset": EVIL, "split": "test", "metric": "IoU", "value": 1.0, "source": EVIL, "comparable": EVIL}
    write(tmp_path, label="a", architecture__reported=[number], protocol__overrides={EVIL: EVIL}, **text)
    write(tmp_path, label="b", status="diverged", message=EVIL, **text)
    return tmp_path


def test_the_terminal_is_told_nothing_but_text(bench: Bench, hostile: Path) -> None:
    board = tables.build(hostile)
    console = Console(width=4000, file=io.StringIO(), highlight=False, force_terminal=False)
    formats.print_terminal(board, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    ran = bench("verify", "--results", hostile)
    assert "\\x1b" in text
    board_out = bench("leaderboard", "--results", hostile)
    for shown in (text, ran.out + ran.err, board_out.out, board_out.err):
        assert {sign for sign in shown if printable.printable(sign) != sign} <= {"\n"}


def test_messages_are_one_line_without_escape_sequences(bench: Bench, tmp_path: Path) -> None:
    ran = bench("denoise", tmp_path / "a\x1b[2J\nb\udcff.wav", "--results", tmp_path)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert "a\\x1b[2J\\nb\\udcff.wav" in line


def test_markdown_holds_no_html_no_link_and_no_line_of_its_own(hostile: Path) -> None:
    text = formats.markdown(tables.build(hostile))
    prose = [line for line in text.splitlines() if not line.startswith("    ")]
    assert not [line for line in prose if "<" in line]
    assert "](" not in "".join(prose)
    assert not [line for line in text.splitlines() if line.startswith("# h")]
    assert all(sign == "\n" or printable.printable(sign) == sign for sign in text)


def test_latex_reads_and_runs_nothing(hostile: Path) -> None:
    text = formats.latex(tables.build(hostile))
    assert "input" in text
    assert "\\input" not in text
    assert "\\write" not in text
    assert "\x02" not in text
    assert text.count("\\textbf{") <= 2


def test_a_spreadsheet_computes_nothing(tmp_path: Path) -> None:
    for number, start in enumerate("=+-@"):
        write(
            tmp_path,
            label=f"{start}cmd|' C calc'!A0",
            seed=number,
            architecture__weights=f"{start}1",
            dataset__label=f"{start}x",
            protocol__name=f"{start}y",
            comparability_key=f"{number}" * 64,
        )
    lines = list(csv.DictReader(io.StringIO(formats.csv(tables.build(tmp_path)))))
    assert len(lines) == 4
    for line in lines:
        texts = [value for value in line.values() if value and not _is_number(value)]
        assert not [value for value in texts if value[0] in "=+-@\t\r"]
    assert {line["architecture"][:2] for line in lines} == {"'=", "'+", "'-", "'@"}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_the_page_is_html_of_ours_alone(hostile: Path) -> None:
    text = report.rendered(tables.build(hostile), hostile)
    assert "<img" not in text
    assert "</script><" not in text.replace("</script></body>", "")
    assert "{{7*7}}" in text
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e", "\x02"}


def test_plain_texts_stay_as_they_are(tmp_path: Path) -> None:
    title = 'Café "U" \\ ± – Ångström\u00a0<1 °'
    write(tmp_path, architecture__title=title)
    assert tables.build(tmp_path).tables[0].rows[0].runs[0].architecture.title == title
    assert printable.printable("a\nb\t", keep="\n") == "a\nb\\t"
