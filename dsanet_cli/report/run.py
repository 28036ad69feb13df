"""The ``report`` command: results in, a page for each out, and an index of many."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from dsanet_cli.console import plain_console, print_error, progress_bar
from dsanet_cli.errors import DsanetError, OutputError, UsageError, VideoError
from dsanet_cli.files.folders import Folder, open_folder
from dsanet_cli.files.result_names import PROXY, REVIEW
from dsanet_cli.files.typed import scheme_of
from dsanet_cli.report.place import file_facts, href, local_video, plays_everywhere, video_place
from dsanet_cli.report.proxy import make_proxy
from dsanet_cli.report.results import Result, ResultFile, find_results, read_result
from dsanet_cli.timeline.facts import VideoFacts
from dsanet_cli.version import __version__

PROGRAM = f"dsanet {__version__}"
PAGE = "html"
INDEX_FILE = "index.html"
INDEX_LIKE_PAGE = "page.html"
"""How the page ends of a video that is called ``index``."""
PAGE_MARK = b'<meta name="generator" content="dsanet '
_BEGINNING = 1024
"""Bytes of a page in which its mark stands."""


@dataclass(frozen=True)
class ReportSettings:
    """One run of ``dsanet report``."""

    results: tuple[str, ...]
    """JSON files of results, folders of them, or URLs of folders."""
    output: str | None = None
    """Folder for pages; None puts each beside its result."""
    proxy: bool = False
    """Make a small copy of videos that not all browsers play."""
    overwrite: bool = False
    """Replace files that are no pages."""
    quiet: bool = False


@dataclass(frozen=True)
class ReportOutcome:
    """How many pages were written, and how many results failed."""

    done: int
    failed: int


def run_report(settings: ReportSettings) -> ReportOutcome:
    """Write a page for each result, and an index of several; a result that fails is reported in a line.

    Raises:
        UsageError: copies are asked for where no video can be read or written.
    """
    if settings.proxy and settings.output is not None and scheme_of(settings.output):
        raise UsageError("--proxy writes to folders of this machine only; choose one with --output")
    run = _Run(settings)
    found = list(_distinct(find_results(settings.results)))
    files = [file for file in found if isinstance(file, ResultFile)]
    for problem in found:
        if isinstance(problem, DsanetError):
            run.report(problem)
    run.write(files, files)
    return ReportOutcome(run.done, run.failed)


class FolderPages:
    """The pages of results that a run writes to a folder, or finds there: each as its result is done, the index last.

    Args:
        output: Folder of the results, a path or URL.
        only_there: Bring pages up to date that are there, and write no others.
        quiet: Print errors only.
    """

    def __init__(self, output: str, only_there: bool, quiet: bool) -> None:
        self._root = output.rstrip("/") or output
        self._folder = open_folder(output)
        self._only_there = only_there
        self._quiet = quiet
        self._early = 0
        """Pages that are written; they lead to an index."""

    def add(self, name: PurePath, several: bool) -> None:
        """Write the page of a result that is done; what goes wrong is tried again, and reported, at the end.

        Args:
            name: Of the JSON file, below the folder.
            several: Whether the run has several, so that there will be an index; that of a single one can wait.
        """
        file = ResultFile(self._root, name)
        with contextlib.suppress(DsanetError):
            if several and (not self._only_there or self._folder.exists(_page_name(file))):
                _Run(ReportSettings((self._root,), quiet=True)).write_page(file)
                self._early += 1

    def finish(self, names: Sequence[PurePath]) -> int:
        """Write the pages that are not there yet, and the index, which has all in the folder.

        Args:
            names: Of the JSON files of all results of the run.

        Returns:
            How many failed.
        """
        files = [ResultFile(self._root, name) for name in names]
        if self._only_there:
            there = set(self._folder.names())
            files = [file for file in files if _page_name(file) in there]
        stale = [file for file in files if not _is_fresh(self._folder, file)]
        if not stale and not self._early:
            return 0
        run = _Run(ReportSettings((self._root,), quiet=self._quiet), self._early)
        listed = [file for file in find_results([self._root]) if isinstance(file, ResultFile)]
        run.write(stale, listed, indexed=self._early > 0)
        return run.failed


class _Run:
    """One run: what is done and what failed; ``done`` pages are written before it."""

    def __init__(self, settings: ReportSettings, done: int = 0) -> None:
        self._settings = settings
        self._log = plain_console(stderr=True, quiet=settings.quiet)
        self.done, self.failed = done, 0

    def report(self, error: DsanetError) -> None:
        """Print what went wrong with a result."""
        self.failed += 1
        print_error(error)

    def write(self, files: Sequence[ResultFile], listed: Sequence[ResultFile], indexed: bool = False) -> None:
        """Write the pages of ``files``, and where ``listed`` are several or ``indexed`` says so, an index of these."""
        from dsanet_cli.report.index import index_row, render_index  # noqa: PLC0415  (Jinja2, only where it is needed)

        root, several = _root([*files, *listed]), indexed or len(listed) > 1
        target = self._settings.output or root
        wanted = set(files)
        rows = []
        with progress_bar(self._settings.quiet) as bar:
            for file in bar.track(list(dict.fromkeys([*listed, *files])), description="pages"):
                page = _below(root, file).with_name(_page_name(file).name)
                try:
                    result = read_result(file)
                    if file in wanted:
                        self._write_page(file, result, target, page, several)
                    rows.append(index_row(result, page, open_folder(target).exists(page), _below(root, file)))
                except DsanetError as error:
                    if file in wanted:
                        self.report(error)
        if several and rows:
            try:
                self._write(target, PurePath(INDEX_FILE), render_index(rows, PROGRAM))
            except DsanetError as error:
                self.report(error)
        if self.done:
            first = next((row.page for row in rows if row.page), "")
            last = INDEX_FILE if several else first
            place = open_folder(target)
            self._log.print(f"{self.done} page{'s' * (self.done > 1)} in {place}; open {place}{last}")

    def write_page(self, file: ResultFile) -> None:
        """Write the page of one of several results beside it.

        Raises:
            OutputError: the result is damaged, or the page cannot be written.
        """
        self._write_page(file, read_result(file), file.root, _page_name(file), several=True)

    def _write_page(self, file: ResultFile, result: Result, target: str, page: PurePath, several: bool) -> None:
        from dsanet_cli.report.page import render_page  # noqa: PLC0415  (Jinja2, only where it is needed)
        from dsanet_cli.report.view import page_data  # noqa: PLC0415

        place = None if scheme_of(target) else Path(target, page).parent
        video = result.timeline.video
        places = [video_place(facts, place) for facts in file_facts(video)]
        copy = None
        if place is not None and video.files:
            copies = self._copies_of_day(file, result, place)
            places = [
                found if one is None else found.with_copy(href(one, place))
                for found, one in zip(places, copies, strict=True)
            ]
        elif place is not None:
            copy = self._copy(file, result, place)
        folder, listing = open_folder(target), PurePath(INDEX_FILE)
        listed = several or (folder.exists(listing) and _is_page(folder, listing))
        index = "../" * (len(page.parts) - 1) + INDEX_FILE if listed else None
        data = page_data(
            result.timeline,
            file.stem,
            result.sha256,
            video_place(video, place),
            places,
            None if copy is None or place is None else href(copy, place),
            result.thumbnails,
            result.review,
            PROGRAM,
        )
        self._write(target, page, render_page(result.timeline, data, index))
        self.done += 1

    def _copy(self, file: ResultFile, result: Result, place: Path) -> Path | None:
        """The small copy of the video, if there is one or one is to be made."""
        copy, facts = place / f"{file.stem}.{PROXY}", result.timeline.video
        video = local_video(facts, Path(file.root, file.name).parent)
        if self._wants_copy(facts):
            if video is None:
                raise OutputError(f"{file}: its video is not there ({facts.real_path or facts.path}); --proxy needs it")
            _bring_up_to_date(copy, video, facts)
        return copy if copy.exists() else None

    def _copies_of_day(self, file: ResultFile, result: Result, place: Path) -> list[Path | None]:
        """As ``_copy``, for each file of a camera's day; one that is gone or damaged has none, as its error says."""
        copies = []
        for number, facts in enumerate(file_facts(result.timeline.video), 1):
            copy = place / f"{file.stem}.{number}.{PROXY}"
            video = local_video(facts, Path(file.root, file.name).parent)
            if video is not None and self._wants_copy(facts):
                try:
                    _bring_up_to_date(copy, video, facts)
                except VideoError as error:
                    self.report(error)
            copies.append(copy if copy.exists() else None)
        return copies

    def _wants_copy(self, facts: VideoFacts) -> bool:
        return self._settings.proxy and not plays_everywhere(facts) and facts.codec is not None

    def _write(self, target: str, name: PurePath, text: str) -> None:
        """Write a page, unless something else is in its place.

        Raises:
            OutputError: it is, or the page cannot be written.
        """
        folder = open_folder(target)
        if not self._settings.overwrite and folder.exists(name) and not _is_page(folder, name):
            raise OutputError(
                f"{folder}{name}: is there and was not written by dsanet; choose another --output, "
                "or replace it with --overwrite"
            )
        with folder.write(name, "w") as stream:
            stream.write(text)


