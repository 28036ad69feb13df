from __future__ import annotations

import re

import pytest
from readme import BLOCK, README, help_text

TEXT = README.read_text(encoding="utf-8")
BLOCKS = list(BLOCK.finditer(TEXT))


@pytest.mark.parametrize("block", BLOCKS, ids=[block["command"] for block in BLOCKS])
def test_help_pages_are_current(block):
    assert block["text"] == help_text(block["command"]), "run python tests/readme.py"


def test_help_pages_are_there():
    assert {"detect", "models import"} <= {block["command"] for block in BLOCKS}


def test_links_and_pictures_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", TEXT):
        assert (README.parent / target).exists(), target


def test_no_placeholder_is_left():
    assert "@@" not in TEXT
