"""When a video was recorded: told by the user, the file or its name; and the time of day of what happens in it."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import PurePath
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dsanet_cli.errors import UsageError
from dsanet_cli.timeline.facts import Recorded, VideoFacts

OLDEST = datetime(1990, 1, 1, tzinfo=UTC)
"""No digital recording is older; clocks that were never set say 1904 or 1970."""
_DATED = re.compile(
    r"(?<!\d)(?P<Y>(?:19|20)\d\d)(?P<apart>[-_. ]?)(?P<m>\d\d)[-_. ]?(?P<d>\d\d)(?: at |_at_|[-_. T]{0,3})"
    r"(?P<H>\d\d)[-_.:hH]?(?P<M>\d\d)[-_.:mM]?(?P<S>\d\d)(?:[.]?(?P<f>\d{3}))?(?!\d)(?P<z>Z|[+]\d\d:?\d\d)?"
    r"(?P<noon>\s?[AaPp][Mm]\b)?"
)
"""Year to second, with or without signs between them: ``20231127_141326``, ``2023-11-27 14.13.26``,
``20231127141326123``, ``2023_1127_141326``."""
_DAY_BEFORE_YEAR = re.compile(r"\d{1,2}[-_./]\d{1,2}[-_./]$")
_UNIX = re.compile(r"(?<![0-9A-Za-z])(1\d{9})(?:(\d{3})|[.](\d{1,6}))?(?!\d)")
"""Seconds or milliseconds since 1970, from 2001 to 2033."""
_DIRECTIVES = {
    "Y": r"\d{4}", "y": r"\d{2}", "m": r"\d{1,2}", "d": r"\d{1,2}", "j": r"\d{3}", "b": r"[^\W\d]+", "B": r"[^\W\d]+",
    "H": r"\d{1,2}", "I": r"\d{1,2}", "M": r"\d{1,2}", "S": r"\d{1,2}", "f": r"\d{1,6}", "p": r"[AaPp][Mm]",
    "z": r"Z|[+-]\d{2}:?\d{2}",
}  # fmt: skip
_UNIX_DIRECTIVE = "s"
_LOCALTIME, _ZONE_FILE = "/etc/localtime", "/etc/timezone"


@dataclass(frozen=True)
class ClockSettings:
    """What the command line says of the time of recording; None leaves it to the file."""

    start: datetime | None = None
    """Without a zone, in ``timezone``."""
    timezone: str | None = None
    """IANA name; None is the zone of the machine."""
    name_time: str | None = None
    """How names say it; see ``NamePattern``."""

    def __post_init__(self) -> None:
        """Check both.

        Raises:
            UsageError: a zone that is not known, or a pattern that is none.
        """
        if self.timezone is not None:
            zone_named(self.timezone)
        if self.name_time is not None:
            NamePattern(self.name_time)


FROM_THE_FILE = ClockSettings()


def check_start(settings: ClockSettings, several: bool) -> None:
    """Make sure that one time is not said of several videos.

    Raises:
        UsageError: it is.
    """
    if settings.start is not None and several:
        raise UsageError("--start is of one video; several say it in their names, see --name-time")


def find_start(video: VideoFacts, settings: ClockSettings) -> Recorded | None:
    """When a video began: as ``settings`` say, else as its file, else as its name says; None where nobody does.

    A pattern for names that is given comes before what the file says. Of several files, the first that says it does.
    """
    for part in video.files:
        alone = VideoFacts(part.path, 0, 0.0, created=part.created)
        if (first := find_start(alone, settings)) is not None:
            began = first.start.astimezone(UTC) - timedelta(seconds=part.start)
            return dataclasses.replace(first, start=began.astimezone(first.start.tzinfo))
    name = settings.timezone or machine_zone()
    zone = ZoneInfo(name)

    def recorded(start: datetime, source: Literal["option", "metadata", "name"]) -> Recorded:
        aware = start if start.tzinfo else start.replace(tzinfo=zone)
        # By way of UTC: an hour that is left out in spring becomes the one that clocks show instead.
        exact = aware.astimezone(UTC)
        rounded = exact.replace(microsecond=exact.microsecond // 1000 * 1000)  # as results keep it
        return Recorded(rounded.astimezone(zone), name, source)

    if settings.start is not None:
        return recorded(settings.start, "option")
    if settings.name_time is not None and (found := NamePattern(settings.name_time).find(video.path)):
        return recorded(found, "name")
    if found := _parsed(video.created):
        return recorded(found, "metadata")
    if settings.name_time is None and (found := time_in_name(video.path)):
        return recorded(found, "name")
    return None


def dated(video: VideoFacts, settings: ClockSettings) -> VideoFacts:
    """What is known of a video, with when it began."""
    return dataclasses.replace(video, recorded=find_start(video, settings))


def dated_anew(video: VideoFacts, settings: ClockSettings) -> VideoFacts:
    """What is known of a video, with what ``settings`` say of its start in place of what was said before."""
    before = video.recorded
    said = settings.start is not None or settings.name_time is not None
    if before is not None and before.source == "option" and not said:
        settings = dataclasses.replace(settings, start=before.start)
    return dated(video, settings)


def still_dated(video: VideoFacts, settings: ClockSettings) -> bool:
    """Whether what a result says of the start is what the settings say; in any zone, where they name none."""
    if settings.timezone is None and video.recorded is not None and _is_zone(video.recorded.timezone):
        settings = dataclasses.replace(settings, timezone=video.recorded.timezone)
    return find_start(video, settings) == video.recorded


def iso(time: datetime) -> str:
    """``2026-11-27T14:03:00.000+01:00``, as it stands in files."""
    return time.isoformat(timespec="milliseconds")


def format_moment_of_day(recorded: Recorded, seconds: float) -> str:
    """``2026-11-27 14:03:00``, at ``seconds`` from the start."""
    return f"{moment(recorded, seconds):%Y-%m-%d %H:%M:%S}"


def moment(recorded: Recorded, seconds: float) -> datetime:
    """The time of day at ``seconds`` from the start, in the zone of the recording; summer time may begin meanwhile."""
    start = recorded.start
    zone = ZoneInfo(recorded.timezone) if _is_zone(recorded.timezone) else start.tzinfo
    return (start.astimezone(UTC) + timedelta(seconds=seconds)).astimezone(zone)


def time_in_name(path: str) -> datetime | None:
    """The time that a recorder wrote into a file's name; None where there is none, or more than one way to read it."""
    name = PurePath(path.replace("\\", "/")).name
    found = list(_dates(name))
    if not found:
        found = [_unix(match) for match in _UNIX.finditer(name)]
    if not found or any(time is None for time in found):
        return None
    first, *others = (time for time in found if time is not None)
    try:
        later = all(first < other for other in others)  # recorders write start and end
    except TypeError:  # one with a zone, one without
        return None
    return first if later or all(first == other for other in others) else None


