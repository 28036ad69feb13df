"""Pictures of the peaks, beside the result."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from media import picture, read_number

from dsanet_cli.config import EventRule
from dsanet_cli.timeline.facts import ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.thumbnails import decode_thumbnail, event_thumbnails, read_thumbnails, write_thumbnails
from dsanet_cli.timeline.timeline import build_timeline

SCORES = np.array([0.9, 0.1, 0.6, 0.95, 0.1, 0.7], np.float32)


def timeline(threshold):
    count = len(SCORES)
    return build_timeline(
        VideoFacts("a.mp4", 16 * count, float(count)),
        ModelFacts("tiny", "00" * 32),
        ("normal", "fighting"),
        Sampling(16, 2, "fp32"),
        EventRule(threshold, threshold, merge_gap=0.0, min_length=0.0),
        np.arange(count),
        np.arange(count) + 1,
        SCORES,
        np.stack([1 - SCORES, SCORES], axis=1),
    )


def test_pictures_come_back_under_their_time():
    peaks = {3.5: picture(3, 90, 120), 1000.25: picture(1000, 90, 120)}
    packed = write_thumbnails(peaks, 4 / 3)
    found = {time: decode_thumbnail(jpeg) for time, jpeg in read_thumbnails(packed).items()}
    assert {time: read_number(frame) for time, frame in found.items()} == {3.5: 3, 1000.25: 1000}
    assert packed == write_thumbnails(dict(reversed(peaks.items())), 4 / 3), "the same pictures are the same file"
    assert read_thumbnails(write_thumbnails({}, None)) == {}


def test_squashed_frames_get_the_shape_of_the_video():
    (jpeg,) = read_thumbnails(write_thumbnails({0.5: picture(5, 120, 120)}, 16 / 9)).values()
    frame = decode_thumbnail(jpeg)
    assert frame.shape[1] / frame.shape[0] == pytest.approx(16 / 9, abs=0.03)
    assert read_number(frame) == 5


def test_events_get_the_picture_of_their_highest_score_whatever_the_threshold():
    times = [0.5, 2.5, 3.5, 5.5]
    assert event_thumbnails(timeline(0.5), times) == {0: 0.5, 1: 3.5, 2: 5.5}
    assert event_thumbnails(timeline(0.92), times) == {0: 3.5}
    assert event_thumbnails(timeline(0.96), times) == {0: 3.5}, "without an event, the highest score"
    assert event_thumbnails(timeline(0.96), [0.5]) == {}
    assert event_thumbnails(timeline(0.65), [5.5, 99.0]) == {2: 5.5}, "a time that no snippet has"


WHOLE = write_thumbnails({1.5: picture(1)}, None)


@pytest.mark.parametrize("packed", [b"", b"PK", b"\0" * 100, WHOLE[:-30], WHOLE[:40] + WHOLE[60:]])
def test_a_damaged_file_has_no_pictures(packed):
    assert read_thumbnails(packed) == {}


def test_what_is_no_picture_is_passed_over():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("dsanet/1.000.jpg", b"no picture")
        archive.writestr("../2.000.jpg", b"x")
        archive.writestr("dsanet/4.000.jpg", bytes(500_000))  # small in the archive
    assert read_thumbnails(packed.getvalue()) == {}
    assert decode_thumbnail(b"\xff\xd8\xff no picture") is None


def packed(entries, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return stream.getvalue()


JPEG = read_thumbnails(write_thumbnails({1.0: picture(1)}, None))[1.0]
STRANGE = {
    "no archive": b"PK\x03\x04 and no more",
    "nothing": b"",
    "a path": packed({"dsanet/../../x.jpg": JPEG, "/etc/x.jpg": JPEG}),
    "another name": packed({"dsanet/soon.jpg": JPEG, "dsanet/nan.jpg": JPEG, "dsanet/1e9.jpg": JPEG}),
    "no picture": packed({"dsanet/1.000.jpg": b"<svg onload=alert(1)>"}),
    "too large": packed({"dsanet/1.000.jpg": JPEG + bytes(2**20)}),
    "a bomb": packed({"dsanet/1.000.jpg": JPEG + bytes(2**19)}, zipfile.ZIP_DEFLATED),
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_is_no_picture_is_left_out(case):
    assert read_thumbnails(STRANGE[case]) == {}
