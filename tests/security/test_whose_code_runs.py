"""Code runs from the folders that the user named, and from nowhere else."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from helpers import NEW_PLUGIN, TINY, Bench

from benchmark.common import workers
from benchmark.plugins import registry

ROOT = Path(__file__).parents[2]


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
        "import os, sys\nsys.path[0] = sys.argv[1]\nfrom benchmark.common import workers\n"
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


def test_threads_that_start_workers_at_once_leave_the_environment_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread that came second would else take the first one's setting for the user's, and leave it behind."""
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    inside, second = threading.Event(), threading.Event()

    def start() -> None:
        with workers._safe_path():
            inside.set()
            second.wait(1)

    threads = [threading.Thread(target=start) for _ in range(2)]
    threads[0].start()
    inside.wait()
    threads[1].start()
    for thread in threads:
        thread.join()
    assert "PYTHONSAFEPATH" not in os.environ