class NamePattern:
    """How names say when a recording began: ``%Y-%m-%d_%H.%M.%S``, as in ``strptime``, anywhere in the name.

    ``%s`` are seconds since 1970, ``*`` is anything, and a pattern with ``/`` looks at the folders, too.

    Raises:
        UsageError: a directive that is not known, or too few to tell a day.
    """

    def __init__(self, pattern: str) -> None:
        self._whole = "/" in pattern
        self._directives: list[str] = []
        regex = ""
        parts = iter(re.split(r"(%.|[*])", pattern))
        for part in parts:
            directive = part[1:] if part.startswith("%") and len(part) == 2 else None
            if part == "*":
                regex += ".*?"
            elif directive == "%" or directive is None:
                regex += re.escape("%" if directive else part)
            elif directive == _UNIX_DIRECTIVE or directive in _DIRECTIVES:
                self._directives.append(directive)
                digits = r"\d{1,11}" if directive == _UNIX_DIRECTIVE else _DIRECTIVES[directive]
                # Where two numbers touch, each has all its digits.
                regex += f"({digits.replace('{1,2}', '{2}') if re.search(r'%.%.', pattern) else digits})"
            else:
                raise UsageError(f"--name-time {pattern}: {part} is not known; use %Y %m %d %H %M %S, or %s")
        known = set(self._directives)
        days = ({"Y", "y"} & known) and ({"j"} & known or ({"m", "b", "B"} & known and "d" in known))
        if not (days or _UNIX_DIRECTIVE in known) or len(known) != len(self._directives):
            raise UsageError(f"--name-time {pattern}: needs a day, each part once: %Y %m %d, or %s, and the time")
        self._regex = re.compile(regex)

    def find(self, path: str) -> datetime | None:
        """The time in the name of a file; None where it is not as the pattern says."""
        path = path.replace("\\", "/")
        for match in self._regex.finditer(path if self._whole else PurePath(path).name):
            try:
                if _UNIX_DIRECTIVE in self._directives:
                    return datetime.fromtimestamp(int(match[1 + self._directives.index(_UNIX_DIRECTIVE)]), UTC)
                # Apart from each other: numbers that touch are told apart already.
                return datetime.strptime(" ".join(match.groups()), " ".join(f"%{part}" for part in self._directives))
            except (ValueError, OverflowError, OSError):
                continue
        return None


