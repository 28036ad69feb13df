"""What other Python programs may use: the names, the detector, and that their own state stays as it is."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
from commands import HANGS, ROOT, STRICT, run
from media import picture as numbered
from media import write_halves, write_mask, write_video

import dsanet_cli as dsanet

NAMES = {
    "CalibrateSettings", "DetectSettings", "Detector", "DsanetError", "EvalSettings", "Event", "EventRule",
    "ExtractSettings", "FeatureError", "Mask", "ModelError", "OutputError", "ReadOptions", "SourceError", "Timeline",
    "UsageError", "VideoError", "list_models", "load_model", "read_timeline", "run_calibrate", "run_eval",
    "run_extract",
}  # fmt: skip


def python(code, cwd):
    return subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", textwrap.dedent(code)],
        check=False, cwd=cwd, capture_output=True, text=True, timeout=HANGS,
    )  # fmt: skip


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("public") / "a.mp4"
    write_video(path, frames=70)
    return path


@pytest.fixture(scope="module")
def detector(tiny_model):
    with dsanet.Detector.load(tiny_model) as detector:
        yield detector


def decoders():
    return [thread for thread in threading.enumerate() if thread.name.startswith(("decoder", "watchdog"))]


def test_what_lies_outside_a_region_or_behind_a_mask_is_not_seen(tiny_model, tmp_path):
    hidden = np.arange(128)[None].repeat(96, 0) < 64
    mask = dsanet.Mask.read(write_mask(tmp_path / "m.png", hidden))
    videos = [write_halves(tmp_path / f"{left}.mkv", left, 900) for left in (100, 3000)]
    for seen in (dsanet.ReadOptions(mask=mask), dsanet.ReadOptions(region=(0.5, 0, 0.5, 1)), dsanet.ReadOptions()):
        with dsanet.Detector.load(tiny_model, dsanet.DetectSettings(reading=seen)) as detector:
            found = [detector.detect(path).scores for path in videos]
            given = [
                [
                    (number / 25, np.hstack([numbered(left + number, 96, 64), numbered(9, 96, 64)]))
                    for number in range(48)
                ]
                for left in (100, 3000)
            ]
            in_memory = [detector.detect_frames(frames) for frames in given]
        assert np.array_equal(*found) == (seen != dsanet.ReadOptions())
        assert np.array_equal(*(timeline.scores for timeline in in_memory)) == (seen != dsanet.ReadOptions())
        assert in_memory[0].sampling.region == seen.region
        assert in_memory[0].sampling.mask == (None if seen.mask is None else mask.sha256)


def test_the_public_names_are_these():
    assert set(dsanet.__all__) == NAMES
    assert set(dir(dsanet)) == NAMES | {"__version__"}
    for name in NAMES:
        assert getattr(dsanet, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Trainer'"):
        _ = dsanet.Trainer


def test_nothing_heavy_is_loaded_until_it_is_asked_for(tmp_path):
    done = python(
        """
        import sys, dsanet_cli
        heavy = {"torch", "numpy", "open_clip", "rich", "msgspec", "av", "typer"} & set(sys.modules)
        assert not heavy, heavy
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr


