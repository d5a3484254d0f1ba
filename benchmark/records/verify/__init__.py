"""Check run folders for consistency, and give badges. Needs no torch.

`check` compares the files of a run with each other, with its checksums and with the manifest of its data. That the
weights give the stored counts is checked by `benchmark.reproduce`, which writes `verification.json`.
"""

from benchmark.records.verify.badges import badge, current_sources
from benchmark.records.verify.checks import check
from benchmark.records.verify.run_files import Finding, UnreadableError

__all__ = ["Finding", "UnreadableError", "badge", "check", "current_sources"]
