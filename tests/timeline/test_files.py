import csv
import dataclasses
import io
import json
import os
from fractions import Fraction

import numpy as np
import pytest

from dsanet_cli.config import EventRule
from dsanet_cli.errors import OutputError
from dsanet_cli.text import format_clock, format_time
from dsanet_cli.timeline.facts import Coverage, ModelFacts, Sampling, VideoFacts
from dsanet_cli.timeline.files import parse_timeline, read_timeline, write_csv, write_json
from dsanet_cli.timeline.text import format_event, format_moment, format_verdict
from dsanet_cli.timeline.timeline import Event, build_timeline

CLASSES = ("normal", "fighting", "road accidents")
KEYS = ["schema", "video", "model", "sampling", "coverage", "snippets", "events", "verdict"]


def make(scores=(0.125, 0.75, 1e-5), **changes):
    scores = np.array(scores)
    n = len(scores)
    facts = {
        "video": VideoFacts("in/a.mp4", 16 * n, n * 0.5339, Fraction(30000, 1001), 320, 240, "h264", 12345),
        "model": ModelFacts("scenes", "ab" * 32),
        "class_names": CLASSES,
        "sampling": Sampling(16, 4, "bf16", "cpu"),
        "rule": EventRule(0.5, 0.35, 2.0, 0.5),
        "starts": np.arange(n) * 0.5339,
        "ends": np.arange(1, n + 1) * 0.5339,
        "scores": scores,
        "probabilities": np.stack([1 - scores, scores / 4, scores * 3 / 4], axis=1),
        "coverage": Coverage(0.95, ((1.0, 1.25),)),
    }
    return build_timeline(**(facts | changes))


def dumps(timeline):
    stream = io.StringIO()
    write_json(timeline, stream)
    return stream.getvalue()


def loads(text):
    def refuse(constant):
        raise AssertionError(constant)

    return json.loads(text, parse_constant=refuse)


def saved(tmp_path, timeline):
    path = tmp_path / "a.json"
    path.write_text(dumps(timeline), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00.00"), (12.8, "00:12.80"), (59.999, "01:00.00"), (3599.99, "59:59.99"),
     (3599.996, "01:00:00.00"), (3723.4, "01:02:03.40"), (360000, "100:00:00.00")],
)  # fmt: skip
def test_times(seconds, text):
    assert format_time(seconds) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [((0,), "0:00"), ((65.4,), "1:05"), ((65.46, 1), "1:05.5"), ((59.96, 1), "1:00.0"), ((3600,), "1:00:00"),
     ((65, 0, True), "0:01:05"), ((0.005, 3), "0:00.005")],
)  # fmt: skip
def test_clocks(arguments, text):
    assert format_clock(*arguments) == text


def test_moments_fit_the_length_of_the_video():
    assert format_moment(65.3, make()) == "1:05.3"
    assert format_moment(65.3, make(video=VideoFacts("a", 1, 7200.0))) == "0:01:05"


def test_event_lines():
    event = Event(12.8, 19.2, 15.0, 0.9712, "explosion", (0.1, 0.9))
    assert format_event(event) == "[00:12.80 -> 00:19.20] explosion 0.97"


def test_verdict_lines():
    assert format_verdict(make([0.1, 0.2])) == "no event · highest score 0.20 · threshold 0.50"
    assert format_verdict(make([0.1, 0.75])) == "peak 0.75 at 0:00.8 · 1 event, 0.5 s"
    assert format_verdict(make([0.9] + [0.0] * 5 + [0.75])) == "peak 0.90 at 0:00.3 · 2 events, 1.1 s in all"
    short = EventRule(min_length=9.0)
    assert format_verdict(make([0.9], rule=short)) == "no event · highest score 0.90 · too short for an event"
    assert format_verdict(make([0.9] * 200)) == "peak 0.90 at 0:00.3 · 1 event, 1:47"


def test_the_batch_size_is_named_where_it_is_known():
    timeline = make()
    assert "batch_size" not in loads(dumps(timeline))["sampling"]
    named = dataclasses.replace(timeline, sampling=dataclasses.replace(timeline.sampling, batch_size=128))
    assert loads(dumps(named))["sampling"]["batch_size"] == 128
    assert parse_timeline(dumps(named).encode(), "a.json").sampling.batch_size == 128


