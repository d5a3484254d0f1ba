"""The embedded dataset: a pure function of (version, split, index)."""

import hashlib

import numpy as np
import pytest
from benchmark.datasets import synthetic

from benchmark.data import spectrogram

PINNED = {
    ("train", 0): "34f407beef272a9c",
    ("train", 47): "5a6f4bad20a2a342",
    ("train", 191): "3ca4dffe69c17496",
    ("val", 3): "ace32bd01aa545a7",
    ("test", 10): "69d03a6e36b459c8",
    ("test", 95): "9ca7f50f0cdc9ec4",
    ("ood", 0): "7953c9c9f2731e3e",
    ("ood", 2): "2d895a2fdfc94b6c",
}


def digest(split: str, index: int) -> str:
    example = synthetic.render(split, index)
    return hashlib.sha256(example.image.tobytes() + np.packbits(example.mask).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(("split", "index"), PINNED)
def test_pinned_bytes(split: str, index: int) -> None:
    assert digest(split, index) == PINNED[split, index], "other pixels: raise synthetic.VERSION and pin anew"


def test_shapes_and_audio() -> None:
    example = synthetic.render("train", 0)
    assert example.image.shape == example.mask.shape == (1024, synthetic.FRAMES)
    assert example.audio is not None
    assert example.audio.noisy.shape == example.audio.clean.shape == (synthetic.LENGTH,)
    assert np.abs(example.audio.noisy).max() <= 0.9


def test_the_snr_is_over_the_frames_in_which_the_bird_sings_for_song_and_noise() -> None:
    for index in range(12):
        plan, audio = synthetic.scene("test", index), synthetic.render("test", index).audio
        assert audio is not None
        if not plan.bird:
            continue
        frames = [audio.clean[start : start + 320] for start in range(0, synthetic.LENGTH, 320)]
        powers = [float(np.sum(frame**2)) / 320 for frame in frames]  # the last is filled up with silence
        sings = np.repeat([power > max(powers) / 1_000 for power in powers], 320)[: synthetic.LENGTH]
        song, noise = (np.mean(wave[sings] ** 2) for wave in (audio.clean, audio.noisy - audio.clean))
        assert 10 * np.log10(song / noise) == pytest.approx(plan.snr_db, abs=0.01)


def test_every_species_sings() -> None:
    plans = [synthetic.scene("train", index) for index in range(192)]
    assert len({plan.species for plan in plans if plan.bird}) == synthetic.SPECIES["train"]


def test_the_mask_holds_the_song_and_is_no_ideal_binary_mask() -> None:
    """As the documentation says: nearly all of the clean power; of the pixels a little more than half are louder."""
    held = total = louder = pixels = 0.0
    for index in range(24):
        example = synthetic.render("test", index)
        assert example.audio is not None
        clean, noise = (
            spectrogram.two_sided(np.abs(spectrogram.stft(wave)) ** 2)
            for wave in (example.audio.clean, example.audio.noisy - example.audio.clean)
        )
        held, total = held + clean[example.mask].sum(), total + clean.sum()
        louder, pixels = louder + (clean > noise)[example.mask].sum(), pixels + example.mask.sum()
    assert held / total > 0.99
    assert 0.5 < louder / pixels < 0.7


def test_a_sample_does_not_depend_on_how_many_there_are() -> None:
    few = synthetic.load(root=None, train=2, val=1, test=1, ood=1)
    many = synthetic.load(root=None, train=9, val=3, test=5, ood=2)
    assert [sample.id for sample in many["train"][:2]] == [sample.id for sample in few["train"]]
    np.testing.assert_array_equal(many["train"][1].read().image, few["train"][1].read().image)


def test_species_are_disjoint_and_the_slice_is_new() -> None:
    splits = synthetic.load(root=None)
    species = {name: {sample.groups["species"] for sample in samples} for name, samples in splits.items()}
    assert species["train"].isdisjoint(species["val"] | species["test"])
    assert species["val"].isdisjoint(species["test"])
    known = [sample for samples in splits.values() for sample in samples if sample.slice == "main"]
    unseen = [sample for sample in splits["test"] if sample.slice == "ood"]
    for sample in known:
        assert sample.strata["syllable"] != "buzz"
        assert sample.strata["noise"] != "insects"
    for sample in unseen:
        assert sample.strata["syllable"] in ("buzz", "none") or sample.strata["noise"] == "insects"


def test_one_of_sixteen_is_without_bird() -> None:
    for split, count in (("train", 192), ("val", 48), ("test", 96), ("ood", 32)):
        without = [index for index in range(count) if not synthetic.scene(split, index).bird]
        assert [index // 16 for index in without] == list(range(count // 16))
        assert len({index % 16 for index in without}) > 1  # in a random place
    example = synthetic.render("train", next(i for i in range(16) if not synthetic.scene("train", i).bird))
    assert not example.mask.any()
    assert example.audio is not None
    assert not example.audio.clean.any()
