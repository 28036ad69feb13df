"""Reading compressed frames of H.264 and HEVC: their parts (NAL units) and their sequence parameters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

START_CODE = b"\x00\x00\x01"
H264_SPS, H264_PPS = 7, 8
HEVC_VPS, HEVC_SPS, HEVC_PPS = 32, 33, 34
PARAMETER_SETS = {"h264": (H264_SPS, H264_PPS), "hevc": (HEVC_VPS, HEVC_SPS, HEVC_PPS)}
"""Types of the NAL units that hold parameters for the others."""
AVCC_HEADER, HVCC_HEADER = 5, 22
"""Bytes before the parameter sets in the header of an MP4, Matroska or FLV stream."""
SCALING_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)
"""H.264 profiles whose parameters name a chroma format and scaling lists (ISO/IEC 14496-10, 7.3.2.1.1)."""


class BitReader:
    """Reads bits from the first one on, the highest of a byte first; after the last one, zeros."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    def read(self, count: int) -> int:
        """An unsigned number of ``count`` bits."""
        self._left -= count
        shifted = self._bits >> self._left if self._left >= 0 else self._bits << -self._left
        return shifted & ((1 << count) - 1)

    def read_exp_golomb(self) -> int:
        """An unsigned number in Exp-Golomb code: as many zeros as bits follow the first one."""
        zeros = 0
        while self._left > 0 and not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)

    def read_signed_exp_golomb(self) -> int:
        """A signed number in Exp-Golomb code: 0, 1, -1, 2, -2 and so on."""
        code = self.read_exp_golomb()
        return (code + 1) // 2 if code % 2 else -(code // 2)


@dataclass(frozen=True)
class Header:
    """The parameters that a stream starts with, and how its NAL units are divided.

    ``length_bytes`` is the size of the number before each unit that says how long it is; 0 where start codes
    divide them.
    """

    length_bytes: int
    parameter_sets: frozenset[bytes]

    @classmethod
    def read(cls, codec: str, extradata: bytes) -> Header:
        """Read a stream's ``extradata``, which is laid out by ISO/IEC 14496-15 or just NAL units.

        Raises:
            ValueError: it is cut off.
        """
        if not extradata or extradata.startswith((START_CODE, b"\x00" + START_CODE)):
            return cls(0, frozenset(unit for unit in nal_units(extradata, 0) if is_parameter_set(codec, unit)))
        try:
            sets = _avcc_sets(extradata) if codec == "h264" else _hvcc_sets(extradata)
            length_bytes = 1 + (extradata[4 if codec == "h264" else 21] & 3)
            return cls(length_bytes, frozenset(unit.rstrip(b"\x00") for unit in sets))
        except IndexError as error:
            raise ValueError("the stream's header is cut off") from error


def nal_units(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """The NAL units of a compressed frame, without zeros at the end; ``length_bytes`` as in ``Header``."""
    if not length_bytes:
        for unit in data.split(START_CODE)[1:]:
            yield unit.rstrip(b"\x00")
        return
    at = 0
    while at + length_bytes < len(data):
        start = at + length_bytes
        at = start + int.from_bytes(data[at:start], "big")
        yield data[start:at].rstrip(b"\x00")


def is_parameter_set(codec: str, unit: bytes) -> bool:
    """Whether a NAL unit holds parameters for others."""
    return bool(unit) and (unit[0] & 31 if codec == "h264" else unit[0] >> 1 & 63) in PARAMETER_SETS[codec]


@dataclass(frozen=True)
class H264Sequence:
    """From an H.264 sequence parameter set: bits of a frame number, and whether all frames are progressive."""

    separate_planes: bool
    frame_number_bits: int
    progressive: bool

    @classmethod
    def read(cls, unit: bytes) -> H264Sequence:
        """Read a NAL unit of the type ``H264_SPS`` (ISO/IEC 14496-10, 7.3.2.1.1)."""
        bits = BitReader(unit[1:].replace(b"\x00\x00\x03", b"\x00\x00"))
        profile = bits.read(8)
        bits.read(16)
        bits.read_exp_golomb()
        separate_planes = profile in SCALING_PROFILES and _skip_chroma_and_scaling(bits)
        frame_number_bits = 4 + bits.read_exp_golomb()
        order_kind = bits.read_exp_golomb()
        if order_kind == 0:
            bits.read_exp_golomb()
        elif order_kind == 1:
            bits.read(1)
            bits.read_signed_exp_golomb()
            bits.read_signed_exp_golomb()
            for _ in range(min(bits.read_exp_golomb(), 255)):
                bits.read_signed_exp_golomb()
        bits.read_exp_golomb()  # reference frames
        bits.read(1)
        bits.read_exp_golomb()  # width
        bits.read_exp_golomb()  # height
        return cls(separate_planes, frame_number_bits, bool(bits.read(1)))


def _skip_chroma_and_scaling(bits: BitReader) -> bool:
    """Whether the three planes are coded apart; the fields after that are skipped."""
    chroma = bits.read_exp_golomb()
    separate_planes = chroma == 3 and bool(bits.read(1))
    bits.read_exp_golomb()
    bits.read_exp_golomb()
    bits.read(1)
    if bits.read(1):
        for index in range(12 if chroma == 3 else 8):
            if bits.read(1):
                _skip_scaling_list(bits, 16 if index < 6 else 64)
    return separate_planes


def _skip_scaling_list(bits: BitReader, size: int) -> None:
    last = scale = 8
    for _ in range(size):
        if scale:
            scale = (last + bits.read_signed_exp_golomb()) % 256
        last = scale or last


def _avcc_sets(extradata: bytes) -> Iterator[bytes]:
    at = AVCC_HEADER
    for mask in (31, 255):  # sequence, then picture parameter sets; three bits of the first count are reserved
        count = extradata[at] & mask
        at += 1
        for _ in range(count):
            unit, at = _sized(extradata, at)
            yield unit


def _hvcc_sets(extradata: bytes) -> Iterator[bytes]:
    at = HVCC_HEADER + 1
    for _ in range(extradata[HVCC_HEADER]):
        count = int.from_bytes(extradata[at + 1 : at + 3], "big")
        at += 3
        for _ in range(count):
            unit, at = _sized(extradata, at)
            if is_parameter_set("hevc", unit):
                yield unit


def _sized(data: bytes, at: int) -> tuple[bytes, int]:
    """The bytes after a two-byte length, and the position after them."""
    end = at + 2 + int.from_bytes(data[at : at + 2], "big")
    if end > len(data):
        raise IndexError(end)
    return data[at + 2 : end], end
