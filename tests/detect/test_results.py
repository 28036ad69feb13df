"""Whose a result is, and whether it stands."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import shutil
from pathlib import Path

import fsspec
import numpy as np
import pytest
from tiny import WIDTH, save_tiny_model

from dsanet_cli.detect import results
from dsanet_cli.detect.places import TakenError
from dsanet_cli.detect.runner import Runner
from dsanet_cli.detect.settings import DetectSettings, RunnerSettings
from dsanet_cli.errors import ModelError
from dsanet_cli.files.folders import open_folder
from dsanet_cli.files.sources import Source
from dsanet_cli.timeline.timeline import Timeline

OUTPUTS = ("out", "memory://bucket/out")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def work(tiny_model):
    def make(output="out", formats=("json",), **settings):
        return Runner(RunnerSettings(output, formats, str(tiny_model), **settings))

    return make


def features(path, length=20, time=1_700_000_000.25):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    np.save(path, np.full((length, WIDTH), length / 7, np.float32))
    os.utime(path, (time, time))
    return Source(Path(path), Path(Path(path).stem))


def analyse(runner, source):
    """What becomes of a source that is not settled."""
    outcomes = []
    assert runner.settled(source, False) is None
    runner.run([source], lambda *_: None, lambda _, result: outcomes.append(result))
    (outcome,) = outcomes
    return outcome


def record(name="out/x.json"):
    return json.loads(Path(name).read_text())


def stands(runner, source):
    return isinstance(runner.settled(source, True), Timeline)


@pytest.mark.parametrize("output", OUTPUTS)
def test_the_result_of_another_video_is_never_overwritten_unasked(work, output):
    a, b = features("a/x.npy"), features("b/x.npy", 30)
    analyse(work(output), a)
    before = open_folder(output).read(results.result_name(a))
    for skip_done in (False, True):
        error = work(output).settled(b, skip_done)
        assert isinstance(error, TakenError)
        for part in ("b/x.npy", "x.json holds the result of another video, a/x.npy;", "--overwrite"):
            assert part in str(error)
        assert "\n" not in str(error)
    assert open_folder(output).read(results.result_name(a)) == before
    assert isinstance(analyse(work(output, replace_others=True), b), Timeline)
    assert open_folder(output).read(results.result_name(a)) != before


@pytest.mark.parametrize("output", OUTPUTS)
def test_a_result_that_appears_meanwhile_is_not_overwritten(work, output):
    a, b = features("a/x.npy"), features("b/x.npy", 30)
    late = work(output)
    assert late.settled(b, False) is None
    analyse(work(output), a)
    outcomes = []
    late.run([b], lambda *_: None, lambda _, result: outcomes.append(result))
    assert isinstance(outcomes[0], TakenError)
    assert json.loads(open_folder(output).read(results.result_name(a)))["video"]["path"] == "a/x.npy"


def test_a_relative_path_means_another_video_in_another_folder(work, monkeypatch, tmp_path):
    features("a/x.npy"), features("b/x.npy", 30)
    monkeypatch.chdir("a")
    analyse(work("../out"), Source(Path("x.npy"), Path("x")))
    monkeypatch.chdir("../b")
    assert isinstance(work("../out").settled(Source(Path("x.npy"), Path("x")), True), TakenError)


def test_a_result_stands_however_its_video_is_typed(work, tmp_path, monkeypatch):
    source = features("in/x.npy")
    analyse(work(), source)
    Path("link").symlink_to("in")
    monkeypatch.chdir("in")
    for path in ("x.npy", "./x.npy", "../in/x.npy", "../link/x.npy", tmp_path / "link" / "x.npy"):
        kept = work("../out").settled(Source(Path(path), Path("x")), True)
        assert isinstance(kept, Timeline)
        assert kept.video.path == str(Path(path))


def test_a_result_stands_for_a_video_that_was_moved(work):
    analyse(work(), features("archive/x.npy"))
    shutil.move("archive", "moved")
    moved = Source(Path("moved/x.npy"), Path("x"))
    assert stands(work(), moved)
    os.utime(moved.path, (1_700_000_000, 1_700_000_000))  # as tar keeps it
    assert stands(work(), moved)
    os.utime(moved.path, (1_700_000_100, 1_700_000_100))
    assert isinstance(work().settled(moved, True), TakenError)


def test_a_copy_is_the_same_video_and_a_twin_is_not(work):
    source = features("a/x.npy")
    analyse(work(), source)
    Path("b").mkdir()
    shutil.copy2(source.path, "b/x.npy")
    copy = Source(Path("b/x.npy"), Path("x"))
    assert stands(work(), copy)
    status = source.path.stat()
    copy.path.write_bytes(bytes(status.st_size))  # recorders write files of equal size at equal times
    os.utime(copy.path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert isinstance(work().settled(copy, True), TakenError)


def test_a_video_that_was_replaced_is_analysed_again(work):
    source = features("x.npy")
    analyse(work(), source)
    assert stands(work(), source)
    for time in (1_600_000_000, 1_800_000_000):  # by an older or a newer one of the same length
        features("x.npy", time=time)
        assert work().settled(source, True) is None
    os.utime(source.path, (1_700_000_000.25, 1_700_000_000.25))
    assert stands(work(), source)
    features("x.npy", 21)
    assert work().settled(source, True) is None


def test_times_that_differ_a_little_are_the_same_only_where_they_are_kept_in_seconds(work):
    source = features("x.npy", time=1_700_000_000.75)
    analyse(work(), source)
    os.utime("x.npy", (1_700_000_001, 1_700_000_001))  # as an archive has it
    assert stands(work(), source)
    os.utime("x.npy", (1_700_000_001.25, 1_700_000_001.25))
    assert not stands(work(), source)


def test_the_time_on_record_is_that_before_the_analysis(work):
    source = features("x.npy")
    runner = work()
    assert runner.settled(source, False) is None
    features("x.npy", time=1_800_000_000)  # replaced while others are analysed
    runner.run([source], lambda *_: None, lambda *_: None)
    assert work().settled(source, True) is None


def test_another_model_needs_another_result(work, tmp_path):
    source = features("x.npy")
    analyse(work(), source)
    save_tiny_model(tmp_path / "other", description="another")
    other = Runner(RunnerSettings("out", ("json",), str(tmp_path / "other")))
    assert other.settled(source, True) is None


def test_another_version_of_the_program_needs_another_result(work, monkeypatch):
    source = features("x.npy")
    analyse(work(), source)
    monkeypatch.setattr(results, "PROGRAM", "dsanet 99")
    runner = work()
    assert runner.settled(source, True) is None
    assert runner.outdated == 1
    other = work(threshold=0.123)
    assert other.settled(source, True) is None
    assert other.outdated == 0


def test_other_encoder_weights_need_another_result(work, tmp_path):
    video = Source(Path("x.mp4"), Path("x"))
    for name in ("one", "two"):
        Path(name).write_text(name)
    one, two = (work(detect=DetectSettings(encoder_weights=Path(name)))._results for name in ("one", "two"))
    assert one._encoder_of(video) != two._encoder_of(video)
    assert one._encoder_of(features("x.npy")) is None
    source = features("x.npy")
    analyse(work(), source)
    entries = record()
    entries["model"]["encoder_sha256"] = "ab" * 32
    Path("out/x.json").write_text(json.dumps(entries))
    assert work().settled(source, True) is None
    with pytest.raises(ModelError, match="gone: cannot be read"):
        work(detect=DetectSettings(encoder_weights=Path("gone")))


def test_the_record_is_always_written_and_resume_needs_no_other_format(work):
    source = features("x.npy")
    analyse(work(formats=("csv",)), source)
    assert {path.name for path in Path("out").iterdir()} == {"x.json", "x.csv"}
    assert stands(work(formats=("csv",)), source)
    assert work(formats=("png",)).settled(source, True) is None


def test_formats_that_are_there_are_kept_up_to_date(work):
    source = features("x.npy")
    analyse(work(formats=("csv", "png")), source)
    before = Path("out/x.png").read_bytes()
    analyse(work(threshold=0.9), features("x.npy", 30))
    assert Path("out/x.png").read_bytes() != before
    assert len(list(csv.reader(io.StringIO(Path("out/x.csv").read_text())))) == 31
    assert stands(work(threshold=0.9, formats=("csv", "png")), source)


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.json", '{"shapes": []}'), ("x.json", "[]"), ("x.csv", "a,b\n"), ("x.png", "\x89PNG of a person")],
)
def test_files_of_others_are_never_overwritten_unasked(work, name, content):
    Path("out").mkdir()
    Path("out", name).write_text(content)
    source = features("x.npy")
    runner = work(formats=("csv", "png"))
    error = runner.settled(source, True)
    assert isinstance(error, TakenError)
    assert f"out/{name} is there and was not written by dsanet" in str(error)
    assert Path("out", name).read_text() == content
    assert isinstance(analyse(work(formats=("csv", "png"), replace_others=True), source), Timeline)


def test_what_a_killed_run_left_is_no_file_of_others(work):
    source = features("x.npy")
    analyse(work(formats=("csv", "png")), source)
    Path("out/x.json").unlink()
    assert work(formats=("csv", "png")).settled(source, True) is None
    Path("out/x.json").touch()  # as some file systems leave it after a power failure
    assert work(formats=("csv", "png")).settled(source, True) is None


def test_names_that_differ_in_case_only_do_not_meet_in_a_folder(work):
    analyse(work(), features("a/Clip.npy"))
    error = work().settled(features("b/clip.npy", 30), False)
    assert isinstance(error, TakenError)
    assert "out/Clip.json has a name that some systems take for the same" in str(error)
    analyse(work(replace_others=True), features("b/clip.npy", 30))
    assert {path.name for path in Path("out").iterdir()} == {"clip.json"}


def test_a_long_record_is_read_at_its_ends(work, monkeypatch):
    source = features("x.npy", 3000)
    analyse(work(threshold=0.001, release=0.0005), source)
    assert len(Path("out/x.json").read_bytes()) > 2 * results.read_abridged.__globals__["ENDS"]
    whole = record()

    def refuse(self, name):
        raise AssertionError("read as a whole")

    monkeypatch.setattr("dsanet_cli.files.folders.LocalFolder.read", refuse)
    kept = work(threshold=0.001, release=0.0005).settled(source, True)
    assert isinstance(kept, Timeline)
    assert [event.start for event in kept.events] == [event["start"] for event in whole["events"]]
    assert dataclasses.asdict(kept.verdict)["label"] == whole["verdict"]["label"]
    assert len(kept.starts) == 2


def test_a_record_that_another_program_wrote_anew_still_has_its_owner(work):
    source = features("x.npy")
    analyse(work(), source)
    Path("out/x.json").write_text(json.dumps(record(), indent=4))
    assert stands(work(), source)
    assert isinstance(work().settled(features("b/x.npy", 30), True), TakenError)


def test_a_cut_off_record_still_has_its_owner(work):
    source = features("x.npy")
    analyse(work(), source)
    Path("out/x.json").write_bytes(Path("out/x.json").read_bytes()[:-40])
    assert isinstance(work().settled(features("b/x.npy", 30), True), TakenError)
    assert work().settled(source, True) is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
@pytest.mark.parametrize("kind", ["json", "csv", "png"])
def test_a_pipe_where_a_result_goes_is_said_and_nobody_waits_for_it(work, kind):
    Path("out").mkdir()
    os.mkfifo(f"out/x.{kind}")
    assert "cannot be read (Not a regular file)" in str(work(formats=("csv", "png")).settled(features("x.npy"), True))
