"""The scene generator in samples/: determinism, labels, files."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

SAMPLES = Path(__file__).resolve().parents[1] / "samples"
sys.path.insert(0, str(SAMPLES))

try:
    import make
    from scenes import CLASSES, Scene, degrade
    from scenes.renderer import gl_context
    from scenes.story import schedule

    gl_context()
except (ImportError, AttributeError, OSError, RuntimeError) as error:  # what MuJoCo raises without EGL
    pytest.skip(f"no OpenGL for the scene renderer: {error}", allow_module_level=True)

ANOMALIES = CLASSES[1:]


def render(seed: int, kind: str, frames: list[int], **options) -> list[np.ndarray]:
    scene = Scene(seed, kind, 12, **options)
    pictures = [scene.render(frame) for frame in frames]
    scene.close()
    return pictures


def test_render_is_rgb():
    (picture,) = render(3, "normal", [10])
    assert picture.shape == (240, 320, 3)
    assert picture.dtype == np.uint8
    assert 40 < picture.mean() < 200
    assert picture.std() > 15


@pytest.mark.parametrize("kind", CLASSES)
def test_render_depends_on_seed_and_frame_only(kind):
    frames = [250, 3, 120]
    forward, again = render(5, kind, frames), render(5, kind, frames[::-1])[::-1]
    for one, other in zip(forward, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert np.any(forward[0] != forward[1])


def test_seeds_differ():
    (one,), (other,) = render(1, "normal", [0]), render(2, "normal", [0])
    assert np.abs(one.astype(int) - other).mean() > 5


def test_interleaved_scenes_do_not_disturb_each_other():
    (alone,) = render(1, "fighting", [40])
    first, second = Scene(1, "fighting", 12), Scene(2, "arson", 12)
    second.render(40)
    np.testing.assert_array_equal(first.render(40), alone)
    first.close()
    second.close()


@pytest.mark.parametrize("kind", ANOMALIES)
@pytest.mark.parametrize("seed", range(4))
def test_intervals_are_in_range(kind, seed):
    scene = Scene(seed, kind)
    assert 20 <= scene.duration <= 60
    (event,) = scene.events
    assert event.class_name == kind
    assert 0 < event.start_frame < event.end_frame <= scene.frames
    stays = event.end_frame >= scene.frames - 1
    assert 3 <= (event.end_frame - event.start_frame) / scene.fps <= (scene.duration if stays else 12)
    assert scene.label_at(event.start_frame - 1) == "normal"
    assert scene.label_at(event.start_frame) == scene.label_at(event.end_frame - 1) == kind
    if kind == "roadaccidents":
        assert scene.frames - event.end_frame <= scene.fps
    scene.close()


def test_accidents_happen_at_any_time():
    rng = np.random.default_rng(0)
    starts = [schedule(rng, ("roadaccidents",), 40.0)[0][1] for _ in range(200)]
    assert min(starts) < 5
    assert max(starts) > 25
    counts, _ = np.histogram(starts, 4, (1, 28))
    assert counts.min() > 30


def test_a_normal_scene_is_watched_as_if_an_event_were_to_come():
    watched = set()
    for seed in range(12):
        scene = Scene(seed, "normal", 10)
        watched.add(scene.watched)
        scene.close()
    assert watched == set(ANOMALIES)


def test_normal_scene_has_no_events():
    scene = Scene(4, "normal", 10)
    assert scene.events == ()
    assert {scene.label_at(frame) for frame in range(scene.frames)} == {"normal"}
    scene.close()


def test_two_events_come_in_order_without_overlap():
    scene = Scene(6, "fighting", 30, events=("fighting", "explosion"))
    first, second = scene.events
    assert (first.class_name, second.class_name) == ("fighting", "explosion")
    assert first.end_frame < second.start_frame
    scene.close()


def test_accident_must_come_last():
    with pytest.raises(ValueError, match="last event"):
        Scene(6, "roadaccidents", 30, events=("roadaccidents", "fighting"))


@pytest.mark.parametrize("kind", ["explosion", "arson"])
def test_fire_brightens_the_labelled_frames(kind):
    scene = Scene(8, kind, 20)
    (event,) = scene.events
    before, during = scene.render(event.start_frame - 5), scene.render(event.start_frame + 100)
    scene.close()
    assert np.abs(before.astype(int) - during).max(2).mean() > 10


def test_fighters_move_at_the_spot():
    scene = Scene(24, "fighting", 12)
    (event,) = scene.events
    fighters = [person for person in scene.cast.people if person.role == "fighting"]
    assert 2 <= len(fighters) <= 4
    middle = (event.start_frame + event.end_frame) // 2
    tracks = np.stack([person.track[middle] for person in fighters])
    assert np.ptp(tracks[:, :2], axis=0).max() < 2
    poses = np.stack([[p.pose(middle + k) for k in range(0, 20, 5)] for p in fighters])
    assert np.abs(np.diff(poses, axis=1)).max() > 0.3
    scene.close()


def test_nobody_walks_through_anybody():
    scene = Scene(9, "normal", 30)
    tracks = [person.track[:, :2] for person in scene.cast.people if person.role in ("walking", "running")]
    assert len(tracks) > 3
    for k, one in enumerate(tracks):
        for other in tracks[k + 1 :]:
            gaps = np.linalg.norm(one - other, axis=1)
            assert not np.any(gaps[np.isfinite(gaps)] < 0.3)
    scene.close()


def test_captions_name_what_happens():
    rng = np.random.default_rng(0)
    for kind, words in (
        ("fighting", "fight|punch|beat"),
        ("explosion", "explosion|blast"),
        ("roadaccidents", "roadaccidents|accident|crash"),
        ("arson", "arson|fire"),
    ):
        scene = Scene(2, kind, 12)
        frame = scene.events[0].start_frame + 10
        captions = {scene.caption(frame, rng) for _ in range(20)}
        assert len(captions) > 5
        assert all(re.search(words, caption) for caption in captions)
        normal = [scene.caption(5, rng) for _ in range(20)]
        assert any("normal" in caption for caption in normal)
        assert not any(re.search("arson|explosion|fighting|accident", caption) for caption in normal)
        scene.close()


def test_too_short_a_video_is_refused():
    with pytest.raises(ValueError, match="too short"):
        Scene(6, "arson", 5)


def test_degrade_is_mild_and_seeded():
    (picture,) = render(3, "normal", [10])
    one, same = degrade(picture, np.random.default_rng(1)), degrade(picture, np.random.default_rng(1))
    np.testing.assert_array_equal(one, same)
    error = np.abs(one.astype(int) - picture).mean()
    assert 0.5 < error < 20


def test_plan_is_half_normal_and_seeded():
    jobs = make.plan(3, 80, None, (20, 60))
    assert jobs == make.plan(3, 80, None, (20, 60))
    kinds = [job.kind for job in jobs]
    assert kinds.count("normal") == 40
    assert {kinds.count(kind) for kind in ANOMALIES} == {10}
    assert len({job.name for job in jobs}) == len({job.seed for job in jobs}) == 80
    assert {job.events for job in jobs if job.kind == "fighting"} == {1, 2}
    assert all(20 <= job.seconds <= 60 for job in jobs)


def test_command_makes_videos_with_ground_truth(tmp_path):
    command = [
        sys.executable,
        str(SAMPLES / "make.py"),
        "--seed",
        "5",
        "--videos",
        "2",
        "--out",
        str(tmp_path),
    ]
    command += ["--classes", "normal", "explosion", "--seconds", "6", "8"]
    subprocess.run(command, check=True, capture_output=True, env=os.environ)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "Explosion001.mp4",
        "Normal001.mp4",
        "groundtruth.txt",
        "list.csv",
    ]
    with (tmp_path / "list.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["path"]: row["label"] for row in rows} == {
        "Normal001.mp4": "Normal",
        "Explosion001.mp4": "Explosion",
    }
    lines = sorted((tmp_path / "groundtruth.txt").read_text().splitlines())
    assert lines[1] == "Normal001  Normal  -1  -1  -1  -1"
    match = re.fullmatch(r"Explosion001  Explosion  (\d+)  (\d+)  -1  -1", lines[0])
    assert match
    with av.open(str(tmp_path / "Explosion001.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 320, 240)
        assert stream.average_rate == 25
        frames = sum(1 for _ in container.decode(stream))
    assert 0 < int(match[1]) < int(match[2]) <= frames
    assert 6 * 25 <= frames <= 8 * 25


def test_same_scene_gives_the_same_file(tmp_path):
    files = []
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        line = make.render(make.Job("Fighting001", 24, "fighting", 1, 6), folder, make.CRF)
        assert line.startswith("Fighting001  Fighting  ")
        files.append((folder / "Fighting001.mp4").read_bytes())
    assert files[0] == files[1]


def test_two_events_in_the_ground_truth(tmp_path):
    job = make.Job("Arson001", 11, "arson", 2, 16)
    scene = job.scene()
    line = make.annotation(job, scene)
    scene.close()
    numbers = [int(n) for n in re.fullmatch(r"Arson001  Arson  (\d+)  (\d+)  (\d+)  (\d+)", line).groups()]
    assert numbers == sorted(numbers)
    assert numbers[-1] <= 16 * 25


def test_shipped_samples_fit_their_ground_truth():
    with (SAMPLES / "list.csv").open(newline="") as file:
        listed = {Path(row["path"]).stem: row["label"] for row in csv.DictReader(file)}
    lines = [line.split("  ") for line in (SAMPLES / "groundtruth.txt").read_text().splitlines()]
    assert {name: label for name, label, *_ in lines} == listed
    assert set(listed.values()) == set(make.UCF_NAMES.values())
    assert any(line[4] != "-1" for line in lines)
    for name, _, *bounds in lines:
        path = SAMPLES / f"{name}.mp4"
        with av.open(str(path)) as container:
            assert max(int(n) for n in bounds) <= container.streams.video[0].frames
    assert sum(path.stat().st_size for path in SAMPLES.glob("*.mp4")) < 6e6
