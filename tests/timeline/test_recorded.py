"""When a video was recorded, and the time of day of what happens in it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta, timezone

import pytest

from dsanet_cli.errors import UsageError
from dsanet_cli.timeline import recorded
from dsanet_cli.timeline.facts import Recorded, VideoFacts
from dsanet_cli.timeline.recorded import (
    ClockSettings,
    NamePattern,
    dated_anew,
    find_start,
    iso,
    machine_zone,
    moment,
    parse_start,
    still_dated,
    time_in_name,
)

NOON = datetime(2023, 11, 27, 14, 13, 26)
BERLIN = ClockSettings(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    "name",
    [
        "20231127_141326.mp4",
        "20231127-141326.mp4",
        "2023-11-27_14-13-26.mp4",
        "2023-11-27 14.13.26.mkv",
        "2023-11-27T14:13:26.mp4",
        "Screen Recording 2023-11-27 at 14.13.26.mov",
        "20231127141326.avi",
        "ch01_20231127141326.mp4",
        "NVR_ch1_main_20231127141326_20231127151326.dav",
        "RecS03_20231127_141326_20231127_141345_0.mp4",
        "20231127_141326_NF.mp4",
        "2023_1127_141326_001.MP4",
        "20231127_141326_ABCD_ACCC8E000000.mkv",
        "Cam-00-20231127141326.mp4",
        "folder 19990101_000000/2023-11-27_14h13m26.mp4",
        "C:\\video\\20231127_141326.mp4",
    ],
)
def test_names_that_recorders_give(name):
    assert time_in_name(name) == NOON


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("192.168.1.64_01_20231127141326123.mp4", NOON.replace(microsecond=123_000)),
        ("cam_2023-11-27T14-13-26Z.mp4", NOON.replace(tzinfo=UTC)),
        ("20231127_141326+0100.mp4", NOON.replace(tzinfo=timezone(timedelta(hours=1)))),
        ("front_door-1701094406.5-x1y2z3.mp4", datetime(2023, 11, 27, 14, 13, 26, 500_000, UTC)),
        ("1701094406000.mp4", datetime(2023, 11, 27, 14, 13, 26, 0, UTC)),
    ],
)
def test_names_that_say_more_than_seconds(name, expected):
    assert time_in_name(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        "clip.mp4",
        "Explosion001_x264.mp4",
        "20231127.mp4",  # no time of day
        "27-11-2023_14-13-26.mp4",  # day or month first
        "11-12-2023_10-11-12-13-14.mp4",
        "11.12.2023_10.11.12.13.14.mp4",
        "20231327_141326.mp4",  # no such month
        "20230229_141326.mp4",
        "20231127_246126.mp4",
        "231127_141326.mp4",  # no century
        "120231127_1413260.mp4",
        "2023-11-27 at 02.13.26 PM.mov",
        "20231127151326_20231127141326.mp4",  # ends before it starts
        "20231127_141326-0001_20220101_000000.mp4",
        "00000000141326.mp4",
        "19700101_000000.mp4",  # a clock that was never set
        "a1701094406.mp4",
        "2023112714.mp4",
        "9999999999.mp4",
    ],
)
def test_names_that_say_nothing_or_several_things(name):
    assert time_in_name(name) is None


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("%d-%m-%Y_%H-%M-%S", "cam3_27-11-2023_14-13-26.mp4", NOON),
        ("%d%m%y%H%M%S", "x271123141326.mp4", NOON),
        ("%Y-%m-%d/*/%H.%M.%S", "/nas/2023-11-27/001/dav/14/14.13.26-14.20.00[M].dav", NOON),
        ("%d.%m.%Y", "27.11.2023 yard.mp4", datetime(2023, 11, 27)),
        ("%Y%j%H%M%S", "2023331141326.ts", NOON),
        ("%I.%M.%S %p %d %b %Y", "02.13.26 PM 27 Nov 2023.mp4", NOON),
        ("u%s", "u1701094406.mp4", datetime(2023, 11, 27, 14, 13, 26, 0, UTC)),
        ("%H:%M:%S.%f %Y/%m/%d", "/a/14:13:26.25 2023/11/27", NOON.replace(microsecond=250_000)),
        ("100%%_%Y%m%d%H%M%S", "100%_20231127141326.mp4", NOON),
        ("%d-%m-%Y", "99-99-2023_27-11-2023.mp4", datetime(2023, 11, 27)),
        ("%Y-%m-%dT%H%M%S%z", "2023-11-27T141326+0200", NOON.replace(tzinfo=timezone(timedelta(hours=2)))),
        ("%d-%m-%Y", "27-11-23.mp4", None),
        ("%Y%m%d(%H", "20231127.mp4", None),
    ],
)
def test_a_pattern_for_names(pattern, path, expected):
    assert NamePattern(pattern).find(path) == expected


@pytest.mark.parametrize("pattern", ["", "%H%M%S", "%Y%m", "%q", "%Y%m%d%Y", "cam"])
def test_patterns_that_tell_no_day(pattern):
    with pytest.raises(UsageError, match="--name-time"):
        ClockSettings(name_time=pattern)


def test_who_says_it_first():
    video = VideoFacts("20231127_141326.mp4", 1, 1.0, created="2022-06-01T10:00:00.123456Z")
    given = ClockSettings(parse_start("2021-01-02T03:04:05"), "Europe/Berlin")
    by_name = ClockSettings(None, "Europe/Berlin", "%Y%m%d_%H%M%S")
    assert iso(find_start(video, given).start) == "2021-01-02T03:04:05.000+01:00"
    assert find_start(video, given).source == "option"
    assert iso(find_start(video, by_name).start) == "2023-11-27T14:13:26.000+01:00"
    assert find_start(video, by_name).source == "name"
    assert iso(find_start(video, BERLIN).start) == "2022-06-01T12:00:00.123+02:00", "metadata are in UTC"
    assert find_start(video, BERLIN) == Recorded(find_start(video, BERLIN).start, "Europe/Berlin", "metadata")
    for unset in (None, "1970-01-01T00:00:00Z", "1904-01-01T00:00:00Z", "yesterday", "0000-00-00"):
        assert find_start(VideoFacts("20231127_141326.mp4", 1, 1.0, created=unset), BERLIN).source == "name"
    assert find_start(VideoFacts("clip.mp4", 1, 1.0), BERLIN) is None
    assert find_start(VideoFacts("20231127_141326.mp4", 1, 1.0), ClockSettings(name_time="%d.%m.%Y")) is None


def test_clocks_that_change_during_a_recording():
    autumn = find_start(VideoFacts("20231029_013000.mp4", 1, 1.0), BERLIN)
    clocks = [iso(moment(autumn, hours * 3600))[11:] for hours in range(4)]
    assert clocks == ["01:30:00.000+02:00", "02:30:00.000+02:00", "02:30:00.000+01:00", "03:30:00.000+01:00"]
    spring = find_start(VideoFacts("20240331_013000.mp4", 1, 1.0), BERLIN)
    assert [iso(moment(spring, h * 3600))[11:] for h in (0, 1)] == ["01:30:00.000+01:00", "03:30:00.000+02:00"]
    skipped = find_start(VideoFacts("20240331_023000.mp4", 1, 1.0), BERLIN)
    assert iso(skipped.start) == "2024-03-31T03:30:00.000+02:00", "an hour that no clock showed"
    read_back = Recorded(datetime.fromisoformat(iso(autumn.start)), autumn.timezone, autumn.source)
    assert moment(read_back, 3 * 3600).utcoffset() == timedelta(hours=1), "a fixed distance from UTC would say 2"
    elsewhere = Recorded(autumn.start, "Mars/Olympus", "name")
    assert moment(elsewhere, 60) == autumn.start + timedelta(minutes=1)


def test_the_zone_of_the_machine_has_a_name(monkeypatch):
    for variable, expected in (("America/New_York", "America/New_York"), (":Asia/Tokyo", "Asia/Tokyo")):
        monkeypatch.setenv("TZ", variable)
        machine_zone.cache_clear()
        assert machine_zone() == expected
    monkeypatch.setenv("TZ", "XYZ-3")  # in POSIX's own way
    machine_zone.cache_clear()
    if hasattr(time, "tzset"):
        time.tzset()
        assert machine_zone() == "Etc/GMT-3"
        assert datetime.now(recorded.zone_named("Etc/GMT-3")).utcoffset() == timedelta(hours=3)
    monkeypatch.delenv("TZ")
    if hasattr(time, "tzset"):
        time.tzset()
    machine_zone.cache_clear()
    assert machine_zone()
    machine_zone.cache_clear()


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "/etc/localtime", "Europe"])
def test_zones_that_are_none(zone):
    with pytest.raises(UsageError, match="--timezone"):
        ClockSettings(timezone=zone)


@pytest.mark.parametrize("text", ["", "noon", "14:03", "2026-13-01T00:00", "0001-01-01T00:00", "9999-12-31T23:59"])
def test_starts_that_are_none(text):
    with pytest.raises(UsageError, match="--start"):
        parse_start(text)


def test_a_result_is_still_dated_right_in_the_zone_that_it_names():
    video = VideoFacts("20231127_141326.mp4", 1, 1.0)
    dated = dated_anew(video, BERLIN)
    assert still_dated(dated, ClockSettings()), "whatever the zone of this machine"
    assert still_dated(dated, BERLIN)
    assert not still_dated(dated, ClockSettings(timezone="UTC"))
    assert not still_dated(dated, ClockSettings(parse_start("2026-01-01"), "Europe/Berlin"))
    assert not still_dated(video, ClockSettings())


def test_a_start_that_was_given_stays_in_another_zone():
    video = dated_anew(VideoFacts("a.mp4", 1, 1.0), ClockSettings(parse_start("2026-01-01T12:00"), "Europe/Berlin"))
    moved = dated_anew(video, ClockSettings(timezone="Asia/Tokyo")).recorded
    assert (iso(moved.start), moved.source) == ("2026-01-01T20:00:00.000+09:00", "option")
    assert os.path.basename(video.path) == "a.mp4"
