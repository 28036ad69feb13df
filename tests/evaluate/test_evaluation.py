"""The pipeline of an evaluation: names and labels, ground truth, scores, and the reference's figures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from figures import TOLERANCE, Case, load, names_of, save_lists
from tiny import WIDTH

from dsanet_cli.errors import FeatureError, SourceError, UsageError
from dsanet_cli.evaluate.evaluation import (
    LoadedVideo,
    ScoredVideo,
    Truth,
    TruthFiles,
    evaluate,
    event_confusion,
    label_map,
    load_videos,
    read_truth,
    score_videos,
    truth_files,
)
from dsanet_cli.evaluate.frame_metrics import Segment, VideoTruth
from dsanet_cli.features.lists import ListedFeature
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.presets import UCF_CRIME, XD_VIOLENCE, Preset

CLASSES = ("normal", "fire", "fight")
OWN = {name: name for name in CLASSES}


def save_arrays(folder: Path, case: Case) -> TruthFiles:
    """Write a case's ground truth as gt.npy, gt_segment.npy and gt_label.npy."""
    np.save(folder / "gt.npy", np.concatenate(case.labels).astype(np.float64))
    spans = [[[str(s.start), str(s.end)] for s in truth.segments] for truth in case.truths]
    labels = [[s.class_name for s in truth.segments] for truth in case.truths]
    return truth_files(
        folder / "gt.npy",
        save_lists(folder / "gt_segment.npy", spans),
        save_lists(folder / "gt_label.npy", labels),
    )


def scored_case(case: Case) -> list[ScoredVideo]:
    """The case's predictions; the score from the classes is turned around, to tell the two apart."""
    return [
        ScoredVideo(name, score, 1 - score, probabilities)
        for name, score, probabilities in zip(case.names, case.scores, case.probabilities, strict=True)
    ]


def scored(*scores: list[float], probabilities: list[list[list[float]]] | None = None) -> list[ScoredVideo]:
    """Videos v0, v1, …; without ``probabilities``, both anomaly classes are equal."""
    videos = []
    for number, values in enumerate(scores):
        score = np.array(values)
        curves = np.column_stack([1 - score, score / 2, score / 2])
        if probabilities:
            curves = np.array(probabilities[number])
        videos.append(ScoredVideo(f"v{number}", score, score, curves))
    return videos


def truth_of(*videos: VideoTruth, snippets: int = 2) -> Truth:
    labels = []
    for video in videos:
        mask = np.zeros(16 * snippets, dtype=np.uint8)
        for segment in video.segments:
            mask[segment.start : segment.end] = 1
        labels.append(mask)
    return Truth(tuple(v.name for v in videos), tuple(labels), videos)


# The reference


@pytest.fixture(scope="module", params=[("ucf", UCF_CRIME), ("xd", XD_VIOLENCE)], ids=["ucf", "xd"])
def reference(request: pytest.FixtureRequest) -> tuple[Case, Preset]:
    name, preset = request.param
    return load(name), preset


def test_the_references_figures_come_out_of_its_arrays(reference: tuple[Case, Preset], tmp_path: Path) -> None:
    case, preset = reference
    names, frames = names_of(preset), [16 * len(p) for p in case.probabilities]
    truth = read_truth(save_arrays(tmp_path, case), case.names, frames, label_map(names))
    evaluation = evaluate(scored_case(case), truth, names)
    assert abs(evaluation.score.auc - case.numbers["frame_auc"]) < TOLERANCE
    assert abs(evaluation.score.ap - case.numbers["frame_ap"]) < TOLERANCE
    assert abs(evaluation.from_classes.auc - (1 - case.numbers["frame_auc"])) < TOLERANCE
    assert evaluation.detection is not None
    expected = case.numbers["detection_map_percent"]
    np.testing.assert_allclose(100 * np.array(evaluation.detection.published), expected, rtol=0, atol=TOLERANCE)
    assert evaluation.classes is not None
    assert [c.name for c in evaluation.classes] == names[1:]
    assert evaluation.left_out is None


def test_the_frame_array_decides_which_frames_are_anomalous(tmp_path: Path) -> None:
    case = load("ucf")
    files, frames = save_arrays(tmp_path, case), [len(label) for label in case.labels]
    one_less = np.concatenate(case.labels)
    one_less[one_less.argmax()] = 0
    np.save(tmp_path / "gt.npy", one_less)
    truth = read_truth(files, case.names, frames, UCF_CRIME.labels)
    assert sum(int(labels.sum()) for labels in truth.labels) == sum(int(label.sum()) for label in case.labels) - 1


# Labels and files


@pytest.mark.parametrize("preset", [UCF_CRIME, XD_VIOLENCE], ids=["ucf", "xd"])
def test_a_model_with_a_presets_classes_takes_its_labels(preset: Preset) -> None:
    assert label_map(names_of(preset)) == preset.labels
    assert label_map(names_of(preset)[::-1]) == preset.labels


def test_other_models_take_their_own_names() -> None:
    assert label_map(["normal", "car accident"]) == {"normal": "normal", "car accident": "car accident"}


