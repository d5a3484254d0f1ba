"""The contract of architectures, on every plugin that there is; and proof that each of its checks can fail."""

from pathlib import Path

import pytest
from helpers import planted

from benchmark.common.progress import silent
from benchmark.plugins import checks, registry
from benchmark.plugins.checks import global_settings, overfit

ARCHITECTURES = list(registry.find("architectures"))
CHECKS = list(checks.architecture_checks())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_every_architecture_keeps_the_contract(name: str) -> None:
    results = checks.check_architecture(name)
    assert [result.check for result in results] == CHECKS
    checks.require(results)


@pytest.mark.parametrize("name", ["atrous_segnet", "denoising_autoencoder", "segmenter:trunk=tiny"])
def test_four_images_by_heart(name: str) -> None:
    checks.require([checks.check_overfit(name, silent)])


def test_what_has_no_parameters_says_so() -> None:
    results = {result.check: result for result in checks.check_architecture("all_background")}
    assert {name: result.reason for name, result in results.items() if result.outcome == "skipped"} == {
        "weights": "no pretrained weights",
        "gradients": "no parameters",
        "state_dict": "no parameters",
    }
    assert checks.check_overfit("all_background", silent).reason == "nothing to train"


TEMPLATE = """
import secrets
import torch
from torch import nn
from benchmark.contract import ArchitectureSpec, Reported

{module}

class Net(nn.Module):
    def __init__(self, {signature}):
        super().__init__()
        self.layer = nn.Conv2d(in_channels, 1, 3, padding=1)
        {extra}

    def forward(self, image):
        {before}
        return {forward}

ARCHITECTURE = ArchitectureSpec(
    build=Net, title={title!r}, paper="none", citation={citation!r}, reported=({reported}), {fields}
)
"""
GOOD = {
    "module": "",
    "signature": "*, in_channels, pretrained",
    "extra": "pass",
    "before": "pass",
    "forward": "self.layer(image)",
    "title": "Net",
    "citation": "@misc{x, title={X}}",
    "reported": "",
    "fields": "",
}
NUMBER = "Reported(dataset='d', split='test', metric='IoU', value=1.0, source='{}', comparable='{}'),"
UNPOOLED = "nn.functional.max_unpool2d(*nn.functional.max_pool2d_with_indices(self.layer(image), 2), 2)"
RANDOM = "torch.rand(1, device=image.device, generator=torch.Generator().{seeded}(secrets.randbits(60)))"
AS_IT_LIES = "torch.as_strided(image, image.shape, (3 * image[0, 0].numel(), image[0, 0].numel(), image.shape[-1], 1))"

