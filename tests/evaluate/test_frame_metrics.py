"""Frame figures and detection mAP against the reference, scikit-learn, and slow obvious versions."""

from __future__ import annotations

import math
import time

import numpy as np
import pytest
from figures import TOLERANCE, Case, load, names_of
from sklearn.metrics import auc, average_precision_score, roc_auc_score

from dsanet_cli.errors import FeatureError, SourceError
from dsanet_cli.evaluate.detection_map import IOUS, DetectionFigures, detection_map
from dsanet_cli.evaluate.frame_metrics import (
    Segment,
    VideoTruth,
    class_figures,
    confusion_matrix,
    frame_curves,
    frame_figures,
    frame_mask,
)
from dsanet_cli.evaluate.groundtruth import frame_truth, rename_classes, with_normal_segments
from dsanet_cli.models.presets import UCF_CRIME, XD_VIOLENCE, Preset

CLASSES = ("normal", "fire", "fight")


@pytest.fixture(scope="module", params=[("ucf", UCF_CRIME), ("xd", XD_VIOLENCE)], ids=["ucf", "xd"])
def reference(request: pytest.FixtureRequest) -> tuple[Case, Preset]:
    name, preset = request.param
    return load(name), preset


def random_case(seed: int, steps: int | None = None) -> Case:
    """Videos of 1 to 40 snippets with 0 to 3 segments; probabilities in multiples of 1/steps where given."""
    rng = np.random.default_rng(seed)
    probabilities, truths = [], []
    for video in range(12):
        count = int(rng.integers(1, 41))
        curves = 0.6 * rng.random((count, len(CLASSES))) ** 2
        segments = []
        for _ in range(rng.integers(0, 4)):
            # Starts may lie beyond the video, as where the dropped rest of a video holds the event.
            start = int(rng.integers(0, count * 16 + 20))
            end = start + int(rng.integers(1, count * 16))
            name = str(rng.choice([*CLASSES, "A"]))
            segments.append(Segment(start, end, name))
            seen_as = CLASSES.index(name) if name in CLASSES and rng.random() < 0.8 else rng.integers(0, 3)
            inside = curves[start // 16 : end // 16 + 1, seen_as]
            inside[:] = 0.4 + 0.6 * rng.random(len(inside))
        if steps:
            curves = np.floor(curves * steps) / steps
        probabilities.append(curves.astype(np.float32))
        truths.append(VideoTruth(f"video{video}", tuple(str(s.class_name) for s in segments), tuple(segments)))
    labels = [frame_truth(t, 16 * len(p)) for t, p in zip(truths, probabilities, strict=True)]
    return Case(probabilities, labels, truths, None)


def brute_force_map(case: Case, iou: float) -> tuple[float, list[float]]:
    """The protocol's text, step by step, on frames and sets of frames: published mean and AP by class."""
    by_class = []
    any_without_proposal = False
    for column, name in enumerate(CLASSES):
        proposals = []
        for video, probability in enumerate(case.probabilities):
            curve = [float(v) for v in np.repeat(probability[:, column], 16)]
            threshold = max(curve) - 0.6 * (max(curve) - min(curve))
            strongest = sorted(curve, reverse=True)[: len(curve) // 16]
            strength = sum(strongest) / len(strongest)
            run: list[int] = []
            for frame, value in enumerate([*curve, -1.0]):
                if value > threshold:
                    run.append(frame)
                    continue
                if len(run) >= 2:
                    score = max(curve[f] for f in run) + 0.7 * strength
                    proposals.append((score, video, set(run)))
                run = []
        any_without_proposal |= not proposals
        proposals.sort(key=lambda proposal: -proposal[0])
        unused = [
            (video, set(range(segment.start, segment.end)))
            for video, truth in enumerate(case.truths)
            for segment in truth.segments
            if segment.class_name == name
        ]
        total, correct, precision_sum = len(unused), 0, 0.0
        for rank, (_, video, frames) in enumerate(proposals, start=1):
            best = max(
                (u for u in unused if u[0] == video),
                key=lambda u: len(u[1] & frames) / len(u[1] | frames),
                default=None,
            )
            if best is not None and len(best[1] & frames) / len(best[1] | frames) >= iou:
                unused.remove(best)
                correct += 1
                precision_sum += correct / rank
        by_class.append(precision_sum / total if total else 0.0)
    return (0.0 if any_without_proposal else sum(by_class) / len(CLASSES)), by_class


def test_frame_figures_equal_the_reference(reference: tuple[Case, Preset]) -> None:
    case, _ = reference
    figures = frame_figures(case.scores, case.labels, case.names)
    assert abs(figures.auc - case.numbers["frame_auc"]) < TOLERANCE
    assert abs(figures.ap - case.numbers["frame_ap"]) < TOLERANCE


def test_detection_map_equals_the_reference(reference: tuple[Case, Preset]) -> None:
    case, preset = reference
    truths = rename_classes(case.truths, preset.labels)
    figures = detection_map(case.probabilities, truths, names_of(preset))
    expected = case.numbers["detection_map_percent"]
    np.testing.assert_allclose(case.numbers["iou_thresholds"], figures.ious)
    np.testing.assert_allclose(100 * np.array(figures.published), expected, rtol=0, atol=TOLERANCE)
    assert abs(100 * figures.published_mean - expected.mean()) < TOLERANCE


def test_frame_truth_equals_the_reference_labels(reference: tuple[Case, Preset]) -> None:
    case, _ = reference
    for truth, labels in zip(case.truths, case.labels, strict=True):
        np.testing.assert_array_equal(frame_truth(truth, len(labels)), labels)


def test_the_normal_class_scores_nothing_under_the_label_of_the_ucf_arrays() -> None:
    case = load("ucf")
    labelled_a = detection_map(case.probabilities, rename_classes(case.truths, UCF_CRIME.labels), names_of(UCF_CRIME))
    normal = rename_classes(case.truths, {**UCF_CRIME.labels, "A": "normal"})
    labelled_normal = detection_map(case.probabilities, normal, names_of(UCF_CRIME))
    assert math.isnan(labelled_a.per_class[0][0])
    assert labelled_normal.per_class[0][0] > 0
    assert labelled_normal.published_mean > labelled_a.published_mean
    assert labelled_normal.anomaly == labelled_a.anomaly


def test_anomaly_mean_leaves_out_normal_and_absent_classes() -> None:
    case = load("ucf")
    figures = detection_map(case.probabilities, rename_classes(case.truths, UCF_CRIME.labels), names_of(UCF_CRIME))
    present = [aps for aps in figures.per_class[1:] if not math.isnan(aps[0])]
    assert len(present) == 12  # Arson does not occur.
    np.testing.assert_allclose(figures.anomaly, np.mean(present, axis=0))
    # 12 of 14 classes have ground truth, normal and arson count 0.
    np.testing.assert_allclose(np.array(figures.anomaly) * 12 / 14, figures.published)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("steps", [None, 8, 2])
def test_frame_figures_equal_scikit_learn_on_repeated_frames(seed: int, steps: int | None) -> None:
    case = random_case(seed, steps)
    scores = [p[:, 1] for p in case.probabilities]
    figures = frame_figures(scores, case.labels, case.names)
    flat = np.repeat(np.concatenate(scores), 16)
    labels = np.concatenate(case.labels)
    anomalous = np.concatenate([np.full(len(one), one.any()) for one in case.labels])
    expected = [
        roc_auc_score(labels, flat),
        average_precision_score(labels, flat),
        roc_auc_score(labels[anomalous], flat[anomalous]),
        average_precision_score(labels[anomalous], flat[anomalous]),
    ]
    got = [figures.auc, figures.ap, figures.anomalous_auc, figures.anomalous_ap]
    np.testing.assert_allclose(got, expected, rtol=0, atol=TOLERANCE)


def test_curves_enclose_the_figures(reference: tuple[Case, Preset]) -> None:
    case, _ = reference
    curves = frame_curves(case.scores, case.labels, case.names)
    figures = frame_figures(case.scores, case.labels, case.names)
    assert abs(auc(curves.false_positive_rate, curves.true_positive_rate) - figures.auc) < TOLERANCE
    assert abs(-np.sum(np.diff(curves.recall) * curves.precision[:-1]) - figures.ap) < TOLERANCE


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("steps", [None, 64, 4])
def test_detection_map_equals_brute_force_on_sets_of_frames(seed: int, steps: int | None) -> None:
    case = random_case(seed, steps)
    figures = detection_map(case.probabilities, case.truths, CLASSES)
    for level, iou in enumerate(IOUS):
        published, by_class = brute_force_map(case, iou)
        assert abs(figures.published[level] - published) < TOLERANCE
        got = [0.0 if math.isnan(aps[level]) else aps[level] for aps in figures.per_class]
        np.testing.assert_allclose(got, by_class, rtol=0, atol=TOLERANCE)


def test_random_cases_reach_every_level_of_precision() -> None:
    """The comparison above would pass on zeros; it sees real numbers."""
    figures = [detection_map(c.probabilities, c.truths, CLASSES) for c in map(random_case, range(15))]
    assert all(np.mean([f.published[level] for f in figures]) > 0.1 for level in range(len(IOUS)))


def test_a_class_without_any_proposal_ends_the_published_map_with_0() -> None:
    case = random_case(1)
    flat = [np.column_stack([p[:, :2], np.full(len(p), 0.25)]) for p in case.probabilities]
    figures = detection_map(flat, case.truths, CLASSES)
    assert figures.published == (0.0,) * len(IOUS)
    assert figures.per_class[1][0] > 0
    assert figures.per_class[2][0] == 0
    assert figures.anomaly[0] == pytest.approx(figures.per_class[1][0] / 2)


def test_each_segment_is_found_once() -> None:
    curve = np.array([0.9, 0.1, 0.8, 0.1], dtype=np.float32)
    probabilities = [np.column_stack([curve, curve, curve])]
    one = (VideoTruth("v", ("fire",), (Segment(0, 48, "fire"),)),)
    figures = detection_map(probabilities, one, CLASSES, ious=(0.1,))
    assert figures.per_class[1] == (1.0,)
    two = (VideoTruth("v", ("fire",), (Segment(0, 16, "fire"), Segment(32, 48, "fire"))),)
    assert detection_map(probabilities, two, CLASSES, ious=(1.0,)).per_class[1] == (1.0,)


def test_detection_of_nothing_but_normal_has_no_anomaly_mean() -> None:
    truth = with_normal_segments([VideoTruth("v", ("Normal",), ())], [64])
    curve = np.array([0.9, 0.1, 0.8, 0.1])
    figures = detection_map([np.column_stack([curve] * 3)], truth, CLASSES)
    assert math.isnan(figures.anomaly_mean)
    assert figures.published_mean == 0


def brute_force_class_figures(case: Case, column: int) -> list[float]:
    name = CLASSES[column]
    score_values, score_labels, all_values, all_labels = [], [], [], []
    for truth, probability in zip(case.truths, case.probabilities, strict=True):
        frames = 16 * len(probability)
        own = [any(s.start <= f < s.end and s.class_name == name for s in truth.segments) for f in range(frames)]
        anomalous = frame_truth(truth, frames)
        all_values += np.repeat(probability[:, column], 16).tolist()
        all_labels += own
        if any(own):
            kept = [f for f in range(frames) if own[f] or not anomalous[f]]
            score_values += [float(1 - probability[f // 16, 0]) for f in kept]
            score_labels += [own[f] for f in kept]
    return [
        metric(labels, values)
        for labels, values in ((score_labels, score_values), (all_labels, all_values))
        for metric in (roc_auc_score, average_precision_score)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_class_figures_equal_scikit_learn_on_frames(seed: int) -> None:
    case = random_case(seed)
    figures = class_figures(case.scores, case.probabilities, case.truths, CLASSES)
    assert [f.name for f in figures] == list(CLASSES[1:])
    for column, got in enumerate(figures, start=1):
        expected = brute_force_class_figures(case, column)
        np.testing.assert_allclose(
            [got.score_auc, got.score_ap, got.probability_auc, got.probability_ap], expected, atol=TOLERANCE
        )
        masks = [
            frame_mask([s for s in t.segments if s.class_name == got.name], len(one))
            for t, one in zip(case.truths, case.labels, strict=True)
        ]
        assert got.frames == sum(int(mask.sum()) for mask in masks)
        assert got.videos == sum(bool(mask.any()) for mask in masks)


def test_class_figures_of_an_absent_class_are_nan() -> None:
    probabilities = [np.random.default_rng(0).random((4, 3))]
    truths = [VideoTruth("v", ("fire",), (Segment(0, 20, "fire"),))]
    fire, fight = class_figures([probabilities[0][:, 1]], probabilities, truths, CLASSES)
    assert fire.score_auc == fire.probability_auc
    assert (fire.videos, fire.frames, fight.videos, fight.frames) == (1, 20, 0, 0)
    assert all(map(math.isnan, (fight.score_auc, fight.score_ap, fight.probability_auc, fight.probability_ap)))


def test_frames_of_unknown_class_count_for_the_score_and_are_left_out_for_the_probability() -> None:
    score = np.array([0.9, 0.8, 0.2, 0.1])
    probabilities = np.column_stack([1 - score, [0.7, 0.1, 0.3, 0.2], [0.1, 0.1, 0.1, 0.1]])
    truth = VideoTruth("v", ("fire", "fight"), (Segment(0, 16, "fire"), Segment(16, 32, None)))
    fire, _ = class_figures([score], [probabilities], [truth], CLASSES)
    assert (fire.score_auc, fire.frames) == (1.0, 32)
    assert fire.probability_auc == 1.0  # As an other frame, the second snippet would not change this …
    truth = VideoTruth("v", ("fire", "fight"), (Segment(16, 32, "fire"), Segment(0, 16, None)))
    fire, _ = class_figures([score], [probabilities], [truth], CLASSES)
    assert fire.probability_auc == 0.0  # … but here the first one would count as well: both others are above.


def test_anomalous_videos_without_a_normal_frame_give_nan() -> None:
    scores = [np.array([0.9, 0.8]), np.array([0.1])]
    labels = [np.ones(32, dtype=np.uint8), np.zeros(16, dtype=np.uint8)]
    figures = frame_figures(scores, labels, ["a", "b"])
    assert (figures.auc, figures.ap) == (1.0, 1.0)
    assert math.isnan(figures.anomalous_auc)
    assert math.isnan(figures.anomalous_ap)


@pytest.mark.parametrize(("value", "kind"), [(0, "anomalous"), (1, "normal")])
def test_ground_truth_of_one_kind_is_an_error(value: int, kind: str) -> None:
    with pytest.raises(SourceError, match=f"these 1 videos has no {kind} frame"):
        frame_figures([np.ones(2)], [np.full(32, value, dtype=np.uint8)], ["a"])


def test_length_mismatch_names_the_videos() -> None:
    labels = [np.zeros(16 * n, dtype=np.uint8) for n in (2, 3, 4)]
    with pytest.raises(FeatureError, match=r"b \(32 frames of scores, 48 of ground truth\), c \(80 .* 64") as caught:
        frame_figures([np.ones(2), np.ones(2), np.ones(5)], labels, ["a", "b", "c"])
    assert "a (" not in str(caught.value)


def test_many_mismatches_are_counted() -> None:
    with pytest.raises(FeatureError, match=r"v4 .* and 3 more;"):
        frame_figures([np.ones(2)] * 8, [np.zeros(16, dtype=np.uint8)] * 8, [f"v{i}" for i in range(8)])


def test_scores_that_are_not_finite_are_an_error() -> None:
    with pytest.raises(FeatureError, match=r"^b: scores are not finite"):
        frame_figures(
            [np.ones(1), np.array([np.nan])],
            [np.ones(16, dtype=np.uint8), np.zeros(16, dtype=np.uint8)],
            ["a", "b"],
        )
    with pytest.raises(FeatureError, match=r"^v: scores are not finite"):
        detection_map([np.full((2, 3), np.inf)], [VideoTruth("v", (), ())], CLASSES)


def test_probabilities_of_other_classes_are_an_error() -> None:
    with pytest.raises(FeatureError, match=r"not \(N, 3\): v \(2, 4\)"):
        detection_map([np.ones((2, 4))], [VideoTruth("v", (), ())], CLASSES)
    with pytest.raises(FeatureError, match=r"v \(0, 3\)"):
        detection_map([np.ones((0, 3))], [VideoTruth("v", (), ())], CLASSES)
    with pytest.raises(SourceError, match="no video to evaluate"):
        detection_map([], [], CLASSES)


def test_ground_truth_of_other_classes_is_an_error() -> None:
    truths = [VideoTruth("v", ("Fire",), (Segment(0, 9, "Fire"),))]
    with pytest.raises(SourceError, match=r"v: its ground truth has the class Fire, .* \(normal, fire, fight\)"):
        detection_map([np.ones((2, 3))], truths, CLASSES)
    with pytest.raises(SourceError, match="class Fire"):
        class_figures([np.ones(2)], [np.ones((2, 3))], truths, CLASSES)


def test_detection_needs_the_class_of_each_segment() -> None:
    truths = [VideoTruth("v", ("fire", "fight"), (Segment(0, 9, None),))]
    with pytest.raises(SourceError, match="v: the ground truth does not say which class each segment is; use"):
        detection_map([np.ones((2, 3))], truths, CLASSES)


def test_confusion_matrix_counts() -> None:
    matrix = confusion_matrix(["fire", "fire", "fight"], ["fire", "fight", "fight"], CLASSES)
    np.testing.assert_array_equal(matrix, [[0, 0, 0], [0, 1, 1], [0, 0, 1]])
    with pytest.raises(SourceError, match=r"class flood is none of the model's"):
        confusion_matrix(["flood"], ["fire"], CLASSES)


def test_frame_mask_is_half_open_and_cut_off() -> None:
    mask = frame_mask([Segment(2, 4, "fire"), Segment(3, 5, None), Segment(7, 99, "fight")], 9)
    assert mask.tolist() == [0, 0, 1, 1, 1, 0, 0, 1, 1]
    assert mask.dtype == np.uint8


def test_290_videos_take_seconds() -> None:
    rng = np.random.default_rng(0)
    counts = [*rng.integers(20, 450, size=280).tolist(), *[6250] * 10]
    names = names_of(UCF_CRIME)
    probabilities = [rng.dirichlet(np.ones(14), size=n).astype(np.float32) for n in counts]
    truths = []
    for video, count in enumerate(counts):
        a, b, c, d = sorted(rng.choice(16 * count, 4, replace=False).tolist())
        name = names[1 + video // 2 % 13]
        spans = (Segment(a, b, name), Segment(c, d, name)) if video % 2 else ()
        truths.append(VideoTruth(f"v{video}", (name if spans else "Normal",), spans))
    scores = [1 - p[:, 0] for p in probabilities]
    started = time.process_time()
    labels = [frame_truth(t, 16 * n) for t, n in zip(truths, counts, strict=True)]
    frame_figures(scores, labels, [t.name for t in truths])
    class_figures(scores, probabilities, truths, names)
    figures = detection_map(probabilities, with_normal_segments(truths, [16 * n for n in counts]), names)
    spent = time.process_time() - started
    assert isinstance(figures, DetectionFigures)
    assert figures.published_mean > 0
    assert spent < 20, f"{spent:.1f} s of processor time"
