"""The plugin contract, on every architecture that there is; and proof that its checks can fail."""

from pathlib import Path

import pytest

from benchmark import checks, network, protocol, registry

ARCHITECTURES = list(registry.find("architectures"))
CHECKS = [name for name, _ in checks._checks()]

# Published sizes, in millions.
PARAMETERS = {
    "custom_resnet34": (23.56, "the reference entry's specification"),
    "unet": (31.0, "Ronneberger et al. with batch norm and one class"),
    "segnet": (29.4, "Badrinarayanan et al., section 3"),
    "otsu": (0.0, "a threshold"),
}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_keeps_the_contract(name: str) -> None:
    results = checks.check_architecture(name)
    assert [result.check for result in results] == CHECKS
    assert [result for result in results if result.outcome == "failed"] == []


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts(name: str) -> None:
    settings = protocol.load("quick")
    plugin = registry.load("architectures", name)
    drawn = network.parameter_count(network.sketch(plugin, settings))
    assert drawn == network.parameter_count(network.build(plugin, settings, 0))
    assert drawn / 1e6 == pytest.approx(PARAMETERS[name][0], abs=0.05), PARAMETERS[name][1]


@pytest.mark.parametrize(
    ("name", "gflops"),
    [("custom_resnet34", 51.7), ("unet", 385), ("otsu", 0)],
)
def test_cost_at_the_papers_size(name: str, gflops: float) -> None:
    settings = protocol.load("paper").override({"weights": "none"})
    net = network.build(registry.load("architectures", name), settings, 0)
    assert network.gigaflops(net, settings) == pytest.approx(gflops, rel=0.02)


TEMPLATE = """
import torch
from torch import nn
from benchmark.contract import ArchitectureSpec, Reported

class Net(nn.Module):
    def __init__(self, {signature}):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, 3, padding=1)
        {extra}

    def forward(self, image):
        return {forward}

ARCHITECTURE = ArchitectureSpec(build=Net, title={title!r}, paper="none", citation={citation!r}, reported=({reported}))
"""
GOOD = {
    "signature": "*, in_channels, pretrained",
    "extra": "pass",
    "forward": "self.layer(image)",
    "title": "Net",
    "citation": "@misc{x, title={X}}",
    "reported": "",
}
NUMBER = "Reported(dataset='d', split='test', metric='IoU', value=1.0, source='{}', comparable='{}'),"
UNPOOLED = "nn.functional.max_unpool2d(*nn.functional.max_pool2d_with_indices(self.layer(image), 2), 2)"
BROKEN = [
    ("signature", {"signature": "in_channels, pretrained"}),
    ("signature", {"signature": "*, in_channels"}),
    ("signature", {"signature": "*, in_channels, pretrained, width"}),
    ("metadata", {"title": " "}),
    ("metadata", {"citation": "X, 2020"}),
    ("metadata", {"citation": "@misc{x, title={X}"}),
    ("metadata", {"reported": NUMBER.format("", "no: x")}),
    ("metadata", {"reported": NUMBER.format("s", "perhaps")}),
    ("logits", {"forward": "self.layer(image).squeeze(1)"}),
    ("logits", {"forward": "self.layer(image) / 0 * 0"}),
    ("odd_sizes", {"forward": "self.layer(image)[..., : image.shape[-1] // 8 * 8]"}),
    ("gradients", {"extra": "self.unused = nn.Linear(2, 2)"}),
    ("gradients", {"forward": "self.layer(image).detach() + 0 * self.layer.bias.sum()"}),
    ("independent_images", {"forward": "self.layer(image - image.mean(0))"}),
    (
        "seeded",
        {"forward": "self.layer(image) + torch.rand(1, generator=torch.Generator().manual_seed(secrets.randbits(60)))"},
    ),
    ("state_dict", {"extra": "self.scale = float(torch.rand(1))", "forward": "self.layer(image) * self.scale"}),
    ("deterministic_mode", {"forward": UNPOOLED}),
    ("bf16", {"forward": "self.layer(image) + (float('nan') if torch.is_autocast_enabled('cpu') else 0)"}),
    ("export", {"forward": "self.layer(image) if float(image.sum()) > 0 else self.layer(image) * 2"}),
]


def plugin(folder: Path, **changes: str) -> str:
    (folder / "architectures").mkdir()
    (folder / "architectures" / "planted.py").write_text(TEMPLATE.format(**{**GOOD, **changes}))
    registry.add_folder(folder)
    return "planted"


def test_the_template_of_the_broken_ones_is_good(tmp_path: Path) -> None:
    assert {result.outcome for result in checks.check_architecture(plugin(tmp_path))} == {"passed"}


@pytest.mark.parametrize(("check", "changes"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_a_broken_plugin_fails_the_check_meant_for_it(tmp_path: Path, check: str, changes: dict[str, str]) -> None:
    results = {result.check: result for result in checks.check_architecture(plugin(tmp_path, **changes))}
    assert results[check].outcome == "failed"
    assert results[check].reason
    assert "\n" not in results[check].reason


def test_every_check_has_a_plugin_that_fails_it() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)
