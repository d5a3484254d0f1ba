"""The plugin contracts as executable checks: for `bench check`, our tests and tests of plugin authors.

from benchmark.plugins import checks

def test_my_net():
    checks.require(checks.check_architecture("my_net"))
"""

from benchmark.plugins.checks.architecture import architecture_checks, check_architecture
from benchmark.plugins.checks.dataset import check_dataset, dataset_checks
from benchmark.plugins.checks.outcome import Result, require
from benchmark.plugins.checks.overfit import check_overfit

__all__ = [
    "Result",
    "architecture_checks",
    "check_architecture",
    "check_dataset",
    "check_overfit",
    "dataset_checks",
    "require",
]
