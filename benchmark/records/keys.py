"""The keys of tables and runs: hashes of everything that decides whether two runs compare, or are the same run.

`bench run` computes them, and `bench verify` computes them again from the record.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def table(*, protocol: str, manifest: str) -> str:
    """The comparability key of a protocol digest and a manifest digest: runs that share it share a table."""
    return digest({"protocol": protocol, "manifest": manifest})


def run(
    *,
    table: str,
    architecture: str,
    source: str,
    weights: str,
    seed: int,
    device: str,
    precision: str,
    torch: str,
    micro_batch: int | None,
) -> str:
    """The run key.

    `architecture` is the label, `source` the hash of the plugin's code, `weights` names the initial weights, `device`
    is the device's kind, `torch` the version with its build ("2.6.0+cu124"). `micro_batch` is None if batches are not
    split.
    """
    parts: dict[str, Any] = {
        "table": table,
        "architecture": architecture,
        "source": source,
        "weights": weights,
        "seed": seed,
        "device": device,
        "precision": precision,
        "torch": torch,
    }
    if micro_batch is not None:
        parts["micro_batch"] = micro_batch  # a batch norm averages over these
    return digest(parts)


def digest(parts: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