def test_json_is_schema_1():
    data = loads(dumps(make()))
    assert list(data) == KEYS
    assert data["schema"] == 1
    assert data["video"] == {
        "path": "in/a.mp4", "frames": 48, "fps": "30000/1001", "duration": 1.602,
        "width": 320, "height": 240, "codec": "h264", "bytes": 12345,
    }  # fmt: skip
    assert data["model"] == {"name": "scenes", "sha256": "ab" * 32}
    rule = {"threshold": 0.5, "release": 0.35, "merge_gap": 2.0, "min_length": 0.5, "drop": []}
    sampling = {"snippet_frames": 16, "sampled_frames": 4, "precision": "bf16", "device": "cpu", "scan_level": None}
    assert data["sampling"] == sampling | {"event_rule": rule}
    assert data["coverage"] == {"analysed": 0.95, "holes": [[1.0, 1.25]], "scanned": []}
    assert [s["label"] for s in data["snippets"]] == ["normal", "road accidents", "normal"]
    assert data["snippets"][1] == {
        "start": 0.534, "end": 1.068, "score": 0.75, "label": "road accidents",
        "probabilities": {"normal": 0.25, "fighting": 0.1875, "road accidents": 0.5625},
    }  # fmt: skip
    assert data["events"] == [
        {"start": 0.534, "end": 1.068, "peak_time": 0.801, "peak_score": 0.75, "label": "road accidents",
         "probabilities": {"normal": 0.25, "fighting": 0.1875, "road accidents": 0.5625}}
    ]  # fmt: skip
    assert data["verdict"] == {"anomalous": True, "label": "road accidents", "score": 0.75}


def test_json_without_events_or_picture():
    timeline = make([0.1], video=VideoFacts("f.npy", 16, 0.5, Fraction(30)), sampling=Sampling(16, None, "fp32"))
    data = loads(dumps(timeline))
    assert data["events"] == []
    assert data["video"]["fps"] == "30/1"
    assert [data["video"][k] for k in ("width", "height", "codec")] == [None] * 3
    assert data["sampling"]["sampled_frames"] is None
    assert loads(dumps(make(video=VideoFacts("f.npy", 16, 0.5))))["video"]["fps"] is None


def test_json_has_one_snippet_a_line():
    lines = dumps(make(np.full(100, 0.1))).splitlines()
    assert len(lines) == 100 + 11
    assert sum(line.startswith('    {"start": ') for line in lines) == 100


def test_json_is_written_as_it_is_made():
    class Stream(io.StringIO):
        longest = 0

        def write(self, text):
            self.longest = max(self.longest, len(text))
            return super().write(text)

    stream = Stream()
    write_json(make(np.full(2000, 0.1)), stream)
    assert len(stream.getvalue()) > 100_000
    assert stream.longest < 1000


def test_scores_keep_six_digits():
    scores = np.random.default_rng(0).random(500)
    scores[:100] /= 1e4
    read = np.array([s["score"] for s in loads(dumps(make(scores)))["snippets"]])
    np.testing.assert_allclose(read, scores, rtol=6e-6)


def test_names_in_any_script_and_with_signs():
    names = ("normal", '50 % "off" \\ {x}', "火災")
    data = loads(dumps(make(class_names=names, video=VideoFacts('ü/"猫"\n.mp4', 1, 1.0))))
    assert list(data["snippets"][0]["probabilities"]) == list(names)
    assert data["verdict"]["label"] == "火災"
    assert data["video"]["path"] == 'ü/"猫"\n.mp4'
    assert "火災" in dumps(make(class_names=names))


def test_a_name_that_is_no_text_survives(tmp_path):
    name = os.fsdecode(b"caf\xe9.mp4")
    timeline = make(video=VideoFacts(name, 1, 1.0))
    assert read_timeline(saved(tmp_path, timeline)).video.path == name


