"""A web server for files, with or without answers to requests for a part of one."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import http.server
import io
import re
import threading
from pathlib import Path

WHOLE_ONLY = "/whole-only/"
"""Files below this are sent as a whole only."""
TAGGED = "/tagged/"
"""Of files below this it is not said when they were changed, but which version they are."""


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def send_header(self, keyword, value):
        if keyword == "Last-Modified" and self.path.startswith(TAGGED):
            content = Path(self.translate_path(self.path)).read_bytes()
            keyword, value = "ETag", f'"{hashlib.sha256(content).hexdigest()}"'
        super().send_header(keyword, value)

    def send_head(self):
        path = Path(self.translate_path(self.path))
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None or self.path.startswith(WHOLE_ONLY) or not path.is_file():
            return super().send_head()
        content = path.read_bytes()
        first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.end_headers()
        return io.BytesIO(content[first : last + 1])


@contextlib.contextmanager
def served(folder):
    """The address of a server of ``folder`` on this machine."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()
