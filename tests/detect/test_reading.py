"""What is read of a video: a stream, a part, and at which rate; and what is said of that."""

from __future__ import annotations

import json
import re

import av
import numpy as np
import pytest
from commands import run
from media import remux, restamp, write_video
from tiny import WIDTH


@pytest.fixture
def detect(tiny_model, tmp_path):
    return lambda *arguments: run("detect", "--model", tiny_model, "-f", "json", *arguments, cwd=tmp_path)


def result(folder, name="clip"):
    return json.loads((folder / "dsanet-results" / f"{name}.json").read_text())


def test_missing_frames_are_told_with_their_reason(detect, tmp_path):
    whole = write_video(tmp_path / "whole.mkv", 300, gop=25)
    restamp(whole, tmp_path / "clip.mkv", lambda number, time: None if 100 <= number < 200 else time)
    done = detect("clip.mkv")
    assert done.returncode == 0
    assert "clip.mkv: 66.7 % analysed, not 0:04.0 to 0:08.0 (frames are missing)" in done.stderr
    coverage = result(tmp_path)["coverage"]
    assert coverage["analysed"] == pytest.approx(2 / 3, abs=1e-3)
    assert (coverage["holes"], coverage["hole_reasons"]) == ([[4.0, 8.0]], ["frames are missing"])
    assert not any(s["start"] < 8 and s["end"] > 4 for s in result(tmp_path)["snippets"])


def test_a_video_that_goes_on_in_another_program_is_told(detect, tmp_path):
    parts = []
    for number in range(2):
        options = {"mpegts_service_id": str(1 + number), "mpegts_pmt_start_pid": str(4096 + 100 * number)}
        options |= {"mpegts_start_pid": str(256 + 100 * number)}
        parts.append(write_video(tmp_path / f"{number}.ts", 150, container_options=options).read_bytes())
    (tmp_path / "clip.ts").write_bytes(b"".join(parts))
    done = detect("clip.ts")
    assert done.returncode == 0
    assert re.search(
        r"clip.ts: 50\.. % analysed, not 0:06\.0 to 0:1\d\.\d \(the video goes on in another stream\)", done.stderr
    )
    assert result(tmp_path)["coverage"]["hole_reasons"] == ["the video goes on in another stream"]


def test_gaps_that_may_be_right_are_unsure(detect, tmp_path):
    whole = write_video(tmp_path / "whole.mkv", 200, gop=50)
    restamp(whole, tmp_path / "clip.mkv", lambda number, time: time + 0.5 * (number // 10) + 20 * (number // 100))
    done = detect("clip.mkv")
    assert "has no frames from 0:08.5 to 0:29.0; perhaps" in done.stderr
    coverage = result(tmp_path)["coverage"]
    assert (coverage["analysed"], coverage["holes"]) == (1.0, [])
    assert coverage["unsure"] == [[8.5, 29.0]]


def test_a_part_is_analysed_and_a_result_of_another_part_is_not_kept(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", 300)
    done = detect("clip.mp4", "--from", "2.4", "--to", "0:08")
    assert "clip.mp4: analysed from 0:02.4 to 0:08.0" in done.stderr
    data = result(tmp_path)
    assert (data["coverage"]["analysed"], data["coverage"]["part"]) == (1.0, [2.4, 8.0])
    assert (data["snippets"][0]["start"], data["snippets"][-1]["end"]) == (2.4, 8.0)
    assert (data["video"]["frames"], data["video"]["duration"]) == (300, 12.0)
    kept = "1 result of an earlier run kept"
    assert kept in detect("clip.mp4", "--from", "2.4", "--to", "8", "--skip-existing").stderr
    assert kept not in detect("clip.mp4", "--from", "2.4", "--skip-existing").stderr
    assert kept not in detect("clip.mp4", "--skip-existing").stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--from", "x"), "--from x: use seconds, or hours, minutes and seconds such as 1:02:03.5"),
        (("--from", "5", "--to", "5"), "--to 5 is not after --from 5"),
    ],
)
def test_times_that_make_no_part(detect, options, message):
    done = detect("clip.mp4", *options)
    assert (done.returncode, done.stderr) == (2, f"error: {message}\n")


def test_a_part_after_the_end(detect, tmp_path):
    write_video(tmp_path / "clip.mp4", 50)
    done = detect("clip.mp4", "--from", "3")
    assert done.returncode == 1
    assert "error: clip.mp4: lasts 2.0 s, so nothing of it is after --from 3" in done.stderr


def test_a_stream_is_chosen(detect, tmp_path):
    files = [write_video(tmp_path / f"{number}.mp4", 50 * (number + 1)) for number in range(2)]
    with av.open(str(tmp_path / "clip.mp4"), "w") as written:
        for path in files:
            with av.open(str(path)) as read:
                copy = written.add_stream_from_template(read.streams.video[0])
            copy.metadata["name"] = path.name
        for number, path in enumerate(files):
            with av.open(str(path)) as read:
                for packet in read.demux(video=0):
                    if packet.size:
                        packet.stream = written.streams.video[number]
                        written.mux(packet)
    done = detect("clip.mp4", "--stream", "0")
    assert "has 2 video streams, of which number 0 was analysed; --stream takes another" in done.stderr
    video = result(tmp_path)["video"]
    assert (video["stream"], video["streams"], video["frames"]) == (0, 2, 50)
    assert "kept" not in detect("clip.mp4", "--stream", "1", "--skip-existing").stderr
    assert result(tmp_path)["video"]["frames"] == 100
    assert "so there is no --stream 2" in detect("clip.mp4", "--stream", "2").stderr


def test_the_rate_counts_where_the_video_has_none(detect, tmp_path):
    whole = write_video(tmp_path / "whole.avi", 50, codec="mjpeg", pix_fmt="yuvj420p")
    remux(whole, tmp_path / "clip.mjpeg")
    assert "gives no frame rate, 25 frames/s assumed; --fps sets another" in detect("clip.mjpeg").stderr
    assert (result(tmp_path)["video"]["duration"], result(tmp_path)["video"]["fps_from"]) == (2.0, "assumed")
    done = detect("clip.mjpeg", "--fps", "10", "--skip-existing")
    assert not any(word in done.stderr for word in ("kept", "assumed", "no effect"))
    assert (result(tmp_path)["video"]["duration"], result(tmp_path)["video"]["fps"]) == (5.0, "10/1")


def test_the_rate_has_no_effect_elsewhere(detect, tmp_path):
    write_video(tmp_path / "a.mp4", 20)
    write_video(tmp_path / "b.mp4", 20)
    assert detect("a.mp4", "b.mp4", "--fps", "10").stderr.count("gives its own frame rate, so --fps has no effect") == 1
    np.save(tmp_path / "c.npy", np.ones((2, WIDTH), np.float32))
    assert "no effect" not in detect("c.npy", "--fps", "10").stderr


def test_parts_and_streams_have_no_effect_on_features(detect, tmp_path):
    np.save(tmp_path / "clip.npy", np.ones((2, WIDTH), np.float32))
    done = detect("clip.npy", "--from", "1", "--stream", "1")
    assert done.stderr.count("has no effect on feature files") == 2
