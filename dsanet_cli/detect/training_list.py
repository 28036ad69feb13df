"""A list for training out of results that a person has reviewed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dsanet_cli.errors import OutputError, SourceError
from dsanet_cli.features.lists import LIST_HEADER, ListedFeature, check_listable, write_list
from dsanet_cli.files.regular import open_regular
from dsanet_cli.files.result_names import find_kept_features
from dsanet_cli.files.sources import is_feature_file
from dsanet_cli.timeline.timeline import Timeline

WITHOUT_REVIEW = "without a review"
NOT_JUDGED = "with events that nobody judged"
PARTLY = "of which only a part was analysed"
UNNAMEABLE = "with a name that is not UTF-8"


class _LeftOutError(Exception):
    """Why a file has no label."""


@dataclass(frozen=True)
class TrainingList:
    """What goes into a list, and why other results do not."""

    rows: tuple[ListedFeature, ...]
    left_out: tuple[tuple[str, int], ...]
    """Reasons, and how many results or files of a day each of them is of."""
    without_features: int
    """How many results have no features that were kept; if there are any, the list is of videos."""

    def lines(self, path: Path) -> Iterator[str]:
        """What a person should know of the list in the file ``path``."""
        labels = Counter(row.label for row in self.rows)
        counted = ", ".join(f"{count} {label}" for label, count in labels.most_common())
        yield f"{path}: {counted}"
        for reason, count in self.left_out:
            yield f"left out: {count} {reason}"
        if self.without_features:
            yield (
                f"it lists videos, since no features of {self.without_features} were kept (detect --keep-features); "
                f"make them with extract --list and --labels {path}"
            )


def training_list(reviewed: Sequence[tuple[Path, Timeline]]) -> TrainingList:
    """The list of results, each with its timeline and what was said of that (``with_review``).

    A video's label is the class of its true, relabelled and missed events; of several, the one that lasts longest. It
    is the normal class where all events are false, or where there is a review and no event. A video without a review,
    or with no true event and one that nobody judged, is left out. The list is of features where all have them, else of
    videos, those of a camera's day one by one.

    Raises:
        SourceError: nothing is left to list.
    """
    features = [_features(result, timeline) if timeline.review else None for result, timeline in reviewed]
    judged = [timeline for _, timeline in reviewed if timeline.review is not None]
    without = len(judged) - sum(file is not None for file in features)
    rows, left_out = [], Counter[str]()
    for file, (_, timeline) in zip(features, reviewed, strict=True):
        for path, start, end in _parts(timeline, None if without else file):
            try:
                label = _label(timeline, start, end, whole=bool(without))
                check_listable(path)
            except _LeftOutError as reason:
                left_out[str(reason)] += 1
            except SourceError:
                left_out[UNNAMEABLE] += 1
            else:
                rows.append(ListedFeature(path, label, timeline.video.camera))
    if not rows:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items()) or "no result"
        raise SourceError(
            f"nothing to list: {reasons}; review the pages (dsanet report), save, and put the reviews there"
        )
    return TrainingList(tuple(rows), tuple(left_out.items()), without)


def save_list(path: Path, made: TrainingList, overwrite: bool) -> None:
    """Write a list.

    Raises:
        OutputError: something else is in its place, or it cannot be written.
    """
    header = ",".join(LIST_HEADER).encode()
    if path.exists() and not overwrite:
        try:
            with open_regular(path) as stream:
                is_list = stream.read(len(header)) == header
        except OSError as error:
            raise OutputError(f"{path}: cannot be read ({error.strerror}); choose another --list") from error
        if not is_list:
            raise OutputError(f"{path}: is there and is no list; choose another --list, or replace it with --overwrite")
    write_list(path, made.rows)


def _features(result: Path, timeline: Timeline) -> Path | None:
    """The features of a result: those it was made from, or those that were kept."""
    source = Path(timeline.video.real_path or timeline.video.path)
    return source if is_feature_file(source) else find_kept_features(result)


def _parts(timeline: Timeline, features: Path | None) -> Iterator[tuple[Path, float, float]]:
    """The files to list, and where each lies in the timeline, in seconds."""
    video = timeline.video
    end = max(video.duration, float(timeline.ends[-1]))
    if features is not None:
        yield features, 0.0, end
    elif video.files:
        yield from (
            (Path(part.real_path or part.path), part.start, part.end) for part in video.files if part.error is None
        )
    else:
        yield Path(video.real_path or video.path), 0.0, end


def _label(timeline: Timeline, start: float, end: float, whole: bool) -> str:
    """The label of a span; ``whole`` says that all of the video will be learned from, and not what was analysed.

    Raises:
        _LeftOutError: nobody knows it.
    """
    if timeline.review is None:
        raise _LeftOutError(WITHOUT_REVIEW)
    events = [event for event in timeline.events if event.start < end and event.end > start]
    seconds = defaultdict[str, float](float)
    said = [
        (event.review.label or event.label, event.start, event.end)
        for event in events
        if event.review is not None and event.review.is_true
    ]
    said += [(missed.label, missed.start, missed.end) for missed in timeline.review.missed]
    for label, first, last in said:
        if label != timeline.class_names[0] and first < end and last > start:
            seconds[label] += min(last, end) - max(first, start)
    if seconds:
        return max(seconds, key=lambda label: seconds[label])
    if any(event.review is None or event.review.verdict is None for event in events):
        raise _LeftOutError(NOT_JUDGED)
    if whole and timeline.coverage.part is not None:
        raise _LeftOutError(PARTLY)
    return timeline.class_names[0]
