"""Train the network that ships: scenes that are never repeated, a loss on the sound, validation on other birds.

Legend: n scenes of a batch, S samples, K bins, T frames, R rows.
"""

import json
import math
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader, Dataset

from benchmark import protocols
from benchmark.common import files
from benchmark.common.errors import UserError
from benchmark.common.progress import Report
from benchmark.contract import Rendering
from benchmark.data import layout, mixtures
from benchmark.data.spectrogram import Transform, contrast
from benchmark.plugins import network, registry
from benchmark.scores import separation
from benchmark.tools.denoise.trained import DESCRIPTION, WEIGHTS
from benchmark.tools.shipped.scenes import Scenes
from benchmark.training.batches import Normalisation
from benchmark.training.hardware import Hardware

PROTOCOL = "quick"
"""Of its settings cleaning needs the image's size and normalisation, and the threshold."""
TITLE = "public recordings of 23 kinds of birds, and invented birds"
FRAMES = 256
"""Of a scene."""
_CHECKPOINT = "training.pt"
_CAP = 1e-3
"""An error 30 dB below the song is as good as none: recordings have noise of their own."""
_FALSE = 0.03
"""Where no bird sings, the error counts relative to this share of the recording's energy."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What decides the weights. `frames` per scene in training; `reach`: frames per image when cleaning."""

    recipe: str
    architecture: str
    steps: int
    seed: int
    batch: int = 8
    rate: float = 2e-3
    decay: float = 1e-3
    average: float = 0.99
    lost: float = 1.0
    validate_every: int = 250
    frames: int = FRAMES
    reach: int = 2 * FRAMES


RENDERING = Rendering(
    sample_rate=22_050, highpass=500.0, lowpass=10_395.0, window=512, hop=256, fft_length=512, sides=1, scale="contrast"
)
TRANSFORM = Transform.of(RENDERING)
SAMPLES = TRANSFORM.sample_count(FRAMES)


class _Drawn(Dataset[tuple[np.ndarray, np.ndarray]]):
    """Scene number i depends on the seed and i alone, so a resumed training goes on as it would have."""

    def __init__(self, scenes: Scenes, plan: Plan, start: int) -> None:
        self._scenes, self._plan, self._first = scenes, plan, start * plan.batch

    def __len__(self) -> int:
        return self._plan.steps * self._plan.batch - self._first

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        return self._scenes.draw(np.random.default_rng((self._plan.seed, self._first + index)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """SI-SDR gain in dB and share of recordings made worse, on birds that training lacks."""

    step: int
    gain: float
    worse: float


def train(
    scenes: Scenes, dataset: Path, out: Path, plan: Plan, machine: Hardware, workers: int, report: Report
) -> None:
    """Train, and keep the averaged weights of the best validation in `out`; an interrupted training is continued.

    `dataset` is the folder of the recipe's dataset. With the same number of threads the same plan gives the same
    weights.

    Raises:
        UserError: `out` holds the training of another plan, or the dataset has not been made.
    """
    torch.manual_seed(plan.seed)
    net = _network(plan).to(machine.device).to(memory_format=torch.channels_last)
    average = AveragedModel(net, avg_fn=partial(_averaged, plan.average), use_buffers=True)
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.rate, weight_decay=plan.decay)
    normalise = Normalisation(_settings(plan.frames), machine.device)
    mixed = _validation(plan.recipe, dataset)
    start, history = _resume(out, plan, net, average, optimiser)
    drawn = DataLoader(_Drawn(scenes, plan, start), batch_size=plan.batch, num_workers=workers)
    net.train()
    total = 0.0
    for step, waves in enumerate(drawn, start=start + 1):
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * min(1, step / 100) * (0.5 + 0.5 * math.cos(math.pi * step / plan.steps))
        song, mixture = (TRANSFORM.stft(wave.to(machine.device)) for wave in waves)
        loss = _loss(_weights(net, mixture, normalise, machine), song, mixture, plan)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5)
        optimiser.step()
        average.update_parameters(net)
        total += float(loss.detach())
        if step % plan.validate_every == 0 or step == plan.steps:
            found = _validate(average.module, mixed, normalise, machine, step)
            best = max([each["gain"] for each in history], default=-math.inf)
            history.append({**asdict(found), "loss": total / (step - start)})
            if found.gain > best:
                _save(average.module, out, plan, history)
            _checkpoint(out, plan, net, average, optimiser, history)
            report(
                "training", step, plan.steps, f"step {step}  gain {found.gain:.2f} dB  worse {100 * found.worse:.1f} %"
            )
            net.train()
        elif step % 10 == 0:
            report("training", step, plan.steps, "")


def _settings(frames: int) -> protocols.Protocol:
    return protocols.load(PROTOCOL).override(_overrides(frames))


def _overrides(frames: int) -> dict[str, Any]:
    return {"image_size": [TRANSFORM.rows, frames], "channels": 1}


def _network(plan: Plan) -> nn.Module:
    return network.build(registry.load("architectures", plan.architecture), _settings(plan.frames), plan.seed).core


