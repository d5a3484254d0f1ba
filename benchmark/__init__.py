"""birdmask-bench: segmentation networks for bird sound denoising, compared fairly.

Plugins are imported as `benchmark.architectures.NAME` and `benchmark.datasets.NAME`. In a wheel their folders lie in
this package. In a checkout they lie in its root, which is appended to this package's search path; so are the folders in
`BENCH_PLUGINS` (separated like `PATH`), through which worker processes find a user's plugins too.

`benchmark.denoise(samples, sample_rate)` cleans a recording (see `benchmark.tools.denoise.arrays`).
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from benchmark.tools.denoise import denoise_samples as denoise

__all__ = ["denoise"]

__version__ = "0.1.0"

_package = Path(__file__).resolve().parent
if not (_package / "architectures").is_dir():
    __path__.append(str(_package.parent))
__path__.extend(
    str(Path(folder).resolve()) for folder in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep) if folder
)

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import `benchmark.denoise` when it is asked for: the core stays quick to import."""
        if name == "denoise":
            from benchmark.tools.denoise import denoise_samples

            return denoise_samples
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
