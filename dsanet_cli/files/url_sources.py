"""URLs as sources: which can be analysed, and what their results are called."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from dsanet_cli.files.paths import Url
from dsanet_cli.files.result_names import result_names

LIVE_SCHEMES = frozenset({"mms", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp", "v4l2"})
"""What ffmpeg and cameras call streams that have no end."""


def why_no_source(url: str, scheme: str) -> str | None:
    """What keeps a URL from being analysed; None where nothing does, as far as can be said without opening it."""
    if scheme in LIVE_SCHEMES:
        return f"a live stream; detect reads recordings: record it first, with ffmpeg -i {url} -c copy recording.mkv"
    if "::" not in url:
        name = Url.of(url).name
        if "/" not in url.partition("://")[2] or url.endswith("/") or not name:
            return "names no file; name one video, or several in a list"
        if name.lower().endswith(".npy"):
            return "feature files are read from this machine only; download it first"
    import fsspec  # noqa: PLC0415  (slow, and only for URLs)

    try:
        fsspec.get_filesystem_class(scheme)
    except ImportError as error:
        return f"{scheme}:// needs another package ({error}); install it, or download the video first"
    except ValueError:
        return f"{scheme}:// is not supported; http(s):// is, and what else fsspec opens, such as s3:// and sftp://"
    return None


def url_names(urls: Mapping[str, Url], below_hosts: bool) -> dict[str, Path]:
    """``Source.relative`` of URLs: their paths, without queries; ``below_hosts``, so as not to meet those of files."""
    keys: dict[str, str] = {}
    taken = Counter(path.as_posix() for path in map(_pseudo_path, urls.values()))
    for url, path in urls.items():
        plain = _pseudo_path(path)
        mark = f"-{hashlib.sha256(url.encode()).hexdigest()[:8]}" if taken[plain.as_posix()] > 1 else ""
        keys[url] = str(plain.with_name(f"{plain.stem}{mark}{plain.suffix}"))
    names = result_names(keys.values(), {os.sep} if below_hosts else {os.path.dirname(key) for key in keys.values()})
    return {url: names[key] for url, key in keys.items()}


def _pseudo_path(url: Url) -> Path:
    """Host and path of a URL as an absolute path whose parts any file system takes."""
    return Path(os.sep, *(re.sub(r'[<>:"|?*\\]', "_", part) for part in url.parts[1:] if part not in ("..", ".")))
