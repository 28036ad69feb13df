"""Damaged videos: small valid ones of many containers and codecs, and seeded ways to break their bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
from media import remux, write_video

_X265 = {"preset": "ultrafast", "x265-params": "log-level=none"}
_FRAGMENTS = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
VIDEOS: dict[str, dict[str, Any]] = {
    "plain.mp4": {"frames": 60, "b_frames": 2, "audio": True},
    "fragmented.mp4": {"audio": True, "container_options": _FRAGMENTS},
    "index-first.mp4": {"container_options": {"movflags": "faststart"}},
    "uneven.mp4": {"frames": 30, "times": [0.04 * k + 0.01 * (k % 3) for k in range(30)]},
    "hevc.mp4": {"codec": "libx265", "b_frames": 2, "options": _X265},
    "av1.mp4": {"codec": "libsvtav1", "frames": 30, "options": {"preset": "12", "svtav1-params": "lp=1"}},
    "turned.mov": {"rotation": 90, "audio": True},
    "plain.mkv": {"frames": 60, "b_frames": 2, "audio": True},
    "hevc-10-bit.mkv": {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": _X265},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "mpeg4.avi": {"codec": "mpeg4", "b_frames": 1},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "frames": 25},
    "many-frames.mkv": {"frames": 600, "rate": 200, "gop": 50},
    "plain.ts": {"audio": True},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "plain.flv": {"audio": True},
    "wmv2.wmv": {"codec": "wmv2"},
    "bare.h264": {"frames": 60},
}
"""File names and arguments of ``media.write_video``; 1 to 3 seconds each."""
SCENE = Path(__file__).resolve().parent.parent / "samples" / "RoadAccidents001.mp4"
SCENE_COPIES = ("scene.mp4", "scene.ts", "scene.flv")
"""The last seconds of a sample, without encoding: pictures of many details in larger frames."""
SCENE_START = 21.0

_BOXES = """
ftyp moov mvhd trak tkhd edts elst mdia mdhd hdlr minf stbl stsd avc1 avcC hvc1 hev1 hvcC av01 av1C mp4a esds
stts ctts stss stsc stsz stco mvex trex moof mfhd traf tfhd tfdt trun mfra mdat
"""
_RIFF = "RIFF LIST hdrl avih strl strh strf movi idx1 00dc"
_EBML = """
1a45dfa3 18538067 114d9b74 1549a966 2ad7b1 4489 1654ae6b ae d7 83 86 63a2 e0 b0 ba 1f43b675 e7 a3 a0 1c53bb6b bb
"""
_START_CODES = "000001ba 000001bb 000001e0 000001b3 000001b5 000001b8 00000100 00000001 00000167 00000168 00000165"
_ASF = "3026b275 a1dcab8c 9107dcb7 3626b275 90080033"
_OTHERS = (b"FLV\x01", b"onMetaData", b"G@", b"G\x00")
MARKS = (
    *(name.encode() for name in (_BOXES + _RIFF).split()),
    *(bytes.fromhex(code) for code in f"{_EBML} {_START_CODES} {_ASF}".split()),
    *_OTHERS,
)
"""What headers and indexes of the containers start with."""
EXTREMES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
HEAD = 1024

Mutation = Callable[[bytes, random.Random, bytes], bytes]


def write_valid(folder: Path) -> dict[str, bytes]:
    """Write the valid videos whose encoders this PyAV has; their contents by name.

    Contents do not change from run to run, so what is mutated from them does not either.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, arguments in VIDEOS.items():
        if _has_encoder(arguments.get("codec", "libx264")):
            container_options = {**arguments.get("container_options", {}), "fflags": "+bitexact"}
            path = write_video(folder / name, **{**arguments, "container_options": container_options})
            found[name] = path.read_bytes()
    for name in SCENE_COPIES:
        found[name] = remux(SCENE, folder / name, start=SCENE_START).read_bytes()
    return found


def _has_encoder(codec: str) -> bool:
    try:
        return av.Codec(codec, "w") is not None
    except ValueError:
        return False


