"""Download the recordings of a recipe into a folder: four at a time, each checked, what is there already is kept."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from urllib.parse import quote

import pooch
import requests

from benchmark.common import files
from benchmark.common.errors import UserError, first_line
from benchmark.common.progress import Report
from benchmark.data import recipe
from benchmark.data.recipe import ADDRESS, Recording

AT_ONCE = 4
RETRIES = 3
PATIENCE = 30.0
"""Seconds without an answer or a byte after which a download is given up."""
SHOWN = 5
"""So many failures are named one by one."""


def fetch(recordings: Sequence[Recording], folder: Path, source: str | None, report: Report) -> int:
    """Bring every recording into `folder` under its `file`; returns how many were not there before.

    `source` is the address or local folder to take them from, by default the public one. What was fetched stays if
    others fail.

    Raises:
        UserError: some recordings could not be fetched, or the disk refuses; the message names the first ones.
    """
    pooch.get_logger().setLevel("ERROR")  # progress is told by `report`
    files.check_writable(folder, "--to")
    _remove_leftovers(folder)
    missing = [each for each in recordings if not recipe.is_whole(folder / each.file, each)]
    failures: list[str] = []
    with ThreadPoolExecutor(AT_ONCE) as threads:
        futures = {threads.submit(_bring, each, folder, source or ADDRESS): each for each in missing}
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                report("fetching", done, len(missing), futures[future].kind)
                if failure := future.result():
                    failures.append(failure)
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
    if failures:
        more = f" and {len(failures) - SHOWN} more" if len(failures) > SHOWN else ""
        raise UserError(
            f"{len(failures)} of {len(recordings)} recordings could not be fetched: "
            f"{'; '.join(failures[:SHOWN])}{more}. The others are kept: the same command goes on; --from takes a mirror"
        )
    return len(missing)


def _bring(recording: Recording, folder: Path, source: str) -> str:
    """Fetch one recording; returns why it failed, or nothing."""
    target = folder / recording.file
    try:
        if "://" in source:
            _download(recording, target, source)
        else:
            _copy(recording, target, Path(source))
    except (OSError, ValueError, requests.RequestException) as error:  # requests' errors are OSErrors, too
        return f"{recording.file}: {_reason(error)}"
    return ""


def _download(recording: Recording, target: Path, source: str) -> None:
    registry = {target.name: f"sha256:{recording.sha256}"}
    address = f"{source.rstrip('/')}/{quote(recording.file)}"
    cache = pooch.create(
        target.parent, base_url="", registry=registry, urls={target.name: address}, retry_if_failed=RETRIES
    )
    cache.fetch(target.name, downloader=pooch.HTTPDownloader(timeout=PATIENCE))


def _copy(recording: Recording, target: Path, source: Path) -> None:
    def copy(temporary: Path) -> None:
        shutil.copyfile(source / recording.file, temporary)
        if not recipe.is_whole(temporary, recording):
            raise ValueError("its content is another than the recipe's")

    files.write_atomically(target, copy)


def _reason(error: Exception) -> str:
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError):
        return "no connection, or it broke off"
    if isinstance(error, ValueError) and "hash" in str(error).lower():
        return "its content is another than the recipe's"
    return first_line(error)


def _remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of killed downloads (pooch names them tmp...)."""
    for left in folder.rglob("tmp*"):
        if left.is_file():
            left.unlink(missing_ok=True)
