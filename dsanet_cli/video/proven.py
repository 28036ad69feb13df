"""Which chunks decord may decode: those for which tests prove that its pictures equal PyAV's to the bit.

A chunk is cut out of its file and written to another one, and decord reads only that. Parameters that the cut loses
are unknown to decord, which decodes all the same, to noise:

    file     header A   key . . . .  key . . . .  [new header B]  key . . . .  key . . . .
    chunks   A + key . . . .         A + key . .                  A + key ✗ ✗  A + key ✗ ✗
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from dsanet_cli.video.bitstream import (
    H264_SPS,
    PARAMETER_SETS,
    H264Sequence,
    Header,
    is_parameter_set,
    nal_units,
)
from dsanet_cli.video.demux import Chunk, Demuxer
from dsanet_cli.video.spare import RoleOf, role_reader

MP4, MATROSKA, MPEG_TS = "mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "mpegts"


@dataclass(frozen=True)
class Kind:
    """Streams of one codec that decord decodes as PyAV does, in files of these formats, of these pixel formats."""

    containers: frozenset[str]
    pixels: frozenset[str]


PROVEN: Mapping[str, Kind] = MappingProxyType(
    {
        "h264": Kind(frozenset({MP4, MATROSKA, MPEG_TS, "flv", "avi", "h264"}), frozenset({"yuv420p", "yuvj420p"})),
        "hevc": Kind(frozenset({MP4, MATROSKA, MPEG_TS, "hevc"}), frozenset({"yuv420p", "yuvj420p", "yuv420p10le"})),
        "vp9": Kind(frozenset({MP4, MATROSKA}), frozenset({"yuv420p"})),
        "av1": Kind(frozenset({MP4, MATROSKA}), frozenset({"yuv420p", "yuv420p10le"})),
    }
)
"""By ffmpeg's name of the codec. All others go to PyAV, which costs about the same. Left out on purpose: codecs whose
pictures can be interlaced although the header does not say so, and those with frames that are never shown."""


class Prover:
    """Decides for each chunk of one video whether decord may decode it; is asked about all of them in order.

    Args:
        demuxer: Of the video.
    """

    def __init__(self, demuxer: Demuxer) -> None:
        self._codec = demuxer.codec
        kind = PROVEN.get(self._codec)
        decoder = demuxer.decoder
        self._proven = (
            kind is not None
            and demuxer.parity is None
            and demuxer.format in kind.containers
            and decoder.pix_fmt in kind.pixels
        )
        self._header: Header | None = None
        if self._codec in PARAMETER_SETS:
            with contextlib.suppress(ValueError):
                self._header = Header.read(self._codec, decoder.extradata or b"")
        self._progressive = demuxer.parity is None and (self._header is None or self._is_progressive(self._header))

    def is_proven(self, chunk: Chunk) -> bool:
        """Whether the chunk holds nothing that decord gets wrong."""
        if self._header is not None and not _has_its_parameters(chunk, self._codec, self._header):
            self._header = None  # parameters can apply to later chunks, too, which do not contain them
        known = self._progressive and (self._codec not in PARAMETER_SETS or self._header is not None)
        return known and self._proven and chunk.plain and chunk.packets[0].is_keyframe

    def role_reader(self) -> RoleOf | None:
        """How to tell the role of the pictures of the chunk asked about last; None where that is not known.

        It is not of interlaced ones either: to make them whole takes those beside them.
        """
        return role_reader(self._codec, self._header) if self._progressive else None

    def _is_progressive(self, header: Header) -> bool:
        if self._codec != "h264":
            return True
        sequences = [unit for unit in header.parameter_sets if unit and unit[0] & 31 == H264_SPS]
        return all(H264Sequence.read(unit).progressive for unit in sequences)


def _has_its_parameters(chunk: Chunk, codec: str, header: Header) -> bool:
    """Whether all parameters within a chunk are those of the stream's header."""
    return all(
        unit in header.parameter_sets
        for packet in chunk.packets
        for unit in nal_units(bytes(packet), header.length_bytes)
        if is_parameter_set(codec, unit)
    )
