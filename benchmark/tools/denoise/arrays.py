"""Clean samples in memory, for notebooks and pipelines."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from benchmark.common.errors import UserError
from benchmark.data import recordings
from benchmark.tools.denoise import section, trained
from benchmark.tools.denoise.clean import transform_of
from benchmark.tools.denoise.section import Section
from benchmark.tools.denoise.settings import Settings
from benchmark.tools.denoise.trained import Trained

if TYPE_CHECKING:
    from benchmark.tools.denoise.cleaner import Cleaner

Waves = NDArray[np.float32]


def denoise_samples(
    samples: NDArray[Any], sample_rate: int, strength: float = 1.0, run: str | Path | None = None
) -> NDArray[Any]:
    """Clean floats (S,) or (S, C) at `sample_rate` Hz; the result has their shape and type.

    `strength` is the share that is removed of what is no song. `run` is as for `bench denoise --run`, by default the
    network that ships. The network is loaded once.

    Raises:
        UserError: there is no such run, or the samples are no numbers, integers, or too few.
    """
    given = np.asarray(samples)
    if not np.issubdtype(given.dtype, np.floating) or given.ndim not in (1, 2):
        raise UserError(
            f"samples must be floats of shape (S,) or (S, C), not {given.dtype} of shape {given.shape}; divide 16-bit "
            "integers by 32768"
        )
    recordings.check_numbers(given, "the array")
    waves = given.reshape(len(given), -1).astype(np.float32)  # (S, C)
    cleaner = loaded(trained.named(Path("results"), str(run or trained.SHIPPED), ""))
    cleaned = clean_samples(cleaner, waves, sample_rate, Settings(strength=strength))
    return cleaned.reshape(given.shape).astype(given.dtype)


def clean_samples(cleaner: "Cleaner", waves: Waves, sample_rate: int, settings: Settings) -> Waves:
    """Clean (S, C) samples at `sample_rate` Hz, section by section: (S, C).

    Raises:
        UserError: there are too few samples, or the rate is impossible.
    """
    transform = transform_of(cleaner, sample_rate, len(waves), "the array")
    size, margin = (length(cleaner, sample_rate) * sample_rate for length in (section.seconds, section.margin))
    cleaned = np.empty_like(waves)
    for begin, end, part in recordings.cut(waves, size=size, margin=margin):
        here = Section(begin=begin, end=end, first=max(begin - margin, 0), transform=transform)
        for channel in range(waves.shape[1]):
            wave = np.ascontiguousarray(part[:, channel])
            cleaned[begin:end, channel] = here.clean(cleaner, wave, sample_rate, settings, show=False).cleaned
    return cleaned


@lru_cache(maxsize=2)
def loaded(chosen: Trained) -> "Cleaner":
    """The network, ready to clean; the last two stay in memory."""
    from benchmark.tools.denoise.cleaner import Cleaner  # imports torch, which takes seconds

    return Cleaner(chosen, "auto")
