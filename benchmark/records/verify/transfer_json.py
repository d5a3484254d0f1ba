"""Checks of transfer.json: place, and the run that was tested."""

from collections.abc import Iterator

from benchmark.records import checksums, store, transfers
from benchmark.records.verify.run_files import Fault, RunFolder, TransferFolder, UnreadableError
from benchmark.records.verify.run_json import misplaced


def check_place(folder: TransferFolder) -> Iterator[Fault]:
    """The folder is where the record says."""
    expected = transfers.folder(folder.results, folder.record.run_key, folder.dataset.manifest)
    yield from misplaced(folder.path, expected, transfers.NAME)


def check_run(folder: TransferFolder) -> Iterator[Fault]:
    """The run exists, and has not been trained again since."""
    key = folder.record.run_key
    start = key[: store.KEY_DIGITS]
    runs = [path for path in store.folders(folder.results, store.RUNS) if path.name == start]
    try:
        runs = [path for path in runs if RunFolder(folder.results, path).record.run_key == key]
    except UnreadableError:
        return  # the checks of that run report it
    if not runs:
        yield Fault(transfers.NAME, f"its run {start} is missing", "restore the run, or remove this folder")
        return
    sums = runs[0] / checksums.NAME
    if sums.is_file() and checksums.digest(sums) != folder.record.run_sums:
        yield Fault(transfers.NAME, "the run was trained again since, or was changed")
