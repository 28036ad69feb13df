"""Which compressed frames are never shown, told from their first bits, so that frames are counted without decoding.

Encoders store pictures that only help to build others, and pictures in halves. What is damaged counts as shown.

    VP8      key  P  P  [alt-ref]  P  P         a packet of its own, with a flag
    VP9      key  P  P  (alt-ref + P)  P        one packet, a superframe; or packets of their own
    MPEG-4   I  (P + B)  [empty]  P  [empty]    packed bitstream: an empty packet stands where the B belongs;
                                                elsewhere it says that nothing has changed
    H.264    top  [bottom]  top  [bottom]       the fields of a picture in packets of their own

    [ ] shows no picture
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

from dsanet_cli.video.bitstream import H264_SPS, BitReader, H264Sequence, Header, nal_units

HEAD = 64
"""Bytes at the start of a frame that hold all that is read of it."""
VP9_MARKER = 0b10
AV1_SEQUENCE, AV1_FRAME_HEADERS = 1, (3, 6)
"""Types of the units of an AV1 stream: its sequence header; a frame's header, alone or with the frame."""
MPEG4_VOL, MPEG4_VOP = range(0x20, 0x30), 0xB6
"""Start codes of MPEG-4 Visual: parameters of a layer; a picture."""
MPEG4_B = 2
"""Kind of a picture that is shown before one that is stored before it."""
EXTENDED_ASPECT, GRAYSCALE = 15, 3
H264_SLICES = (1, 5)


Shown = Callable[[bytes], bool]
"""Is given the packets of a stream in decoding order, and says of each whether it makes a picture to show."""


def shown_by(codec: str, extradata: bytes) -> Shown:
    """How to tell what is shown in a stream of this codec; in most, each packet is.

    Args:
        codec: ffmpeg's name of it.
        extradata: Of the stream.
    """
    makers: dict[str, Callable[[bytes], Shown]] = {
        "vp8": lambda _: _shows_vp8,
        "vp9": lambda _: _shows_vp9,
        "av1": lambda _: _shows_av1,
        "mpeg4": ShownMpeg4,
        "h264": ShownH264,
    }
    return makers[codec](extradata) if codec in makers else lambda _: True


def _shows_vp8(data: bytes) -> bool:
    """RFC 6386, 9.1; key frames, for which damage is often taken, are always shown."""
    is_key, is_shown = not data[0] & 1, data[0] >> 4 & 1
    return is_key or bool(is_shown)


def _shows_vp9(data: bytes) -> bool:
    """VP9 bitstream specification, 6.2 and Annex B."""
    sizes = [len(data)]
    last = data[-1]
    if last >> 5 == 0b110:
        count, width = (last & 7) + 1, (last >> 3 & 3) + 1
        index = data[-2 - count * width :]
        if len(index) == 2 + count * width and index[0] == last:
            sizes = [int.from_bytes(index[1 + at * width :][:width], "little") for at in range(count)]
    at = 0
    for size in sizes:
        if size and _shows_vp9_frame(data[at : at + min(size, HEAD)]):
            return True
        at += size
    return False


def _shows_vp9_frame(data: bytes) -> bool:
    bits = BitReader(data)
    if bits.read(2) != VP9_MARKER:
        return True
    if bits.read(1) + 2 * bits.read(1) == 3:  # profiles above 2 have one bit more
        bits.read(1)
    if bits.read(1):  # an earlier frame is shown
        return True
    bits.read(1)
    return bool(bits.read(1))


def _shows_av1(data: bytes) -> bool:
    """AV1 bitstream specification, 5.3 to 5.9: a temporal unit shows one picture, unless it was cut apart."""
    shown = True  # if it is damaged
    for kind, unit in _av1_units(data):
        bits = BitReader(unit[:HEAD])
        if kind == AV1_SEQUENCE:
            bits.read(4)
            if bits.read(1):  # a still picture has no more to say
                return True
        elif kind in AV1_FRAME_HEADERS:
            if bits.read(1) or bits.read(3) & 1:  # an earlier frame is shown, or this one
                return True
            shown = False
    return shown


