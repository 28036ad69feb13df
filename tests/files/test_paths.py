from __future__ import annotations

import os
import pickle
from fractions import Fraction
from pathlib import Path

import pytest
from web import WHOLE_ONLY, served

from dsanet_cli.files.paths import Pictures, Url


def test_a_url_is_a_path_that_keeps_its_text():
    url = Url.of("https://example.org:8000/a%20b/c.v2.mp4?token=1//2/..")
    assert str(url) == os.fspath(url) == "https://example.org:8000/a%20b/c.v2.mp4?token=1//2/.."
    assert (url.name, url.suffix, url.stem) == ("c.v2.mp4", ".mp4", "c.v2")
    assert str(url.parent) == f"{os.sep}example.org:8000{os.sep}a b"
    copy = pickle.loads(pickle.dumps(url))
    assert isinstance(copy, Url)
    assert copy == url
    assert len({copy, url, Url.of("https://example.org:8000/a%20b/c.v2.mp4")}) == 2


def test_size_and_content_behind_a_url(tmp_path):
    (tmp_path / "a.bin").write_bytes(bytes(range(256)) * 1000)
    with served(tmp_path) as address:
        url = Url.of(f"{address}/a.bin?x=1")
        assert url.stat().st_size == 256_000
        with url.open_seekable() as stream:
            stream.seek(100_000)
            assert stream.read(3) == bytes([160, 161, 162])


def test_age_of_what_has_one(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    status = Url.of(f"local://{tmp_path}/a.bin").stat()
    assert (status.st_size, status.st_mtime_ns) == (3, pytest.approx((tmp_path / "a.bin").stat().st_mtime_ns, abs=1000))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (f"{WHOLE_ONLY}a.bin", "the server sends it as a whole only"),
        ("/gone.bin", "404"),
        ("/empty.bin", "as a whole only|is empty"),
    ],
)
def test_what_cannot_be_read_from_any_place(tmp_path, place, reason):
    (tmp_path / "whole-only").mkdir()
    (tmp_path / "whole-only" / "a.bin").write_bytes(b"abc" * 1000)
    (tmp_path / "empty.bin").touch()
    with served(tmp_path) as address, pytest.raises(OSError, match=reason):
        Url.of(address + place).open_seekable()


@pytest.mark.parametrize(
    ("url", "reason"),
    [("http://127.0.0.1:9/a.mp4", "Connect call failed"), ("memory://gone.mp4", "there is no such file")],
)
def test_what_cannot_be_reached(url, reason):
    for use in (Url.of(url).stat, Url.of(url).open_seekable):
        with pytest.raises(OSError, match=reason):
            use()


def test_pictures_are_as_large_as_all_and_as_old_as_the_newest(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes(bytes(number + 1))
        os.utime(tmp_path / f"{number}.png", (1000 + number, 1000 + number))
    pictures = Pictures.of("in/*.png", sorted(tmp_path.iterdir()), Fraction(10))
    assert (pictures.stat().st_size, pictures.stat().st_mtime, pictures.stat().st_mtime_ns) == (6, 1002, 1002 * 10**9)
    copy = pickle.loads(pickle.dumps(pictures))
    assert (str(copy), copy.files, copy.fps) == ("in/*.png", pictures.files, 10)
    assert copy == pictures
    assert copy != Path("in/*.png")
