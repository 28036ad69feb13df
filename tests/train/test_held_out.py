"""The figures of held-out videos, against scikit-learn and against what is known of such intervals."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler
from tiny import CLASSES, HEAD, WIDTH, tiny_config
from toy_features import write_toy_features

from dsanet_cli.config import ModelConfig
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.presets import UCF_CRIME
from dsanet_cli.train.held_out import Figure, compare, judge_held_out, resampled_auc, video_score
from dsanet_cli.train.plain import INVERSE_PENALTY, plain_scores
from dsanet_cli.train.selection import on_training_list

PRESET = dataclasses.replace(UCF_CRIME, classes=CLASSES, head=HEAD, batch_size=8)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    return write_toy_features(tmp_path_factory.mktemp("features"), videos=60)


@pytest.fixture(scope="module")
def head():
    torch.manual_seed(0)
    return DSANetHead(HEAD).eval()


TEXT = torch.eye(len(CLASSES), WIDTH)


def drawn(videos=400, apart=1.0, groups=None, seed=0):
    """Labels and two scorings of videos, the first one better by ``apart``, the other one nothing but noise."""
    rng = np.random.default_rng(seed)
    anomalous = np.arange(videos) % 2 == 1
    return anomalous, rng.standard_normal(videos) + apart * anomalous, rng.standard_normal(videos)


def test_logistic_regression_is_scikit_learns(videos):
    training, judged = videos[:40], videos[40:]

    def table(rows):
        features = [np.load(video.path).astype(np.float64) for video in rows]
        return np.array([[*x.mean(axis=0), *np.sqrt(((x - x.mean(axis=0)) ** 2).mean(axis=0))] for x in features])

    scaler = StandardScaler().fit(table(training))
    model = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    model.fit(scaler.transform(table(training)), [not video.normal for video in training])
    expected = model.decision_function(scaler.transform(table(judged)))
    np.testing.assert_allclose(plain_scores(training, judged, WIDTH), expected, rtol=1e-3, atol=1e-4)


def test_what_is_judged_is_not_fitted_on(videos):
    both = plain_scores(videos[:40], videos[40:], WIDTH)
    np.testing.assert_allclose(plain_scores(videos[:40], videos[50:], WIDTH), both[10:])


def test_a_videos_score_is_the_mean_of_its_highest_snippets(head, tmp_path):
    features = np.random.default_rng(0).standard_normal((40, WIDTH)).astype(np.float32)
    np.save(tmp_path / "a.npy", features)
    scores = score_snippets(head, torch.from_numpy(features), TEXT, 1.0).scores
    expected = float(scores.sort(descending=True).values[:3].mean())
    assert video_score(tmp_path / "a.npy", head, TEXT, 1.0) == pytest.approx(expected)


def test_the_auc_of_a_resample_is_that_of_its_videos():
    anomalous, scores, _ = drawn(videos=30)
    scores = scores.round(1)
    times = np.random.default_rng(1).integers(0, 3, (20, 30))
    expected = [roc_auc_score(np.repeat(anomalous, row), np.repeat(scores, row)) for row in times]
    np.testing.assert_allclose(resampled_auc(anomalous, scores, times.astype(float)), expected)


def test_an_interval_is_as_wide_as_theory_has_it():
    """DeLong's variance, for videos that are independent of each other."""
    anomalous, head_scores, plain = drawn()
    figure = compare(anomalous, head_scores, plain, None).head
    assert figure.value == pytest.approx(roc_auc_score(anomalous, head_scores))
    wins = head_scores[anomalous][:, None] > head_scores[~anomalous]
    variance = wins.mean(axis=1).var(ddof=1) / 200 + wins.mean(axis=0).var(ddof=1) / 200
    assert figure.high - figure.low == pytest.approx(2 * 1.96 * variance**0.5, rel=0.1)
    assert figure.low < figure.value < figure.high


def test_videos_of_a_group_count_as_one():
    """Ten copies of each video say no more than one of each."""
    anomalous, head_scores, plain = drawn(videos=60)
    single = compare(anomalous, head_scores, plain, None)
    copies = [np.repeat(column, 10) for column in (anomalous, head_scores, plain)]
    names = [str(number) for number in np.repeat(np.arange(60), 10)]
    grouped, ungrouped = compare(*copies, names), compare(*copies, None)
    width = single.head.high - single.head.low
    assert grouped.head.high - grouped.head.low == pytest.approx(width, rel=0.1)
    assert ungrouped.head.high - ungrouped.head.low < width / 2
    assert (grouped.groups, ungrouped.groups) == (60, None)


