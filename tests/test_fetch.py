"""`bench data fetch`: what is there is kept, what is not is fetched, what is wrong is refused in one line."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from helpers import Bench

from benchmark.common.errors import UserError
from benchmark.common.progress import silent
from benchmark.data import recipe
from benchmark.data.recipe import Recording
from benchmark.tools import fetch as download

MIRROR = Path(__file__).parents[2] / "shared" / "data" / "birds" / "mirror"
SERVE = Callable[[dict[str, Callable[[BaseHTTPRequestHandler, bytes], None]]], str]


def recording(number: int, content: bytes) -> Recording:
    return Recording(
        role="song",
        kind=f"bird-{number}",
        split="train",
        part="main",
        file=f"owner/name/0123/some folder/Bird’s {number}.mp3",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        licence="CC0",
        attribution="Nobody",
        xeno_canto="",
        redistributable=True,
        start=0.0,
        seconds=1.0,
        snr_db=None,
        remark="",
    )


CONTENTS = [bytes([number]) * 4_000 for number in range(9)]
RECORDINGS = [recording(number, content) for number, content in enumerate(CONTENTS)]


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    for each, content in zip(RECORDINGS, CONTENTS, strict=True):
        path = tmp_path / "mirror" / each.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return tmp_path / "mirror"


@pytest.fixture
def serve(mirror: Path) -> Iterator[SERVE]:
    """Serves the mirror on the loopback address; some files in another way."""
    servers = []

    def start(odd: dict[str, Callable[[BaseHTTPRequestHandler, bytes], None]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = mirror / unquote(self.path).lstrip("/")
                content = path.read_bytes() if path.is_file() else b""
                odd.get(path.name, _whole if path.is_file() else _missing)(self, content)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def _whole(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content)


def _missing(handler: BaseHTTPRequestHandler, _: bytes) -> None:
    handler.send_error(404)


def _cut_off(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    handler.wfile.write(content[: len(content) // 2])


def _wrong(handler: BaseHTTPRequestHandler, content: bytes) -> None:
    _whole(handler, content[::-1] + b"!")


def stored(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


EVERYTHING = {each.file: content for each, content in zip(RECORDINGS, CONTENTS, strict=True)}


def test_everything_is_fetched_once(tmp_path: Path, serve: SERVE) -> None:
    address, folder = serve({}), tmp_path / "cache"
    assert download.fetch(RECORDINGS, folder, address, silent) == len(RECORDINGS)
    assert stored(folder) == EVERYTHING
    assert download.fetch(RECORDINGS, folder, address, silent) == 0


def test_a_local_mirror(tmp_path: Path, mirror: Path) -> None:
    assert download.fetch(RECORDINGS, tmp_path / "cache", str(mirror), silent) == len(RECORDINGS)
    assert stored(tmp_path / "cache") == EVERYTHING


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        (_missing, "the server answers 404 Not Found"),
        (_cut_off, "no connection, or it broke off"),
        (_wrong, "its content is another than the recipe's"),
    ],
)
def test_one_that_fails_is_a_line_and_the_others_are_kept(
    tmp_path: Path, serve: SERVE, monkeypatch: pytest.MonkeyPatch, odd: Callable[..., None], why: str
) -> None:
    monkeypatch.setattr(download, "RETRIES", 0)
    name = Path(RECORDINGS[3].file).name
    with pytest.raises(UserError, match=r"1 of 9 recordings could not be fetched: .*Bird’s 3\.mp3: ") as refused:
        download.fetch(RECORDINGS, tmp_path / "cache", serve({name: odd}), silent)
    assert why in str(refused.value)
    kept = stored(tmp_path / "cache")
    assert kept == {file: content for file, content in EVERYTHING.items() if not file.endswith(name)}
    assert download.fetch(RECORDINGS, tmp_path / "cache", serve({}), silent) == 1
    assert stored(tmp_path / "cache") == EVERYTHING


def test_what_a_killed_download_left_goes_and_a_damaged_file_is_fetched_again(tmp_path: Path, mirror: Path) -> None:
    folder = tmp_path / "cache"
    download.fetch(RECORDINGS, folder, str(mirror), silent)
    (folder / RECORDINGS[0].file).write_bytes(b"half")
    (folder / RECORDINGS[1].file).with_name("tmpabcdef").write_bytes(b"half")
    assert download.fetch(RECORDINGS, folder, str(mirror), silent) == 1
    assert stored(folder) == EVERYTHING


def test_a_mirror_with_another_content_or_none(tmp_path: Path, mirror: Path) -> None:
    others = [replace(each, sha256="0" * 64) for each in RECORDINGS]
    with pytest.raises(UserError, match=r"9 of 9 .*another than the recipe's.* and 4 more\. The others are kept"):
        download.fetch(others, tmp_path / "cache", str(mirror), silent)
    with pytest.raises(UserError, match=r"9 of 9 .*No such file"):
        download.fetch(RECORDINGS, tmp_path / "cache", str(tmp_path / "nowhere"), silent)
    assert stored(tmp_path / "cache") == {}


def test_no_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "RETRIES", 0)
    with pytest.raises(UserError, match="no connection, or it broke off"):
        download.fetch(RECORDINGS[:1], tmp_path / "cache", "http://127.0.0.1:9", silent)


# ---------------------------------------------------------------- the recipe of dawn

DAWN = recipe.read("dawn")


def test_what_is_trained_on_may_be_passed_on() -> None:
    learnt = [each for each in DAWN if each.split in ("train", "val")]
    assert len(learnt) > 150
    assert all(each.redistributable for each in learnt)


def test_the_headline_is_of_birds_that_training_and_validation_have_not() -> None:
    kinds = {
        split: {each.kind for each in DAWN if each.role == "song" and each.split == split} for split in ("train", "val")
    }
    new = {each.kind for each in DAWN if each.role == "song" and each.part == "main" and each.split == "test"}
    known = {each.kind for each in DAWN if each.part == "known-species"}
    assert len(new) >= 85
    assert new.isdisjoint(kinds["train"] | kinds["val"])
    assert kinds["train"].isdisjoint(kinds["val"])
    assert known <= kinds["train"]


def test_new_noise_is_new() -> None:
    heard = {each.kind for each in DAWN if each.role == "background" and each.split != "test"}
    new = {each.kind for each in DAWN if each.part in ("new-noise", "animals")}
    assert new.isdisjoint(heard)


ARCHIVES = {"US National Park Service", "repository licence", "scikit-maad developers"}
"""Attributions that are no recordist."""


def test_no_recordist_is_in_training_and_test() -> None:
    def people(splits: set[str]) -> set[str]:
        found = {each.attribution.split(", XC")[0].split(", freesound")[0] for each in DAWN if each.split in splits}
        return found - ARCHIVES

    assert people({"train", "val"}).isdisjoint(people({"test"}))
    assert people({"train"}).isdisjoint(people({"val"}))


def test_no_recording_is_there_twice() -> None:
    assert len({each.sha256 for each in DAWN}) == len({each.file for each in DAWN}) == len(DAWN)


@pytest.mark.skipif(not MIRROR.exists(), reason="the recordings are not here: ../shared/data/birds/mirror")
def test_the_recipe_is_that_of_the_mirror(tmp_path: Path) -> None:
    few = DAWN[::40]
    assert download.fetch(few, tmp_path, str(MIRROR), silent) == len(few)
    assert [(tmp_path / each.file).stat().st_size for each in few] == [each.bytes for each in few]


@pytest.mark.skipif(not MIRROR.exists(), reason="the recordings are not here: ../shared/data/birds/mirror")
def test_the_command_twice(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = DAWN[::90]
    monkeypatch.setattr(recipe, "read", lambda _: few)
    words = ("data", "fetch", "dawn", "--from", MIRROR, "--to", tmp_path / "recordings")
    ran = bench(*words)
    assert ran.code == 0, ran.err
    assert f"{len(few)} recordings fetched, 0 were there" in ran.out
    assert "may be used, not passed on or sold" in ran.out
    assert (tmp_path / "recordings" / "ATTRIBUTION.md").read_text().count("\n| ") == len(few) + 1
    assert f"0 recordings fetched, {len(few)} were there" in bench(*words).out


def test_licences_and_attribution() -> None:
    text = recipe.licences(DAWN)
    assert f"{len(DAWN)} recordings" in text
    assert "may be used, not passed on or sold: CC BY-NC-SA 4.0" in text
    assert recipe.attribution("dawn", DAWN).count("\n| ") == len(DAWN) + 1
    with pytest.raises(UserError, match=r"no recipe 'down' \(did you mean 'dawn'\?\); there are: dawn"):
        recipe.read("down")