def test_the_built_in_model_takes_ucf_crimes_names(tmp_path: Path) -> None:
    names = load_model("scenes").config.class_names
    (tmp_path / "gt.txt").write_text("crash  RoadAccidents  0  16  -1  -1\nfire  Arson  5  9  -1  -1\n")
    truth = read_truth(truth_files(tmp_path / "gt.txt"), ["crash", "fire"], [32, 32], label_map(names))
    assert truth.videos is not None
    assert [video.classes for video in truth.videos] == [("roadaccidents",), ("arson",)]


def test_files_that_go_together() -> None:
    text, frames, other = Path("gt.txt"), Path("gt.NPY"), Path("x.npy")
    assert truth_files(text) == TruthFiles(annotations=text)
    assert truth_files(frames) == TruthFiles(frames=frames)
    assert truth_files(frames, other, text) == TruthFiles(frames=frames, segments=other, labels=text)


def test_files_that_do_not_go_together_are_wrong_usage() -> None:
    for segments, labels in ((Path("s.npy"), None), (None, Path("l.npy"))):
        with pytest.raises(UsageError, match="--gt-segments and --gt-labels go together"):
            truth_files(Path("gt.npy"), segments, labels)
    with pytest.raises(UsageError, match=r"gt.txt: annotations have segments and classes; drop"):
        truth_files(Path("gt.txt"), Path("s.npy"), Path("l.npy"))


# Ground truth


