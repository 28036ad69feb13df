"""The compressed frames of a stream in the order of the file, with times that can be believed."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from dsanet_cli.video.avi_index import numbered
from dsanet_cli.video.clock import Clock
from dsanet_cli.video.packets import Parameters
from dsanet_cli.video.shown import shown_by
from dsanet_cli.video.stamps import AHEAD, StampLine
from dsanet_cli.video.transport import Transport

STAMPLESS_FORMATS = ("avi",)
"""Formats without presentation times; those that ffmpeg makes up do not say which frame comes after which."""
INDEXED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2",)
"""Formats whose index names every frame, so that none is missing where time stamps are far apart."""


@dataclass(frozen=True)
class Mark:
    """What is known of a packet beside what it says itself; kept in its ``opaque``."""

    guessed: bool = False
    """Its time stamp is."""
    lost: bool = False
    """Frames before it are missing."""
    silent: bool = False
    """It makes no picture."""


class PacketStream:
    """Reads one stream from start to end.

    Args:
        path: The file.
        container: The file, opened.
        stream: Of it.
        line: Judges its stamps.
        clock: Is told the stamp of the start where the file does not say it.
    """

    def __init__(
        self, path: Path, container: InputContainer, stream: VideoStream, line: StampLine, clock: Clock
    ) -> None:
        self._container = container
        self._stream = stream
        self._line = line
        self._clock = clock
        self._format = container.format.name
        self._parameters = Parameters()
        codec = stream.codec_context
        self._shows = shown_by(codec.codec.canonical_name, codec.extradata or b"")
        self._transport = Transport(path, stream)
        self.failed = False
        """Whether it could not be read to its end."""
        self.restamped = False
        """Whether others contradicted a time stamp, so that what was recorded beside has other times, too."""

    def packets(self) -> Iterator[Packet[VideoStream]]:
        """Packets as they are, but for parameters that count from before."""
        held: Packet[VideoStream] | None = None
        try:
            for packet in self._transport.ordered(self._container.demux(self._stream)):
                if packet.size:
                    self._parameters.repeat(packet)
                    if held is not None:
                        yield held
                    held = packet
        except av.FFmpegError:
            self.failed = True
        except IndexError:
            pass  # from PyAV after the last packet, if a stream appeared midway
        if held is not None and not held.is_corrupt:  # a recording can stop in the middle of its last frame
            yield held

    def seconds_elsewhere(self) -> float:
        """After ``packets``: seconds for which the video goes on in another stream after the last frame of this one."""
        return 0.0 if self.failed else self._transport.seconds_elsewhere()

    def timed(self) -> Iterator[Packet[VideoStream]]:
        """Packets with time stamps that can be believed; those around missing ones are marked as corrupt."""
        packets: Iterator[tuple[Packet[VideoStream], int]] = ((packet, 0) for packet in self.packets())
        if self._format in STAMPLESS_FORMATS:
            packets = numbered(self.packets(), self._stream, self._container.size)
        ahead = deque(itertools.islice(packets, AHEAD))
        before: Packet[VideoStream] | None = None
        moved = 0
        for following in itertools.chain(packets, itertools.repeat(None, len(ahead))):
            if following is not None:
                ahead.append(following)
            packet, shift = ahead.popleft()
            stamps = [value for later, _ in ahead if (value := stamp_of(later)) is not None]
            stamp = stamp_of(packet)
            believed = self._line.believe(stamp, stamps)
            self.restamped |= stamp is not None and believed.stamp != stamp
            if packet.is_corrupt and self._line.starts_anew(stamps):  # only another count of transport packets
                packet.is_corrupt = False
            if before is None and self._clock.zero is None and believed.stamp is not None:
                self._clock.zero = believed.stamp - shift
            silent = not self._shows(bytes(packet))
            if silent:  # the second field of a key frame does not stand alone
                packet.is_keyframe = False
            suspect = believed.gap and self._format not in INDEXED_FORMATS
            lost = shift > moved or packet.is_corrupt or (suspect and not packet.is_keyframe)
            packet.pts, packet.opaque, moved = believed.stamp, Mark(believed.guessed, lost, silent), shift
            if suspect or lost:
                _spoil(before, packet, has_leading=any(later < (stamp or 0) for later in stamps))
            if before is not None:
                yield before
            before = packet
        if before is not None:
            yield before


def stamp_of(packet: Packet[VideoStream]) -> int | None:
    """When a packet is shown, in ticks; else when it is decoded."""
    return packet.dts if packet.pts is None else packet.pts


def mark_of(packet: Packet[VideoStream]) -> Mark:
    """What ``PacketStream`` found out about a packet."""
    mark = packet.opaque
    return mark if isinstance(mark, Mark) else Mark()


def _spoil(before: Packet[VideoStream] | None, packet: Packet[VideoStream], has_leading: bool) -> None:
    """Mark as corrupt, where frames are missing before ``packet``, what makes decoders lose all that builds on them.

    ::

        decoded    P  P  P  ...  P  P  I  P        P  P  P  ...  I  B  B  P
        corrupt                  x                       x
        lost                     x  x                    x          x  x        (open group)
    """
    if not packet.is_keyframe:
        packet.is_corrupt = True
    elif has_leading and before is not None:
        before.is_corrupt = True