def _av1_units(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        header = data[at]
        at += 2 if header & 4 else 1
        size = len(data) - at
        if header & 2:  # says its size: seven bits a byte, the lowest first, the last one with a zero before them
            coded = list(itertools.takewhile(lambda byte: byte > 127, data[at : at + 7]))
            coded += data[at + len(coded) :][:1]
            size = sum((byte & 127) << 7 * place for place, byte in enumerate(coded))
            at += len(coded)
        yield header >> 3 & 15, data[at : at + size]
        at += size


class ShownMpeg4:
    """MPEG-4 Visual (ISO/IEC 14496-2, 6.2.3 and 6.2.5), packed or not."""

    def __init__(self, extradata: bytes) -> None:
        self._time_bits = 0
        self._packed = 0
        """Pictures that came with others and whose empty packets are still to come."""
        self(extradata)

    def __call__(self, data: bytes) -> bool:
        """See ``Shown``."""
        coded = pictures = at = 0
        kind = None
        while (at := data.find(b"\x00\x00\x01", at) + 3) >= 3 and at < len(data):
            if data[at] in MPEG4_VOL:
                self._read_layer(BitReader(data[at + 1 : at + HEAD]))
            elif data[at] == MPEG4_VOP:
                pictures += 1
                bits = BitReader(data[at + 1 : at + HEAD])
                kind = bits.read(2)
                coded += self._is_coded(bits)
        if coded == 1 and kind == MPEG4_B:  # several B in a row: the first came with a P, the empty packet is to come
            return True
        if coded:
            self._packed = coded - 1
        elif pictures and self._time_bits:
            self._packed -= 1
            return self._packed >= 0
        return True

    def _read_layer(self, bits: BitReader) -> None:
        bits.read(9)
        version = bits.read(7) >> 3 if bits.read(1) else 1
        if bits.read(4) == EXTENDED_ASPECT:
            bits.read(16)
        if bits.read(1):
            bits.read(3)
            if bits.read(1):
                bits.read(79)
        if bits.read(2) == GRAYSCALE and version != 1:
            bits.read(4)
        bits.read(1)
        self._time_bits = max(1, (bits.read(16) - 1).bit_length())

    def _is_coded(self, bits: BitReader) -> bool:
        for _ in range(HEAD):
            if not bits.read(1):
                break
        bits.read(2 + self._time_bits)
        return bool(bits.read(1))


class ShownH264:
    """H.264: a field that completes the frame of the field before it shows nothing of its own."""

    def __init__(self, extradata: bytes) -> None:
        self._length_bytes = 0
        self._sequence: H264Sequence | None = None
        self._open: tuple[int, int] | None = None
        """Parity and frame number of a field that waits for the other one."""
        try:
            header = Header.read("h264", extradata)
        except ValueError:
            return
        self._length_bytes = header.length_bytes
        for unit in header.parameter_sets:
            self._take_sequence(unit)

    def __call__(self, data: bytes) -> bool:
        """See ``Shown``."""
        if self._sequence is None or self._sequence.progressive:
            return True
        fields = set()
        for unit in nal_units(data, self._length_bytes):
            self._take_sequence(unit)
            if unit and unit[0] & 31 in H264_SLICES:
                fields.add(self._field(unit))
        before, self._open = self._open, None
        if len(fields) != 1:
            return True
        (field,) = fields
        if field is None:
            return True
        parity, number = field
        if before == (1 - parity, number):
            return False
        self._open = field
        return True

    def _take_sequence(self, unit: bytes) -> None:
        if unit and unit[0] & 31 == H264_SPS:
            self._sequence = H264Sequence.read(unit)

    def _field(self, unit: bytes) -> tuple[int, int] | None:
        """Parity (1 for the lower one) and frame number of a slice's field; None in a whole frame."""
        assert self._sequence is not None
        bits = BitReader(unit[1:HEAD].replace(b"\x00\x00\x03", b"\x00\x00"))
        for _ in range(3):  # first macroblock, kind of slice, picture parameters
            bits.read_exp_golomb()
        if self._sequence.separate_planes:
            bits.read(2)
        number = bits.read(self._sequence.frame_number_bits)
        if self._sequence.progressive or not bits.read(1):
            return None
        return bits.read(1), number
