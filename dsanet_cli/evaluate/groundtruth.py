"""Reads what happens when in test videos: annotation text files and the research repositories' arrays.

How the pieces go together, for videos of a feature list and their lengths in frames (16 per snippet)::

    truths = match_videos(read_annotations(path), names)             # or read_segment_arrays(…)
    check_lengths(truths, frames)
    labels = [frame_truth(truth, n) for truth, n in zip(truths, frames)]  # or read_frame_array(…)
    truths = rename_classes(with_normal_segments(truths, frames), preset.labels)   # for mAP
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dsanet_cli.config import FRAMES_PER_SNIPPET
from dsanet_cli.errors import FeatureError, SourceError
from dsanet_cli.evaluate.frame_metrics import NORMAL_LABELS, FrameLabels, Segment, VideoTruth, frame_mask, listed
from dsanet_cli.evaluate.object_arrays import Value, read_lists, read_numbers
from dsanet_cli.files.regular import read_regular
from dsanet_cli.files.typed import decode_text

PUBLISHED_NORMAL = "A"
"""What the research repositories' arrays call a normal video, UCF-Crime's too."""

_VIDEO_SUFFIX = re.compile(r"\.(mp4|avi|mkv|mov|webm|m4v)$", re.IGNORECASE)
_FEATURE_SUFFIX = re.compile(r"(__\d+)?\.npy$", re.IGNORECASE)
_CODES = re.compile(r"_label_([A-Za-z0-9-]+)$")
_INTEGER = re.compile(r"-?\d+")


LARGEST_ANNOTATIONS = 8 * 2**20
"""Bytes."""
LONGEST_LINE = 20_000
"""Characters; some thousand intervals."""
LONGEST_NUMBER = 10
"""Digits of a frame number; ten of them are years of video."""
LONGEST_QUOTE = 80
"""Characters that a message repeats."""


class _MalformedError(ValueError):
    """A line that does not follow the format; says why."""


def frame_truth(truth: VideoTruth, frames: int, normal: Collection[str] = NORMAL_LABELS) -> FrameLabels:
    """(frames,) uint8, 1 where something abnormal happens; what lies beyond the video is cut off.

    Segments of a class in ``normal`` do not count.
    """
    return frame_mask((s for s in truth.segments if s.class_name not in normal), frames)


def video_name(path: str) -> str:
    """Name a video the same from its file, its feature file (``<video>__<crop>.npy``) and an annotation."""
    name = re.split(r"[/\\]", path)[-1]
    return _VIDEO_SUFFIX.sub("", _FEATURE_SUFFIX.sub("", name))


def classes_in_name(name: str) -> tuple[str, ...]:
    """Give the codes in an XD-Violence name (``…_label_B2-G-0``: B2 and G), none for other names."""
    match = _CODES.search(name)
    codes = match[1].split("-") if match else []
    return tuple(dict.fromkeys(code for code in codes if code != "0"))


def read_annotations(path: Path) -> tuple[VideoTruth, ...]:
    """Read a text file of the UCF-Crime or XD-Violence formats, one line a video.

    After the name come intervals as pairs of start and end frame, -1 -1 for none. A class stands before the
    first interval it holds for (UCF-Crime, XD-Violence with classes); without any, the classes are those in
    the name, and where these are several, a segment's class is not known (None).

    Raises:
        SourceError: the file cannot be read, is empty, names a video twice, or has a line of another format;
            names the line.

    """
    try:
        lines = decode_text(read_regular(path, LARGEST_ANNOTATIONS)).splitlines()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror}); give a text file of annotations") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path}: not a text file of annotations ({error}); arrays end in .npy") from error
    truths: dict[str, VideoTruth] = {}
    first_line: dict[str, int] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            truth = _parse_line(line.strip())
        except _MalformedError as error:
            raise SourceError(
                f"{path}: line {number}: {error}; a line is a name, a class, and start and end frames, "
                "such as 'Abuse028_x264  Abuse  165  240  -1  -1'"
            ) from error
        if truth.name in truths:
            raise SourceError(
                f"{path}: line {number}: {truth.name} is already in line {first_line[truth.name]}; join the two lines"
            )
        truths[truth.name], first_line[truth.name] = truth, number
    if not truths:
        raise SourceError(f"{path}: holds no annotations")
    return tuple(truths.values())


def match_videos(truths: Sequence[VideoTruth], names: Sequence[str]) -> tuple[VideoTruth, ...]:
    """Pick each video's ground truth, in the order of ``names`` (videos or feature files, folders ignored).

    XD-Violence annotates abnormal videos only: a name that says normal (``…_label_A``) needs no line.

    Raises:
        SourceError: videos without ground truth; names them.

    """
    by_name = {truth.name: truth for truth in truths}
    found, missing = [], []
    for name in map(video_name, names):
        classes = classes_in_name(name)
        if name in by_name:
            found.append(by_name[name])
        elif classes and NORMAL_LABELS.issuperset(classes):
            found.append(VideoTruth(name, classes, ()))
        else:
            missing.append(name)
    if missing:
        raise SourceError(
            f"no ground truth for {len(missing)} of {len(names)} videos: {listed(missing)}; "
            "add their lines or take them off the list"
        )
    return tuple(found)


def read_segment_arrays(segments: Path, labels: Path, names: Sequence[str]) -> tuple[VideoTruth, ...]:
    """Read a research repository's ``gt_segment*.npy`` and ``gt_label*.npy``, in its test list's order.

    A normal video is there one segment of its whole length.

    Args:
        segments: per video a list of (start, end) frames.
        labels: per video a list of as many classes.
        names: the test list's videos or feature files.

    Raises:
        SourceError: a file is not such an array (nothing in it is run), or the two and the list do not fit.

    """
    spans, classes = read_lists(segments), read_lists(labels)
    for path, values in ((segments, spans), (labels, classes)):
        if len(values) != len(names):
            raise SourceError(
                f"{path}: holds {len(values)} videos, the list has {len(names)}; "
                "use the test list that the arrays were made for"
            )
    return tuple(
        _truth_from_lists(video_name(name), span, label, f"{segments} and {labels}: video {number} ({name})")
        for number, (name, span, label) in enumerate(zip(names, spans, classes, strict=True), start=1)
    )


def read_frame_array(path: Path, names: Sequence[str], frames: Sequence[int]) -> tuple[FrameLabels, ...]:
    """Read a research repository's ``gt*.npy`` and cut it into one (frames,) uint8 array a video.

    Args:
        path: 0 or 1 per frame, all test videos one after the other.
        names: the test list's videos, for messages.
        frames: their lengths, 16 per snippet.

    Raises:
        SourceError: the file is not such an array.
        FeatureError: the lengths do not add up to the array's.

    """
    flat = read_numbers(path)
    if flat is None or flat.ndim != 1:
        raise SourceError(f"{path}: expected one number per frame; give the gt*.npy of the frames here")
    if len(flat) != sum(frames):
        more = (sum(frames) - len(flat)) / FRAMES_PER_SNIPPET
        raise FeatureError(
            f"{path}: has {len(flat)} frames, the features of the {len(names)} videos {listed(names, 2)} "
            f"have {sum(frames)} ({more:+g} snippets); use the list and the features that it was made for "
            "(its gt_segment array helps to find the video)"
        )
    return tuple(np.split(_as_labels(path, flat), np.cumsum(np.asarray(frames, dtype=np.int64))[:-1]))


def check_lengths(truths: Sequence[VideoTruth], frames: Sequence[int]) -> None:
    """Refuse features that cannot be of the videos that were annotated.

    Raises:
        FeatureError: a video's ground truth has another length, or a segment that begins after the features
            end (by more than a dropped last snippet); names the videos.

    """
    wrong = []
    for truth, length in zip(truths, frames, strict=True):
        last = max((segment.start for segment in truth.segments), default=0)
        if truth.frames is not None and truth.frames != length:
            wrong.append(f"{truth.name} (features {length} frames, ground truth {truth.frames})")
        elif last >= length + FRAMES_PER_SNIPPET:
            wrong.append(f"{truth.name} (features {length} frames, a segment begins at {last})")
    if wrong:
        raise FeatureError(
            f"features and ground truth differ in length: {listed(wrong)}; "
            "extract these features again, or check that both list the same videos in the same order"
        )


def with_normal_segments(truths: Sequence[VideoTruth], frames: Sequence[int]) -> tuple[VideoTruth, ...]:
    """Give each normal video without a segment one of its whole length, as the research arrays have it.

    Detection mAP by the published protocol is defined with them. They get the published label ``A``, which
    names XD-Violence's normal class, and no class of UCF-Crime.
    """
    return tuple(
        replace(truth, segments=(Segment(0, length, PUBLISHED_NORMAL),), frames=length)
        if not truth.segments and truth.classes and NORMAL_LABELS.issuperset(truth.classes)
        else truth
        for truth, length in zip(truths, frames, strict=True)
    )


def rename_classes(truths: Sequence[VideoTruth], labels: Mapping[str, str]) -> tuple[VideoTruth, ...]:
    """Name classes as the model does: ``labels`` maps the data set's names to the model's (case ignored).

    A normal label that is not in ``labels`` stays as it is and matches no class (UCF-Crime's ``A``).

    Raises:
        SourceError: a class that is not in ``labels``; names the video.

    """
    names = {label.casefold(): name for label, name in labels.items()}

    def renamed(label: str, video: str) -> str:
        if label.casefold() in names:
            return names[label.casefold()]
        if label in NORMAL_LABELS:
            return label
        raise SourceError(
            f"{video}: its ground truth has the class {label}, which is none of {', '.join(labels)}; "
            "evaluate with a model or preset of these classes"
        )

    return tuple(
        replace(
            truth,
            classes=tuple(renamed(label, truth.name) for label in truth.classes),
            segments=tuple(
                s if s.class_name is None else s._replace(class_name=renamed(s.class_name, truth.name))
                for s in truth.segments
            ),
        )
        for truth in truths
    )


def _parse_line(line: str) -> VideoTruth:
    """One annotation line; a name or class with spaces needs two spaces (or a tab) around it."""
    if len(line) > LONGEST_LINE:
        raise _MalformedError(f"is {len(line)} characters long")
    words = line.split()
    fields = re.split(r"\s{2,}|\t", line)
    try:
        return _parse_words(words[0], words[1:])
    except _MalformedError:
        # Only now, as XD-Violence's file has double spaces in odd places.
        if len(fields) < 3 or fields == words:
            raise
        return _parse_words(fields[0], fields[1:])


def _parse_words(name: str, words: Sequence[str]) -> VideoTruth:
    name = video_name(name)
    in_name = classes_in_name(name)
    if not words and not (in_name and NORMAL_LABELS.issuperset(in_name)):
        raise _MalformedError("has no class and no interval")
    class_name = in_name[0] if len(in_name) == 1 else None
    stated: list[str] = []
    segments: list[Segment] = []
    rest = list(words)
    while rest:
        if not _INTEGER.fullmatch(rest[0]):
            class_name = rest.pop(0)
            stated.append(class_name)
        pair = rest[:2]
        del rest[:2]
        if len(pair) < 2 or not all(_INTEGER.fullmatch(word) for word in pair):
            raise _MalformedError(f"expected a start and an end frame, found {_short(' '.join(pair) or 'nothing')}")
        if any(len(word) > LONGEST_NUMBER for word in pair):
            raise _MalformedError(f"{_short(' to '.join(pair))} is beyond the last frame of any video")
        start, end = map(int, pair)
        if (start, end) == (-1, -1):
            continue
        if not 0 <= start < end:
            raise _MalformedError(f"the interval {start} to {end} is empty or negative")
        segments.append(Segment(start, end, class_name))
    return VideoTruth(name, tuple(dict.fromkeys(stated)) or in_name, tuple(segments))


def _truth_from_lists(name: str, spans: Value, labels: Value, where: str) -> VideoTruth:
    if isinstance(labels, str):
        labels = [labels]
    if not isinstance(spans, list) or not isinstance(labels, list) or len(spans) != len(labels):
        raise SourceError(f"{where}: needs one class for each segment; use the two arrays of one data set")
    segments = []
    for span, label in zip(spans, labels, strict=True):
        try:
            segment = _segment_from_list(span, label)
        except (TypeError, ValueError, OverflowError):
            raise SourceError(
                f"{where}: {_short(span)} and {_short(label)} are not a start frame, an end frame and a class"
            ) from None
        segments.append(segment)
    classes = tuple(dict.fromkeys(segment.class_name or "" for segment in segments))
    whole = len(segments) == 1 and segments[0].start == 0 and segments[0].class_name in NORMAL_LABELS
    return VideoTruth(name, classes, tuple(segments), segments[0].end if whole else None)


def _segment_from_list(span: Value, label: Value) -> Segment:
    if not isinstance(span, list) or not isinstance(label, str):
        raise TypeError
    start, end = (int(bound) for bound in span if not isinstance(bound, list))
    if not 0 <= start < end < 10**LONGEST_NUMBER:
        raise ValueError
    return Segment(start, end, label)


def _short(value: object) -> str:
    """As it is written in code, cut where it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}…"


def _as_labels(path: Path, values: NDArray[Any]) -> FrameLabels:
    if not ((values == 0) | (values == 1)).all():
        raise SourceError(f"{path}: holds values other than 0 and 1; give the gt*.npy of the frames here")
    return values.astype(np.uint8)
