"""Nothing in the sources runs or unpacks what it reads: the calls that would are searched for in the syntax trees."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FORBIDDEN = {
    *("eval", "exec", "compile", "__import__"),
    *("pickle.load", "pickle.loads", "pickle.Unpickler", "marshal.load", "marshal.loads", "shelve.open"),
    *("joblib.load", "dill.load", "dill.loads", "cloudpickle.load", "cloudpickle.loads", "yaml.load"),
    *("pandas.read_pickle", "pd.read_pickle", "torch.hub.load", "torch.package.PackageImporter"),
    *("os.system", "os.popen", "tempfile.mktemp", "importlib.import_module", "runpy.run_path"),
    *("shutil.unpack_archive", "tarfile.open", "zipfile.ZipFile"),
}
METHODS = {"extractall", "exec_module", "read_pickle", "unpack_archive"}
ALLOWED = {
    # A plugin that the user asked for, by the name of a file in a folder that the user named.
    ("benchmark/plugins/loading.py", "importlib.import_module"),
    # The functions of the package, by names that stand beside the call.
    ("benchmark/__init__.py", "importlib.import_module"),
    # What a process sends its own workers through a pipe.
    ("benchmark/common/workers.py", "pickle.loads"),
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
