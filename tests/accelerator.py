"""The device of the tests in gpu/ (the variable GPU_DEVICE), and the settings that they share."""

import os
from collections.abc import Callable

from benchmark import protocols
from benchmark.training.hardware import Hardware

DEVICE = os.environ.get("GPU_DEVICE", "cuda")
SMALL = protocols.load("quick").override(
    {"dataset": "synthetic:train=18,val=4,test=6,ood=2", "image_size": (64, 64), "batch_size": 4, "epochs": 4}
)
"""18 images in batches of 4: the last is not full, and four epochs are twenty steps."""

On = Callable[..., Hardware]
"""The type of the fixture `on`: `on("fp32", deterministic=True)`."""
