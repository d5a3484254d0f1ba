"""Plugins outside the checkout: written by `bench new`, checked, run, and announced by an installed package."""

import os
import re
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers import NEW_PLUGIN, TINY, Bench

from benchmark.common.errors import UserError
from benchmark.plugins import checks, loading, registry, scaffold


def row(table: str, name: str) -> bool:
    return any(line.split()[1:2] == [name] for line in table.splitlines())


def test_from_nothing_to_a_row(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written = bench("new", "arch", "my_net", "--to", "mine")
    assert written.out.splitlines()[0].startswith("mine/architectures/my_net.py is a network that works")
    assert "  bench run --arch my_net --plugins mine" in written.out.splitlines()
    checked = bench("check", "my_net", "--overfit", "--plugins", "mine")
    assert checked.code == 0, checked.out
    assert "overfit              passed   IoU 0.9" in checked.out
    ran = bench("run", "--arch", "my_net", "--plugins", "mine", *TINY)
    assert ran.code == 0, ran.err
    assert row(bench("leaderboard").out, "my_net")


def test_a_new_dataset_is_run_on(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench("new", "dataset", "my_data", "--to", "mine").code == 0
    checked = bench("check", "--dataset", "my_data", "--plugins", "mine")
    assert checked.code == 0, checked.out
    ran = bench("run", "--arch", "otsu", "--dataset", "my_data", "--image-size", "32", "--plugins", "mine")
    assert ran.code == 0, ran.err


def test_a_file_for_the_checkout_needs_no_option(tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "architectures").mkdir()
    registry.add_folder(tmp_path)
    assert "  bench check my_net\n" in bench("new", "arch", "my_net", "--to", tmp_path).out


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My-Net", "'My-Net' cannot be a plugin's name: use lower-case letters, digits and _, a letter first"),
        ("2net", "cannot be a plugin's name"),
        ("../net", "cannot be a plugin's name"),
        ("class", "cannot be a plugin's name"),
        ("all", "cannot be a plugin's name"),
        ("n" * 300, "cannot be a plugin's name"),
        ("unet", "there is already a plugin 'unet'"),
        ("taken", "taken.py exists; choose another name"),
    ],
)
def test_names_that_cannot_be_given(bench: Bench, tmp_path: Path, name: str, message: str) -> None:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "taken.py").write_text("kept")
    ran = bench("new", "arch", name, "--to", tmp_path)
    assert ran.code == 2
    assert message in ran.err
    assert [path.name for path in tmp_path.rglob("*.py")] == ["taken.py"]
    assert (tmp_path / "architectures" / "taken.py").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(bench: Bench, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    assert bench("new", "arch", "my_net", "--to", tmp_path).code == 2


def test_a_place_that_is_a_file(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ran = bench("new", "arch", "my_net", "--to", tmp_path / "file")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package, made by hand, that announces a network."""
    code = tmp_path / "toy_birdnet"
    code.mkdir()
    (code / "__init__.py").write_text("")
    (code / "network.py").write_text(NEW_PLUGIN.replace('title="Blur"', 'title="Toy net"'))
    announce(tmp_path, "toy_net = toy_birdnet.network")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for known in (sys.modules, loading._texts):
        for name in [name for name in known if name.partition(".")[0] == "toy_birdnet"]:
            del known[name]


def announce(folder: Path, *lines: str) -> None:
    told = folder / "toy_birdnet-1.0.dist-info"
    told.mkdir(exist_ok=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: toy-birdnet\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text("\n".join(["[benchmark.architectures]", *lines]))


@pytest.mark.parametrize("name", ["none", "f", "architecture_spec", "net", "tensor"])
def test_names_that_python_or_the_file_uses_itself(tmp_path: Path, name: str) -> None:
    scaffold.write("architectures", name, tmp_path)
    registry.add_folder(tmp_path)
    checks.require(checks.check_architecture(name))


def test_a_package_announces_its_network(bench: Bench, package: Path, tmp_path: Path) -> None:
    listed = bench("list")
    assert "toy_net" in listed.out
    assert "Toy net" in listed.out
    assert bench("check", "toy_net").code == 0
    results = tmp_path / "results"
    ran = bench("run", "--arch", "toy_net", *TINY, "--results", results)
    assert ran.code == 0, ran.err
    assert row(bench("leaderboard", "--results", results).out, "toy_net")


@pytest.mark.parametrize(
    ("line", "code", "message"),
    [
        ("toy_net = toy_birdnet.broken", "x = (", r"SyntaxError.*broken\.py, line 1\)$"),
        ("toy_net = toy_birdnet.broken", "\nraise RuntimeError('no')", r"RuntimeError: no \(.*broken\.py, line 2\)$"),
        ("toy_net = toy_birdnet.nowhere", "", "of toy-birdnet cannot be imported: it has no Python file"),
        ("toy_net = nothing_at_all", "", "of toy-birdnet cannot be imported: it has no Python file"),
        ("toy_net = ???", "", r"entry point \?\?\? of toy-birdnet cannot be imported: it has no Python file"),
        ("toy_net = .network", "", "it has no Python file"),
        ("toy_net = sys", "", "it has no Python file"),
        ("toy_net = toy_birdnet.broken", "raise SystemExit", r"SystemExit:  \(.*broken\.py, line 1\)$"),
        ("toy_net = toy_birdnet.broken", "raise ImportError('a\\nb')", r"ImportError: a \(.*broken\.py, line 1\)$"),
    ],
)
def test_a_broken_package_hides_nothing(bench: Bench, package: Path, line: str, code: str, message: str) -> None:
    (package / "toy_birdnet" / "broken.py").write_text(code)
    announce(package, line)
    listed = bench("list")
    assert listed.code == 0
    assert "broken:" in listed.out
    assert "custom_resnet34" in listed.out
    with pytest.raises(UserError, match=message):
        registry.load("architectures", "toy_net")


def test_a_package_may_not_take_a_name(package: Path) -> None:
    announce(package, "unet = toy_birdnet.network")
    with pytest.raises(
        UserError, match=r"called 'unet': .*unet\.py and entry point toy_birdnet\.network of toy-birdnet; rename"
    ):
        registry.load("architectures", "unet")
    assert registry.load("architectures", "segnet").name == "segnet"


def test_a_damaged_list_of_another_package_hides_nothing(package: Path) -> None:
    other = package / "damaged-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: damaged\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[console_scripts]\njust some text\nx = !!bad value!!\n")
    assert {"toy_net", "unet"} <= set(registry.find("architectures"))


@pytest.mark.parametrize("name", ["my net", "../../evil"])
def test_a_name_that_no_plugin_can_have_is_not_found(package: Path, name: str) -> None:
    announce(package, f"{name} = toy_birdnet.network", "toy_net = toy_birdnet.network")
    assert name not in registry.find("architectures")
    assert registry.load("architectures", "toy_net").name == "toy_net"


def test_checking_all_leaves_out_what_is_broken(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "broken.py").write_text("\nimport nowhere_at_all")
    (tmp_path / "architectures" / "good.py").write_text(NEW_PLUGIN)
    registry.add_folder(tmp_path)
    monkeypatch.setattr(registry, "find", lambda _: ["broken", "good"])
    ran = bench("check", "all")
    assert ran.code == 2
    assert "left out" in ran.err
    assert "broken.py, line 2" in ran.err
    assert "good" in ran.out
    assert " passed" in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "name what to check: bench check ARCH"),
        (("otsu", "--data", "x"), "--data is the folder of a dataset"),
        (("ottsu",), r"no architecture 'ottsu' \(did you mean 'otsu'"),
        (("--dataset", "birdsounds"), "say which with --data ROOT"),
    ],
)
def test_mistakes_at_the_command_line(bench: Bench, words: tuple[str, ...], message: str) -> None:
    ran = bench("check", *words)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert re.search(message, ran.err)