def test_readme_gives_what_the_command_writes(tmp_path):
    (code,) = re.findall(r"## From Python\n.*?```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    done = python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "explosion" in done.stdout
    assert done.stderr == ""
    assert run("detect", "samples/Explosion001.mp4", "--model", "scenes", "-o", "out", cwd=tmp_path).returncode == 0
    expected = (tmp_path / "out" / "Explosion001.json").read_bytes()
    assert (tmp_path / "Explosion001.json").read_bytes() == expected
    shown = run("detect", "samples/Explosion001.mp4", "--model", "scenes", "-f", "json", "-o", "-", cwd=tmp_path)
    assert shown.stdout.encode() == expected


def test_the_host_program_stays_as_it_is(tmp_path, video, tiny_model):
    done = python(
        f"""
        import logging, os, signal, sys, threading
        import torch
        torch.set_num_threads(3)

        def threads_of_a_new_thread():
            found = []
            thread = threading.Thread(target=lambda: found.append(torch.get_num_threads()))
            thread.start()
            thread.join()
            return found[0]

        def state():
            signals = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
            levels = [logging.getLogger(name).level for name in ("", "open_clip", "matplotlib", "dsanet_cli")]
            return (torch.get_num_threads(), threads_of_a_new_thread(), torch.is_grad_enabled(), signals, levels,
                    logging.getLogger().handlers[:], sys.stdout, sys.stderr, os.getcwd(), sys.excepthook)

        before = state()
        assert before[:2] == (3, 3)
        import dsanet_cli as dsanet
        with dsanet.Detector.load({str(tiny_model)!r}) as detector:
            detector.detect({str(video)!r})
            assert state() == before, (before, state())
        assert state() == before, (before, state())
        for thread in set(threading.enumerate()) - {{threading.main_thread()}}:
            thread.join(timeout=60)  # the watchdog ends after its last look
            assert not thread.is_alive(), thread
        """,
        tmp_path,
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert list(tmp_path.iterdir()) == []


def test_extract_evaluate_and_calibrate_print_nothing_and_take_any_path(tmp_path, video, tiny_model):
    done = python(
        f"""
        import os, sys
        from pathlib import Path
        import dsanet_cli as dsanet
        from dsanet_cli.models.encoder_choice import EncoderChoice

        folder, video, model = Path({str(tmp_path)!r}), Path({str(video)!r}), {str(tiny_model)!r}
        (folder / "broken.mp4").write_bytes(b"no video")
        sources, encoder = [str(video), folder / "broken.mp4", "missing.mp4"], EncoderChoice(Path(model))
        done = dsanet.run_extract(dsanet.ExtractSettings(sources, str(folder / "features"), encoder=encoder))
        assert (done.extracted, done.failed) == (1, 2), done
        assert [isinstance(error, dsanet.DsanetError) for error in done.errors] == [True, True], done

        for kind, event in (("Normal", "-1  -1"), ("Fighting", "8  30")):
            os.makedirs(folder / kind, exist_ok=True)
            (features,) = (folder / "features").rglob("a*.npy")
            os.link(features, folder / kind / f"{{kind}}1__0.npy")
            with open(folder / "gt.txt", "a") as file:
                file.write(f"{{kind}}1.mp4  {{kind}}  {{event}}  -1  -1\\n")
        rows = "Normal/Normal1__0.npy,Normal", "Fighting/Fighting1__0.npy,Fighting", "none__0.npy,Normal"
        (folder / "test.csv").write_text("\\n".join(["path,label", *rows]))
        found = dsanet.run_eval(dsanet.EvalSettings(
            str(folder / "gt.txt"), None, None, str(folder / "eval"), model=Path(model),
            list_file=str(folder / "test.csv"), root=str(folder), skip_missing=True,
        ))
        assert (found.done, found.missing) == (2, 1), found
        assert 0 <= found.evaluation.score.auc <= 1

        chosen = dsanet.run_calibrate(dsanet.CalibrateSettings(
            [str(video), folder / "broken.mp4"], str(folder / "gate.toml"), "1/day", model=Path(model)
        ))
        assert (chosen.videos, chosen.failed) == (1, 1), chosen
        assert 0.3 <= chosen.rule.threshold < 1
        assert "false alarm" in chosen.verdict
        """,
        tmp_path,
    )
    assert (done.stdout, done.stderr) == ("", "")
    assert done.returncode == 0
    assert {"features", "eval", "gate.toml", "gate.png"} <= {path.name for path in tmp_path.iterdir()}


def test_one_path_is_no_list_of_letters(detector, video):
    assert [name for name, _ in detector.detect_many(str(video))] == [str(video)]


def test_a_timeline_has_snippets_events_coverage_and_a_verdict(detector, video):
    timeline = detector.detect(str(video))
    assert [snippet.start for snippet in timeline.snippets] == timeline.starts.tolist()
    assert timeline.snippets[0].label in timeline.class_names
    assert sum(timeline.snippets[0].probabilities) == pytest.approx(1, abs=1e-5)
    assert timeline.coverage.analysed == 1
    assert timeline.verdict.anomalous == bool(timeline.events)
    assert timeline.thumbnails == {}
    STRICT.validate(json.loads(timeline.to_json()))


def test_thumbnails_on_request(detector, video):
    timeline = detector.detect(video, thumbnails=True)
    assert set(timeline.thumbnails) == set(range(max(1, len(timeline.events))))
    assert timeline.thumbnails[0].shape == (32, 48, 3)


def test_a_result_can_be_read_again(detector, video, tmp_path):
    timeline = detector.detect(video)
    (tmp_path / "a.json").write_text(timeline.to_json())
    assert dsanet.read_timeline(str(tmp_path / "a.json")).to_json() == timeline.to_json()


def test_many_videos_come_with_their_timelines_or_errors(detector, video, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    sources = [video, tmp_path / "broken.mp4", str(tmp_path / "missing.mp4")]
    results = dict(detector.detect_many(sources, jobs=2))
    assert set(results) == {str(source) for source in sources}
    assert results[str(video)].to_json() == detector.detect(video).to_json()
    assert isinstance(results[str(tmp_path / "broken.mp4")], dsanet.VideoError)
    assert isinstance(results[str(tmp_path / "missing.mp4")], dsanet.SourceError)


def test_a_video_that_is_none_raises(detector, tmp_path):
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(dsanet.VideoError, match=r"broken\.mp4"):
        detector.detect(tmp_path / "broken.mp4")
    with pytest.raises(dsanet.SourceError, match=r"missing\.mp4"):
        detector.detect(tmp_path / "missing.mp4")


def test_a_folder_is_for_detect_many(detector, video):
    (video.parent / "b.mp4").write_bytes(video.read_bytes())
    with pytest.raises(dsanet.UsageError, match="stands for 2 videos; use detect_many"):
        detector.detect(video.parent)


def test_progress_says_what_is_done_of_what(detector, video):
    seen = []
    timeline = detector.detect(video, on_progress=lambda *progress: seen.append(progress))
    assert {name for name, _, _ in seen} == {str(video)}
    done = [seconds for _, seconds, _ in seen]
    assert done == sorted(done)
    assert done[-1] == pytest.approx(timeline.ends[-1])
    assert [total for _, _, total in seen] == pytest.approx([timeline.video.duration] * len(seen), abs=0.1)


class Enough(Exception):
    pass


def stop(*_):
    raise Enough


def test_progress_may_raise_to_stop_and_nothing_is_left(detector, video):
    frames = ((number / 25, np.zeros((40, 60, 3), np.uint8)) for number in itertools.count())
    for analyse in (
        lambda: detector.detect(video, on_progress=stop),
        lambda: list(detector.detect_many([video], on_progress=stop)),
        lambda: detector.detect_frames(frames, on_progress=stop),
    ):
        with pytest.raises(Enough):
            analyse()
        assert not [thread for thread in decoders() if thread.name.startswith("decoder")]
    assert detector.detect(video).verdict  # and it goes on


def test_a_generator_that_is_dropped_ends_its_decoders(detector, video):
    results = detector.detect_many([video, video.parent])
    next(results)
    results.close()
    assert not [thread for thread in decoders() if thread.name.startswith("decoder")]


def picture(shape=(40, 60, 3), dtype=np.uint8):
    return np.zeros(shape, dtype)


def test_frames_in_memory_give_what_their_video_gives(detector, tmp_path):
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (32, 48, 3), np.uint8) for _ in range(40)]  # the encoder's size: nothing is scaled
    import av  # noqa: PLC0415

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgr0"
        for one in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(one, "rgb24")))
        container.mux(stream.encode())
    found = detector.detect_frames(((number / 25, one) for number, one in enumerate(pictures)), name="camera 1")
    expected = detector.detect(tmp_path / "a.mkv")
    np.testing.assert_allclose(found.starts, expected.starts, atol=1e-3)
    np.testing.assert_allclose(found.ends, expected.ends, atol=1e-3)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)
    assert (found.video.path, found.video.frames, found.video.duration) == ("camera 1", 40, pytest.approx(1.6))
    assert (found.video.width, found.video.height) == (48, 32)
    STRICT.validate(json.loads(found.to_json()))


