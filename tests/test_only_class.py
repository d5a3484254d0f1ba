"""A network that predicts one class everywhere says so: in the log, in the record and on the board."""

import json
from pathlib import Path

import torch
from helpers import FP32, SETTINGS, TINY, Bench, runs
from torch import Tensor, nn

from benchmark.data.cache import Cached
from benchmark.records import schema
from benchmark.training import evaluator
from benchmark.training.batches import DeviceSplit


class Shifted(nn.Module):
    """Logits of `value` with one pixel of the other sign."""

    def __init__(self, value: float, *, one_pixel: bool = False) -> None:
        super().__init__()
        self.value, self.one_pixel = value, one_pixel

    def forward(self, image: Tensor) -> Tensor:
        logits = torch.full_like(image[:, :1], self.value)
        logits[0, 0, 0, 0] *= -1 if self.one_pixel else 1
        return logits


def test_one_pixel_of_the_other_class_is_enough(cached: Cached) -> None:
    data = DeviceSplit(cached.splits["val"], SETTINGS, FP32.device)
    assert evaluator.only_class(Shifted(0.5), data, SETTINGS, FP32) == "foreground"
    assert evaluator.only_class(Shifted(-0.5), data, SETTINGS, FP32) == "background"
    assert evaluator.only_class(Shifted(0.5, one_pixel=True), data, SETTINGS, FP32) is None


def test_a_run_that_predicts_one_class_says_so_everywhere(bench: Bench, tmp_path: Path) -> None:
    ran = bench("run", "--arch", "all_background", *TINY, "--results", tmp_path)
    for split in ("val", "test"):
        assert f"warning: every pixel of {split} is predicted as background" in ran.err
    (found,) = runs(tmp_path)
    assert found.only_class == {"val": "background", "test": "background"}
    board = bench("leaderboard", "--full", "--results", tmp_path)
    assert "all_background, seed 0: every pixel of test was predicted as background." in board.out
    content = json.loads(found.model_dump_json(by_alias=True))
    del content["only_class"]  # as in records of before
    assert schema.Record.model_validate(content).only_class == {}
