from __future__ import annotations

import csv
import json
import os
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from commands import FAULTY, HANGS, LONG, run, start
from media import damage, read_number, restamp, write_video
from tiny import MARGINS, WIDTH, save_tiny_model, tiny_clip, tiny_config
from typer.testing import CliRunner

from dsanet_cli.cli.app import app
from dsanet_cli.detect.detector import Detector
from dsanet_cli.detect.settings import DetectSettings
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import SourceError, UsageError
from dsanet_cli.extract.collector import FeatureCollector
from dsanet_cli.extract.run import ExtractOutcome, ExtractSettings, run_extract
from dsanet_cli.features import origins as origins_module
from dsanet_cli.features.files import load_features
from dsanet_cli.features.lists import read_list
from dsanet_cli.features.sidecar import SIDECAR_FILE, read_extraction
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.encoder_choice import EncoderChoice
from dsanet_cli.pipeline.batcher import FrameBatcher
from dsanet_cli.video.decoder_pool import DecoderPool
from dsanet_cli.video.probe import probe
from dsanet_cli.video.reader import open_video

TEN = tuple(range(10))


@pytest.fixture
def model(margins_model):
    return margins_model


@pytest.fixture
def extract(model, tmp_path):
    def run_in_process(*sources, **changes):
        settings = {
            "sources": tuple(str(tmp_path / source) for source in sources),
            "output": tmp_path / "out",
            "encoder": EncoderChoice(model=str(model)),
            "device": "cpu",
            "precision": "fp32",
            "quiet": True,
        }
        return run_extract(ExtractSettings(**{**settings, **changes}), silent=False)

    return run_in_process


@pytest.fixture
def encode():
    """Features (N, D) of a video, frame by frame and without any batching."""
    encoder = FrameEncoder(tiny_clip().visual, MARGINS, torch.device("cpu"), torch.float32)

    def encode_one_crop(path, crop=0, sampled=16):
        snippets = open_video(path, MARGINS.resize, sampled).snippets()
        return np.stack(
            [np.mean([encoder.encode(frame[None], crop)[0] for frame in s.frames], axis=0) for s in snippets]
        )

    return encode_one_crop


def test_features_are_the_mean_of_each_sixteen_frames(extract, encode, tmp_path):
    path = write_video(tmp_path / "clip.mp4", frames=48)
    assert extract("clip.mp4") == ExtractOutcome(extracted=1, kept=0, failed=0)
    features = np.load(tmp_path / "out" / "clip__0.npy")
    assert features.dtype == np.float32
    assert features.shape == (3, WIDTH)
    np.testing.assert_allclose(features, encode(path), rtol=1e-4, atol=1e-5)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"clip__0.npy", SIDECAR_FILE}


def test_ten_crops_equal_ten_separate_encodings_of_one_decode(extract, encode, tmp_path, monkeypatch):
    path = write_video(tmp_path / "clip.mp4", frames=32)
    jobs = []
    decode = DecoderPool._decode
    monkeypatch.setattr(DecoderPool, "_decode", lambda self, at, task: jobs.append(task.job) or decode(self, at, task))
    extract("clip.mp4", crops=TEN, batch_size=1)
    assert [job.path for job in jobs] == [path]
    features = [np.load(tmp_path / "out" / f"clip__{crop}.npy") for crop in TEN]
    for crop in TEN:
        np.testing.assert_allclose(features[crop], encode(path, crop), rtol=1e-4, atol=1e-5)
        assert all(np.abs(features[crop] - features[other]).max() > 1e-3 for other in range(crop))


