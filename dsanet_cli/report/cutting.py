"""Cutting spans out of a video: its compressed frames copied, or its pictures encoded anew."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import av
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from dsanet_cli.files.folders import Folder, open_folder
from dsanet_cli.report.clips import Span
from dsanet_cli.report.encoding import PictureTrack, SoundTrack, is_about_room
from dsanet_cli.report.packets import Alive, Sound, compressed, pictures
from dsanet_cli.video.container import video_error
from dsanet_cli.video.demux import Chunk, Demuxer
from dsanet_cli.video.options import ReadOptions
from dsanet_cli.video.packet_stream import STAMPLESS_FORMATS
from dsanet_cli.video.packets import copied

MP4_VIDEO = frozenset({"h264", "hevc", "av1", "vp9", "mpeg4"})
MP4_SOUND = frozenset({None, "aac", "mp3", "ac3", "eac3", "alac", "opus"})
"""Codecs that players expect in MP4; all else goes to Matroska."""
HEVC_TAG = "hvc1"
"""By which QuickTime and browsers know HEVC in MP4; FFmpeg's own, hev1, they refuse."""
ENCODE_ANEW = "encode the clips anew with --exact"


def cut(
    video: Path, options: ReadOptions, output: str, place: PurePath, spans: Sequence[Span], exact: bool, alive: Alive
) -> list[str]:
    """Write each span of a video to a file of its own, with its sound.

    Args:
        video: Any that ``detect`` reads.
        options: How it was read.
        output: The folder of results, a path or URL.
        place: Of the clips below it.
        spans: In order of time; they may overlap.
        exact: Encode anew.
        alive: Is called all the time.

    Returns:
        The names of the files.

    Raises:
        VideoError: the video cannot be read, or not be copied without encoding.
        OutputError: a file cannot be written.
    """
    folder = open_folder(output)
    if exact:
        return [_encode(video, options, folder, place, span, alive) for span in spans]
    return _copy(video, options, folder, place, spans, alive)


def _copy(
    video: Path, options: ReadOptions, folder: Folder, place: PurePath, spans: Sequence[Span], alive: Alive
) -> list[str]:
    """Read the video twice: where are key frames and times, and then each frame into the clips that it belongs to."""
    with Demuxer(video, options) as demuxer:
        if demuxer.format in STAMPLESS_FORMATS and demuxer.decoder.has_b_frames:
            raise video_error(video, f"cannot be copied as it is, it does not say when frames are shown; {ENCODE_ANEW}")
        frames = [(frame.stamp, frame.packet.is_keyframe) for frame in compressed(demuxer, alive)]
        sounds = not demuxer.restamped
        zero = float((demuxer.clock.zero or 0) * demuxer.time_base)
    with Demuxer(video, options) as demuxer, contextlib.ExitStack() as stack:
        clips = [_Clip(video, demuxer, span, frames) for span in spans]
        waiting, current = list(clips), dict[_Clip, contextlib.ExitStack]()  # several, where spans overlap
        for number, frame in enumerate(compressed(demuxer, alive)):
            while waiting and waiting[0].first <= number:
                clip = waiting.pop(0)
                current[clip] = stack.enter_context(contextlib.ExitStack())
                clip.sound = current[clip].enter_context(Sound(video, zero, clip.start)) if sounds else None
                current[clip].enter_context(clip.written(folder, place))
            for clip in list(current):
                clip.add(number, frame.packet)
                if clip.stop <= number + 1:
                    current.pop(clip).close()
    return [clip.name for clip in clips]