def mutate(seed: int, number: int, valid: Mapping[str, bytes]) -> tuple[str, bytes]:
    """The damaged video ``number`` of ``seed``: its file name, which says what was done to it, and its bytes."""
    rng = random.Random(f"{seed}/{number}")
    base, other = rng.sample(sorted(valid), 2)
    done = rng.choices(sorted(MUTATIONS), k=rng.choice((1, 1, 1, 2, 3)))
    data = valid[base]
    for mutation in done:
        data = MUTATIONS[mutation](data, rng, valid[other])
    stem, _, suffix = base.rpartition(".")
    return f"{number:05}-{stem}-{'+'.join(done)}.{suffix}", data


def noise(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Random bytes at single places, anywhere."""
    changed = bytearray(data)
    for _ in range(_log_uniform(rng, max(1, len(data) // 50))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def burst(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """A run of random bytes."""
    start, end = _span(data, rng)
    return data[:start] + rng.randbytes(end - start) + data[end:]


def zeros(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """A run of zeros."""
    start, end = _span(data, rng)
    return data[:start] + bytes(end - start) + data[end:]


def cut_end(data: bytes, rng: random.Random, other: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def cut_start(data: bytes, rng: random.Random, other: bytes) -> bytes:
    _, end = _span(data, rng)
    return data[end:]


def insert(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """A block of random bytes, zeros or another video in between."""
    length = _log_uniform(rng, max(1, len(data) // 4))
    start, end = _span(other, rng)
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice((rng.randbytes(length), bytes(length), other[start:end])) + data[at:]


def delete(data: bytes, rng: random.Random, other: bytes) -> bytes:
    start, end = _span(data, rng)
    return data[:start] + data[end:]


def head(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Random bytes near the start of the file."""
    changed = bytearray(data)
    for _ in range(_log_uniform(rng, 32)):
        if changed:
            changed[rng.randrange(min(HEAD, len(changed)))] = rng.randrange(256)
    return bytes(changed)


def field(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Random bytes in one header or index."""
    changed = bytearray(data)
    _, end = _mark(data, rng)
    for _ in range(_log_uniform(rng, 8)):
        at = end + rng.randrange(64)
        if at < len(changed):
            changed[at] = rng.randrange(256)
    return bytes(changed)


def size(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """A size, count or offset of one header or index set to an extreme value."""
    start, end = _mark(data, rng)
    at = rng.choice((max(0, start - 4), end, end, end + 4 * rng.randrange(12)))
    value = rng.choice(EXTREMES).to_bytes(4, rng.choice(("big", "little")))
    return data[:at] + value + data[at + 4 :]


def duplicate(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """A block a second time, somewhere."""
    start, end = _span(data, rng)
    at = rng.choice((end, rng.randrange(len(data) + 1)))
    return data[:at] + data[start:end] + data[at:]


def shuffle(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Blocks of the file in another order, its start mostly kept."""
    kept = rng.choice((0, 64, HEAD, HEAD))
    block = max(1, len(data) // rng.randrange(3, 40))
    blocks = [data[at : at + block] for at in range(kept, len(data), block)]
    rng.shuffle(blocks)
    return data[:kept] + b"".join(blocks)


def glue(data: bytes, rng: random.Random, other: bytes) -> bytes:
    """Two files of different kind as one: one after the other, or one in the middle of the other."""
    at = rng.choice((0, len(data), rng.randrange(len(data) + 1)))
    return data[:at] + other + data[at:]


MUTATIONS: dict[str, Mutation] = {
    mutation.__name__.replace("_", "-"): mutation
    for mutation in (
        noise, burst, zeros, cut_end, cut_start, insert, delete, head, field, size, duplicate, shuffle, glue,
    )
}  # fmt: skip


def _span(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Start and end of a stretch of at most a quarter of the file; short ones are as likely as long ones."""
    length = _log_uniform(rng, max(1, len(data) // 4))
    start = rng.randrange(max(1, len(data) - length + 1))
    return start, min(len(data), start + length)


def _mark(data: bytes, rng: random.Random) -> tuple[int, int]:
    """Start and end of what a header or an index starts with; some place near the start where there is none."""
    present = [mark for mark in MARKS if mark in data]
    if not present:
        at = rng.randrange(HEAD)
        return at, at
    mark = rng.choice(present)
    places = []
    at = data.find(mark)
    while at >= 0:
        places.append(at)
        at = data.find(mark, at + 1)
    start = rng.choice(places)
    return start, start + len(mark)


def _log_uniform(rng: random.Random, most: int) -> int:
    """A whole number from 1 to ``most``, of any order of magnitude alike."""
    return min(most, int(most ** rng.random() + 0.5))