def test_mirrored_crops_are_the_crops_of_a_mirrored_video(model, extract, tmp_path):
    path = write_video(tmp_path / "clip.mp4", frames=16)
    extract("clip.mp4", crops=TEN)
    (snippet,) = open_video(path, MARGINS.resize, 16).snippets()
    encoder = load_model(str(model)).frame_encoder(torch.device("cpu"), torch.float32)
    mirrored = np.ascontiguousarray(snippet.frames[:, :, ::-1])
    # Mirroring swaps left and right: 6 is the top left corner mirrored, the top right corner of the mirror image.
    for crop, corner in ((5, 0), (6, 2), (7, 1), (8, 4), (9, 3)):
        expected = encoder.encode(mirrored, corner).mean(axis=0)
        found = np.load(tmp_path / "out" / f"clip__{crop}.npy")[0]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_features_are_what_detect_encodes(model, extract, tmp_path):
    path = write_video(tmp_path / "clip.mp4", frames=64)
    extract("clip.mp4", sampled_frames=2)
    detector = Detector(load_model(str(model)), DetectSettings(device="cpu", precision="fp32"))
    encoder = detector.load_encoder()
    snippets = open_video(path, MARGINS.resize, 2).snippets()
    encoded = [encoder.encode(snippet.frames).mean(axis=0) for snippet in snippets]
    features = np.load(tmp_path / "out" / "clip__0.npy")
    np.testing.assert_allclose(features, np.stack(encoded), rtol=1e-5, atol=1e-6)
    from_video, from_features = (
        detector.detect(path).timeline,
        detector.detect(tmp_path / "out" / "clip__0.npy").timeline,
    )
    np.testing.assert_allclose(from_features.scores, from_video.scores, atol=1e-5)


@pytest.mark.parametrize(("frames", "count"), [(1, 1), (15, 1), (16, 1), (31, 1), (32, 2), (33, 2)])
def test_a_rest_is_dropped_but_a_short_video_is_one_snippet(extract, encode, tmp_path, frames, count):
    path = write_video(tmp_path / "clip.mp4", frames=frames)
    extract("clip.mp4")
    features = np.load(tmp_path / "out" / "clip__0.npy")
    assert features.shape == (count, WIDTH)
    np.testing.assert_allclose(features, encode(path)[:count], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("sampled", "expected"), [(1, [8]), (2, [4, 12])])
def test_frames_per_snippet(extract, tmp_path, monkeypatch, sampled, expected):
    seen = []
    add = FrameBatcher.add
    monkeypatch.setattr(FrameBatcher, "add", lambda self, *item: seen.append(item[1]) or add(self, *item))
    write_video(tmp_path / "clip.mp4", frames=20)
    extract("clip.mp4", sampled_frames=sampled)
    assert [read_number(frame) for snippet in seen for frame in snippet.frames] == expected
    assert read_extraction(tmp_path / "out").sampled_frames == sampled


def test_half_precision_storage(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=32)
    extract("clip.mp4")
    extract("clip.mp4", output=tmp_path / "half", storage="float16")
    half = np.load(tmp_path / "half" / "clip__0.npy")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, np.load(tmp_path / "out" / "clip__0.npy").astype(np.float16))
    assert read_extraction(tmp_path / "half").storage == "float16"


