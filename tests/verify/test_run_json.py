"""What run.json says of seed, protocol, data, network and machine is held against keys, manifest and other seeds."""

import pytest
from tampering import Store, Tampering, named, require_found_though_sealed

from benchmark.records.store import read


def status_changed(store: Store) -> None:
    store.put(status="diverged", message="the loss was not finite")


def seed_changed(store: Store) -> None:
    store.put(seed=7)


def setting_changed(store: Store) -> None:
    store.put(protocol__settings__learning_rate=0.5)


def digest_changed(store: Store) -> None:
    store.put(protocol__digest="0" * 64)


def override_hidden(store: Store) -> None:
    store.put(protocol__overrides={})


def override_wrong(store: Store) -> None:
    store.put(protocol__overrides={**read(store.run).protocol.overrides, "epochs": 30})


def dataset_renamed(store: Store) -> None:
    store.put(dataset__label="synthetic:train=9")


def table_key_changed(store: Store) -> None:
    store.put(comparability_key="1" * 64)


def device_changed(store: Store) -> None:
    store.put(device__kind="NVIDIA H100")


def precision_changed(store: Store) -> None:
    store.put(device__precision="bf16")


def torch_changed(store: Store) -> None:
    store.put(environment__torch="2.0.0")


def parameters_changed(store: Store) -> None:
    store.put(architecture__parameters={"width": 8})


def images_counted_otherwise(store: Store) -> None:
    store.put(dataset__images__test=600)


def groups_changed(store: Store) -> None:
    store.put(dataset__groups__noise__relation="disjoint")


def unseen_images_changed(store: Store) -> None:
    store.put(dataset__slices__main__unseen__species=1)


def parameter_count_of_one_seed(store: Store) -> None:
    store.put(architecture__parameter_count=3)


def gflops_of_one_seed(store: Store) -> None:
    store.put(architecture__gflops=0.5)


def published_number_of_one_seed(store: Store) -> None:
    store.put(architecture__title="The best network")


def training_of_a_method_without_parameters(store: Store) -> None:
    store.put(architecture__parameter_count=0)


def plugin_changed(store: Store) -> None:
    store.edit("plugin.py", lambda text: text + "\nBETTER = 1\n")


def plugin_broken(store: Store) -> None:
    store.edit("plugin.py", lambda text: text + "\ndef (:\n")


def record_broken(store: Store) -> None:
    store.edit("run.json", lambda text: text[:-40])


def record_of_another_schema(store: Store) -> None:
    store.put(schema=2)


SEALED: list[tuple[Tampering, str, str]] = [
    (status_changed, "images.csv", "the run is 'diverged' by its record, and such a run leaves no such file"),
    (seed_changed, "run.json", "run_key is not that of"),
    (setting_changed, "run.json", "protocol.digest is not that of protocol.settings"),
    (digest_changed, "run.json", "protocol.digest is not that of protocol.settings"),
    (override_hidden, "run.json", "setting epochs is not that of protocol quick, and protocol.overrides is silent"),
    (override_wrong, "run.json", "protocol.overrides says epochs = 30, protocol.settings does not"),
    (dataset_renamed, "run.json", "dataset.label is 'synthetic:train=9', the protocol's dataset is"),
    (table_key_changed, "run.json", "comparability_key is not that of"),
    (device_changed, "run.json", "run_key is not that of"),
    (precision_changed, "run.json", "run_key is not that of"),
    (torch_changed, "run.json", "run_key is not that of"),
    (parameters_changed, "run.json", "label is 'unet:width=4', name and parameters make 'unet:width=8'"),
    (images_counted_otherwise, "run.json", "dataset.images is not what the manifest's rows make"),
    (groups_changed, "run.json", "dataset.groups is not what the manifest's rows make"),
    (unseen_images_changed, "run.json", "dataset.slices is not what the manifest's rows make"),
    (parameter_count_of_one_seed, "run.json", "architecture.parameter_count is not that of the other seeds"),
    (gflops_of_one_seed, "run.json", "architecture.gflops is not that of the other seeds"),
    (published_number_of_one_seed, "run.json", "architecture.title is not that of the other seeds"),
    (training_of_a_method_without_parameters, "run.json", "weights are 'random' of 0 parameters"),
    (plugin_changed, "plugin.py", "its code is not that of architecture.source_hash"),
    (plugin_broken, "plugin.py", "it is no Python"),
    (record_broken, "run.json", "is not a record of schema 1"),
    (record_of_another_schema, "run.json", "is not a record of schema 1"),
]


@pytest.mark.parametrize(("tamper", "file", "pattern"), SEALED, ids=named)
def test_checksums_that_fit_again_do_not_help(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    require_found_though_sealed(store, tamper, file, pattern)
