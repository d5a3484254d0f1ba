"""birdmask-bench: segmentation networks for bird sound denoising, compared fairly.

The plugin folders `architectures/` and `datasets/` are imported as `benchmark.architectures.x` and
`benchmark.datasets.x`. In a wheel they lie inside this package. In a checkout they stand beside it, so its root is
appended to this package's search path; so are the folders in `BENCH_PLUGINS` (separated like `PATH`), which carries a
user's plugins into spawned workers too.
"""

import os
from pathlib import Path

from benchmark.plugins import loading

__version__ = "0.1.0"

_package = Path(__file__).resolve().parent
if not (_package / "architectures").is_dir():
    __path__.append(str(_package.parent))
__path__.extend(
    str(Path(folder).resolve()) for folder in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep) if folder
)

loading.install()
