"""Whether what a run folder says can be so: every number against what it was made from. Needs no torch.

`check` holds the records against each other and against the files beside them; `replay` (a room with torch) evaluates
stored weights again and leaves `verification.json`, which `badge` believes as long as no file has changed since.
"""

from benchmark.records.verify.badges import VERIFICATION, Badge, Extent, Verification, badge, sources, unaltered
from benchmark.records.verify.check import check, seal
from benchmark.records.verify.run_files import DAMAGED, Finding, UnreadableError, unpacked

__all__ = [
    "DAMAGED",
    "VERIFICATION",
    "Badge",
    "Extent",
    "Finding",
    "UnreadableError",
    "Verification",
    "badge",
    "check",
    "seal",
    "sources",
    "unaltered",
    "unpacked",
]
