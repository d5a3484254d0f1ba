"""Each architecture is what its authors describe: parameter counts against published figures, families, weights."""

import json
import math
import re
from pathlib import Path

import huggingface_hub
import pytest
import segmentation_models_pytorch
import torch
import torchvision.models.segmentation as published
from benchmark.architectures import mtunet, smp, torchvision_segmentation
from safetensors.torch import save_file
from torch import nn

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.plugins import checks, network, registry

QUICK = protocols.load("quick")
PAPER = protocols.load("paper")


def count(label: str, size: tuple[int, int] = (128, 128)) -> int:
    settings = QUICK.override({"image_size": size})
    return network.parameter_count(network.sketch(registry.load("architectures", label), settings))


def convolution(inside: int, outside: int, kernel: int, *, bias: bool = True) -> int:
    return inside * outside * kernel**2 + outside * bias


@pytest.mark.parametrize(
    ("name", "millions", "tolerance", "source"),
    [
        ("custom_resnet34", 23.56, 0.01, "the reference entry's specification"),
        ("unet", 31.0, 0.05, "Ronneberger et al. with same padding, batch norm and one class, as commonly counted"),
        ("segnet", 29.45, 0.05, "Badrinarayanan et al., 29.45 M"),
        ("u2net", 44.0, 0.05, "Qin et al., Table 3: 176.3 MB in single precision"),
        (
            "segmenter",
            27.0,
            1.5,
            "the authors' model zoo, Seg-S-Mask/16; they count ImageNet's classifier and 150 classes",
        ),
        ("segmenter:trunk=tiny", 7.0, 0.5, "the authors' model zoo, Seg-T-Mask/16"),
        ("segformer:trunk=b0", 3.8, 0.1, "Xie et al., Table 1"),
        ("segformer:trunk=b1", 13.7, 0.1, "Xie et al., Table 1"),
        ("segformer", 27.5, 0.2, "Xie et al., Table 1, B2"),
        ("segformer:trunk=b3", 47.3, 0.2, "Xie et al., Table 1"),
        ("segformer:trunk=b4", 64.1, 0.2, "Xie et al., Table 1"),
        ("segformer:trunk=b5", 84.7, 0.2, "Xie et al., Table 1"),
        ("otsu", 0.0, 0.0, "a threshold"),
        ("spectral_gate", 0.0, 0.0, "a threshold"),
        ("all_background", 0.0, 0.0, "nothing"),
    ],
)
def test_published_parameter_counts(name: str, millions: float, tolerance: float, source: str) -> None:
    assert count(name) / 1e6 == pytest.approx(millions, abs=tolerance), source