class _Clip:
    """A clip that is copied: from the key frame before its span on, with stamps from zero.

    Args:
        video: For messages.
        demuxer: Of it.
        span: What it is to show.
        frames: Stamp of each frame of the video in the order of storage, and whether it is a key frame.
    """

    def __init__(self, video: Path, demuxer: Demuxer, span: Span, frames: Sequence[tuple[int, bool]]) -> None:
        self._video, self._stream, self._base = video, demuxer.stream, demuxer.time_base
        base, self._end = demuxer.time_base, span.end
        keys = [number for number, (_, is_key) in enumerate(frames) if is_key or not number]
        before = bisect_right([frames[key][0] for key in keys], round(span.start / base))
        self.first = keys[max(0, before - 1)]
        key = frames[self.first][0]
        late = next((n for n in range(self.first, len(frames)) if frames[n][0] * base >= span.end), len(frames))
        # What is stored after the first late frame may be shown before it, and needs it then, up to the next key frame.
        following = next((k for k in keys if k > late), len(frames))
        inside = [n for n in range(self.first, following) if frames[n][0] * base < span.end]
        self.stop = 1 + max(inside, default=self.first)
        # Leading frames of the first key frame need the group before it.
        shown = [n for n in range(self.first, self.stop) if n == self.first or frames[n][0] > key]
        stamps = [frames[number][0] - key for number in shown]
        if len(set(stamps)) < len(stamps):
            raise video_error(video, f"cannot be copied as it is, frames have the same time stamp; {ENCODE_ANEW}")
        # Frames are decoded in the order of storage: that gets the stamps of the order of showing, early enough.
        order = sorted(stamps)
        delay = max(at - stamp for at, stamp in zip(order, stamps, strict=True))
        self._stamps = {n: (stamp, at - delay) for n, stamp, at in zip(shown, stamps, order, strict=True)}
        self.start = float(key * base)
        self.sound: Sound | None = None
        self._is_common = demuxer.codec in MP4_VIDEO
        self._stem, self.name = span.name, ""
        self._out: OutputContainer
        self._track: VideoStream
        self._heard: SoundTrack | None = None

    @contextlib.contextmanager
    def written(self, folder: Folder, place: PurePath) -> Iterator[None]:
        """Have it written while the block runs; ``sound`` is set before.

        Raises:
            VideoError: the format takes no such frames.
            OutputError: it cannot be written.
        """
        codec = None if self.sound is None else self.sound.codec
        common = self._is_common and codec in MP4_SOUND
        self.name = f"{self._stem}.{'mp4' if common else 'mkv'}"
        with folder.write(place / self.name, "wb") as stream, self._refusing():
            # Negative times are those of decoding, and players know them.
            options = {} if common else {"avoid_negative_ts": "disabled"}
            with av.open(stream, "w", format="mp4" if common else "matroska", options=options) as self._out:
                self._track = self._out.add_stream_from_template(self._stream, opaque=True)
                self._track.time_base = self._base
                if common and self._track.codec_context.name == "hevc":
                    self._track.codec_context.codec_tag = HEVC_TAG
                if self.sound is not None and self.sound.stream is not None:
                    self._heard = SoundTrack(self._out, self.sound, copied=None)
                yield
                if self._heard is not None:
                    self._heard.write(self.start, self._end)

    def add(self, number: int, packet: Packet[VideoStream]) -> None:
        """Write a frame of the video, if it is shown in this clip."""
        if number not in self._stamps:
            return
        copy = copied(packet)
        copy.stream, copy.time_base, copy.duration = self._track, self._base, packet.duration
        copy.pts, copy.dts = self._stamps[number]
        with self._refusing():
            if self._heard is not None:
                self._heard.write(self.start, min(self.start + float(copy.pts * self._base), self._end))
            self._out.mux_one(copy)

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        try:
            yield
        except (av.FFmpegError, ValueError) as error:
            if is_about_room(error):
                raise
            reason = getattr(error, "strerror", None) or error
            raise video_error(self._video, f"cannot be copied as it is ({reason}); {ENCODE_ANEW}") from error


def _encode(video: Path, options: ReadOptions, folder: Folder, place: PurePath, span: Span, alive: Alive) -> str:
    """Write a span, decoded and encoded anew."""
    name = f"{span.name}.mp4"

    def wanted(chunk: Chunk) -> bool:
        times = [time for _, time in chunk.frames]
        return bool(times) and times[0] < span.end and times[-1] >= span.start

    # Of a file with a good index, no more than this is read.
    part = dataclasses.replace(options, start=span.start, end=span.end)
    with Demuxer(video, part) as demuxer, folder.write(place / name, "wb") as stream:
        found = pictures(demuxer, alive, wanted)
        inside = ((time, frame) for time, frame in found if span.start <= time < span.end)
        first = next(inside, None)
        if first is None:
            raise video_error(video, f"no picture can be decoded from {span.start:.1f} s to {span.end:.1f} s")
        start, zero = first[0], float((demuxer.clock.zero or 0) * demuxer.time_base)
        with (
            Sound(video, zero, start) as sound,
            av.open(stream, "w", format="mp4", options={}) as out,
        ):
            track, heard = PictureTrack(out, demuxer.header.rate, first[1]), SoundTrack(out, sound)
            for time, frame in itertools.chain([first], inside):
                if not demuxer.restamped:
                    heard.write(start, time)
                track.add(frame, time - start)
            if not demuxer.restamped:
                heard.write(start, span.end)
            track.finish()
            heard.finish()
    return name
