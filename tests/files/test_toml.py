"""TOML files that take for ever are refused at once."""

from __future__ import annotations

import pytest

from dsanet_cli.files.toml import LARGEST_TOML, read_toml


def write(tmp_path, text):
    path = tmp_path / "a.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_tables_are_read_as_any_editor_writes_them(tmp_path):
    text = 'a.b.c = 1\r\n[[d]]\r\ne = "one. two. three. four. five."\r\n'
    expected = {"a": {"b": {"c": 1}}, "d": [{"e": "one. two. three. four. five."}]}
    assert read_toml(write(tmp_path, text)) == expected
    assert read_toml(write(tmp_path, b"\xef\xbb\xbf" + text.encode())) == expected
    assert read_toml(write(tmp_path, text.encode("utf-16"))) == expected


@pytest.mark.parametrize(
    "text", ["a." * 200_000 + "a = 1", "[a" + " . a" * 100_000 + "]", "x = {" + "a." * 99_999 + "a=1}"]
)
def test_keys_without_end(tmp_path, text):
    with pytest.raises(ValueError, match="a key of too many parts"):
        read_toml(write(tmp_path, text))


def test_brackets_without_end(tmp_path):
    with pytest.raises(ValueError, match="brackets too deep"):
        read_toml(write(tmp_path, "x = " + "[" * 100_000))


def test_a_file_without_end(tmp_path):
    with pytest.raises(OSError, match="Larger than 1 MiB"):
        read_toml(write(tmp_path, "#" * (LARGEST_TOML + 1)))


@pytest.mark.parametrize("text", [b"\xff", "= 1", "a = 1\na = 2"])
def test_what_is_no_toml(tmp_path, text):
    with pytest.raises(ValueError):  # noqa: PT011  (the parser's own words)
        read_toml(write(tmp_path, text))