def test_annotations_become_labels_of_frames_and_classes_of_the_model(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("a  Fire  16  40  -1  -1\nb  Normal  -1  -1  -1  -1\n")
    truth = read_truth(truth_files(tmp_path / "gt.txt"), ["x/b__5.npy", "y/a__5.npy"], [32, 48], OWN)
    assert truth.names == ("b", "a")
    assert [(len(labels), int(labels.sum())) for labels in truth.labels] == [(32, 0), (48, 24)]
    assert truth.videos == (
        VideoTruth("b", ("normal",), (Segment(0, 32, "A"),), frames=32),
        VideoTruth("a", ("fire",), (Segment(16, 40, "fire"),)),
    )


def test_xd_violences_normal_videos_are_events_of_the_normal_class(tmp_path: Path) -> None:
    """As in the published evaluation, and unlike UCF-Crime's."""
    (tmp_path / "gt.txt").write_text("x_label_B6-0-0 0 16\n")
    names = ["x_label_B6-0-0__0.npy", "y_label_A__0.npy"]
    truth = read_truth(truth_files(tmp_path / "gt.txt"), names, [32, 32], XD_VIOLENCE.labels)
    assert truth.videos is not None
    assert [video.segments for video in truth.videos] == [
        (Segment(0, 16, "car accident"),),
        (Segment(0, 32, "normal"),),
    ]


def test_a_frame_array_alone_gives_labels_only(tmp_path: Path) -> None:
    np.save(tmp_path / "gt.npy", [1.0] * 16 + [0.0] * 32)
    truth = read_truth(truth_files(tmp_path / "gt.npy"), ["a", "b"], [32, 16], OWN)
    assert [labels.tolist() for labels in truth.labels] == [[1] * 16 + [0] * 16, [0] * 16]
    assert truth.videos is None


def test_segment_arrays_tell_which_video_has_another_length(tmp_path: Path) -> None:
    """The frame array alone knows only the sum."""
    np.save(tmp_path / "gt.npy", np.zeros(64))
    segments = save_lists(tmp_path / "s.npy", [[["0", "32"]], [["0", "32"]]])
    labels = save_lists(tmp_path / "l.npy", [["A"], ["A"]])
    with pytest.raises(FeatureError, match=r"in length: b \(features 16 frames, ground truth 32\);"):
        read_truth(truth_files(tmp_path / "gt.npy", segments, labels), ["a", "b"], [32, 16], OWN)


def test_a_video_listed_twice_is_an_error_where_names_decide(tmp_path: Path) -> None:
    (tmp_path / "gt.txt").write_text("a  Fire  0  16  -1  -1\n")
    with pytest.raises(SourceError, match=r"videos are listed more than once: a; keep one feature file"):
        read_truth(truth_files(tmp_path / "gt.txt"), ["a__0.npy", "x/a__5.npy"], [32, 32], OWN)
    np.save(tmp_path / "gt.npy", np.zeros(64))
    assert len(read_truth(truth_files(tmp_path / "gt.npy"), ["x/a.npy", "y/a.npy"], [32, 32], OWN).labels) == 2


# Scores


def test_scores_are_the_heads(tiny_model: Path, tmp_path: Path) -> None:
    model = load_model(str(tiny_model))
    features = np.random.default_rng(0).standard_normal((11, WIDTH)).astype(np.float16)
    np.save(tmp_path / "clip__5.npy", features)
    videos = load_videos([ListedFeature(tmp_path / "clip__5.npy", "Normal")], WIDTH)
    assert (videos[0].name, videos[0].frames) == ("clip", 176)
    (got,) = score_videos(model.head, model.text_features, 2.0, videos)
    expected = score_snippets(model.head, torch.from_numpy(features.astype(np.float32)), model.text_features, 2.0)
    np.testing.assert_array_equal(got.scores, expected.logits1.sigmoid())
    np.testing.assert_array_equal(got.probabilities, expected.probabilities)
    weights = np.exp(expected.logits2.numpy())
    np.testing.assert_allclose(got.class_scores, 1 - weights[:, 0] / weights.sum(axis=1), rtol=1e-5)
    assert (got.name, got.scores.shape, got.class_scores.shape) == ("clip", (11,), (11,))


def test_a_feature_file_that_does_not_fit_is_named(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((3, WIDTH + 1), np.float32))
    with pytest.raises(FeatureError, match=r"a.npy: features are 17 wide, the model takes 16"):
        load_videos([ListedFeature(tmp_path / "a.npy", "Normal")], WIDTH)


def test_videos_are_scored_as_they_come(tiny_model: Path) -> None:
    """So that a progress bar can wrap them."""
    model = load_model(str(tiny_model))
    videos = (LoadedVideo(f"v{n}", np.full((n, WIDTH), 0.1, np.float32)) for n in (1, 9))
    assert [len(v.scores) for v in score_videos(model.head, model.text_features, 1.0, videos)] == [1, 9]


# Figures


def test_without_segments_only_the_figures_over_frames_are_there() -> None:
    labels = (np.repeat([0, 1], 16).astype(np.uint8), np.zeros(32, np.uint8))
    evaluation = evaluate(scored([0.1, 0.9], [0.2, 0.3]), Truth(("v0", "v1"), labels, None), CLASSES)
    assert evaluation.score.auc == 1.0
    assert (evaluation.detection, evaluation.classes, evaluation.confusion) == (None, None, None)
    assert evaluation.left_out is not None
    assert "add the gt_segment and gt_label arrays" in evaluation.left_out


def test_segments_of_unknown_class_cost_the_map_only() -> None:
    truth = truth_of(
        VideoTruth("v0", ("fire", "fight"), (Segment(0, 16, None),)),
        VideoTruth("v1", ("fire",), (Segment(16, 32, "fire"),)),
    )
    evaluation = evaluate(scored([0.9, 0.1], [0.2, 0.8]), truth, CLASSES)
    assert evaluation.detection is None
    assert evaluation.left_out is not None
    assert evaluation.left_out.startswith("mAP needs the class of each segment, which is not known in v0: give")
    assert evaluation.classes is not None
    assert evaluation.classes[0].videos == 2
    assert evaluation.confusion is not None
    assert evaluation.confusion.sum() == 1


def test_events_are_counted_by_the_class_of_highest_mean_probability() -> None:
    video = scored(
        [0.9] * 4, probabilities=[[[0.1, 0.35, 0.55], [0.1, 0.6, 0.3], [0.1, 0.55, 0.35], [0.9, 0.04, 0.06]]]
    )
    truth = VideoTruth(
        "v0",
        ("fire", "fight"),
        (
            Segment(0, 16, "fight"),  # seen as fight
            Segment(15, 17, "fire"),  # touches two snippets, whose means are 0.475 and 0.425: seen as fire
            Segment(16, 48, "fire"),  # seen as fire
            Segment(48, 64, "fire"),  # normal is no answer: seen as fight
            Segment(63, 200, "fight"),  # cut off at the end: seen as fight
            Segment(64, 80, "fight"),  # after the last snippet: not counted
            Segment(0, 16, None),
            Segment(0, 64, "A"),
        ),
    )
    matrix = event_confusion(video, [truth], CLASSES)
    np.testing.assert_array_equal(matrix, [[2, 1], [0, 2]])


def test_each_video_has_its_own_figures() -> None:
    truth = truth_of(
        VideoTruth("v0", ("fire",), (Segment(16, 32, "fire"),)),
        VideoTruth("v1", ("normal",), ()),
        VideoTruth("v2", ("fight",), (Segment(0, 32, "fight"),)),
    )
    curves = [[[0.5, 0.48, 0.02], [0.1, 0.4, 0.5]], [[0.9, 0.1, 0.0]] * 2, [[0.2, 0.5, 0.3], [0.3, 0.1, 0.6]]]
    mixed, normal, anomalous = evaluate(
        scored([0.1, 0.8], [0.2, 0.4], [0.8, 0.7], probabilities=curves), truth, CLASSES
    ).videos
    assert (mixed.name, mixed.frames, mixed.highest, mixed.auc, mixed.ap) == ("v0", 32, 0.8, 1.0, 1.0)
    assert mixed.mean == pytest.approx(0.45)
    assert [v.top_class for v in (mixed, normal, anomalous)] == ["fight", "fire", "fight"]
    assert all(map(math.isnan, (normal.auc, normal.ap, anomalous.auc, anomalous.ap)))


def test_scores_of_another_length_name_the_video() -> None:
    truth = truth_of(VideoTruth("v0", ("fire",), (Segment(0, 16, "fire"),)), VideoTruth("v1", (), ()))
    with pytest.raises(FeatureError, match=r"differ in length: v1 \(48 frames of scores, 32 of ground truth\)"):
        evaluate(scored([0.9, 0.1], [0.1] * 3), truth, CLASSES)
