"""Pictures as H.264, and sound as it is or as AAC, into MP4 files that everything plays."""

from __future__ import annotations

import errno
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from dsanet_cli.report.packets import Sound
from dsanet_cli.video.probe import Orientation

TICK = Fraction(1, 90_000)
"""Seconds of a time stamp."""
PRESET, QUALITY = "veryfast", "23"
COPIED_SOUND = frozenset({"aac", "mp3", "ac3", "eac3"})
"""Codecs that all players know in MP4; others become AAC."""
_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

Planes = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Of a picture in YUV 4:2:0: (H, W), and twice (H / 2, W / 2); H and W are even."""


def is_about_room(error: BaseException) -> bool:
    """Whether an error is the disk's, and not the video's."""
    return isinstance(error, OSError) and error.errno in _ROOM


class PictureTrack:
    """Encodes the pictures of a video, upright, all of the size of the first.

    Args:
        out: The file to be.
        rate: Frames per second, roughly.
        first: A picture of the video.
    """

    def __init__(self, out: OutputContainer, rate: Fraction | None, first: VideoFrame) -> None:
        self._out = out
        self._stream = out.add_stream("libx264", rate=rate or Fraction(25))
        self._stream.codec_context.time_base = TICK
        self._stream.pix_fmt = "yuv420p"
        self._stream.options = {"preset": PRESET, "crf": QUALITY}
        self._last = -1
        self._size = max(2, first.width // 2 * 2), max(2, first.height // 2 * 2)
        self._orientation = Orientation.of(first)
        width, height = self._size[::-1] if self._orientation.transpose else self._size
        self._stream.width, self._stream.height = width, height

    def add(self, frame: VideoFrame, seconds: float, draw: Callable[[Planes], None] | None = None) -> None:
        """Encode a picture that is shown at a time; one that is not after the one before is left out."""
        stamp = round(seconds * 1 / TICK)
        if stamp <= self._last:
            return
        self._last = stamp
        planes = self._upright(frame.reformat(*self._size, format="yuv420p"))
        if draw is not None:
            draw(planes)
        encoded = VideoFrame.from_ndarray(_packed(planes), format="yuv420p")
        encoded.pts, encoded.time_base = stamp, TICK
        self._out.mux(self._stream.encode(encoded))

    def finish(self) -> None:
        """Encode what waits."""
        self._out.mux(self._stream.encode())

    def _upright(self, frame: VideoFrame) -> Planes:
        width, height = frame.width, frame.height
        packed: NDArray[np.uint8] = np.asarray(frame.to_ndarray(), np.uint8)  # (H + H / 2, W)
        colors = packed[height:].reshape(2, height // 2, width // 2)
        turned = (np.ascontiguousarray(self._orientation.upright(p)) for p in (packed[:height], colors[0], colors[1]))
        luma, blue, red = turned
        return luma, blue, red


def _packed(planes: Planes) -> NDArray[np.uint8]:
    luma, blue, red = planes
    return np.concatenate([luma, blue.reshape(-1, luma.shape[1]), red.reshape(-1, luma.shape[1])])


class SoundTrack:
    """The sound of a span: copied where every player knows it, else as AAC.

    Args:
        out: The file to be.
        sound: Of the video.
        copied: Codecs that are copied; None copies all.
    """

    def __init__(self, out: OutputContainer, sound: Sound, copied: frozenset[str] | None = COPIED_SOUND) -> None:
        self._out = out
        self._sound = sound
        self._stream: AudioStream | None = None
        self._resampler: AudioResampler | None = None
        self._last = -1
        source = sound.stream
        if source is None:
            return
        if copied is None or sound.codec in copied:
            self._stream = out.add_stream_from_template(source, opaque=True)
        else:
            rate = source.codec_context.sample_rate
            self._stream = out.add_stream("aac", rate=rate, layout=source.codec_context.layout)
            self._resampler = AudioResampler("fltp", source.codec_context.layout, rate)

    def write(self, start: float, until: float) -> None:
        """Write what is heard up to a time; ``start`` is the time that becomes zero, and nothing before it is kept."""
        for seconds, packet in self._sound.until(until):
            if seconds < start - 1e-6 or self._stream is None:
                continue
            if self._resampler is None:
                self._copy(packet, seconds - start)
            else:
                self._encode(packet, seconds - start)

    def finish(self) -> None:
        """Encode what waits."""
        if self._resampler is not None and self._stream is not None and self._last >= 0:
            self._out.mux(self._stream.encode(None))

    def _copy(self, packet: Packet[AudioStream], seconds: float) -> None:
        assert packet.time_base is not None
        stamp = max(round(seconds / packet.time_base), self._last + 1)
        packet.pts = packet.dts = self._last = stamp
        packet.stream = self._stream  # type: ignore[assignment]
        self._out.mux_one(packet)

    def _encode(self, packet: Packet[AudioStream], seconds: float) -> None:
        assert self._stream is not None
        assert self._resampler is not None
        try:
            frames = packet.decode()
        except av.FFmpegError:  # a damaged piece is silent
            return
        for frame in frames:
            if self._last < 0:
                self._last = round(seconds * frame.sample_rate)
            frame.pts, frame.time_base = self._last, Fraction(1, frame.sample_rate)
            self._last += frame.samples
            for even in self._resampler.resample(frame):
                self._out.mux(self._stream.encode(even))