def parse_start(text: str) -> datetime:
    """The time that ``--start`` names, as in ISO 8601: ``2026-11-27T14:03:00``, with or without a zone.

    Raises:
        UsageError: it is none.
    """
    try:
        start = datetime.fromisoformat(text.strip())
        Recorded(start.replace(tzinfo=start.tzinfo or UTC).astimezone(UTC), "UTC", "option")
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--start {text}: not a time; use one such as 2026-11-27T14:03:00") from error
    return start


def zone_named(name: str) -> ZoneInfo:
    """A zone by its IANA name.

    Raises:
        UsageError: there is none of this name.
    """
    if not _is_zone(name):
        raise UsageError(f"--timezone {name}: not known; use a name such as Europe/Berlin or UTC")
    return ZoneInfo(name)


@cache
def machine_zone() -> str:
    """The IANA name of this machine's zone; where it has none, that of its distance from UTC."""
    for name in _zone_names():
        if _is_zone(name):
            return name
    offset = datetime.now().astimezone().utcoffset() or timedelta()
    hours = round(offset / timedelta(hours=1))
    return f"Etc/GMT{-hours:+d}" if hours else "UTC"


def _zone_names() -> Iterator[str]:
    if variable := os.environ.get("TZ", "").removeprefix(":"):
        yield variable.rpartition("zoneinfo/")[2]
        return
    yield os.path.realpath(_LOCALTIME).partition("zoneinfo/")[2].removeprefix("posix/")
    try:
        with open(_ZONE_FILE, encoding="utf-8") as stream:
            yield stream.read(200).strip()
    except (OSError, ValueError):
        return


@cache
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return bool(name)


def _parsed(created: str | None) -> datetime | None:
    """The time in a file's metadata, which is in UTC where it does not say."""
    try:
        time = datetime.fromisoformat((created or "").strip())
        time = time if time.tzinfo else time.replace(tzinfo=UTC)
        return time if time.astimezone(UTC) >= OLDEST else None
    except (ValueError, OverflowError):
        return None


def _dates(name: str) -> Iterator[datetime | None]:
    for match in _DATED.finditer(name):
        parts = match.groupdict()
        zone, fraction = parts["z"] or "", f".{parts['f']}" if parts["f"] else ""
        text = "{Y}-{m}-{d}T{H}:{M}:{S}".format(**parts) + fraction + zone
        try:
            time = datetime.fromisoformat(text)
        except ValueError:  # other digits
            continue
        day_first = parts["apart"] and _DAY_BEFORE_YEAR.search(name[: match.start()])
        yield None if parts["noon"] or day_first or time.year < OLDEST.year else time


def _unix(match: re.Match[str]) -> datetime:
    fraction = match[2] or match[3] or ""
    return datetime.fromtimestamp(int(match[1]), UTC) + timedelta(seconds=float(f"0.{fraction or 0}"))
