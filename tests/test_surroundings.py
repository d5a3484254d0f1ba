"""A plugin that changes what the whole process shares is refused by name, and the next one is unharmed."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import NEW_PLUGIN, planted

from benchmark import protocols
from benchmark.common.errors import UserError
from benchmark.plugins import guard, network, registry

CHANGES = {
    "torch.set_default_dtype(torch.float64)": "torch's default dtype",
    "torch.set_grad_enabled(False)": "torch's grad mode",
    "torch.set_default_device('meta')": "torch's default device",
    "torch.use_deterministic_algorithms(True, warn_only=True)": "torch's deterministic mode",
    "torch.set_num_threads(torch.get_num_threads() + 1)": "torch's number of threads",
    "torch.set_float32_matmul_precision('medium')": "torch's precision of float32 products",
    "torch.backends.cudnn.benchmark = True": "torch's cudnn.benchmark",
    "import warnings; warnings.simplefilter('ignore')": "the filters of Python's warnings",
    "import os; os.chdir('/')": "the current directory",
    "import numpy; numpy.seterr(all='raise')": "NumPy's handling of errors",
}


class LibraryWarning(UserWarning):
    """As a library has its own."""


BUILT_IN = (Warning, DeprecationWarning, ResourceWarning, UserWarning)


def state() -> list[object]:
    return [
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.empty(0).device,
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.get_num_threads(),
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.benchmark,
        [entry for entry in warnings.filters if entry[1:4] == (None, entry[2], None) and entry[2] in BUILT_IN],
        Path.cwd(),
        np.geterr(),
    ]


@pytest.mark.parametrize(("change", "what"), CHANGES.items(), ids=CHANGES.values())
def test_at_import(tmp_path: Path, change: str, what: str) -> None:
    before = state()
    name = planted(tmp_path, "architectures", NEW_PLUGIN.replace("\n\n\nclass", f"\nimport torch\n{change}\n\n\nclass"))
    for _ in range(2):
        with pytest.raises(UserError, match=f"^architecture 'planted' changes {what} .* when it is imported"):
            registry.load("architectures", name)
        assert state() == before


@pytest.mark.parametrize(("change", "what"), CHANGES.items(), ids=CHANGES.values())
def test_at_build(tmp_path: Path, change: str, what: str) -> None:
    before = state()
    code = NEW_PLUGIN.replace("super().__init__()", f"super().__init__()\n        import torch; {change}")
    plugin = registry.load("architectures", planted(tmp_path, "architectures", code))
    for build in (network.build, lambda *given: network.sketch(*given[:2])):
        if "default_device" in change and build is not network.build:
            continue  # a sketch is built in a context of its own device, whose end undoes this
        with pytest.raises(UserError, match=f"^planted changes {what} .* when it is built"):
            build(plugin, protocols.load("quick"), 0)
        assert state() == before


def test_an_exception_undoes_it_too(tmp_path: Path) -> None:
    before = state()
    name = planted(
        tmp_path, "architectures", "import torch\ntorch.set_default_dtype(torch.float64)\nraise OSError('no')"
    )
    with pytest.raises(UserError, match="OSError: no"):
        registry.load("architectures", name)
    assert state() == before


def test_what_libraries_filter_of_their_own_is_allowed() -> None:
    with warnings.catch_warnings():
        with guard.unchanged("it", "now"):
            warnings.filterwarnings("ignore", message="size changed")
            warnings.simplefilter("ignore", LibraryWarning)
        assert len([entry for entry in warnings.filters if entry[2] is LibraryWarning]) >= 1


def test_the_first_to_import_torch_is_seen_as_well(tmp_path: Path) -> None:
    planted(tmp_path, "architectures", "import torch\ntorch.set_default_dtype(torch.float64)\n" + NEW_PLUGIN)
    command = "from benchmark.plugins import registry; registry.load('architectures', 'planted')"
    ended = subprocess.run([sys.executable, "-c", command], env=os.environ, capture_output=True, text=True, check=False)
    assert "architecture 'planted' changes torch's default dtype" in ended.stderr
