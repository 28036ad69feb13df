"""Small videos whose frames say their own number, written with PyAV (no ffmpeg program needed).

A frame is a grid of 4 x 4 flat blocks. The top row is red, green, blue, white: it shows channel order and
which way is up. The 12 blocks below are the bits of the frame's number, black or white, so the number can be
read back after scaling, cropping to the same aspect, and lossy coding.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from av.packet import PacketSideData
from PIL import Image

GRID = 4
CORNERS = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], np.uint8)
TICKS_PER_SECOND = 90_000
FLV_HEADER, FLV_SCRIPT = 13, 18
NEW_EXTRADATA = 1
"""ffmpeg's number of the side data that brings a new header."""


def picture(number: int, height: int = 96, width: int = 128) -> np.ndarray:
    """The frame that says ``number`` (0 to 4095): (height, width, 3) uint8 RGB."""
    bits = [255 * (number >> k & 1) for k in range(GRID * (GRID - 1))]
    blocks = np.repeat(np.array(bits, np.uint8), 3).reshape(GRID - 1, GRID, 3)
    grid = np.concatenate([CORNERS[None], blocks])  # (4, 4, 3)
    rows = np.arange(height) * GRID // height
    columns = np.arange(width) * GRID // width
    return np.ascontiguousarray(grid[rows][:, columns])


