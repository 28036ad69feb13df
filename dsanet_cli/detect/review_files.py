"""The review beside a result: found, and taken along where the result is decided anew."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
from pathlib import Path, PurePath

from dsanet_cli.errors import DsanetError, OutputError, SourceError
from dsanet_cli.files.folders import Folder
from dsanet_cli.files.regular import read_regular
from dsanet_cli.files.result_names import REVIEW
from dsanet_cli.names import printable
from dsanet_cli.timeline.files import LARGEST_RESULT
from dsanet_cli.timeline.review import Review, parse_review, read_review, review_text
from dsanet_cli.timeline.timeline import Timeline


def find_review(result: Path, timeline: Timeline) -> Review | None:
    """The review beside a result; None where there is none.

    One that was made on another result of the same video counts, too: what it says belongs to the events at its times.

    Raises:
        OutputError: it, or the result, cannot be read.
        SourceError: it is of another video.
    """
    path = result.with_name(f"{result.stem}.{REVIEW}")
    if not path.exists():
        return None
    review = read_review(path)
    try:
        sha256 = hashlib.sha256(read_regular(result, LARGEST_RESULT)).hexdigest()
    except OSError as error:
        raise OutputError(f"{result}: cannot be read ({error.strerror})") from error
    if review.result_sha256 != sha256 and review.video != printable(timeline.video.name):
        raise SourceError(
            f"{path}: is of another video, {printable(review.video)}; move it away, or beside the result of that"
        )
    return review


def take_along(review: Review, folder: Folder, stem: PurePath, record: bytes) -> None:
    """Put a review beside the result that was decided anew, as the review of that.

    One that is there stays, unless it says the same: it may be newer, and is a person's work.

    Args:
        review: Of the result that was read.
        folder: Of results.
        stem: Of the result in it.
        record: The JSON file that was written.

    Raises:
        OutputError: it cannot be written.
    """
    name = stem.with_name(f"{stem.name}.{REVIEW}")
    if folder.exists(name):
        there = None
        with contextlib.suppress(DsanetError):
            there = parse_review(folder.read(name), str(name))
        if there is None or dataclasses.replace(there, result_sha256=review.result_sha256) != review:
            return
    text = review_text(dataclasses.replace(review, result_sha256=hashlib.sha256(record).hexdigest()))
    with folder.write(name, "w") as stream:
        stream.write(text)
