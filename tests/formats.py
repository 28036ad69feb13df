"""Videos of many formats, whose frames say their numbers."""

from __future__ import annotations

from media import read_number

from dsanet_cli.video.demux import CHUNK_FRAMES
from dsanet_cli.video.reader import sample_offsets

SIZE = (96, 128)
SEVERAL_CHUNKS = CHUNK_FRAMES + 50
OPEN_GOP = {"x264-params": "open-gop=1:b-adapt=0"}
HEVC_OPEN_GOP = {"x265-params": "log-level=none:open-gop=1"}
FORMATS = {
    "h264.mp4": {},
    "b-frames.mp4": {"b_frames": 2},
    "open-gop.mp4": {"b_frames": 3, "options": OPEN_GOP},
    "fragmented.mp4": {"b_frames": 2, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "12"}},
    "vp9.webm": {"codec": "libvpx-vp9", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "vp8.webm": {"codec": "libvpx", "options": {"deadline": "realtime", "cpu-used": "8"}},
    "hevc-open-gop.mkv": {"codec": "libx265", "b_frames": 3, "options": HEVC_OPEN_GOP},
    "hevc-10-bit.mkv": {"codec": "libx265", "pix_fmt": "yuv420p10le", "options": HEVC_OPEN_GOP},
    "mpeg4.avi": {"codec": "mpeg4"},
    "mpeg4-b-frames.avi": {"codec": "mpeg4", "b_frames": 2},
    "h264-b-frames.avi": {"b_frames": 2},
    "mjpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p"},
    "h264.ts": {"b_frames": 2},
    "open-gop.ts": {"b_frames": 3, "options": OPEN_GOP},
    "mpeg2.mpg": {"codec": "mpeg2video", "b_frames": 2},
    "h264.flv": {"b_frames": 2},
    "bare.h264": {"b_frames": 2},
}


def numbers(reader):
    return [[read_number(frame) for frame in snippet.frames] for snippet in reader.snippets()]


def expected_numbers(frames, sampled, snippet=16):
    return [
        [start + offset for offset in sample_offsets(min(snippet, frames - start), sampled)]
        for start in range(0, frames, snippet)
    ]
