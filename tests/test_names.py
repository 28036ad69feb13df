import os

from dsanet_cli.names import printable


def test_paths_are_shown_on_one_printable_line():
    assert printable("a b/ünï 日本.mp4") == "a b/ünï 日本.mp4"
    assert printable("two\nlines\t\x1b[31m.mp4") == r"two\nlines\t\x1b[31m.mp4"
    assert printable(os.fsdecode(b"caf\xe9.mp4")) == r"caf\xe9.mp4"
