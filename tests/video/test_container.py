from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.stream import Disposition
from media import damage, picture, write_audio, write_video

from dsanet_cli.errors import VideoError
from dsanet_cli.video.reader import open_video


def encode_jpeg():
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.height, encoder.width, encoder.pix_fmt = 96, 128, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(picture(1), format="rgb24").reformat(format="yuvj420p")
    return [*encoder.encode(frame), *encoder.encode()]


def missing(folder):
    return folder / "missing.mp4"


def a_folder(folder):
    return folder


def empty(folder):
    path = folder / "empty.mp4"
    path.touch()
    return path


def text(folder):
    path = folder / "text.mp4"
    path.write_text("not a video\n" * 1000)
    return path


def text_by_name(folder):
    path = folder / "notes.txt"
    path.write_text("not a video\n" * 1000)
    return path


def noise(folder):
    path = folder / "noise.mkv"
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    return path


def no_index(folder):
    path = write_video(folder / "clip.mp4", 100)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def sound(folder):
    return write_audio(folder / "sound.mp4")


def subtitles(folder):
    path = folder / "subtitles.srt"
    path.write_text("1\n00:00:01,000 --> 00:00:02,000\nHello\n")
    return path


def photo(folder):
    path = folder / "photo.mp4"
    path.write_bytes(b"".join(bytes(packet) for packet in encode_jpeg()))
    return path


def nothing_decodable(folder):
    return damage(write_video(folder / "clip.mp4", 30), 0, 30)


def pipe(folder):
    path = folder / "pipe.mp4"
    os.mkfifo(path)
    return path


def long_name(folder):
    return folder / ("x" * 300)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (missing, "no such file; check the name"),
        (a_folder, "a folder, not a video; name the videos in it"),
        (empty, "empty; copy it again"),
        (text, "not a video, or damaged beyond recognition; check that it plays"),
        (text_by_name, "a picture or a text, not a video; leave it out"),
        (noise, "not a video, or damaged beyond recognition; check that it plays"),
        (no_index, "cut off, its index is missing; copy it again"),
        (sound, "has sound but no picture; leave it out"),
        (subtitles, "has no picture; leave it out"),
        (photo, "a picture or a text, not a video; leave it out"),
        (nothing_decodable, "no frame can be decoded"),
        (pipe, "not a regular file; save the video to a file first"),
        (long_name, "cannot be read (File name too long); check the name"),
    ],
)
def test_bad_input_is_told_in_one_line(tmp_path, capfd, make, message):
    path = make(tmp_path)
    with pytest.raises(VideoError) as caught:
        open_video(path, (64, 64), 1)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_no_permission_is_told(tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", 2)

    def deny(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", deny)  # file modes do not stop root
    with pytest.raises(VideoError, match="no permission to read it; change its permissions or owner"):
        open_video(path, (64, 64), 1)


def test_strange_names_stay_on_one_line(tmp_path):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/two\nlines \xff.mp4"))
    with pytest.raises(VideoError) as caught:
        open_video(path, (64, 64), 1)
    assert str(caught.value) == rf"{tmp_path}/two\nlines \xff.mp4: no such file; check the name"


def test_a_cover_picture_is_no_video(tmp_path):
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000, layout="mono")
        cover = container.add_stream("mjpeg")
        cover.height, cover.width, cover.pix_fmt = 96, 128, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        silence.sample_rate = 8000
        frame = av.VideoFrame.from_ndarray(picture(1), format="rgb24")
        container.mux([*cover.encode(frame), *cover.encode(), *sound.encode(silence), *sound.encode()])
    with pytest.raises(VideoError, match="has sound but no picture"):
        open_video(path, (64, 64), 1)
