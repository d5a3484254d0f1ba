"""A network that comes with a loss: trained with it on demand, recorded and shown as that, comparable without it."""

import csv
from pathlib import Path

import pytest
from helpers import TINY, Bench, runs

from benchmark.plugins import checks, registry
from benchmark.plugins.checks.outcome import Result

DEEP = '''"""A small network with deep supervision: the final map, and one of half the size."""
import torch
from torch import nn
from torch.nn import functional as F
from benchmark.contract import ArchitectureSpec


class Deep(nn.Module):
    def __init__(self, *, in_channels: int, pretrained: bool) -> None:
        super().__init__()
        self.down = nn.Conv2d(in_channels, 4, 3, stride=2, padding=1)
        self.side = nn.Conv2d(4, 1, 1)
        self.last = nn.Conv2d(in_channels + 4, 1, 3, padding=1)

    def forward(self, image):
        coarse = self.down(image).relu()  # (N, 4, H/2, W/2)
        logits = self.last(torch.cat([image, F.interpolate(coarse, scale_factor=2.0)], 1))
        return (logits, self.side(coarse)) if self.training else logits


def loss(outputs, masks):
    logits, side = outputs
    cross_entropy = F.binary_cross_entropy_with_logits
    return cross_entropy(logits, masks) + cross_entropy(side, F.max_pool2d(masks, 2))


ARCHITECTURE = ArchitectureSpec(
    build=Deep, title="Deep", paper="none", citation="@misc{deep, title={Deep}}", size_multiple=4, loss=loss,
    without_gradient=("side.*",),
)
'''


@pytest.fixture
def plugins(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "architectures").mkdir(parents=True)
    (tmp_path / "mine" / "architectures" / "deep.py").write_text(DEEP)
    return tmp_path / "mine"


def failed(results: list[Result]) -> list[tuple[str, str]]:
    return [(one.check, one.reason) for one in results if one.outcome == "failed"]


def test_a_run_with_the_loss_of_the_plugin(bench: Bench, tmp_path: Path, plugins: Path) -> None:
    words = ("--plugins", plugins, "--results", tmp_path / "results")
    sizes = (*TINY, "--set", "image_size=[30, 32]")  # padded to 32 x 32: the masks, too
    told = []
    for label in ("deep", "deep:loss=own"):
        ran = bench("run", "--arch", label, *sizes, *words)
        assert ran.code == 0, ran.err
        told.append("loss: bce_dice, as for all; its own: --arch deep:loss=own" in ran.err)
    assert told == [True, False]
    common, own = sorted(runs(tmp_path / "results"), key=lambda run: run.architecture.label)
    assert (common.architecture.own_loss, own.architecture.own_loss) == (False, True)
    assert common.comparability_key == own.comparability_key
    assert common.training.last_losses != own.training.last_losses
    assert bench("verify", "--predict", own.run_key[:12], *words).code == 0
    assert bench("leaderboard", "--results", tmp_path / "results").code == 0
    table = list(csv.DictReader((tmp_path / "results" / "leaderboard.csv").read_text().splitlines()))
    assert {row["architecture"] for row in table if row["architecture"].startswith("deep")} == {"deep", "deep:loss=own"}
    text = "".join(path.read_text() for path in (tmp_path / "results" / "tables").glob("*.md"))
    assert text.count("was trained with a loss of its own, not with bce") == 1


def test_what_an_own_loss_cannot_do(bench: Bench, tmp_path: Path, plugins: Path) -> None:
    words = (*TINY, "--plugins", plugins, "--results", tmp_path / "results")
    compiled = bench("run", "--arch", "deep:loss=own", "--execution", "compiled", *words)
    assert (compiled.code, "which is not compiled: leave out --execution" in compiled.err) == (2, True)
    none = bench("run", "--arch", "unet:loss=own", *words)
    assert (none.code, "unknown parameter 'loss'" in none.err) == (2, True)
    file = plugins / "architectures" / "bad.py"
    file.write_text(DEEP.replace("return cross_entropy(logits, masks) +", "return outputs[0] if True else"))
    bad = bench("run", "--arch", "bad:loss=own", *words)
    assert bad.code == 2
    assert "bad:loss=own: loss() returns a tensor of (4, 1, 32, 32); it must be one number" in bad.err


def test_both_pass_the_checks(plugins: Path) -> None:
    registry.add_folder(plugins)
    for label in ("deep", "deep:loss=own"):
        assert failed(checks.check_architecture(label)) == []