@pytest.mark.parametrize(
    ("label", "weights", "auxiliary"),
    [
        ("deeplabv3", published.DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1, 1024),
        ("deeplabv3:trunk=resnet101", published.DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1, 1024),
        ("torchvision_segmentation", published.FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1, 1024),
    ],
)
def test_torchvisions_figures_without_their_head_and_further_classes(
    label: str, weights: published.DeepLabV3_ResNet50_Weights, auxiliary: int
) -> None:
    """torchvision's table counts 21 classes and an auxiliary head, which training here does not use."""
    head = convolution(auxiliary, auxiliary // 4, 3, bias=False) + auxiliary // 2 + convolution(auxiliary // 4, 21, 1)
    last = 256 if label.startswith("deeplab") else 512
    assert count(label) == weights.meta["num_params"] - head - 20 * (last + 1)


def test_mtunet_is_the_authors_without_what_cannot_learn() -> None:
    """Their published code has 79,074,869 parameters at 224 pixels and one class (counted by running it)."""
    modules = [256] * 2 + [512] * 2 + [1024] * 2 + [512] * 2 + [512] * 2  # widths of the ten mixed transformers
    never_called = sum(convolution(width, width, 1) for width in modules)
    without_gradient = sum(2 * width + mtunet.SLOTS + 1 for width in modules) + 2 * sum(mtunet.STEM)
    net = mtunet.MTUNet(in_channels=3, pretrained=False, image_size=(224, 224))
    assert network.parameter_count(net) == 79_074_869 - never_called - without_gradient


def test_vitvs_by_hand() -> None:
    """Sizes of the paper: patches of 16, 256 dimensions, 12 blocks."""
    tokens, dimensions = 16 * 16, 256
    block = 4 * convolution(dimensions, dimensions, 1) + 2 * 2 * dimensions
    block += convolution(dimensions, 4 * dimensions, 1) + convolution(4 * dimensions, dimensions, 1)
    ends = 2 * 3 + convolution(3, dimensions, 16) + tokens * dimensions + convolution(dimensions, 256, 1)
    assert count("vitvs", (256, 256)) == 12 * block + ends


def test_the_speech_network_by_hand() -> None:
    """Eleven frames of 512 frequencies, three layers of 2048 (Xu et al.)."""
    expected = 512 * 11 * 2048 + 2048 + 2 * (2048 * 2048 + 2048) + 2048 * 512 + 512
    assert count("speech_dnn", (512, 512)) == expected


def test_atrous_segnet_by_hand() -> None:
    """The public notebook's layers."""
    blocks = [(3, 64), (64, 128), (128, 256), (128, 128), (64, 64)]
    expected = sum(convolution(*block, 3) + 2 * block[1] for block in blocks)
    expected += convolution(256, 128, 2) + convolution(128, 64, 2) + convolution(64, 1, 1)
    assert count("atrous_segnet") == expected


@pytest.mark.parametrize("name", registry.find("architectures"))
def test_the_sketch_counts_what_is_built(name: str) -> None:
    plugin = registry.load("architectures", name)
    built = network.parameter_count(network.build(plugin, QUICK, 0))
    assert network.parameter_count(network.sketch(plugin, QUICK)) == built


@pytest.mark.parametrize(("name", "gflops"), [("custom_resnet34", 51.7), ("unet", 385), ("otsu", 0)])
def test_cost_at_the_papers_size(name: str, gflops: float) -> None:
    settings = PAPER.override({"weights": "none"})
    net = network.build(registry.load("architectures", name), settings, 0)
    assert network.gigaflops(net, settings) == pytest.approx(gflops, rel=0.02)


def test_every_published_system_is_here() -> None:
    """DVAD's and ViTVS's tables and the public notebook; YOLOv8 and PtDeepLab stand in the ledger only."""
    numbers = {
        name: {f"{number.split} {number.metric}": number.value for number in spec.reported}
        for name in registry.find("architectures")
        for spec in [registry.load("architectures", name).spec]
    }
    test_iou = {name: found["test IoU"] for name, found in numbers.items() if "test IoU" in found}
    assert test_iou == {
        "atrous_segnet": 65.33,
        "custom_resnet34": 62.25,
        "deeplabv3": 72.3,
        "fpn": 69.3,
        "manet": 70.9,
        "mtunet": 55.7,
        "segmenter": 57.7,
        "segnet": 65.3,
        "u2net": 44.8,
        "unet": 62.9,
        "unetplusplus": 69.8,
        "vitvs": 80.0,
    }
    assert not any(number.comparable.startswith("yes") for name in numbers for number in _reported(name))


def _reported(name: str) -> tuple[registry.Any, ...]:
    return tuple(registry.load("architectures", name).spec.reported)


# ---------------------------------------------------------------- families


@pytest.mark.parametrize("decoder", smp.DECODERS)
def test_every_decoder_of_smp(decoder: str) -> None:
    encoder = "tu-vit_tiny_patch16_224" if decoder == "DPT" else "resnet18"
    checks.require(
        checks.check_architecture(f"smp:decoder={decoder},encoder={encoder}", ["logits", "grey", "gradients"])
    )


@pytest.mark.parametrize("encoder", ["resnet50", "mobilenet_v2", "mit_b0", "tu-convnext_atto", "tu-resnet18.a1_in1k"])
def test_encoders_of_smp_and_timm(encoder: str) -> None:
    label = f"smp:encoder={encoder}"
    checks.require(checks.check_architecture(label, ["logits", "gradients"]))
    plugin = registry.load("architectures", label)
    assert plugin.spec.title == f"smp Unet, {encoder}"
    assert (plugin.spec.pretrained is None) == (plugin.spec.licence is None)
    if encoder.startswith("tu-"):
        assert re.fullmatch(rf"timm {encoder[3:].partition('.')[0]}\.\w+", plugin.spec.pretrained)


def test_every_encoder_of_smp_has_a_name_that_is_taken() -> None:
    for encoder in segmentation_models_pytorch.encoders.get_encoder_names():
        assert registry.load("architectures", f"smp:encoder={encoder}").spec.title.endswith(encoder)


@pytest.mark.parametrize("name", torchvision_segmentation.NAMES)
def test_every_segmentation_network_of_torchvision(name: str) -> None:
    checks.require(checks.check_architecture(f"torchvision_segmentation:name={name}", ["logits", "grey", "gradients"]))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("smp:decoder=Unett", "smp has no decoder 'Unett'; near it: Unet"),
        ("smp:encoder=resnet5", "smp has no encoder 'resnet5'; near it: resnet"),
        ("smp:encoder=tu-resnet18.a1_in1kk", "smp has no weights 'resnet18.a1_in1kk'; near it: resnet18.a1_in1k"),
        ("smp:encoder=tu-resnett18", "smp has no encoder 'resnett18'; near it: resnet18"),
        (
            "torchvision_segmentation:name=fcn_resnet5",
            r"no segmentation network 'fcn_resnet5' \(did you mean 'fcn_resnet50'",
        ),
        ("deeplabv3:trunk=resnet34", "trunk = 'resnet34': .*resnet101"),
    ],
)
def test_mistakes_in_a_familys_label(label: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        registry.load("architectures", label)


def test_what_smp_cannot_compose_is_the_users_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ValueError("no such pair")

    monkeypatch.setitem(smp.DECODERS, "UnetPlusPlus", refuse)
    with pytest.raises(UserError, match="smp cannot put UnetPlusPlus on mit_b0: no such pair"):
        network.build(registry.load("architectures", "smp:decoder=UnetPlusPlus,encoder=mit_b0"), QUICK, 0)


# ---------------------------------------------------------------- pretrained weights from the hub


def hub(folder: Path, repository: str, revision: str, files: dict[str, bytes | dict[str, torch.Tensor]]) -> None:
    """Lay files where the hub's client keeps what it has downloaded."""
    snapshot = folder / f"models--{repository.replace('/', '--')}" / "snapshots" / revision
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        if isinstance(content, bytes):
            (snapshot / name).write_bytes(content)
        else:
            save_file(content, snapshot / name)
    refs = snapshot.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text(revision)


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    return tmp_path


def state(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone().contiguous() for name, value in module.state_dict().items()}


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_of_smp_are_those_of_the_file(hub_cache: Path, channels: int) -> None:
    encoders = segmentation_models_pytorch.encoders
    torch.manual_seed(7)
    trunk = encoders.get_encoder("mobilenet_v2", weights=None)
    settings = encoders.encoders["mobilenet_v2"]["pretrained_settings"]["imagenet"]
    files = {"config.json": json.dumps({}).encode(), "model.safetensors": state(trunk)}
    hub(hub_cache, settings["repo_id"], settings["revision"], files)
    plugin = registry.load("architectures", "smp:encoder=mobilenet_v2")
    net = network.build(plugin, PAPER.override({"channels": channels, "image_size": (64, 64)}), 0).eval()
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        theirs = trunk.eval()(grey.expand(-1, 3, -1, -1))[-1]
        ours = net.core.encoder(grey.expand(-1, channels, -1, -1))[-1]
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("channels", [1, 3])
def test_weights_of_timm_are_those_of_the_file(hub_cache: Path, channels: int) -> None:
    import timm

    torch.manual_seed(7)
    trunk = timm.create_model("vit_tiny_patch16_384", num_classes=1000)
    name = "timm/vit_tiny_patch16_384.augreg_in21k_ft_in1k"
    hub(hub_cache, name, "0" * 40, {"model.safetensors": state(trunk)})
    plugin = registry.load("architectures", "segmenter:trunk=tiny")
    net = network.build(plugin, PAPER.override({"channels": channels, "image_size": (384, 384)}), 0).eval()
    grey = torch.rand(1, 1, 384, 384)
    with torch.no_grad():
        theirs = trunk.eval().forward_features(grey.expand(-1, 3, -1, -1))
        ours = net.core.trunk.forward_features(grey.expand(-1, channels, -1, -1))
    torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", ["fpn", "segformer", "segmenter", "smp:encoder=tu-resnet18.a1_in1k"])
def test_missing_weights_of_the_hub_are_an_error(hub_cache: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"cannot be loaded.*HF_HOME.*--weights none"):
        network.build(registry.load("architectures", name), PAPER, 0)


# ---------------------------------------------------------------- what single plugins promise


def test_the_gate_opens_above_each_frequencys_floor() -> None:
    image = torch.rand(2, 3, 6, 400)
    image[0, :, 2] *= 50  # a loud frequency is measured by its own floor
    logits = network.build(registry.load("architectures", "spectral_gate"), QUICK, 0)(image)
    for picture, opened in zip(image.mean(1), logits[:, 0] > 0, strict=True):
        for frequency, gate in zip(picture, opened, strict=True):
            threshold = frequency.mean() + 1.5 * math.sqrt(float(((frequency - frequency.mean()) ** 2).mean()))
            margin = 1e-5 * float(picture.max() - picture.min())
            clear = (frequency - threshold).abs() > 2 * margin  # nearer than that, the gate may take either
            assert torch.equal(gate[clear], (frequency > threshold)[clear])


def test_the_gate_stays_shut_where_all_is_silent() -> None:
    for width in (128, 256, 512):
        levels = torch.linspace(-2.1, 2.6, 256).view(1, 1, 256, 1).expand(1, 3, -1, width)
        logits = network.build(registry.load("architectures", "spectral_gate"), QUICK, 0)(levels)
        assert bool((logits < 0).all())


@pytest.mark.parametrize("name", ["manet", "mtunet", "segmenter", "deeplabv3", "u2net"])
def test_time_and_frequency_are_nowhere_exchanged(name: str) -> None:
    """A network whose kernels are transposed answers the transposed image with the transposed mask."""
    size = (128, 256)
    plugin = registry.load("architectures", name)
    net = network.build(plugin, QUICK.override({"image_size": size}), 0).eval()
    other = network.build(plugin, QUICK.override({"image_size": size[::-1]}), 0).eval()
    state = {
        key: value.transpose(-1, -2).contiguous() if value.ndim == 4 else value
        for key, value in net.state_dict().items()
    }
    if name == "segmenter":  # one token for the class, then a grid of positions
        key = "core.trunk.pos_embed"
        grid = state[key][:, 1:].unflatten(1, (8, 16)).transpose(1, 2).flatten(1, 2)
        state[key] = torch.cat([state[key][:, :1], grid], dim=1)
    if name == "mtunet":  # one weight for each place of a window of 4 x 4
        for key in [key for key in state if key.endswith((".weigh.weight", ".weigh.bias"))]:
            state[key] = state[key].unflatten(0, (4, 4)).transpose(0, 1).flatten(0, 1)
    other.load_state_dict(state)
    image = torch.randn(1, 3, *size)
    with torch.no_grad():
        expected, found = net(image), other(image.transpose(-1, -2)).transpose(-1, -2)
    torch.testing.assert_close(found, expected, atol=1e-3 * float(expected.std()), rtol=0)


def test_numbers_of_another_size_are_not_claimed() -> None:
    assert registry.load("architectures", "unet").spec.reported
    assert not registry.load("architectures", "unet:width=8").spec.reported


def test_frames_see_so_many_neighbours_and_no_more() -> None:
    """The speech network's context: eleven frames; the autoencoder's windows overlap, so 21 frames reach one."""
    for name, reach in (("speech_dnn", 5), ("denoising_autoencoder", 10)):
        net = network.build(registry.load("architectures", name), QUICK, 0).eval()
        image = torch.randn(1, 3, 128, 128, requires_grad=True)
        net(image)[..., 64].sum().backward()
        assert image.grad is not None
        touched = image.grad.abs().sum((0, 1, 2)).nonzero().flatten()
        assert (int(touched.min()), int(touched.max())) == (64 - reach, 64 + reach)
