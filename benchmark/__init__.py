"""birdmask-bench: segmentation networks for bird sound denoising, compared fairly.

Plugins are imported as `benchmark.architectures.NAME` and `benchmark.datasets.NAME`. In a wheel their folders lie in
this package. In a checkout they lie in its root, which is appended to this package's search path; so are the folders in
`BENCH_PLUGINS` (separated like `PATH`), through which worker processes find a user's plugins too.

For notebooks and scripts (docs/results.md): `results(path)`, `images(run)` and `masks(run)` give what is stored as
DataFrames and arrays, `load(run)` gives a trained network, `denoise(samples, sample_rate)` a cleaned recording.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.leaderboard.frames import images, masks, results
    from benchmark.records.trained import load
    from benchmark.tools.denoise import denoise_samples as denoise

__all__ = ["denoise", "images", "load", "masks", "results"]

__version__ = "0.1.0"

_package = Path(__file__).resolve().parent
if not (_package / "architectures").is_dir():
    __path__.append(str(_package.parent))
__path__.extend(
    str(Path(folder).resolve()) for folder in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep) if folder
)

if not TYPE_CHECKING:
    _WHERE = {
        "denoise": "benchmark.tools.denoise:denoise_samples",
        "images": "benchmark.leaderboard.frames:images",
        "load": "benchmark.records.trained:load",
        "masks": "benchmark.leaderboard.frames:masks",
        "results": "benchmark.leaderboard.frames:results",
    }

    def __getattr__(name: str) -> Any:
        """Import a function of `__all__` when it is asked for: the core stays quick to import."""
        if name not in _WHERE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import importlib

        module, _, function = _WHERE[name].partition(":")
        return getattr(importlib.import_module(module), function)