def test_frames_of_any_size_and_uneven_times(detector):
    sizes = [(40, 60, 3), (1, 1, 3), (300, 200, 3), (7, 500, 3)] * 5
    times = [10.0, *np.cumsum(np.linspace(0.1, 2, 19)) + 10]
    timeline = detector.detect_frames((float(time), picture(size)) for time, size in zip(times, sizes, strict=True))
    assert timeline.starts.tolist() == [times[0], times[16]]
    assert timeline.ends.tolist() == pytest.approx([times[16], times[-1] + times[-1] - times[-2]])


def test_one_frame_lasts_no_time(detector):
    timeline = detector.detect_frames([(3.0, picture())])
    assert (timeline.starts.tolist(), timeline.ends.tolist()) == ([3.0], [3.0])
    STRICT.validate(json.loads(timeline.to_json()))


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "cam: no frames"),
        ([picture()], "frame 0 is a ndarray; give pairs"),
        ([(0.0, picture()), (0.04,)], "frame 1 is a tuple; give pairs"),
        ([("0", picture())], "frame 0 has the time 0; give seconds"),
        ([(float("nan"), picture())], "frame 0 has the time nan"),
        ([(float("inf"), picture())], "frame 0 has the time inf"),
        ([(1.0, picture()), (0.5, picture())], "frame 1 is at 0.5 s, before the one at 1 s"),
        ([(0.0, picture(dtype=np.float32))], "frame 0 is of type float32; give a NumPy array of uint8"),
        ([(0.0, [[1]])], "frame 0 is of type list"),
        ([(0.0, picture((40, 60)))], r"frame 0 has the shape \(40, 60\); give \(height, width, 3\), RGB"),
        ([(0.0, picture((40, 60, 4)))], r"frame 0 has the shape \(40, 60, 4\)"),
        ([(0.0, picture((3, 40, 60)))], r"frame 0 has the shape \(3, 40, 60\)"),
        ([(0.0, picture((0, 60, 3)))], r"frame 0 has the shape \(0, 60, 3\)"),
    ],
)
def test_frames_that_are_none(detector, frames, reason):
    with pytest.raises(dsanet.VideoError, match=reason):
        detector.detect_frames(frames, "cam")


def test_paths_may_be_texts_or_paths(tiny_model, tmp_path):
    assert dsanet.load_model(str(tiny_model)).sha256 == dsanet.load_model(tiny_model).sha256
    assert Path(dsanet.list_models()[0]).is_dir()
    with pytest.raises(dsanet.ModelError):
        dsanet.load_model(tmp_path)
