"""Downloads from a server on this machine that misbehaves as servers do."""

from __future__ import annotations

import hashlib
import http.server
import re
import threading
from pathlib import Path
from typing import ClassVar

import pytest

from dsanet_cli.errors import ModelError, OutputError
from dsanet_cli.models import fetch as fetch_module
from dsanet_cli.models.fetch import Remote, fetch

DATA = bytes(range(256)) * 9000
SHA256 = hashlib.sha256(DATA).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves DATA; what it does wrong stands in the class, its requests too."""

    data = DATA
    etag = '"one"'
    breaks_after: ClassVar[list[int]] = []
    """Bytes after which each coming answer breaks off."""
    page = False
    status = 0
    requests: ClassVar[list[str | None]] = []

    def do_GET(self):
        cls = type(self)
        asked = self.headers.get("Range")
        cls.requests.append(asked)
        if cls.status:
            self.send_error(cls.status)
            return
        start = 0
        if asked and self.headers.get("If-Range") == cls.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if start > len(cls.data):
            self.send_error(416)
            return
        body = b"<html>quota</html>" if cls.page else cls.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "text/html; charset=utf-8" if cls.page else "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        if cls.etag:
            self.send_header("ETag", cls.etag)
        self.end_headers()
        if cls.breaks_after:
            body = body[: cls.breaks_after.pop(0)]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetch_module, "PAUSE", 0)
    handler = type("Handler", (Server,), {"breaks_after": [], "requests": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        handler.remote = Remote(f"http://127.0.0.1:{running.server_port}/model.pth", "model.pth", "https://page")
        yield handler
        running.shutdown()


def nothing(done, total):
    pass


def test_a_file_arrives_whole_and_progress_is_told(server, tmp_path):
    seen = []
    path = fetch(server.remote, tmp_path / "new", lambda *step: seen.append(step), SHA256.upper())
    assert path.read_bytes() == DATA
    assert seen[0] == (0, len(DATA))
    assert seen[-1] == (len(DATA), len(DATA))
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["model.pth"]


def test_a_connection_that_breaks_is_made_again_from_where_it_was(server, tmp_path):
    server.breaks_after[:] = [1000, 500_000]
    assert fetch(server.remote, tmp_path, nothing).read_bytes() == DATA
    assert server.requests == [None, "bytes=1000-", "bytes=501000-"]


def test_a_broken_download_is_gone_on_with_by_the_next_try(server, tmp_path):
    server.breaks_after[:] = [1000, 0]
    with pytest.raises(ModelError, match=r"1,000 of .* bytes.*goes on .*https://page.*models import"):
        fetch(server.remote, tmp_path, nothing)
    assert (tmp_path / "model.pth.part").stat().st_size == 1000
    assert not (tmp_path / "model.pth").exists()
    server.requests.clear()
    assert fetch(server.remote, tmp_path, nothing, SHA256).read_bytes() == DATA
    assert server.requests == ["bytes=1000-"]


def test_a_file_that_changed_on_the_server_is_fetched_anew(server, tmp_path):
    server.breaks_after[:] = [1000, 0]
    with pytest.raises(ModelError):
        fetch(server.remote, tmp_path, nothing)
    server.data, server.etag = DATA[::-1], '"two"'
    assert fetch(server.remote, tmp_path, nothing).read_bytes() == DATA[::-1]


def test_without_a_mark_nothing_is_joined(server, tmp_path):
    server.etag = ""
    server.breaks_after[:] = [1000, 2000]
    assert fetch(server.remote, tmp_path, nothing).read_bytes() == DATA
    assert server.requests == [None, None, None]


def test_a_weak_mark_is_none(server, tmp_path):
    server.etag = 'W/"one"'
    server.breaks_after[:] = [1000]
    assert fetch(server.remote, tmp_path, nothing).read_bytes() == DATA
    assert server.requests == [None, None]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "model.pth.part").write_bytes(DATA + b"more")
    (tmp_path / "model.pth.tag").write_text('"one"')
    assert fetch(server.remote, tmp_path, nothing, SHA256).read_bytes() == DATA


def test_another_hash_leaves_nothing(server, tmp_path):
    with pytest.raises(ModelError, match=rf"SHA-256 is {SHA256}, not 00.*models import"):
        fetch(server.remote, tmp_path, nothing, "00" * 32)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".tag"]


def test_a_web_page_is_not_taken_for_the_file(server, tmp_path):
    server.page = True
    with pytest.raises(ModelError, match=r"web page instead of the file.*https://page.*models import"):
        fetch(server.remote, tmp_path, nothing)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_what_the_server_answers_is_said(server, tmp_path, status):
    server.status = status
    with pytest.raises(ModelError, match=rf"answers {status} "):
        fetch(server.remote, tmp_path, nothing)
    assert not list(tmp_path.iterdir())


def test_no_network_is_one_line(tmp_path):
    remote = Remote("http://127.0.0.1:9/model.pth", "model.pth", "https://page")
    with pytest.raises(ModelError, match=r"cannot be reached .*https://page") as raised:
        fetch(remote, tmp_path, nothing)
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_made_is_an_output_error(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(server.remote, Path(tmp_path / "file" / "folder"), nothing)