def test_reading_gives_back_what_was_written(tmp_path):
    timeline = make(np.random.default_rng(3).random(300))
    read = read_timeline(saved(tmp_path, timeline))
    for name in ("model", "class_names", "sampling", "coverage", "rule"):
        assert getattr(read, name) == getattr(timeline, name)
    assert read.video == dataclasses.replace(timeline.video, duration=round(timeline.video.duration, 3))
    np.testing.assert_allclose(read.starts, timeline.starts, atol=5.1e-4)
    np.testing.assert_allclose(read.ends, timeline.ends, atol=5.1e-4)
    np.testing.assert_allclose(read.scores, timeline.scores, rtol=6e-6)
    np.testing.assert_allclose(read.probabilities, timeline.probabilities, rtol=6e-6)
    assert (read.scores.dtype, read.starts.dtype) == (np.float32, np.float64)
    assert [(e.label, round(e.start, 3)) for e in timeline.events] == [(e.label, e.start) for e in read.events]
    assert read.verdict.label == timeline.verdict.label
    assert len(timeline.events) > 3
    assert dumps(read) == dumps(timeline)


def test_what_a_result_was_made_of_is_kept_where_it_is_known(tmp_path):
    timeline = make(
        video=VideoFacts("a.mp4", 1, 1.0, mtime=1764060833.1234567, real_path="/in/a.mp4"),
        model=ModelFacts("scenes", "ab" * 32, "cd" * 32),
    )
    read = read_timeline(saved(tmp_path, dataclasses.replace(timeline, program="dsanet 9.9")))
    assert (read.video, read.model, read.program) == (timeline.video, timeline.model, "dsanet 9.9")
    plain = loads(dumps(make()))
    assert "program" not in plain
    assert not {"mtime", "real_path"} & plain["video"].keys()
    assert list(plain["model"]) == ["name", "sha256"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.99])
def test_a_cut_off_result_is_refused(tmp_path, share):
    path = saved(tmp_path, make())
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(OutputError, match=r"a.json: not a complete dsanet result: not whole JSON; .*--overwrite"):
        read_timeline(path)


def change(path, *keys, to):
    data = json.loads(path.read_text())
    place = data
    for key in keys[:-1]:
        place = place[key]
    if to is KeyError:
        del place[keys[-1]]
    else:
        place[keys[-1]] = to
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("key", KEYS)
def test_a_result_with_a_missing_part_is_refused(tmp_path, key):
    path = saved(tmp_path, make())
    change(path, key, to=KeyError)
    with pytest.raises(OutputError, match=f"`{key}`"):
        read_timeline(path)