# Deep and without normalisation: with much noise on its weights its outputs are NaN, like those of U-2-Net.
DEEP = {
    "module": """class Step(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return nn.functional.relu(self.first(x)) - nn.functional.relu(self.second(x))
""",
    "extra": "self.body = nn.Sequential(nn.Conv2d(in_channels, 16, 1), *[Step(16) for _ in range(60)], self.layer)"
    "; self.layer = self.body[-1] = nn.Conv2d(16, 1, 3, padding=1)",
}
CHANGES = (
    "torch.set_default_dtype(torch.float64)",
    "torch.set_grad_enabled(False)",
    "torch.set_default_device('meta')",
    "torch.use_deterministic_algorithms(True, warn_only=True)",
    "torch.set_num_threads(torch.get_num_threads() + 1)",
    "torch.set_float32_matmul_precision('medium')",
    "torch.backends.cudnn.benchmark = True",
    "import os; os.chdir('/')",
    "import numpy; numpy.seterr(all='raise')",
)
# The check that must catch it, and what is wrong.
BROKEN = [
    ("signature", {"signature": "in_channels, pretrained"}),
    ("signature", {"signature": "*, in_channels"}),
    ("signature", {"signature": "*, in_channels, pretrained, width"}),
    ("metadata", {"title": " "}),
    ("metadata", {"citation": "X, 2020"}),
    ("metadata", {"citation": "@misc{x, title={X}"}),
    ("metadata", {"citation": "@misc{x, author={X}}"}),
    ("reported", {"reported": NUMBER.format("", "no: x")}),
    ("reported", {"reported": NUMBER.format("s", "perhaps")}),
    ("reported", {"reported": NUMBER.format("s", "no")}),
    ("weights", {"fields": "pretrained='ImageNet', licence='MIT'"}),
    ("weights", {"extra": "torch.rand(int(pretrained))", "fields": "pretrained='ImageNet', licence='MIT'"}),
    (
        "weights",
        {
            "extra": "pretrained and self.load_state_dict({'layer.weight': torch.zeros(5)})",
            "fields": "pretrained='ImageNet', licence='MIT'",
        },
    ),
    ("weights", {"fields": "pretrained='ImageNet'"}),
    ("weights", {"fields": "licence='MIT'"}),
    ("source", {"before": "image = image.to('cpu')"}),
    ("source", {"before": "image = image.cpu()"}),
    ("source", {"extra": "torch.manual_seed(3)"}),
    ("source", {"extra": "from torch import manual_seed"}),
    ("source", {"extra": "from torch.amp import autocast"}),
    ("source", {"extra": "self.optimiser = torch.optim.SGD(self.parameters(), 0.1)"}),
    ("logits", {"forward": "self.layer(image).squeeze(1)"}),
    ("logits", {"forward": "self.layer(image) / 0 * 0"}),
    ("logits", {"forward": "self.layer(image) > 0"}),
    ("logits", {"forward": "self.layer(image).sigmoid(), None"}),
    ("logits", {"forward": "self.layer(image).sigmoid()"}),
    ("logits", {**DEEP, "forward": "self.body(image).sigmoid()"}),
    ("logits", {"forward": "nn.functional.logsigmoid(self.layer(image))"}),
    ("logits", {"forward": "self.layer(image).sigmoid() if self.layer.weight.abs().max() < 1 else image[:, :1] / 0"}),
    ("logits", {"extra": "self.double()", "forward": "self.layer(image.double())"}),
    ("logits", {"extra": "self.layer = nn.LazyConv2d(1, 3, padding=1)"}),
    ("logits", {"before": "raise SystemExit"}),
    ("grey", {"extra": "self.layer = nn.Conv2d(3, 1, 3, padding=1)"}),
    ("odd_sizes", {"forward": "self.layer(image)[..., : image.shape[-1] // 8 * 8]"}),
    ("untouched_input", {"before": "image.mul_(2)"}),
    ("gradients", {"extra": "self.unused = nn.Linear(2, 2)"}),
    ("gradients", {"forward": "self.layer(image).detach() + 0 * self.layer.bias.sum()"}),
    ("gradients", {"fields": "without_gradient=('nowhere',)"}),
    (
        "gradients",  # an infinite one
        {
            "extra": "self.slope = nn.Parameter(torch.ones(()))",
            "forward": "self.layer(image) + (self.slope - self.slope.detach()).sqrt()",
        },
    ),
    ("gradients", {"fields": "without_gradient=('*',)", "forward": "self.layer(image).detach()"}),
    ("modes", {"forward": "self.layer(image) * (2 if self.training else 1)"}),
    (
        "modes",
        {
            "module": "class DropPath(nn.Identity):\n    forward = lambda self, x: x * 9 if self.training else x",
            "extra": "self.drop = DropPath()",
            "forward": "self.drop(self.layer(image))",
        },
    ),
    (
        "lasting_state",
        {"extra": "self.register_buffer('calls', torch.zeros(()))", "before": "self.calls += 1"},
    ),
    (
        "lasting_state",
        {"extra": "self.calls = 0", "before": "self.calls += 1", "forward": "self.layer(image) * self.calls"},
    ),
    ("independent_images", {"forward": "self.layer(image - image.mean(0))"}),
    ("independent_images", {"forward": "self.layer(image - image.mean(0) if len(image) > 2 else image)"}),
    ("seeded", {"forward": f"self.layer(image) + {RANDOM.format(seeded='manual_seed')}"}),
    ("state_dict", {"extra": "self.scale = float(torch.rand(1))", "forward": "self.layer(image) * self.scale"}),
    (
        "state_dict",
        {"extra": "self.n = 1.0", "before": "self.n += self.training", "forward": "self.layer(image) * self.n"},
    ),
    ("device", {"forward": "self.layer(image) + torch.zeros(image.shape[-1])"}),
    ("device", {"extra": "self.ramp = torch.linspace(0, 1, 3)", "forward": "self.layer(image) * self.ramp[1]"}),
    (
        "device",
        {
            "extra": "self.seen = []",
            "before": "self.seen or self.seen.append(torch.arange(image.shape[-1]))",
            "forward": "self.layer(image) + self.seen[0]",
        },
    ),
    ("deterministic_mode", {"forward": UNPOOLED}),
    ("bf16", {"forward": "self.layer(image) + (float('nan') if torch.is_autocast_enabled('cpu') else 0)"}),
    ("bf16", {"forward": "self.layer(image) * (-1 if torch.is_autocast_enabled('cpu') else 1)"}),
    ("channels_last", {"before": f"image = {AS_IT_LIES}"}),
    *(("global_settings", {"module": change}) for change in CHANGES),
    *(("global_settings", {"extra": change}) for change in CHANGES),
    ("export", {"forward": "self.layer(image) if float(image.sum()) > 0 else self.layer(image) * 2"}),
]


