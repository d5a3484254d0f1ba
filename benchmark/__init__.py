"""birdmask-bench: segmentation networks for bird sound denoising, compared fairly.

Plugins are imported as `benchmark.architectures.NAME` and `benchmark.datasets.NAME`. In a wheel their folders lie in
this package. In a checkout they lie in its root, which is appended to this package's search path; so are the folders in
`BENCH_PLUGINS` (separated like `PATH`), through which worker processes find a user's plugins too.
"""

import os
from pathlib import Path

__version__ = "0.1.0"

_package = Path(__file__).resolve().parent
if not (_package / "architectures").is_dir():
    __path__.append(str(_package.parent))
__path__.extend(
    str(Path(folder).resolve()) for folder in os.environ.get("BENCH_PLUGINS", "").split(os.pathsep) if folder
)