@pytest.mark.parametrize(
    ("keys", "to", "reason"),
    [
        (("schema",), 2, "schema 2, this version reads 1"),
        (("video", "codec"), 7, "video.codec: expected `str | null`, got `int`"),
        (("video", "fps"), "1/0", "video.fps: expected a fraction such as '30000/1001', got '1/0'"),
        (("video", "fps"), "1e999999999", "got '1e999999999'"),
        (("video", "fps"), f"{10**40}/1", "video.fps: "),
        (("video", "fps"), 30, "video.fps: "),
        (("video", "path"), "x" * 200_000, "length <= 100000"),
        (("video", "frames"), 10**25, "video.frames: "),
        (("video", "frames"), -1, "video.frames: expected `int` >= 0"),
        (("video", "duration"), 1e300, "video.duration: "),
        (("video", "frames"), KeyError, "video: object missing required field `frames`"),
        (("model", "sha256"), KeyError, "`sha256`"),
        (("sampling", "event_rule"), KeyError, "`event_rule`"),
        (("sampling", "event_rule", "release"), "low", "event_rule.release: expected `float`, got `str`"),
        (("coverage", "holes"), [[1]], "holes"),
        (("snippets",), [], "snippets: expected `array` of length >= 1"),
        (("snippets", 1, "score"), KeyError, "`score`"),
        (("snippets", 1, "score"), 1.5, "snippets[1].score: expected `float` <= 1.0"),
        (("snippets", 1, "score"), None, "snippets[1].score: "),
        (("snippets", 1, "score"), float("nan"), "NaN is not a number"),
        (("snippets", 1, "label"), "flood", "'flood'"),
        (("snippets", 1, "end"), 0.1, "ends before"),
        (("snippets", 1, "probabilities", "normal"), KeyError, "'normal'"),
        (("snippets", 1, "probabilities", "flood"), 0.1, "'flood'"),
        (("events", 0, "peak_time"), KeyError, "`peak_time`"),
        (("events", 0, "label"), "flood", "'flood'"),
        (("events",), [], "verdict does not fit"),
        (("events",), None, "events: expected `array`, got `null`"),
        (("verdict", "label"), "flood", "'flood'"),
        (("verdict", "score"), "high", "verdict.score: expected `float`, got `str`"),
    ],
)
def test_a_damaged_result_is_refused(tmp_path, keys, to, reason):
    path = saved(tmp_path, make())
    change(path, *keys, to=to)
    with pytest.raises(OutputError) as caught:
        read_timeline(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: not a complete dsanet result: ")
    assert reason in message
    assert "\n" not in message


def test_entries_of_a_later_version_are_ignored(tmp_path):
    path = saved(tmp_path, make())
    before = read_timeline(path)
    places = [(), ("video",), ("model",), ("sampling",), ("sampling", "event_rule"), ("coverage",)]
    places += [("snippets", 0), ("events", 0), ("verdict",)]
    for place in places:
        change(path, *place, "colour", to={"of": [1, None, "x"]})
    assert dumps(read_timeline(path)) == dumps(before)


def test_entries_that_came_later_may_be_missing(tmp_path):
    path = saved(tmp_path, make())
    for place in [("video", "bytes"), ("sampling", "device"), ("sampling", "scan_level"), ("coverage", "scanned")]:
        change(path, *place, to=KeyError)
    assert read_timeline(path).video.bytes is None


def test_reading_waits_for_no_pipe_and_no_device(tmp_path):
    os.mkfifo(tmp_path / "a.json")
    for path in (tmp_path / "a.json", "/dev/zero", tmp_path):
        with pytest.raises(OutputError, match="Not a regular file"):
            read_timeline(path)


def test_a_result_of_an_implausible_size_is_refused(tmp_path):
    with (tmp_path / "a.json").open("wb") as stream:
        stream.truncate(10**13)
    with pytest.raises(OutputError, match="Larger than 2048 MiB"):
        read_timeline(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content",
    [
        b"[]",
        b"1",
        b"null",
        b'"x"',
        b'{"schema": 1, "video": []}',
        b"\xff\xfe",
        b"[" * 200_000,
        b'{"schema": 1}',
    ],
)
def test_another_file_is_refused(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(OutputError, match=r"a.json: not a complete dsanet result"):
        read_timeline(path)


def test_a_missing_result_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"none.json: .*No such file"):
        read_timeline(tmp_path / "none.json")


def test_csv_has_a_row_per_snippet():
    stream = io.StringIO()
    write_csv(make(), stream)
    assert stream.getvalue() == (
        "start,end,score,label,normal,fighting,road accidents\n"
        "0.000,0.534,0.125,normal,0.875,0.03125,0.09375\n"
        "0.534,1.068,0.75,road accidents,0.25,0.1875,0.5625\n"
        "1.068,1.602,1e-05,normal,0.99999,2.5e-06,7.5e-06\n"
    )


def test_csv_holds_no_formulas():
    stream = io.StringIO()
    write_csv(make(class_names=("normal", "=1+1", "@x\r")), stream)
    rows = list(csv.reader(io.StringIO(stream.getvalue(), newline="")))
    assert rows[0][4:] == ["normal", "'=1+1", r"'@x\r"]
    assert rows[2][3] == r"'@x\r"


def test_csv_quotes_names():
    stream = io.StringIO()
    write_csv(make(class_names=("normal", "a,b", 'c"d')), stream)
    rows = list(csv.reader(io.StringIO(stream.getvalue())))
    assert rows[0][4:] == ["normal", "a,b", 'c"d']
    assert rows[2][3] == 'c"d'