def plant(folder: Path, **changes: str) -> str:
    return planted(folder, "architectures", TEMPLATE.format(**{**GOOD, **changes}))


def test_the_template_of_the_broken_ones_is_good(tmp_path: Path) -> None:
    checks.require(checks.check_architecture(plant(tmp_path)))


@pytest.mark.parametrize(("check", "changes"), BROKEN, ids=lambda value: value if isinstance(value, str) else "")
def test_a_broken_plugin_fails_the_check_meant_for_it(tmp_path: Path, check: str, changes: dict[str, str]) -> None:
    before = global_settings.read()
    results = {result.check: result for result in checks.check_architecture(plant(tmp_path, **changes))}
    assert global_settings.read() == before, "the next plugin would suffer"
    assert results[check].outcome == "failed"
    assert results[check].reason
    assert "\n" not in results[check].reason
    with pytest.raises(AssertionError, match=f"{check}: "):
        checks.require(results.values())


ODD_BUT_GOOD = [
    {"forward": "nn.functional.dropout(self.layer(image), 0.5, self.training)"},
    {"forward": "nn.functional.scaled_dot_product_attention(*[self.layer(image)] * 3, dropout_p=0.5 * self.training)"},
    {"extra": "self.drop = nn.Dropout2d(0.3)", "forward": "self.drop(self.layer(image))"},
    {"extra": "self.drop = nn.RReLU()", "forward": "self.drop(self.layer(image))"},
    {"extra": "self.norm = nn.BatchNorm2d(1)", "forward": "self.norm(self.layer(image))"},
    {  # as in transformers, and with so high a rate that no path is left
        "module": """class SegformerDropPath(nn.Module):
    def forward(self, x):
        if not self.training:
            return x
        keep = 0.01 + torch.rand((len(x), 1, 1, 1), dtype=x.dtype, device=x.device)
        return x.div(0.01) * keep.floor()
""",
        "extra": "self.drop = SegformerDropPath()",
        "forward": "self.drop(self.layer(image))",
    },
    {"forward": "self.layer(image + torch.randn_like(image) if self.training else image)"},
    {"forward": "self.layer(image) * (torch.empty_like(image[:, :1]).bernoulli_(0.5) * 2 if self.training else 1)"},
    {"extra": "nn.init.zeros_(self.layer.weight)"},
    {"extra": "nn.utils.parametrizations.weight_norm(self.layer)"},
    {
        "extra": "self.register_buffer('ramp', torch.ones(1), persistent=False)",
        "forward": "self.layer(image) * self.ramp",
    },
    {"extra": "self.requires_grad_(False)"},
    {"extra": "self.optim = nn.Identity(); self.note = 'cpu: nothing'"},
]


