"""Figures on screen and in files."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from pathlib import Path

import numpy as np
from rich.console import Console

from dsanet_cli.evaluate.detection_map import DetectionFigures
from dsanet_cli.evaluate.evaluation import Evaluation, VideoFigures
from dsanet_cli.evaluate.frame_metrics import ClassFigures, FrameFigures
from dsanet_cli.evaluate.report import WHY_MEANS_DIFFER, Report, print_tables, write_metrics, write_videos
from dsanet_cli.models.presets import UCF_CRIME

NAN = math.nan
DETECTION = DetectionFigures(
    ious=(0.1, 0.5),
    published=(0.2, 0.1),
    anomaly=(0.5, 0.25),
    per_class=((NAN, NAN), (0.4, 0.3), (NAN, NAN)),
)
EVALUATION = Evaluation(
    score=FrameFigures(0.89444, 0.3, 0.7, NAN),
    from_classes=FrameFigures(0.88, 0.25, 0.65, 0.5),
    detection=DETECTION,
    classes=(
        ClassFigures("fire", 2, 96, 0.91, 0.92, 0.93, 0.94),
        ClassFigures("fight", 0, 0, NAN, NAN, NAN, NAN),
    ),
    confusion=np.array([[3, 1], [0, 0]]),
    left_out=None,
    videos=(
        VideoFigures("a", 160, 0.9, 0.123456789, 0.75, 0.5, "fire"),
        VideoFigures("b, c", 32, 0.5, 0.25, NAN, NAN, "fight"),
    ),
)
REPORT = Report(
    model="tiny",
    model_sha256="00ff",
    class_names=("normal", "fire", "fight"),
    source=Path("test.csv"),
    from_results=False,
    ground_truth=(Path("gt.npy"), Path("s.npy"), Path("l.npy")),
    missing=(Path("gone.npy"),),
    frames=192,
    anomalous_frames=96,
    evaluation=EVALUATION,
)
FRAMES_ONLY = dataclasses.replace(
    REPORT,
    evaluation=dataclasses.replace(EVALUATION, detection=None, classes=None, confusion=None, left_out="no mAP: why"),
)


def screen(report: Report, width: int = 80) -> list[str]:
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False)
    print_tables(report, console)
    return console.file.getvalue().splitlines()


def cells(lines: list[str], first: str) -> list[str]:
    (line,) = (line for line in lines if line.strip().startswith(first))
    return line.strip().removeprefix(first).split()


def metrics(report: Report) -> dict[str, object]:
    stream = io.StringIO()
    write_metrics(report, stream)
    return json.loads(stream.getvalue(), parse_constant=lambda name: f"not JSON: {name}")


def test_figures_over_frames_are_percent() -> None:
    lines = screen(REPORT)
    assert cells(lines, "anomaly score") == ["89.44", "30.00", "70.00", "-"]
    assert cells(lines, "from classes") == ["88.00", "25.00", "65.00", "50.00"]


def test_both_means_of_map_and_why_they_differ() -> None:
    lines = screen(REPORT)
    assert cells(lines, "detection mAP, %") == ["@0.1", "@0.5", "mean"]
    assert cells(lines, "published ")[:3] == ["20.00", "10.00", "15.00"]
    assert cells(lines, "anomaly classes ") == ["50.00", "25.00", "37.50"]
    assert f"({WHY_MEANS_DIFFER})" in " ".join(line.strip() for line in lines)


def test_figures_by_class() -> None:
    lines = screen(REPORT)
    assert cells(lines, "fire ") == ["2", "91.00", "92.00", "93.00", "94.00", "35.00"]
    assert cells(lines, "fight ") == ["0", "-", "-", "-", "-", "-"]


def test_the_confusion_matrix_names_rows_and_numbers_columns() -> None:
    lines = screen(REPORT)
    assert cells(lines, "events: true class, seen as") == ["1", "2"]
    assert cells(lines, "1 fire") == ["3", "1"]
    assert cells(lines, "2 fight") == [".", "."]


def test_fourteen_classes_fit_eighty_columns() -> None:
    names = tuple(c.name for c in UCF_CRIME.classes)
    evaluation = dataclasses.replace(
        EVALUATION,
        classes=tuple(ClassFigures(name, 100, 99_999, 1.0, 1.0, 1.0, 1.0) for name in names[1:]),
        confusion=np.full((13, 13), 14),
        detection=dataclasses.replace(DETECTION, per_class=((1.0, 1.0),) * 14),
    )
    lines = screen(dataclasses.replace(REPORT, class_names=names, evaluation=evaluation))
    assert cells(lines, "13 vandalism") == ["14"] * 13
    assert cells(lines, "vandalism") == ["100", *["100.00"] * 5]
    assert not any("…" in line for line in lines)


def test_what_was_left_out_is_said() -> None:
    lines = screen(FRAMES_ONLY)
    assert lines[-2:] == ["", "no mAP: why"]
    assert not any("mAP, %" in line or "events" in line or "class, %" in line for line in lines)


def test_metrics_json() -> None:
    data = metrics(REPORT)
    assert data["schema"] == 1
    assert data["model"] == {"name": "tiny", "sha256": "00ff"}
    assert (data["list"], data["ground_truth"]) == ("test.csv", ["gt.npy", "s.npy", "l.npy"])
    assert (data["videos"], data["missing"], data["frames"], data["anomalous_frames"]) == (2, ["gone.npy"], 192, 96)
    assert data["score"] == {"auc": 0.89444, "ap": 0.3, "anomalous_auc": 0.7, "anomalous_ap": None}
    assert data["from_classes"] == {"auc": 0.88, "ap": 0.25, "anomalous_auc": 0.65, "anomalous_ap": 0.5}
    detection = data["detection_map"]
    assert detection["published"] == [0.2, 0.1]
    assert (detection["published_mean"], detection["anomaly_mean"]) == (np.mean([0.2, 0.1]), 0.375)
    assert detection["per_class"] == {"normal": [None, None], "fire": [0.4, 0.3], "fight": [None, None]}
    assert detection["why_they_differ"] == WHY_MEANS_DIFFER
    assert data["classes"][0]["probability_ap"] == 0.94
    assert data["classes"][1]["score_auc"] is None
    assert data["confusion"] == {"classes": ["fire", "fight"], "counts": [[3, 1], [0, 0]]}
    assert data["left_out"] is None


def test_metrics_json_has_the_same_keys_without_classes() -> None:
    data = metrics(FRAMES_ONLY)
    assert data.keys() == metrics(REPORT).keys()
    assert (data["detection_map"], data["classes"], data["confusion"]) == (None, None, None)
    assert data["left_out"] == "no mAP: why"


def test_per_video_csv_holds_no_formulas() -> None:
    stream = io.StringIO()
    video = dataclasses.replace(EVALUATION.videos[0], name="=a", top_class="+b\r")
    write_videos([video], ["-1+1"], stream)
    _, row = csv.reader(io.StringIO(stream.getvalue(), newline=""))
    assert (row[0], row[1], row[-1]) == ("'=a", "'-1+1", r"'+b\r")


def test_per_video_csv() -> None:
    stream = io.StringIO()
    write_videos(EVALUATION.videos, ["Fire", "Fight-0"], stream)
    assert list(csv.reader(io.StringIO(stream.getvalue()))) == [
        ["name", "label", "frames", "highest_score", "mean_score", "auc", "ap", "top_class"],
        ["a", "Fire", "160", "0.9", "0.123457", "0.75", "0.5", "fire"],
        ["b, c", "Fight-0", "32", "0.5", "0.25", "", "", "fight"],
    ]
