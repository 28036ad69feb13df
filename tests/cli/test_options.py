from __future__ import annotations

import pytest

from dsanet_cli.cli.options import check_finite, parse_shard
from dsanet_cli.errors import UsageError


def test_shards():
    assert parse_shard(None) == (1, 1)
    assert parse_shard("3/16") == (3, 16)
    assert parse_shard("16/16") == (16, 16)


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "1/0", "-1/3", "1/3/5", ""])
def test_a_shard_that_is_none(text):
    with pytest.raises(UsageError, match=f"--shard {text}: use K/N"):
        parse_shard(text)


def test_numbers_that_are_none():
    check_finite(threshold=0.5, release=None)
    with pytest.raises(UsageError, match=r"^--merge-gap inf: use a finite number$"):
        check_finite(threshold=0.5, merge_gap=float("inf"))
