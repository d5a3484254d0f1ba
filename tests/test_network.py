"""Padding, and pretrained weights that are loaded, or refused, but never silently replaced."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from benchmark.architectures import segnet
from torch import nn
from torch.nn import functional as F
from torchvision.models import ResNet34_Weights, VGG16_BN_Weights, resnet34, vgg16_bn

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.plugins import network, registry

PAPER = protocols.load("paper")
FILES = {"custom_resnet34": ("resnet34", resnet34), "segnet": ("vgg16_bn", vgg16_bn)}


def test_padding_repeats_the_border_and_is_cropped() -> None:
    seen = []

    class Core(nn.Module):
        def forward(self, image: torch.Tensor) -> torch.Tensor:
            seen.append(image)
            return image[:, :1]

    image = torch.rand(1, 3, 5, 7)
    logits = network.Network(Core(), 4, "core")(image)
    assert seen[0].shape == (1, 3, 8, 8)
    assert torch.equal(seen[0][..., 4:, :7], image[..., 4:5, :].expand(1, 3, 4, 7))
    assert torch.equal(logits, image[:, :1])


@pytest.fixture(scope="module", params=FILES)
def trunk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, nn.Module]]:
    """An architecture's name, and the trunk whose weights lie where torch looks, as torchvision calls the file."""
    stem, build = FILES[request.param]
    torch.manual_seed(7)
    module = build()
    enum = {"resnet34": ResNet34_Weights, "vgg16_bn": VGG16_BN_Weights}[stem].IMAGENET1K_V1
    folder = tmp_path_factory.mktemp("torch")
    path = folder / "hub" / "checkpoints" / enum.url.rsplit("/", 1)[1]
    path.parent.mkdir(parents=True)
    torch.save(module.state_dict(), path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(folder))
        yield request.param, module
    path.unlink()  # half a gigabyte


@pytest.mark.parametrize("channels", [1, 3])
def test_pretrained_weights_are_those_of_the_file(trunk: tuple[str, nn.Module], channels: int) -> None:
    name, published = trunk
    settings = PAPER.override({"channels": channels})
    net = network.build(registry.load("architectures", name), settings, 0)
    grey = torch.rand(2, 1, 64, 64)
    first = next(module for module in published.modules() if isinstance(module, nn.Conv2d))
    ours = next(module for module in net.modules() if isinstance(module, nn.Conv2d))
    # Grey as one channel, or as three equal ones, meets the same response.
    torch.testing.assert_close(ours(grey.expand(-1, channels, -1, -1)), first(grey.expand(-1, 3, -1, -1)))
    theirs = [module.weight for module in published.modules() if isinstance(module, nn.Conv2d)]
    copied = [module.weight for module in net.core.encoder.modules() if isinstance(module, nn.Conv2d)]
    assert len(theirs) == len(copied)
    assert all(torch.equal(mine, other) for mine, other in list(zip(copied, theirs, strict=True))[1:])


@pytest.mark.parametrize("name", FILES)
def test_missing_weights_are_an_error_that_says_what_to_do(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))

    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("torch.hub.download_url_to_file", offline)
    with pytest.raises(UserError, match=r"ImageNet-1k.*cannot be loaded: no network; put the file where TORCH_HOME"):
        network.build(registry.load("architectures", name), PAPER, 0)


def test_any_entry_with_weights_can_be_asked_without_them() -> None:
    """In the same table as the entry with them: only there can the two be compared."""
    plugin = registry.load("architectures", "custom_resnet34:weights=none")
    assert (plugin.label, network.weights(plugin.spec, PAPER)) == ("custom_resnet34:weights=none", "random")
    scratch = registry.load("architectures", "custom_resnet34"), PAPER.override({"weights": "none"})
    ours, theirs = (network.build(*built, seed=3).state_dict() for built in ((plugin, PAPER), scratch))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert registry.load("architectures", "smp:encoder=resnet18,weights=none").spec.pretrained is None


def test_without_published_weights_the_record_says_random() -> None:
    assert network.weights(registry.load("architectures", "unet").spec, PAPER) == "random"
    assert "IMAGENET1K_V1" in network.weights(registry.load("architectures", "segnet").spec, PAPER)


def test_unpooling_is_torchs_own() -> None:
    pooled, positions = F.max_pool2d(torch.rand(2, 3, 8, 12), 2, return_indices=True)
    torch.testing.assert_close(segnet.unpool(pooled, positions), F.max_unpool2d(pooled, positions, 2))


def test_otsu_against_every_threshold() -> None:
    from benchmark.architectures.otsu import BINS, otsu_threshold

    level = torch.cat([torch.rand(400) * 0.4, 0.6 + torch.rand(200) * 0.4]).view(1, -1)
    level[0, 0], level[0, 1] = 0.0, 1.0
    centres = (level * BINS).long().clamp(max=BINS - 1).double().add(0.5) / BINS

    def separation(threshold: float) -> float:
        above = centres > threshold
        share = above.double().mean()
        if share in (0, 1):
            return 0.0
        return float(share * (1 - share) * (centres[above].mean() - centres[~above].mean()) ** 2)

    best = max(separation(bin_ / BINS) for bin_ in range(BINS))
    assert separation(float(otsu_threshold(level))) == pytest.approx(best)