@pytest.mark.parametrize("changes", ODD_BUT_GOOD, ids=lambda changes: next(iter(changes.values()))[:40])
def test_what_is_odd_but_good_passes(tmp_path: Path, changes: dict[str, str]) -> None:
    checks.require(checks.check_architecture(plant(tmp_path, **changes)))


def test_every_check_has_a_plugin_that_fails_it() -> None:
    assert {check for check, _ in BROKEN} == set(CHECKS)
    assert len(CHECKS) >= 15
    assert len(BROKEN) >= 20


@pytest.mark.parametrize(
    "changes",
    [
        {"forward": "self.layer(image).mean((2, 3), keepdim=True).expand(-1, -1, *image.shape[2:])"},
        {
            "extra": "self.other = nn.Conv2d(1, 1, 1); self.layer.requires_grad_(False)",
            "forward": "self.other(image[:, :1] * 0)",
        },
    ],
    ids=["sees no place", "sees nothing"],
)
def test_what_cannot_learn_is_found_out(
    tmp_path: Path, changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overfit, "SECONDS", 6.0)
    result = checks.check_overfit(plant(tmp_path, **changes), silent)
    assert result.outcome == "failed"
    assert result.reason.startswith("the network cannot fit four images: best IoU 0")


def test_a_network_that_fails_in_training_is_a_failed_check(tmp_path: Path) -> None:
    result = checks.check_overfit(plant(tmp_path, before="assert not self.training, 'no'"), silent)
    assert (result.outcome, result.reason.partition(" (")[0]) == ("failed", "AssertionError: no")
    assert "planted.py, line" in result.reason


OUTPUTS = {
    "{'out': self.layer(image), 'aux': image}": "a dict (out, aux), not a tensor of logits: return its ['out']",
    "(self.layer(image), image)": "a tuple of 2, not a tensor of logits: return the one that is the final map",
    "type('SegmenterOutput', (), {'logits': image})()": "a SegmenterOutput, not a tensor of logits: return its .logits",
    "self.layer(image).repeat(1, 2, 1, 1)": "return logits[:, 1:] - logits[:, :1]",
    "self.layer(image).repeat(1, 5, 1, 1)": "it has 5 classes; build it with one",
    "self.layer(image).squeeze(1)": "add .unsqueeze(1)",
    "self.layer(image)[..., ::4, ::4]": "enlarge them with torch.nn.functional.interpolate(logits, size=",
}


@pytest.mark.parametrize("forward", OUTPUTS)
def test_other_outputs_are_one_fault_with_its_remedy(tmp_path: Path, forward: str) -> None:
    results = checks.check_architecture(
        plant(tmp_path, forward=forward), ["logits", "seeded", "modes", "lasting_state"]
    )
    assert [(result.check, result.outcome) for result in results] == [
        ("logits", "failed"),
        *((name, "skipped") for name in ("modes", "lasting_state", "seeded")),
    ]
    assert OUTPUTS[forward] in results[0].reason
    assert {result.reason for result in results[1:]} == {"the fault of logits"}


def test_a_network_that_cannot_be_built_is_one_fault(tmp_path: Path) -> None:
    results = checks.check_architecture(plant(tmp_path, extra="raise ImportError('No module named monai')"))
    (failed,) = (result for result in results if result.outcome == "failed")
    assert "ImportError: No module named monai" in failed.reason


def test_single_checks_can_be_asked_for() -> None:
    results = checks.check_architecture("otsu", ["export", "logits"])
    assert [result.check for result in results] == ["logits", "export"]
