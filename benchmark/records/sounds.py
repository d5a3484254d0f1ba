"""The sounds behind the test images of an embedded dataset, made again by its plugin."""

from collections.abc import Collection
from pathlib import Path

import numpy as np

from benchmark.common.errors import UserError
from benchmark.contract import Audio
from benchmark.data.decode import Form, decode
from benchmark.data.sample_keys import keyed_samples
from benchmark.data.spectrogram import Transform
from benchmark.plugins import registry
from benchmark.plugins.datasets import listing
from benchmark.records.schema import DatasetRecord
from benchmark.records.store import read_manifest

_SMALL = (8, 8)
"""The size of the images that are not used."""


def sounds_of(results: Path, dataset: DatasetRecord, ids: Collection[str]) -> dict[str, Audio]:
    """Id of a test image -> its sounds, if the plugin is embedded and still gives what the manifest says."""
    try:
        plugin = registry.load("datasets", dataset.label)
        if not plugin.spec.embedded:
            return {}
        lines = {row.id: row for row in read_manifest(results, dataset.manifest) if row.split == "test"}
        form = Form(size=_SMALL, grey=True, transform=Transform.of(dataset.rendering))
        found = {}
        for keyed in keyed_samples(listing(plugin, None)):
            if keyed.split == "test" and keyed.sample.id in ids:
                made, row = decode(keyed, form), lines[keyed.sample.id]
                if made["row"] == row.line() and row.sound:
                    noisy, clean = np.split(made["sounds"], 2)
                    found[row.id] = Audio(noisy=noisy, clean=clean, sample_rate=row.sound.sample_rate)
    except (KeyError, OSError, ValueError, UserError):
        return {}
    return found