def _averaged(decay: float, average: Tensor, current: Tensor, count: Tensor | int) -> Tensor:
    """An exponential mean, shorter at first, so that nothing of the beginning remains."""
    if not average.is_floating_point():  # a counter
        return current
    return average.lerp(current, 1 - min(decay, (1 + float(count)) / (10 + float(count))))


def _weights(net: nn.Module, mixture: Tensor, normalise: Normalisation, machine: Hardware) -> Tensor:
    """Weights from 0 to 1 of every bin: complex (n, K, T) -> (n, K, T)."""
    images = TRANSFORM.unfold(contrast(mixture))  # (n, R, T)
    spare = -images.shape[-1] % 16
    images = nn.functional.pad(images, (0, spare), mode="replicate")
    with machine.autocast():
        logits = net(normalise(255 * images))
    weights: Tensor = TRANSFORM.fold(logits.float()[:, 0, :, : mixture.shape[-1]].sigmoid())
    return weights


def _loss(weights: Tensor, song: Tensor, mixture: Tensor, plan: Plan) -> Tensor:
    """The mean noise-to-signal ratio in dB of masked spectra (Wisdom et al. 2020, arXiv 2006.12701, eq. 2-3).

    The part of the song that is lost counts `plan.lost` times more.
    """
    energy, heard = (spectrum.abs().square().sum((1, 2)) for spectrum in (song, mixture))
    lost = (1 - weights) * song  # counts again: a song that is gone is worse than noise that stays
    error = (weights * mixture - song).abs().square().sum((1, 2)) + plan.lost * lost.abs().square().sum((1, 2))
    scale = torch.where(energy > 0, energy, _FALSE * heard)
    return (10 * torch.log10(error / scale + _CAP)).mean()


# ---------------------------------------------------------------- validation


def _validation(name: str, dataset: Path) -> tuple[Tensor, Tensor]:
    """Mixtures and songs of the validation split, (N, S) each."""
    table = layout.read_samples(dataset)
    if not table:
        raise UserError(f"{name} is not in {dataset}; bring it with: bench data fetch {name} && bench data make {name}")
    sounds = [sample.read().audio for sample in mixtures.samples(dataset, table)["val"]]
    noisy, clean = (
        torch.from_numpy(np.stack([getattr(each, name) for each in sounds if each])).float()
        for name in ("noisy", "clean")
    )
    return noisy, clean


@torch.inference_mode()
def _validate(
    net: nn.Module, mixed: tuple[Tensor, Tensor], normalise: Normalisation, machine: Hardware, step: int
) -> Validation:
    net.eval()
    gains = []
    for noisy, clean in zip(*(part.split(10) for part in mixed), strict=True):
        noisy, clean = noisy.to(machine.device), clean.to(machine.device)
        spectrum = TRANSFORM.stft(noisy)
        cleaned = TRANSFORM.inverse(spectrum * _weights(net, spectrum, normalise, machine))
        length = cleaned.shape[-1]
        scores = [separation.si_sdr(wave[:, :length], clean[:, :length]) for wave in (cleaned, noisy)]
        gains.append(scores[0] - scores[1])
    gain = torch.cat(gains)
    return Validation(step=step, gain=float(gain.mean()), worse=float((gain < 0).float().mean()))


# ---------------------------------------------------------------- files


def _save(net: nn.Module, out: Path, plan: Plan, history: list[dict[str, float]]) -> None:
    """Write the weights with 16 bits, and what is known of them."""
    with files.atomic_files([out / WEIGHTS, out / DESCRIPTION]) as (weights, description):
        tensors = {
            name: value.detach().cpu().to(torch.float16 if value.is_floating_point() else value.dtype).contiguous()
            for name, value in net.state_dict().items()
        }
        save_file(tensors, weights)
        described = {
            "title": TITLE,
            "recipe": plan.recipe,
            "architecture": plan.architecture,
            "protocol": PROTOCOL,
            "settings": _overrides(plan.reach),
            "rendering": {**asdict(RENDERING), "frames": plan.reach},
            "training": {**asdict(plan), "validation": history},
        }
        description.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")


def _checkpoint(
    out: Path,
    plan: Plan,
    net: nn.Module,
    average: AveragedModel,
    optimiser: torch.optim.Optimizer,
    history: list[dict[str, float]],
) -> None:
    with files.atomic_files([out / _CHECKPOINT]) as (path,):
        state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
        torch.save({"plan": asdict(plan), "history": history, **state}, path)


def _resume(
    out: Path, plan: Plan, net: nn.Module, average: AveragedModel, optimiser: torch.optim.Optimizer
) -> tuple[int, list[dict[str, float]]]:
    """Steps that are done, and their validations."""
    if not (out / _CHECKPOINT).is_file():
        return 0, []
    stored = torch.load(out / _CHECKPOINT, weights_only=True)
    if stored["plan"] != asdict(plan):
        raise UserError(f"{out} holds the training of another plan; name another folder, or remove {_CHECKPOINT} there")
    net.load_state_dict(stored["net"])
    average.load_state_dict(stored["average"])
    optimiser.load_state_dict(stored["optimiser"])
    history: list[dict[str, float]] = stored["history"]
    return int(history[-1]["step"]), history
