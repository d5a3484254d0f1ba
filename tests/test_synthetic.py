"""The embedded dataset: a pure function of (version, split, index)."""

import hashlib

import numpy as np
import pytest
from benchmark.datasets import synthetic

PINNED = {
    ("train", 0): "e523d50d8c938fec",
    ("train", 47): "0007a4c09dacb581",
    ("train", 191): "a6a211a14757c410",
    ("val", 3): "3ca4be3fcb0039e8",
    ("test", 10): "bb397c48c4a317fa",
    ("test", 95): "e46e83ca0822600b",
    ("ood", 0): "0a7f75b545f73ba2",
    ("ood", 2): "b5cf9846ec0d3068",
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


def test_nominal_snr_over_active_samples() -> None:
    for index in range(8):
        plan, audio = synthetic.scene("test", index), synthetic.render("test", index).audio
        assert audio is not None
        active = np.abs(audio.clean) > 1e-3 * np.abs(audio.clean).max()
        noise = audio.noisy - audio.clean
        snr = 10 * np.log10(np.mean(audio.clean[active] ** 2) / np.mean(noise**2))
        assert snr == pytest.approx(plan.snr_db, abs=0.01)


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


def test_one_in_sixteen_is_without_bird() -> None:
    example = synthetic.render("train", 15)
    assert not example.mask.any()
    assert example.audio is not None
    assert not example.audio.clean.any()
