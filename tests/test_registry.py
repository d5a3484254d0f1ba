"""Plugins are found by file name, imported one at a time, and named when broken."""

from pathlib import Path

import pytest

from benchmark.common.errors import UserError
from benchmark.plugins import blame, registry, source

PLUGIN = '''"""A 1x1 convolution."""
from torch import nn
from benchmark.contract import ArchitectureSpec

class Pixel(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool, width: int = 4, deep: bool = False, name: str = "a"):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, 1)

    def forward(self, image):
        return self.layer(image)

ARCHITECTURE = ArchitectureSpec(build=Pixel, title="Pixel", paper="none", citation="@misc{x, title={X}}")
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "architectures").mkdir()
    (tmp_path / "architectures" / "pixel.py").write_text(PLUGIN)
    registry.add_folder(tmp_path)
    return tmp_path


def test_ours_are_found() -> None:
    assert {"custom_resnet34", "otsu", "segnet", "unet"} <= set(registry.find("architectures"))
    assert {"birdsounds", "folder", "synthetic"} <= set(registry.find("datasets"))


def test_a_folder_of_the_users(folder: Path) -> None:
    assert registry.load("architectures", "pixel").source == folder / "architectures" / "pixel.py"


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("pixel", "pixel"),
        ("pixel:width=4", "pixel"),
        ("pixel:width=8,deep=true", "pixel:deep=true,width=8"),
        ("pixel:deep=True,width=08", "pixel:deep=true,width=8"),
        ("pixel:name=b", "pixel:name=b"),
    ],
)
def test_parameters_have_one_spelling(folder: Path, text: str, label: str) -> None:
    assert registry.load("architectures", text).label == label


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pixle", r"no architecture 'pixle' \(did you mean 'pixel'"),
        ("pixel:depth=1", "unknown parameter 'depth'.*it takes width, deep, name"),
        ("pixel:widht=1", "did you mean 'width'"),
        ("pixel:weights=none", "unknown parameter 'weights'; it takes width, deep, name$"),
        ("segnet:weights=mine", "weights = 'mine': input should be 'none'"),
        ("smp:decoder=DPT,encoder=tu-vit_tiny_patch16_18x2,weights=none", "has no"),
        ("pixel:width", "parameter 'width' has no value; write width=VALUE"),
        ("pixel:", "unknown parameter ''"),
        ("pixel:width=big", "width = 'big': "),
        ("pixel:in_channels=1", "unknown parameter 'in_channels'"),
    ],
)
def test_mistakes_in_a_label(folder: Path, text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        registry.load("architectures", text)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("x = (", r"SyntaxError: '\(' was never closed \(.*broken\.py, line 1\)$"),
        ("import nowhere_at_all", r"ModuleNotFoundError.*broken\.py, line 1"),
        ("\n\nraise RuntimeError('no')", r"RuntimeError: no \(.*broken\.py, line 3"),
        ("ARCHITECTURE = 3", r"broken\.py must end with ARCHITECTURE = ArchitectureSpec"),
    ],
)
def test_a_broken_plugin_is_named_and_hides_nothing(folder: Path, code: str, message: str) -> None:
    (folder / "architectures" / "broken.py").write_text(code)
    assert "broken" in registry.find("architectures")
    assert registry.load("architectures", "pixel").name == "pixel"
    with pytest.raises(UserError, match=message):
        registry.load("architectures", "broken")


def test_the_same_name_twice_names_both_places(folder: Path) -> None:
    (folder / "architectures" / "unet.py").write_text(PLUGIN)
    with pytest.raises(
        UserError, match=r"two architectures are called 'unet': .*architectures/unet\.py and .*unet\.py"
    ):
        registry.load("architectures", "unet")
    assert registry.load("architectures", "pixel").name == "pixel"
    assert "segnet" in registry.find("architectures")


def test_a_file_name_that_is_no_plugin_name_is_not_ignored_in_silence(folder: Path) -> None:
    (folder / "architectures" / "My-Net.py").write_text(PLUGIN)
    with pytest.raises(UserError, match=r"rename .*My-Net\.py: a plugin's name has lower-case letters"):
        registry.load("architectures", "My-Net")


def test_a_package_file_would_hide_ours(folder: Path) -> None:
    (folder / "architectures" / "__init__.py").write_text("")
    with pytest.raises(UserError, match=r"remove .*architectures/__init__\.py"):
        registry.find("architectures")


def test_a_missing_folder_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BENCH_PLUGINS", "/nowhere")
    with pytest.raises(UserError, match="BENCH_PLUGINS: /nowhere has no folder"):
        registry.find("datasets")


def test_the_stored_source_is_what_was_loaded(folder: Path) -> None:
    plugin = registry.load("architectures", "pixel")
    before = plugin.source_hash
    (folder / "architectures" / "pixel.py").write_text("changed = 1")
    assert plugin.source_hash == before
    assert plugin.code == PLUGIN.encode()


def test_only_files_of_the_folders_that_are_searched_are_blamed(folder: Path, tmp_path: Path) -> None:
    """torchvision and Hugging Face have folders called `datasets` too."""
    library, plugin = tmp_path / "torchvision" / "datasets" / "utils.py", folder / "architectures" / "pixel.py"

    for file, place in ((library, ""), (plugin, f" ({plugin}, line 1)")):
        with pytest.raises(ValueError, match="no") as raised:
            exec(compile("raise ValueError('no')", str(file), "exec"))
        assert blame.place(raised.value) == place


def test_a_folder_without_plugins(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="has no folder architectures/ or datasets/"):
        registry.add_folder(tmp_path)


def test_the_hash_sees_code_but_no_words() -> None:
    def hashed(text: str) -> str:
        return source.hash_code(text.encode())

    code = hashed("def f():\n    return 1\n")
    assert hashed('"""What it is."""\n\n\ndef f():  # why\n    """Doc."""\n    return (1)\n') == code
    assert hashed("def f():\n    return 2\n") != code
