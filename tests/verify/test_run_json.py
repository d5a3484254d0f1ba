"""What run.json says of seed, protocol, data, network and machine is compared with keys and manifest."""

import pytest
from tampering import Store, Tampering, named, require_found_though_sealed


def seed_changed(store: Store) -> None:
    store.put(seed=7)


def setting_changed(store: Store) -> None:
    store.put(protocol__settings__learning_rate=0.5)


def digest_changed(store: Store) -> None:
    store.put(protocol__digest="0" * 64)


def table_key_changed(store: Store) -> None:
    store.put(comparability_key="1" * 64)


def device_changed(store: Store) -> None:
    store.put(device__kind="NVIDIA H100")


def precision_changed(store: Store) -> None:
    store.put(device__precision="bf16")


def torch_changed(store: Store) -> None:
    store.put(environment__torch="2.0.0")


def images_counted_otherwise(store: Store) -> None:
    store.put(dataset__images__test=600)


def groups_changed(store: Store) -> None:
    store.put(dataset__groups__noise__relation="disjoint")


def unseen_images_changed(store: Store) -> None:
    store.put(dataset__slices__main__unseen__species=1)


def record_broken(store: Store) -> None:
    store.edit("run.json", lambda text: text[:-40])


def record_of_another_schema(store: Store) -> None:
    store.put(schema=2)


SEALED: list[tuple[Tampering, str, str]] = [
    (seed_changed, "run.json", "run_key is not that of label"),
    (setting_changed, "run.json", "protocol.digest is not that of protocol.settings"),
    (digest_changed, "run.json", "protocol.digest is not that of protocol.settings"),
    (table_key_changed, "run.json", "comparability_key is not that of"),
    (device_changed, "run.json", "run_key is not that of label"),
    (precision_changed, "run.json", "run_key is not that of label"),
    (torch_changed, "run.json", "run_key is not that of label"),
    (images_counted_otherwise, "run.json", "dataset.images is not that of the manifest"),
    (groups_changed, "run.json", "dataset.groups is not that of the manifest"),
    (unseen_images_changed, "run.json", "dataset.slices is not that of the manifest"),
    (record_broken, "run.json", "it does not follow its schema"),
    (record_of_another_schema, "run.json", "it does not follow its schema"),
]


@pytest.mark.parametrize(("tamper", "file", "pattern"), SEALED, ids=named)
def test_checksums_that_fit_again_do_not_help(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    require_found_though_sealed(store, tamper, file, pattern)
