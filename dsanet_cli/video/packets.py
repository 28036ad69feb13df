"""What a packet carries beside its bytes: parameters for the decoder that count from there on, and marks."""

from __future__ import annotations

from typing import Literal

from av.packet import Packet, PacketSideData
from av.video.stream import VideoStream

PARAMETERS: tuple[Literal["new_extradata", "param_change", "palette"], ...] = (
    "new_extradata",
    "param_change",
    "palette",
)
"""What a packet can carry beside its bytes that counts for those after it, too."""


class Parameters:
    """Remembers the parameters that packets brought, and gives them to each key frame after them.

        packets    key  P  P   key B  P  P   key  P  P   key  P  P
        given                                key B       key B

    So decoding can start at any of them.
    """

    def __init__(self) -> None:
        self._latest: dict[str, PacketSideData] = {}

    def repeat(self, packet: Packet[VideoStream]) -> None:
        """Take a packet's parameters, or give it those that came before."""
        for kind in PARAMETERS:
            if packet.has_sidedata(kind):
                self._latest[kind] = packet.get_sidedata(kind)
            elif packet.is_keyframe and kind in self._latest:
                packet.set_sidedata(self._latest[kind])


def carries_parameters(packet: Packet[VideoStream]) -> bool:
    """Whether a packet brings other parameters for the decoder, or a palette."""
    return any(packet.has_sidedata(kind) for kind in PARAMETERS)


def copied(packet: Packet[VideoStream], head: bytes = b"") -> Packet[VideoStream]:
    """A compressed frame after ``head``, without its time stamps, with all that decoders heed beside its bytes."""
    # Made of its size first: PyAV leaves no room behind the bytes that it is given, where decoders read on.
    copy: Packet[VideoStream] = Packet(len(head) + packet.size)  # type: ignore[assignment]
    copy.update(head + bytes(packet))
    copy.is_keyframe = packet.is_keyframe  # without the mark, a PNG is taken for the difference to the one before
    for data in packet.iter_sidedata():
        copy.set_sidedata(data)
    return copy
