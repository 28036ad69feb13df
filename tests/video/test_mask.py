from __future__ import annotations

import os

import numpy as np
import pytest
from media import write_mask
from PIL import Image

from dsanet_cli.errors import UsageError
from dsanet_cli.video.mask import Mask

HIDDEN = np.zeros((6, 8), bool)
HIDDEN[:2, :3] = True


@pytest.mark.parametrize("clear", [False, True])
def test_black_hides_and_white_or_transparent_does_not(tmp_path, clear):
    mask = Mask.read(write_mask(tmp_path / "m.png", HIDDEN, clear=clear))
    assert (mask.height, mask.width) == (6, 8)
    assert np.array_equal(mask.hidden(6, 8), HIDDEN)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "I;16"])
def test_all_kinds_of_pictures(tmp_path, mode):
    grey = np.where(HIDDEN, 0, 255).astype(np.uint8)
    image = Image.fromarray(grey)
    image = Image.fromarray(grey.astype(np.uint16) * 257) if mode == "I;16" else image.convert(mode)
    image.save(tmp_path / "m.png")
    assert np.array_equal(Mask.read(tmp_path / "m.png").hidden(6, 8), HIDDEN)


def test_colours_do_not_hide(tmp_path):
    pixels = np.zeros((6, 8, 3), np.uint8)
    pixels[~HIDDEN] = (255, 0, 0)
    Image.fromarray(pixels).save(tmp_path / "m.png")
    assert np.array_equal(Mask.read(tmp_path / "m.png").hidden(6, 8), HIDDEN)


def test_it_is_stretched_over_pictures_of_any_size(tmp_path):
    mask = Mask.read(write_mask(tmp_path / "m.png", HIDDEN))
    assert np.array_equal(mask.hidden(12, 24), HIDDEN.repeat(2, 0).repeat(3, 1))
    small = mask.hidden(3, 4)
    assert small[0, 0]
    assert not small[1:].any()


def test_its_hash_is_of_what_it_hides(tmp_path):
    one = Mask.read(write_mask(tmp_path / "a.png", HIDDEN))
    other = Mask.read(write_mask(tmp_path / "b.png", HIDDEN, clear=True))
    assert (one.sha256, one) == (other.sha256, other)
    assert one.sha256 != Mask.read(write_mask(tmp_path / "c.png", HIDDEN[::-1])).sha256
    assert one.sha256 != Mask.read(write_mask(tmp_path / "d.png", HIDDEN.repeat(2, 0))).sha256


def photo(path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(path)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "cannot be read (No such file or directory)"),
        (lambda path: path.mkdir(), "cannot be read"),
        (os.mkfifo, "cannot be read (Not a regular file)"),
        (lambda path: path.write_bytes(b""), "is not a picture"),
        (lambda path: path.write_text("no picture\n" * 9), "is not a picture"),
        (lambda path: write_mask(path, np.ones((6, 8), bool)), "is black everywhere"),
        (lambda path: write_mask(path, np.zeros((6, 8), bool)), "is black nowhere"),
        (photo, "neither black nor white"),
    ],
)
def test_what_is_no_mask_is_one_line(tmp_path, write, message):
    write(tmp_path / "m.png")
    with pytest.raises(UsageError) as raised:
        Mask.read(tmp_path / "m.png")
    assert f"mask {tmp_path / 'm.png'}: " in str(raised.value)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)
