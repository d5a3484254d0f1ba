"""A file that was changed, removed or added is found by SHA256SUMS."""

import shutil

import pytest
from tampering import Store, Tampering, file_removed, found, named

from benchmark.records import checksums, verify
from benchmark.records.store import WEIGHTS


def count_without_sums(store: Store) -> None:
    store.cells("images.csv", 0, tp=1, fn=-1)


def gflops_without_sums(store: Store) -> None:
    store.put(architecture__gflops=0.5)


def published_without_sums(store: Store) -> None:
    store.edit("run.json", lambda text: text.replace('"reported": []', '"reported": []\n'), store.run)


def weights_without_sums(store: Store) -> None:
    shutil.copy(store.other / WEIGHTS, store.run / WEIGHTS)


def plugin_without_sums(store: Store) -> None:
    store.edit("plugin.py", lambda text: text + "\n# better\n")


def picture_without_sums(store: Store) -> None:
    shutil.copy(store.run / "examples" / "best.png", store.run / "examples" / "worst.png")


def file_added(store: Store) -> None:
    (store.run / "notes.txt").write_text("trust me")


def sums_removed(store: Store) -> None:
    (store.run / checksums.NAME).unlink()


def sums_line_removed(store: Store) -> None:
    store.edit(checksums.NAME, lambda text: "".join(text.splitlines(keepends=True)[1:]))


def sums_damaged(store: Store) -> None:
    store.edit(checksums.NAME, lambda text: text.replace("  ", " ", 1))


OPEN: list[tuple[Tampering, str, str]] = [
    (count_without_sums, "images.csv", "not the file that SHA256SUMS lists"),
    (gflops_without_sums, "run.json", "not the file that SHA256SUMS lists"),
    (published_without_sums, "run.json", "not the file that SHA256SUMS lists"),
    (weights_without_sums, WEIGHTS, "not the file that SHA256SUMS lists"),
    (plugin_without_sums, "plugin.py", "not the file that SHA256SUMS lists"),
    (picture_without_sums, "worst.png", "not the file that SHA256SUMS lists"),
    (file_removed, "logits.csv", "missing; SHA256SUMS lists it"),
    (file_added, "notes.txt", "SHA256SUMS does not list it; remove it"),
    (sums_removed, checksums.NAME, "it is missing"),
    (sums_line_removed, "best.png", "SHA256SUMS does not list it"),
    (sums_damaged, checksums.NAME, "line 1 is not a checksum"),
]


@pytest.mark.parametrize(("tamper", "file", "pattern"), OPEN, ids=named)
def test_a_changed_file_is_found_by_its_checksum(store: Store, tamper: Tampering, file: str, pattern: str) -> None:
    tamper(store)
    findings = verify.check(store.results)
    assert found(findings, file, pattern), findings
    assert all("\n" not in str(finding) for finding in findings)


def test_a_missing_file_is_named_by_its_place(store: Store) -> None:
    (store.run / "examples" / "best.png").unlink()
    (finding,) = verify.check(store.results)
    assert finding.file == store.run / "examples" / "best.png"