def test_the_sidecar_says_how_the_features_were_made(extract, model, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    extract("clip.mp4", crops=TEN, sampled_frames=4, storage="float16")
    made = read_extraction(tmp_path / "out")
    assert made.encoder == tiny_config().encoder
    assert made.weights_sha256 == tower_sha256(tiny_clip().visual)
    assert made.preprocessing == MARGINS
    assert (made.sampled_frames, made.snippet_frames, made.crops) == (4, 16, TEN)
    assert (made.storage, made.precision, made.model) == ("float16", "fp32", str(model))


def test_the_hash_does_not_depend_on_the_precision(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    extract("clip.mp4", precision="bf16")
    made = read_extraction(tmp_path / "out")
    assert (made.weights_sha256, made.precision) == (tower_sha256(tiny_clip().visual), "bf16")


def spoil(path, how):
    features = np.load(path)
    if how == "truncated":
        path.write_bytes(path.read_bytes()[:-8])
    elif how == "too short":
        np.save(path, features[:-1])
    elif how == "too long":
        np.save(path, np.concatenate([features, features[:1]]))
    elif how == "other type":
        np.save(path, features.astype(np.float16))
    elif how == "other width":
        np.save(path, features[:, :-1])
    elif how == "missing":
        path.unlink()


@pytest.mark.parametrize("how", ["truncated", "too short", "too long", "other type", "other width", "missing"])
def test_only_whole_files_are_kept(extract, tmp_path, how):
    write_video(tmp_path / "good.mp4", frames=40)
    write_video(tmp_path / "spoilt.mp4", frames=40)
    extract("good.mp4", "spoilt.mp4", crops=(0, 5))
    good, spoilt = (tmp_path / "out" / f"{name}__5.npy" for name in ("good", "spoilt"))
    before, whole = good.stat().st_mtime_ns, np.load(spoilt)
    spoil(spoilt, how)
    assert extract("good.mp4", "spoilt.mp4", crops=(0, 5)) == ExtractOutcome(extracted=1, kept=1, failed=0)
    assert good.stat().st_mtime_ns == before
    np.testing.assert_array_equal(np.load(spoilt), whole)


def test_a_video_that_has_grown_is_extracted_again(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=32)
    extract("clip.mp4")
    write_video(tmp_path / "clip.mp4", frames=48)
    assert extract("clip.mp4").extracted == 1
    assert len(np.load(tmp_path / "out" / "clip__0.npy")) == 3


def test_more_crops_extract_again_and_fewer_are_there(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    assert extract("clip.mp4").extracted == 1
    assert extract("clip.mp4", crops=TEN).extracted == 1
    assert extract("clip.mp4").kept == 1
    assert read_extraction(tmp_path / "out").crops == TEN


def test_overwrite_extracts_again(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    extract("clip.mp4")
    assert extract("clip.mp4", overwrite=True) == ExtractOutcome(extracted=1, kept=0, failed=0)


def test_other_settings_need_another_folder_or_overwrite(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    extract("clip.mp4")
    with pytest.raises(UsageError, match="frames per snippet 16, not 4"):
        extract("clip.mp4", sampled_frames=4)
    before = np.load(tmp_path / "out" / "clip__0.npy")
    assert extract("clip.mp4", sampled_frames=4, overwrite=True).extracted == 1
    assert not np.array_equal(np.load(tmp_path / "out" / "clip__0.npy"), before)


def test_a_video_with_a_hole_leaves_no_file(extract, tmp_path, capsys):
    write_video(tmp_path / "good.mp4", frames=20)
    damage(write_video(tmp_path / "bad.mp4", frames=96, gop=8), 60, 20)
    assert extract("bad.mp4", "good.mp4", crops=(0, 1)) == ExtractOutcome(extracted=1, kept=0, failed=1)
    (line,) = capsys.readouterr().err.splitlines()
    assert "bad.mp4: cannot be decoded from 2.6 s to 3.2 s, and features with a gap would be out of time" in line
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"good__0.npy", "good__1.npy", SIDECAR_FILE}


def test_nothing_long_after_a_hole_is_decoded(extract, tmp_path, monkeypatch):
    seen = []
    add = FrameBatcher.add
    monkeypatch.setattr(FrameBatcher, "add", lambda self, *item: seen.append(item[1].index) or add(self, *item))
    damage(write_video(tmp_path / "bad.mp4", frames=4000, height=32, width=48, gop=8), 60, 20)
    assert extract("bad.mp4", batch_size=1).failed == 1
    assert 0 < len(seen) < 4000 // 16 - 1


def test_a_video_that_is_cut_off_leaves_no_file(extract, tmp_path, capsys):
    path = write_video(tmp_path / "bad.mp4", frames=200, container_options={"movflags": "faststart"})
    extract("bad.mp4")
    written = tmp_path / "out" / "bad__0.npy"
    shorter = path.stat().st_size * 6 // 10
    path.write_bytes(path.read_bytes()[:shorter])
    np.save(written, np.load(written)[: probe(path).frames // 16])
    assert extract("bad.mp4") == ExtractOutcome(extracted=0, kept=0, failed=1)
    assert "bad.mp4: the file ends early from 4." in capsys.readouterr().err


def test_a_few_damaged_frames_do_not_matter(extract, encode, tmp_path):
    path = damage(write_video(tmp_path / "clip.mp4", frames=64, gop=8), 20, 3)
    assert extract("clip.mp4").extracted == 1
    features = np.load(tmp_path / "out" / "clip__0.npy")
    assert features.shape == (4, WIDTH)
    np.testing.assert_allclose(features, encode(path), rtol=1e-4, atol=1e-5)


def test_features_are_trusted_while_their_video_is_the_same(extract, tmp_path):
    video = write_video(tmp_path / "clip.mp4", frames=32)
    extract("clip.mp4")
    (made,) = read_extraction(tmp_path / "out").videos
    assert (made.name, made.path, made.bytes) == ("clip", str(video), video.stat().st_size)
    assert (made.modified, made.snippets, made.crops) == (video.stat().st_mtime_ns, 2, (0,))
    assert extract("clip.mp4").kept == 1
    os.utime(video, ns=(made.modified, made.modified + 1))
    assert extract("clip.mp4").extracted == 1
    assert extract("clip.mp4").kept == 1


def test_another_video_of_the_same_length_is_extracted_again(extract, encode, tmp_path):
    video = write_video(tmp_path / "clip.mp4", frames=32)
    extract("clip.mp4")
    write_video(video, frames=32, first_number=500)
    assert extract("clip.mp4") == ExtractOutcome(extracted=1, kept=0, failed=0)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "clip__0.npy"), encode(video), rtol=1e-4, atol=1e-5)


def test_features_of_another_version_are_made_again(extract, tmp_path, monkeypatch):
    write_video(tmp_path / "clip.mp4", frames=32)
    with monkeypatch.context() as earlier:
        earlier.setattr(origins_module, "__version__", "0.0.1")
        extract("clip.mp4")
    assert extract("clip.mp4").extracted == 1


def test_features_without_a_note_of_their_video_are_made_again(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=32)
    extract("clip.mp4")
    sidecar = tmp_path / "out" / SIDECAR_FILE
    sidecar.write_text(json.dumps({k: v for k, v in json.loads(sidecar.read_text()).items() if k != "videos"}))
    assert extract("clip.mp4").extracted == 1


def test_a_crop_of_the_video_as_it_was_is_not_taken_for_one_of_today(extract, encode, tmp_path):
    video = write_video(tmp_path / "clip.mp4", frames=32)
    extract("clip.mp4", crops=(0, 5))
    write_video(video, frames=32, first_number=500)
    extract("clip.mp4")
    assert extract("clip.mp4", crops=(0, 5)).extracted == 1
    np.testing.assert_allclose(np.load(tmp_path / "out" / "clip__5.npy"), encode(video, 5), rtol=1e-4, atol=1e-5)


def test_a_video_that_moved_keeps_its_features(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=32)
    extract("clip.mp4")
    (tmp_path / "archive").mkdir()
    (tmp_path / "clip.mp4").rename(tmp_path / "archive" / "clip.mp4")
    assert extract("archive/clip.mp4").kept == 1


def test_features_of_another_video_are_not_overwritten(extract, tmp_path, capsys):
    (tmp_path / "b").mkdir()
    first = write_video(tmp_path / "clip.mp4", frames=32)
    second = write_video(tmp_path / "b" / "clip.mp4", frames=64)
    extract("clip.mp4")
    assert extract("b/clip.mp4") == ExtractOutcome(extracted=0, kept=0, failed=1)
    assert f"{second}: not extracted, since the features of {first} have its name in" in capsys.readouterr().err
    assert len(np.load(tmp_path / "out" / "clip__0.npy")) == 2
    assert extract("b/clip.mp4", overwrite=True).extracted == 1


def test_shards_share_a_folder(model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in "abcd":
        write_video(tmp_path / "in" / f"{name}.mp4", frames=20)
    command = ("extract", "in", "-o", "out", "--model", model, "--jobs", 1)
    shards = [start(*command, "--shard", f"{number}/2", cwd=tmp_path) for number in (1, 2)]
    for shard in shards:
        _, errors = shard.communicate(timeout=HANGS)
        assert shard.returncode == 0, errors
        assert "2 extracted, 0 kept, 0 failed" in errors
    result = run(*command, "--list", "list.csv", cwd=tmp_path)
    assert "0 extracted, 4 kept, 0 failed" in result.stderr
    assert len(read_list(tmp_path / "list.csv")) == 4


def test_a_list_is_of_all_videos(extract, tmp_path):
    with pytest.raises(UsageError, match="--list and --shard: a part of the videos makes no list"):
        extract("clip.mp4", list_file=tmp_path / "list.csv", shard=(1, 2))


def test_decoders_that_fail_cost_their_videos_only(model, tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a", "segfault", "freeze", "z"):
        write_video(tmp_path / "in" / f"{name}.mp4", LONG, height=32, width=48)
    result = run("extract", "in", "-o", "out", "--model", model, "--stall-timeout", 3, cwd=tmp_path, **FAULTY)
    assert result.returncode == 3
    assert re.search(r"in/segfault.mp4: the decoder crashed after .*\(Segmentation fault\)", result.stderr)
    assert re.search(r"in/freeze.mp4: the decoder made no progress for 3 s, after ", result.stderr)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"a__0.npy", "z__0.npy", SIDECAR_FILE}


def test_a_bug_in_one_video_does_not_end_the_run(extract, tmp_path, monkeypatch, capsys):
    write_video(tmp_path / "a.mp4", frames=20)
    write_video(tmp_path / "b.mp4", frames=20)
    take = FeatureCollector.take

    def take_or_fail(self, snippet):
        if self._source.path.name == "a.mp4":
            raise ZeroDivisionError
        take(self, snippet)

    monkeypatch.setattr(FeatureCollector, "take", take_or_fail)
    assert extract("a.mp4", "b.mp4") == ExtractOutcome(extracted=1, kept=0, failed=1)
    assert "a.mp4: failed unexpectedly (ZeroDivisionError()); set DSANET_DEBUG=1" in capsys.readouterr().err


def test_feature_files_are_no_sources(extract, tmp_path, capsys):
    write_video(tmp_path / "clip.mp4", frames=16)
    np.save(tmp_path / "old.npy", np.ones((2, WIDTH), np.float32))
    assert extract("old.npy", "clip.mp4") == ExtractOutcome(extracted=1, kept=0, failed=1)
    assert "old.npy: holds features already, not video; leave it out" in capsys.readouterr().err


def test_extracting_into_the_folder_of_videos_twice(extract, tmp_path):
    folder = tmp_path / "videos"
    folder.mkdir()
    write_video(folder / "clip.mp4", frames=16)
    assert extract("videos", output=folder) == ExtractOutcome(extracted=1, kept=0, failed=0)
    assert extract("videos", output=folder) == ExtractOutcome(extracted=0, kept=1, failed=0)


def tree(folder):
    for name in ("Abuse/Abuse001.mp4", "Normal/Normal001.mp4"):
        (folder / name).parent.mkdir(parents=True)
        write_video(folder / name, frames=16)


def test_a_list_with_labels_from_folders_and_what_was_done_before(extract, tmp_path):
    tree(tmp_path / "videos")
    (tmp_path / "videos" / "Normal").rename(tmp_path / "Normal")
    extract("videos", recursive=True)
    (tmp_path / "Normal").rename(tmp_path / "videos" / "Normal")
    lists = tmp_path / "lists" / "train.csv"
    outcome = extract("videos", recursive=True, list_file=lists)
    assert outcome == ExtractOutcome(extracted=1, kept=1, failed=0)
    assert lists.read_text() == (
        "path,label\n../out/Abuse/Abuse001__0.npy,Abuse\n../out/Normal/Normal001__0.npy,Normal\n"
    )
    for row in read_list(lists):
        assert load_features(row.path, WIDTH).shape == (1, WIDTH)


def test_a_list_has_a_row_per_crop_and_only_good_videos(extract, tmp_path):
    tree(tmp_path / "videos")
    (tmp_path / "videos" / "Abuse" / "Abuse000.mp4").write_text("not a video")
    outcome = extract("videos", recursive=True, crops=TEN, list_file=tmp_path / "train.csv")
    assert outcome.failed == 1
    rows = list(csv.reader((tmp_path / "train.csv").read_text().splitlines()))
    names = ("Abuse", "Normal")
    assert rows[1:] == [[f"out/{name}/{name}001__{crop}.npy", name] for name in names for crop in TEN]


def test_labels_from_a_mapping(extract, tmp_path, capsys):
    tree(tmp_path / "videos")
    (tmp_path / "labels.csv").write_text("path,label\nNormal001,A\n")
    outcome = extract("videos", recursive=True, list_file=tmp_path / "train.csv", labels=tmp_path / "labels.csv")
    assert outcome == ExtractOutcome(extracted=2, kept=0, failed=1)
    assert "Abuse001.mp4: not listed" in capsys.readouterr().err
    assert (tmp_path / "train.csv").read_text() == "path,label\nout/Normal/Normal001__0.npy,A\n"


def test_groups_from_a_mapping(extract, tmp_path):
    tree(tmp_path / "videos")
    (tmp_path / "labels.csv").write_text("path,label,group\nNormal001,A,gate\nAbuse001,B,gate\n")
    extract("videos", recursive=True, list_file=tmp_path / "train.csv", labels=tmp_path / "labels.csv")
    rows = sorted((tmp_path / "train.csv").read_text().splitlines())
    assert rows == ["out/Abuse/Abuse001__0.npy,B,gate", "out/Normal/Normal001__0.npy,A,gate", "path,label,group"]


def test_labels_without_a_list(extract, tmp_path):
    with pytest.raises(UsageError, match="name that with --list"):
        extract("clip.mp4", labels=tmp_path / "labels.csv")


def test_a_missing_mapping_ends_the_run_before_it_begins(extract, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    with pytest.raises(SourceError, match=r"labels\.csv: cannot be read"):
        extract("clip.mp4", list_file=tmp_path / "list.csv", labels=tmp_path / "labels.csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("clip.mp4",), "name it with --output DIR"),
        (("clip.mp4", "-o", "out", "--encoder", "ViT-B-16"), "name its weights with --tag"),
        (("clip.mp4", "-o", "out", "--model", "scenes", "--tag", "openai"), "--model brings its encoder"),
        (("clip.mp4", "-o", "out", "--device", "tpu"), "--device tpu"),
        (("clip.mp4", "-o", "out", "-q", "-v"), "--quiet and --verbose contradict each other"),
        (("clip.mp4", "--verify", "a.npy", "-v"), "--verify writes nothing and decodes every frame; drop --verbose"),
    ],
)
def test_wrong_usage(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.mp4", frames=16)
    result = CliRunner().invoke(app, ["extract", *arguments])
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_the_command_keeps_what_is_done_unless_told_otherwise(model, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    target = tmp_path / "out" / "clip__0.npy"
    arguments = ["extract", str(tmp_path / "clip.mp4"), "-o", str(tmp_path / "out"), "--model", str(model)]

    def written(*options):
        before = target.stat().st_mtime_ns if target.exists() else None
        assert CliRunner().invoke(app, [*arguments, *options]).exit_code == 0
        return target.stat().st_mtime_ns != before

    assert written()
    assert not written()
    assert not written("--skip-existing")
    assert written("--overwrite")


def test_the_command_on_a_tree(model, tmp_path):
    tree(tmp_path / "videos")
    (tmp_path / "videos" / "Abuse" / "broken.mp4").write_text("not a video")
    options = (
        "--model",
        model,
        "--crops",
        "ten",
        "--storage",
        "fp16",
        "--frames-per-snippet",
        "4",
        "--list",
        "list.csv",
    )
    result = run("extract", "videos", "-r", "-o", "out", *options, "-v", cwd=tmp_path)
    assert result.returncode == 3, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert "4 frames a snippet, 10 crops, stored in float16" in lines[0]
    assert sum(line.startswith("error: ") and "broken.mp4: not a video" in line for line in lines) == 1
    assert any(line.startswith("videos/Normal/Normal001.mp4: 1 snippet in ") for line in lines)
    assert lines[-1] == f"2 extracted, 0 kept, 1 failed; features in out{os.sep}"
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.npy")}
    assert found == {f"{name}/{name}001__{crop}.npy" for name in ("Abuse", "Normal") for crop in TEN}
    assert len(read_list(tmp_path / "list.csv")) == 20
    assert json.loads((tmp_path / "out" / SIDECAR_FILE).read_text())["crops"] == list(TEN)
    again = run("extract", "videos/Normal", "-o", "out/Normal", "--model", model, "-q", cwd=tmp_path)
    assert again.returncode == 2
    assert again.stderr.startswith("error: out/Normal: the features there have no extraction.json beside them")


def test_offline_the_published_encoder_says_which_file_to_bring(tmp_path):
    write_video(tmp_path / "clip.mp4", frames=16)
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_CACHE": str(tmp_path / "cache")}
    result = run("extract", "clip.mp4", "missing.mp4", "-o", "out", cwd=tmp_path, **offline)
    assert result.returncode == 1
    missing, line = result.stderr.splitlines()
    assert "missing.mp4" in missing
    assert "ViT-B-16-quickgelu" in line
    assert "open_clip_model.safetensors" in line
    assert "--encoder-weights FILE" in line
    assert not (tmp_path / "out").exists()


def test_every_video_failed(model, tmp_path):
    (tmp_path / "a.mp4").write_text("not a video")
    arguments = ("extract", tmp_path / "a.mp4", "-o", tmp_path / "out", "--model", model, "-q")
    assert CliRunner().invoke(app, [str(argument) for argument in arguments]).exit_code == 1


def test_missing_frames_are_refused_and_pauses_are_not(extract, tmp_path):
    whole = write_video(tmp_path / "whole.mkv", 200, gop=25)
    restamp(whole, tmp_path / "hole.mkv", lambda number, time: None if 50 <= number < 100 else time)
    restamp(whole, tmp_path / "pauses.mkv", lambda number, time: time + 0.5 * (number // 20) + 20 * (number // 50))
    restamp(whole, tmp_path / "late.mkv", lambda number, time: time + 16)
    assert extract("hole.mkv", "pauses.mkv", "late.mkv") == ExtractOutcome(2, 0, 1)
    for name in ("pauses", "late"):
        (path,) = (tmp_path / "out").glob(f"{name}*.npy")
        assert len(load_features(path, WIDTH)) == 12


def test_snippets_have_sixteen_frames_unless_told_otherwise(extract, model, tmp_path):
    """At any rate, and whatever the model's own snippets last."""
    save_tiny_model(tmp_path / "timed", preprocessing=MARGINS, snippet_seconds=0.5)
    for name, rate in (("a", 5), ("b", 25), ("c", Fraction(60_000, 1001))):
        write_video(tmp_path / f"{name}.mp4", frames=70, rate=rate)
    extract("a.mp4", "b.mp4", "c.mp4", encoder=EncoderChoice(model=str(tmp_path / "timed")))
    assert [len(np.load(tmp_path / "out" / f"{name}__0.npy")) for name in "abc"] == [4, 4, 4]
    made = read_extraction(tmp_path / "out")
    assert made.snippet_seconds is None
    assert {video.name: (video.frames, video.fps) for video in made.videos} == {
        "a": (70, "5/1"), "b": (70, "25/1"), "c": (70, "60000/1001")
    }  # fmt: skip


@pytest.mark.parametrize(("rate", "rows"), [(1, 56), (5, 28), (25, 5), (60, 2)])
def test_snippets_by_time(model, tmp_path, encode, rate, rows):
    """Rows are half seconds; what does not fill one at the end is dropped."""
    frames = {1: 28, 5: 71, 25: 67, 60: 70}[rate]
    path = write_video(tmp_path / "clip.mp4", frames=frames, rate=rate)
    command = ("extract", "clip.mp4", "--model", model, "-o", "out", "--snippet-seconds", "0.5", "--precision", "fp32")
    done = run(*command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "16 frames a snippet of 0.5 s, centre crop" in done.stderr
    features = np.load(tmp_path / "out" / "clip__0.npy")
    assert features.shape == (rows, WIDTH)
    assert read_extraction(tmp_path / "out").snippet_seconds == 0.5
    snippets = open_video(path, MARGINS.resize, 16, snippet_seconds=0.5).snippets()
    encoder = FrameEncoder(tiny_clip().visual, MARGINS, torch.device("cpu"), torch.float32)
    expected = [encoder.encode(snippet.frames).mean(axis=0) for snippet in snippets][:rows]
    np.testing.assert_allclose(features, expected, rtol=1e-4, atol=1e-5)
    again = run(*command[:-4], cwd=tmp_path)
    assert again.returncode == 2
    assert "made with seconds per snippet 0.5, not None" in again.stderr


def test_seconds_and_verify_contradict_each_other(tmp_path):
    done = run("extract", "--verify", "a.npy", "a.mp4", "--snippet-seconds", "1", cwd=tmp_path)
    assert (done.returncode, "drop --snippet-seconds" in done.stderr) == (2, True)
