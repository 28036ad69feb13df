"""Fetching a file over HTTP: whole and checked, or not at all; a broken download is continued.

::

    folder/NAME.part    what has arrived so far
    folder/NAME.tag     the server's mark of that version of the file (its ETag, or when it was changed)
    folder/NAME         the whole file, once its length and hash are right

A download is continued only if the server still has the version with that mark (``If-Range``); else it is
fetched from its beginning.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dsanet_cli.errors import DsanetError, ModelError, OutputError

TIMEOUT = 30.0
"""Seconds without an answer or a byte."""
ATTEMPTS = 4
"""How often a broken connection is made again, as long as each one brings data."""
PAUSE = 1.0
"""Seconds before it is made again."""
BLOCK = 1 << 20
"""Bytes."""
PARTIAL, RANGE_IS_WRONG = 206, 416

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the total, None if the server does not say."""


@dataclass(frozen=True)
class Remote:
    """A file on a server."""

    url: str
    name: str
    """A plain file name, for the local copy."""
    page: str
    """What a person opens in a browser to fetch it by hand."""


class _ConnectionBroke(Exception):
    """The connection ended before the file was whole."""


def fetch(remote: Remote, folder: Path, progress: Progress, sha256: str | None = None) -> Path:
    """Download a file into ``folder``, continuing an earlier attempt.

    Args:
        remote: What to fetch.
        folder: Where to; made if need be.
        progress: Called for every block.
        sha256: The hash to check (hex, any case); None to accept any file.

    Returns:
        The whole file.

    Raises:
        ModelError: the server cannot be reached, does not give the file, breaks off again and again, or gives
            a file with another hash. What had arrived of the right file stays, for the next try.
        OutputError: the folder cannot be written.
    """
    part, tag = folder / f"{remote.name}.part", folder / f"{remote.name}.tag"
    whole = folder / remote.name
    try:
        if sha256 is not None and whole.is_file() and file_sha256(whole) == sha256.lower():
            return whole  # kept by an earlier call, after which there was no room for more
        folder.mkdir(parents=True, exist_ok=True)
        for path in (part, tag):
            if path.exists() and not path.is_file():
                raise OutputError(f"{path}: is in the way of the download and no file; move it away")
        _transfer(remote, part, tag, progress)
        found = file_sha256(part)
        if sha256 is not None and found != sha256.lower():
            part.unlink()
            raise _by_hand(remote, f"its SHA-256 is {found}, not {sha256.lower()}, and it was thrown away")
        part.replace(whole)
        with contextlib.suppress(OSError):
            tag.unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error.strerror or error}); free some space") from error
    return whole


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _transfer(remote: Remote, part: Path, tag: Path, progress: Progress) -> None:
    """Fill ``part``; a broken connection is made again as long as it brings data."""
    for attempt in range(ATTEMPTS):
        before = _size(part)
        try:
            _request(remote, part, tag, progress)
            return
        except _ConnectionBroke as error:
            if attempt == ATTEMPTS - 1 or _size(part) == before:
                raise _by_hand(
                    remote, f"the connection broke off ({error}); the same command goes on from where it was"
                ) from error
            time.sleep(PAUSE)


def _request(remote: Remote, part: Path, tag: Path, progress: Progress) -> None:
    have = _size(part)
    headers = {"User-Agent": "dsanet", "Accept-Encoding": "identity"}
    if have and (mark := _read(tag)):
        headers |= {"Range": f"bytes={have}-", "If-Range": mark}
    try:
        answer = urllib.request.urlopen(urllib.request.Request(remote.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == RANGE_IS_WRONG:  # the part is no beginning of that file
            part.unlink(missing_ok=True)
            raise _ConnectionBroke("the file there has changed") from error
        raise _by_hand(remote, f"the server answers {error.code} {error.reason}") from error
    except (urllib.error.URLError, http.client.HTTPException, ValueError) as error:
        raise _by_hand(remote, f"cannot be reached ({getattr(error, 'reason', error)})") from error
    except TimeoutError as error:
        raise _ConnectionBroke("no answer") from error
    with answer:
        _receive(remote, answer, part, tag, progress)


def _receive(remote: Remote, answer: http.client.HTTPResponse, part: Path, tag: Path, progress: Progress) -> None:
    """Append the answer to what is there; an answer that starts at the beginning replaces it."""
    if answer.headers.get_content_type() == "text/html":
        raise _by_hand(
            remote, "the server sent a web page instead of the file, as Google Drive does when its quota is used up"
        )
    goes_on = answer.status == PARTIAL
    have = _size(part) if goes_on else 0
    length = answer.headers.get("Content-Length")
    total = have + int(length) if length is not None and length.isdecimal() else None
    tag.write_text(_mark(answer), encoding="utf-8")
    with part.open("ab" if goes_on else "wb") as stream:
        progress(have, total)
        while True:
            try:
                block = answer.read(BLOCK)
            except (http.client.HTTPException, OSError) as error:
                raise _ConnectionBroke(str(error) or "cut off") from error
            if not block:
                break
            stream.write(block)
            have += len(block)
            progress(have, total)
    if total is not None and have < total:
        raise _ConnectionBroke(f"after {have:,} of {total:,} bytes")


def _mark(answer: http.client.HTTPResponse) -> str:
    """The server's mark of this version; none where it has only a weak one, which ``If-Range`` does not take."""
    etag = answer.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _by_hand(remote: Remote, fault: str) -> DsanetError:
    return ModelError(
        f"{remote.url}: {fault}; or download it by hand from {remote.page} and run: dsanet models import FILE"
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""
