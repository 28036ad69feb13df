"""Going straight to a part of a file whose index leaves no question about the rest.

Frames are numbered and timed by reading, and holes are found by it. So nothing is left unread unless an index names
every frame and all are at the same distance: then what is not read is known all the same.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from itertools import pairwise

from av.video.stream import VideoStream

from dsanet_cli.video.bitstream import H264_SPS, H264Sequence, Header
from dsanet_cli.video.stamps import REORDERED

FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2",)
SHOWN = ("h264", "hevc", "mjpeg", "mpeg2video", "prores", "dnxhd", "dvvideo")
"""Codecs that show each of their packets; H.264 does so where it has no fields."""
FEW_KEYS = 2
"""If more than one of so many frames is said to be a key frame, this is believed of codecs with nothing else only."""


@dataclass(frozen=True)
class SteadyIndex:
    """What the index of a stream says; times are those of decoding, in ticks."""

    frames: int
    step: int
    """Ticks from each frame to the next."""
    keys: tuple[int, ...]
    """Times of the key frames, in order."""

    @classmethod
    def read(cls, stream: VideoStream, size: int) -> SteadyIndex | None:
        """The index of a stream of a file of ``size`` bytes; None unless it says all there is to know of each frame."""
        if stream.container.format.name not in FORMATS or not _shows_all(stream):
            return None
        entries = list(stream.index_entries)
        if len(entries) < 3 or len(entries) != stream.frames:
            return None
        if any(entry.is_discard or not entry.size or entry.pos + entry.size > size for entry in entries):
            return None
        steps = {after.timestamp - before.timestamp for before, after in pairwise(entries)}
        keys = tuple(entry.timestamp for entry in entries if entry.is_keyframe)
        if len(steps) > 1 or (FEW_KEYS * len(keys) > len(entries) and not stream.codec_context.codec.intra_only):
            return None
        return cls(len(entries), steps.pop(), keys)

    def start_for(self, stamp: int) -> int | None:
        """The key frame from which to read what is shown at ``stamp`` and later; None is the start of the file.

        It is not the last one before that, since the frames after a key frame can need those before it, too.
        """
        at = bisect.bisect_right(self.keys, stamp - REORDERED * self.step) - 2
        return self.keys[at] if at > 0 else None


def _shows_all(stream: VideoStream) -> bool:
    codec = stream.codec_context
    name = codec.codec.canonical_name
    if name != "h264":
        return name in SHOWN
    try:
        sets = Header.read(name, codec.extradata or b"").parameter_sets
    except ValueError:
        return False
    sequences = [unit for unit in sets if unit[0] & 31 == H264_SPS]
    return bool(sequences) and all(H264Sequence.read(unit).progressive for unit in sequences)
