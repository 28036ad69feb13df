"""What the documents say about the program is true of it."""

from __future__ import annotations

import pytest
from commands import ROOT
from documents import DOCUMENTS, broken_links, unknown_options

EXAMPLES = {
    "an option of the command": ("```sh\ndsanet detect a.mp4 --scan -o out  # --gone\n```\n", []),
    "one that is gone": ("```sh\n.venv/bin/dsanet detect a.mp4 \\\n  --gone 3\n```\n", ["detect --gone"]),
    "one of another command": ("```sh\npip install . && dsanet eval --scan\n```\n", ["eval --scan"]),
    "a short one": ("```sh\ndsanet models show -z ucf\n```\n", ["models show -z"]),
    "a command that is gone": ("Try `dsanet vanish`.", ["vanish"]),
    "another program's": ("```sh\npip install --gone\n```\nand `pytest --gone`", []),
    "alone, of any command": ("`--crops` and `--scan/--gone`", ["--gone"]),
    "alone, of the section's command": ("## `dsanet eval`\n`--gt`, `--scan`\n## More\n`--scan`", ["--scan"]),
}


@pytest.mark.parametrize("example", EXAMPLES)
def test_unknown_options_are_found(example):
    text, unknown = EXAMPLES[example]
    assert unknown_options(text) == unknown


@pytest.mark.parametrize("name", DOCUMENTS)
def test_options_exist(name):
    assert unknown_options((ROOT / name).read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_and_pictures_exist(name):
    assert broken_links(ROOT / name) == []


def test_broken_links_are_found(tmp_path):
    (tmp_path / "other.md").write_text("# A `heading` of it\n", encoding="utf-8")
    text = (
        "## Here\n[a](other.md#a-heading-of-it) [b](#here) [c](other.md#gone) [d](gone.png) [e](https://example.org)\n"
    )
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    assert broken_links(tmp_path / "README.md") == ["other.md#gone", "gone.png"]
