"""Files that would run code if they were unpickled, in each of the formats that hold pickles."""

import pickle
from pathlib import Path

import numpy as np
import torch


class Bomb:
    """Unpickled, it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


KINDS = ["pickle", "torch", "torch, as before 1.6"]


def lay(path: Path, marker: Path, kind: str) -> Path:
    """Write a file that would make the marker, in one of the formats that unpickle."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"conv1.weight": Bomb(marker)}, protocol=2))  # torch warns of others
    elif kind == "torch":
        torch.save({"conv1.weight": Bomb(marker)}, path)
    elif kind == "torch, as before 1.6":
        torch.save({"conv1.weight": Bomb(marker)}, path, _use_new_zipfile_serialization=False)
    else:
        with path.open("wb") as file:
            array = np.array([Bomb(marker)], dtype=object)
            (np.savez if kind == "npz" else np.save)(file, *([array] if kind == "npy" else []), **_members(kind, array))
    return path


def _members(kind: str, array: np.ndarray) -> dict[str, np.ndarray]:
    return {"packed": array, "shape": array, "thumbnails": array, "ends": array} if kind == "npz" else {}
