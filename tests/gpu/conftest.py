"""Fixtures of the tests that a CUDA device must pass.

GPU_DEVICE names the device ("cuda" by default). GPU_DEVICE=cpu runs what a CPU can, to find mistakes in these tests
without a GPU. Without a GPU and without GPU_DEVICE only the rehearsal of proof.py runs.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from accelerator import DEVICE, SMALL, On

from benchmark.common.progress import silent
from benchmark.data.cache import Cached
from benchmark.plugins import datasets, registry
from benchmark.protocols import Protocol
from benchmark.training import hardware
from benchmark.training.batches import DeviceSplit
from benchmark.training.hardware import Hardware

PROVES_NOTHING_OF_CUDA = "test_rehearsal.py"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    absent = DEVICE.startswith("cuda") and not torch.cuda.is_available()
    for item in items:
        if absent and here in item.path.parents and item.path.name != PROVES_NOTHING_OF_CUDA:
            item.add_marker(pytest.mark.skip(reason="no CUDA device found; GPU_DEVICE=cpu rehearses"))


@pytest.fixture(scope="session", autouse=True)
def _repeatable_cublas() -> Iterator[None]:
    """cuBLAS reads the variable once, at its first product, so it is set before every test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        yield


@pytest.fixture
def on() -> Iterator[On]:
    """Resolve the device with a precision; the global settings that this changes are restored."""
    before = (
        torch.get_float32_matmul_precision(),
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )

    def take(precision: str, *, deterministic: bool = False) -> Hardware:
        return hardware.resolve(DEVICE, precision, deterministic=deterministic)

    yield take
    torch.use_deterministic_algorithms(False)
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.allow_tf32, torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = before[1:]


@pytest.fixture
def only_cuda() -> None:
    if not DEVICE.startswith("cuda"):
        pytest.skip("only CUDA has this")


@pytest.fixture(scope="session")
def decoded(_isolated_cache: None) -> Cached:
    return datasets.load_data(registry.load("datasets", SMALL.dataset), SMALL, None, silent)


@pytest.fixture
def training_data(decoded: Cached) -> Callable[..., DeviceSplit]:
    def put(machine: Hardware, settings: Protocol = SMALL, *, resident: bool = True) -> DeviceSplit:
        return DeviceSplit(decoded.splits["train"], settings, machine.device, resident=resident)

    return put