def test_an_auc_of_one_is_not_certain():
    anomalous = np.arange(24) % 2 == 1
    figure = compare(anomalous, anomalous.astype(float), drawn(24)[1], None).head
    assert figure.value == figure.high == 1.0
    assert 0.75 < figure.low < 0.95  # twelve of each kind
    worst = compare(anomalous, -anomalous.astype(float), drawn(24)[1], None).head
    assert (worst.low, worst.high) == (0.0, pytest.approx(1 - figure.low))


@pytest.mark.parametrize(
    ("scores", "verdict"),
    [
        (drawn(), "the head adds 0.2"),
        (drawn(videos=8), "fewer than 5 videos of a kind are held out: too few to tell how good the head is"),
        (drawn(videos=24, apart=0.1), "these videos are too few to tell the head from chance; list more videos"),
        ((drawn()[0], drawn()[2], drawn()[1]), "these videos are too few to tell the head from chance"),
        ((drawn(apart=3)[0], drawn(apart=1)[1], drawn(apart=3)[1]), "the head is worse, by -0.198 ("),
        (
            (drawn()[0], drawn()[1], drawn()[1]),
            "head and logistic regression are alike: 0.000 (0.000 to 0.000)",
        ),
        (
            (drawn(40)[0], drawn(40)[1], drawn(40)[1] + 0.3 * drawn(40)[2]),
            "these videos are too few to tell whether the head adds anything: 0.022 (",
        ),
    ],
)
def test_what_is_said_of_the_figures(scores, verdict):
    comparison = compare(*scores, None)
    assert verdict in comparison.verdict
    assert comparison.verdict in comparison.lines()[-1]


def test_groups_are_counted_where_there_are_some():
    anomalous, head_scores, plain = drawn(videos=80)
    comparison = compare(anomalous, head_scores, plain, ["gate", "yard", "hall", "door"] * 20)
    assert comparison.verdict == "fewer than 5 groups of a kind are held out: too few to tell how good the head is"
    assert "40 anomalous and 40 normal held-out videos of 4 groups, AUC over whole videos:" in comparison.lines()
    assert comparison.head.low is None
    many = compare(anomalous, head_scores, plain, [f"camera {number // 4}" for number in range(80)])
    assert many.lines()[0].endswith("of 20 groups, AUC over whole videos, 95 % interval by bootstrap over groups:")


def test_a_figure_as_text():
    assert str(Figure(0.8, 0.7, 0.9)) == "0.800 (0.700 to 0.900)"
    assert str(Figure(0.8)) == "0.800"


def test_the_held_out_part_is_judged_by_what_the_training_part_taught(videos, head, tmp_path):
    selection = on_training_list(videos, PRESET, torch.device("cpu"))
    judged = judge_held_out(selection, head, TEXT, 1.0)
    assert list(judged.videos) == selection.held_out
    np.testing.assert_array_equal(judged.plain, plain_scores(selection.training, selection.held_out, WIDTH))
    expected = [video_score(video.path, head, TEXT, 1.0) for video in selection.held_out]
    np.testing.assert_array_equal(judged.head, expected)
    anomalous = [not video.normal for video in selection.held_out]
    assert judged.comparison.head.value == roc_auc_score(anomalous, expected)
    judged.write(tmp_path)
    written = json.loads((tmp_path / "held-out.json").read_text())
    assert [row["path"] for row in written["videos"]] == [str(video.path) for video in selection.held_out]
    assert written["held-out videos"] == {"normal": 6, "anomalous": 6, "groups": None}


def test_a_kind_that_is_missing_leaves_nothing_to_say(videos, head):
    selection = on_training_list(videos, PRESET, torch.device("cpu"))
    normal = [video for video in selection.held_out if video.normal]
    assert judge_held_out(dataclasses.replace(selection, held_out=normal), head, TEXT, 1.0) is None
    assert judge_held_out(dataclasses.replace(selection, held_out=[]), head, TEXT, 1.0) is None


def test_the_figures_are_notes_of_a_model():
    config: ModelConfig = tiny_config(metrics=compare(*drawn(), None).as_metrics())
    value, low, high = config.metrics["held-out video AUC, 95 % interval"]
    assert low < value < high