def read_number(frame: np.ndarray) -> int:
    """The number that an upright RGB ``frame`` (H, W, 3) of any size says."""
    height, width, _ = frame.shape
    rows = [(2 * r + 1) * height // (2 * GRID) for r in range(GRID)]
    columns = [(2 * c + 1) * width // (2 * GRID) for c in range(GRID)]
    centres = frame[np.ix_(rows, columns)].astype(int)  # (4, 4, 3)
    worst = np.abs(centres[0] - CORNERS).max()
    assert worst < 90, f"not upright, or not RGB: top row is {centres[0].tolist()}"
    bits = centres[1:].mean(axis=2).reshape(-1) > 127
    return int(sum(1 << k for k, bit in enumerate(bits) if bit))


@contextlib.contextmanager
def scheduling_kept() -> Iterator[None]:
    """Undo what the SVT-AV1 encoder does where it may: it gives the thread that calls it real-time priority.

    All processes that the tests start would inherit that, and everything else on the machine would stand still.
    """
    if not hasattr(os, "sched_setscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


@scheduling_kept()
def write_video(  # noqa: PLR0913
    path: Path,
    frames: int = 40,
    *,
    height: int = 96,
    width: int = 128,
    rate: Fraction | int = 25,
    times: Sequence[float] | None = None,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    gop: int = 12,
    b_frames: int = 0,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
    rotation: int = 0,
    audio: bool = False,
    first_number: int = 0,
) -> Path:
    """Write a video of ``frames`` pictures numbered from ``first_number``; the suffix chooses the container.

    Args:
        times: seconds at which each frame is shown, for a variable frame rate; every 1 / ``rate`` by default.
        rotation: degrees counter-clockwise that a player has to turn the stored pictures by. They are stored
            turned the other way, so what a player shows is upright and ``height`` x ``width``.
        audio: add a silent sound track.
    """
    rate = Fraction(rate)
    turns = rotation // 90 % 4
    stored_height, stored_width = (width, height) if turns % 2 else (height, width)
    with av.open(str(path), "w", options=dict(container_options or {})) as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width, stream.pix_fmt = stored_height, stored_width, pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.max_b_frames = b_frames
        stream.options = {"preset": "ultrafast", **(options or {})} if codec == "libx264" else dict(options or {})
        if times is not None:
            stream.codec_context.time_base = Fraction(1, TICKS_PER_SECOND)
        if rotation:
            stream.set_display_rotation(rotation)
        sound = container.add_stream("aac", rate=8000, layout="mono") if audio else None
        for index in range(frames):
            image = np.rot90(picture(first_number + index, height, width), -turns)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            if times is None:
                frame.pts, frame.time_base = index, 1 / rate
            else:
                frame.pts = round(times[index] * TICKS_PER_SECOND)
                frame.time_base = Fraction(1, TICKS_PER_SECOND)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if sound is not None:
            _write_silence(container, sound, float(frames / rate))
    return path


def write_moving_bar(path: Path, frames: int, *, interlaced: bool, codec: str = "libx264", options: str = "") -> Path:
    """Write a bright bar that moves 4 pixels a frame; ``interlaced``: the odd lines show it half a frame later.

    ``options`` are those of x264 or x265.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 12, 2
        if codec.startswith("libx26"):
            stream.options = {"preset": "ultrafast", f"{codec[3:]}-params": options}
        elif interlaced:
            stream.codec_context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        for number in range(frames):
            image = np.full((96, 128, 3), 40, np.uint8)
            for line in range(16, 80):
                start = (4 * number + (2 if interlaced and line % 2 else 0)) % 100
                image[line, start : start + 24] = 220
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_halves(path: Path, left: int, right: int, frames: int = 48, *, height: int = 96, width: int = 128) -> Path:
    """Write a video of two halves without loss: each shows pictures of its own, numbered from ``left`` and ``right``.

    Raw, so that what one half shows changes no pixel of the other.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for number in range(frames):
            halves = [picture(first + 7 * number, height, width // 2) for first in (left, right)]
            frame = av.VideoFrame.from_ndarray(np.hstack(halves), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_mask(path: Path, hidden: np.ndarray, *, clear: bool = False) -> Path:
    """Write a PNG that is black where ``hidden`` (H, W) is set, and else white, or with ``clear`` transparent."""
    colour = np.where(hidden, 0, 0 if clear else 255).astype(np.uint8)
    alpha = np.where(hidden | (not clear), 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([colour, colour, colour, alpha])).save(path)
    return path


def write_audio(path: Path, seconds: float = 1.0) -> Path:
    """Write a file with a silent sound track and no picture."""
    with av.open(str(path), "w") as container:
        _write_silence(container, container.add_stream("aac", rate=8000, layout="mono"), seconds)
    return path


def remux(source: Path, target: Path, *, start: float = 0.0, all_keys: bool = False) -> Path:
    """Copy a video's compressed frames into another file.

    Args:
        start: seconds to cut off at the beginning. The copy starts with the key frame before it and, as in an
            MP4 cut without encoding, hides the frames up to the cut.
        all_keys: mark every frame as a key frame, as some recorders do.
    """
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream)
        shift = round(start / stream.time_base)
        if start:
            read.seek(shift, stream=stream)
        for packet in read.demux(stream):
            if packet.size:
                packet.pts -= shift
                if packet.dts is not None:
                    packet.dts -= shift
                packet.is_keyframe = packet.is_keyframe or all_keys
                packet.stream = copy
                written.mux(packet)
    return target


def compressed_frames(path: Path) -> list[tuple[bytes, bool]]:
    """A video's compressed frames in decoding order, and whether each is a key frame."""
    with av.open(str(path)) as container:
        return [(bytes(packet), packet.is_keyframe) for packet in container.demux(video=0) if packet.size]


def write_compressed(source: Path, target: Path, frames: Iterable[tuple[bytes, bool] | None]) -> Path:
    """Write compressed frames, 25 a second, into a file with the header of ``source``; None for a frame left out."""
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = written.add_stream_from_template(read.streams.video[0], opaque=True)
        for number, frame in enumerate(frames):
            if frame is not None:
                data, is_key = frame
                packet = av.Packet(data)
                packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 25), is_key
                packet.pts = packet.dts = number
                packet.duration = 1
                written.mux(packet)
    return target


def join_descriptions(parts: Sequence[Path], target: Path) -> Path:
    """Write the streams of several files into one MP4, each with the header that it has."""
    end = 0
    stream = None
    with av.open(str(target), "w") as written:
        for part in parts:
            with av.open(str(part)) as read:
                source = read.streams.video[0]
                header = source.codec_context.extradata if stream is not None else None
                stream = stream or written.add_stream_from_template(source, opaque=True)
                start = end
                for packet in read.demux(source):
                    if not packet.size:
                        continue
                    if header is not None:
                        data = PacketSideData(NEW_EXTRADATA, len(header))
                        data.update(header)
                        packet.set_sidedata(data)
                        header = None
                    packet.pts, packet.dts = packet.pts + start, packet.dts + start
                    end = max(end, packet.pts + packet.duration)
                    packet.stream = stream
                    written.mux(packet)
    return target


def join_flv(parts: Sequence[Path], target: Path, seconds: float) -> Path:
    """Write FLV files of ``seconds`` each into one, as an encoder does that connects anew: each with its own header.

    Tags are a byte for the kind, three for the size of the data, four for the time in ms (the highest one last), and
    three for the stream; the size of the whole tag follows in four bytes.
    """
    content = bytearray(parts[0].read_bytes()[:FLV_HEADER])
    for number, part in enumerate(parts):
        data = part.read_bytes()
        at = FLV_HEADER
        while at < len(data):
            end = at + 11 + int.from_bytes(data[at + 1 : at + 4], "big") + 4
            time = int.from_bytes(data[at + 4 : at + 7], "big") + round(1000 * seconds * number)
            if data[at] != FLV_SCRIPT or number == 0:
                content += data[at : at + 4] + time.to_bytes(3, "big") + data[at + 7 : end]
            at = end
    target.write_bytes(content)
    return target


def write_palettes(path: Path, frames: int, seed: int = 0) -> Path:
    """Write raw pictures of 256 colours, with another palette for each 100 of them."""
    rng = np.random.default_rng(seed)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.height, stream.width, stream.pix_fmt = 96, 128, "pal8"
        for number in range(frames):
            if number % 100 == 0:
                palette = rng.integers(0, 256, (256, 4), np.uint8)
                palette[:, 0] = 255  # opaque
            indices = rng.integers(0, 256, (96 // 8, 128 // 8), np.uint8).repeat(8, 0).repeat(8, 1)
            frame = av.VideoFrame.from_ndarray((indices, palette), format="pal8")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def restamp(source: Path, target: Path, stamp: Callable[[int, float], float | None], *, strays: bool = False) -> Path:
    """Copy a video's compressed frames into another file with other time stamps.

    Args:
        stamp: Gives the seconds at which a frame is shown, from its number in decoding order and those that it had;
            None leaves the frame out.
        strays: Leave the times of decoding as they were, without which no order of frames can be written.
    """
    with av.open(str(source)) as read, av.open(str(target), "w") as written:
        stream = read.streams.video[0]
        copy = written.add_stream_from_template(stream, opaque=True)
        for number, packet in enumerate(packet for packet in read.demux(stream) if packet.size):
            before = float(packet.pts * packet.time_base)
            after = stamp(number, before)
            if after is not None:
                moved = round((after - before) / packet.time_base)
                packet.pts += moved
                if packet.dts is not None and not strays:
                    packet.dts += moved
                packet.stream = copy
                written.mux(packet)
    return target


def damage(path: Path, first: int, count: int) -> Path:
    """Overwrite the compressed frames ``first`` to ``first + count - 1`` with zeros, in place."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    content = bytearray(path.read_bytes())
    for packet in packets[first : first + count]:
        assert packet.pos is not None
        content[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(content)
    return path


def _write_silence(container: av.container.OutputContainer, stream: av.AudioStream, seconds: float) -> None:
    samples = np.zeros((1, 1024), np.float32)
    for start in range(0, int(seconds * 8000), 1024):
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 8000, start, Fraction(1, 8000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode())
