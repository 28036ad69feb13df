"""Which packets need not be decoded: their pictures are not looked at, and no other one that is needs them.

What a picture is to the others is read off its packet, so that no decoder decides it. Pictures of H.264 and HEVC, and
the B pictures of MPEG-1 and 2, say when no other builds on them (lower case), and an IDR picture (I) says that nothing
after it builds on what is before it::

    stored        I0  P4  B2  b1  b3  P8  B6  b5  b7  P10  b9   I11  P13  b12
    looked at                      x                                 x
    decoded       I0  P4  B2       b3                           I11  P13

Of all other codecs, and where the order of the pictures is in doubt, every packet is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from enum import Enum, auto
from functools import partial

from dsanet_cli.video.bitstream import HEVC_SPS, Header, nal_units
from dsanet_cli.video.demux import Chunk

H264_SLICE, H264_IDR, H264_SLICES, H264_EXTRAS = 1, 5, range(1, 6), (6, 9, 12)
"""Types of NAL units (ISO/IEC 14496-10, table 7-1): two of pictures, and all; messages, delimiters
and filling beside them."""
HEVC_NEEDLESS, HEVC_IDR, HEVC_EXTRAS = (0, 2, 4, 6, 8), (19, 20), (35, 38, 39, 40)
"""The same of HEVC (ISO/IEC 23008-2, table 7-1); on the first kind no picture of its own temporal layer builds."""
HEVC_PICTURES = range(32)
MPEG_PICTURE, MPEG_B = b"\x00\x00\x01\x00", 3
"""Start code of a picture of MPEG-1 or 2, and the number of those on which no other builds (ISO/IEC 13818-2, 6.3.9)."""


class NotSpare(Exception):
    """Packets were left out of a chunk that has to be decoded as a whole."""


class Role(Enum):
    """What a picture is to those around it."""

    USED = auto()
    """Others may build on it."""
    UNUSED = auto()
    """No other builds on it."""
    START = auto()
    """Nothing after it builds on what is before it."""


RoleOf = Callable[[bytes], Role]
"""Reads a packet."""


def role_reader(codec: str, header: Header | None) -> RoleOf | None:
    """How to tell the role of a stream's pictures; None where nothing is known of them.

    Args:
        codec: ffmpeg's name of it.
        header: Of a stream of H.264 or HEVC whose packets bring no other parameters.
    """
    if codec in ("mpeg1video", "mpeg2video"):
        return _mpeg_role
    if codec == "h264" and header is not None:
        return partial(_h264_role, header.length_bytes)
    if codec == "hevc" and header is not None and (layer := _highest_layer(header)) is not None:
        return partial(_hevc_role, header.length_bytes, layer)
    return None


def spare_places(chunk: Chunk, wanted: Set[int], role_of: RoleOf | None) -> frozenset[int]:
    """Places in showing order of the packets that can be left out.

    The first packet stays, and so does the last in showing order where the next chunk starts with it.

    Args:
        chunk: Packets that bring no parameters but the header's.
        wanted: Places of the pictures that are looked at.
        role_of: From ``role_reader``.
    """
    if role_of is None or not (chunk.plain and chunk.ordered):
        return frozenset()
    fixed = {0, len(chunk.packets) - 1} if chunk.overlaps else {0}
    spare = set()
    is_built_on = chunk.overlaps
    """Whether pictures that are decoded later, the next chunk's too, can build on the one at hand."""
    for packet, place in zip(reversed(chunk.packets), reversed(chunk.ranks), strict=True):
        role = role_of(bytes(packet))
        if place in wanted or place in fixed or (is_built_on and role is not Role.UNUSED):
            is_built_on = role is not Role.START
        else:
            spare.add(place)
            is_built_on &= role is not Role.START
    return frozenset(spare)


def without(chunk: Chunk, spare: Set[int]) -> tuple[Chunk, Sequence[int]]:
    """A chunk that lacks packets, to be decoded on its own, and the place in ``chunk`` of each that it has."""
    places = [place for place in range(len(chunk.packets)) if place not in spare]
    ranks = {place: rank for rank, place in enumerate(places)}
    kept = [packet for packet, place in zip(chunk.packets, chunk.ranks, strict=True) if place in ranks]
    frames = [(ranks[place], start) for place, start in chunk.frames if place in ranks]
    left = [ranks[place] for place in chunk.ranks if place in ranks]
    return replace(chunk, packets=kept, ranks=left, frames=frames, gaps={}), places


def _h264_role(length_bytes: int, data: bytes) -> Role:
    kinds = {(unit[0] & 31, unit[0] >> 5 & 3) for unit in nal_units(data, length_bytes) if unit}
    pictures = {(kind, references) for kind, references in kinds if kind not in H264_EXTRAS}
    if pictures == {(H264_SLICE, 0)}:
        return Role.UNUSED
    slices = {kind for kind, _ in pictures if kind in H264_SLICES}
    return Role.START if slices == {H264_IDR} else Role.USED


def _hevc_role(length_bytes: int, highest_layer: int, data: bytes) -> Role:
    units = [unit for unit in nal_units(data, length_bytes) if len(unit) > 1 and unit[0] >> 1 & 63 not in HEVC_EXTRAS]
    kinds = {unit[0] >> 1 & 63 for unit in units}
    if units and all(kind in HEVC_NEEDLESS for kind in kinds):
        # No temporal layer is above it, and no other layer beside it.
        alone = all(unit[0] & 1 == 0 and unit[1] == highest_layer + 1 for unit in units)
        return Role.UNUSED if alone else Role.USED
    return Role.START if kinds & {*HEVC_IDR} and not kinds & {*HEVC_PICTURES} - {*HEVC_IDR} else Role.USED


def _highest_layer(header: Header) -> int | None:
    """The highest temporal layer that a stream may have; None without a sequence parameter set."""
    sequences = [unit for unit in header.parameter_sets if len(unit) > 2 and unit[0] >> 1 & 63 == HEVC_SPS]
    return max((unit[2] >> 1 & 7 for unit in sequences), default=None)


def _mpeg_role(data: bytes) -> Role:
    heads = [part[:2] for part in data.split(MPEG_PICTURE)[1:]]
    kinds = {head[1] >> 3 & 7 if len(head) == 2 else None for head in heads}
    return Role.UNUSED if kinds == {MPEG_B} else Role.USED