def _bring_up_to_date(copy: Path, video: Path, facts: VideoFacts) -> None:
    """Make the small copy of a video, unless there is one that is newer."""
    if not copy.exists() or copy.stat().st_mtime < video.stat().st_mtime:
        make_proxy(video, copy, facts)


def _is_page(folder: Folder, name: PurePath) -> bool:
    beginning, _ = folder.read_ends(name, _BEGINNING)
    return not beginning or PAGE_MARK in beginning


def _is_fresh(folder: Folder, file: ResultFile) -> bool:
    """Whether a page is there that this version wrote after the result, and after what was said of it."""
    page, review = _page_name(file), file.beside(REVIEW)
    if not folder.exists(page) or f'"{PROGRAM}"'.encode() not in folder.read_ends(page, _BEGINNING)[0]:
        return False
    others = [file.name, *([review] if folder.exists(review) else [])]
    return folder.modified(page) >= max(map(folder.modified, others))


def _page_name(file: ResultFile) -> PurePath:
    """Where the page of a result goes, below its root; none takes the place of an index."""
    page = file.beside(PAGE)
    return file.beside(INDEX_LIKE_PAGE) if page.name.lower() == INDEX_FILE else page


def _distinct(found: Iterable[ResultFile | DsanetError]) -> Iterator[ResultFile | DsanetError]:
    """Each result once, by whatever arguments it was named."""
    seen = set()
    for one in found:
        key = one if isinstance(one, DsanetError) else str(one) if one.is_remote else os.path.abspath(str(one))
        if key not in seen:
            seen.add(key)
            yield one


def _root(files: Sequence[ResultFile]) -> str:
    """The folder that all results are below."""
    roots = {file.root for file in files}
    if len(roots) <= 1:
        return next(iter(roots), os.curdir)
    if any(file.is_remote for file in files):
        raise UsageError("results of several places with a URL among them; name one folder at a time")
    try:
        return os.path.commonpath([os.path.abspath(root) for root in roots])
    except ValueError as error:
        raise UsageError("results on several drives; name those of one drive at a time") from error


def _below(root: str, file: ResultFile) -> PurePath:
    """The name of a result below the folder that all are below."""
    return file.name if file.root == root else PurePath(os.path.relpath(str(file), root))
