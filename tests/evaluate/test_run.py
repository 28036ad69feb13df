"""The installed command on feature files and each format of ground truth."""

from __future__ import annotations

import csv
import dataclasses
import functools
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from figures import save_lists
from sklearn.metrics import average_precision_score, roc_auc_score
from tiny import HEAD, WIDTH, save_tiny_model, tiny_clip, tiny_config

from dsanet_cli.errors import FeatureError, OutputError, SourceError, UsageError
from dsanet_cli.evaluate import run as evaluate_run
from dsanet_cli.evaluate.run import EvalSettings
from dsanet_cli.features.sidecar import Extraction, MadeFrom, write_extraction
from dsanet_cli.head.dsanet import DSANetHead
from dsanet_cli.head.inference import score_snippets
from dsanet_cli.models.directory import load_model, save_model
from dsanet_cli.models.presets import XD_VIOLENCE

SNIPPETS = {"Fighting003_x264": 12, "Normal_Videos_003_x264": 9, "Explosion008_x264": 20, "Normal_Videos_006_x264": 3}
UCF_TEXT = """\
Explosion008_x264.mp4  Explosion  64  150  200  320
Fighting003_x264.mp4  Fighting  30  100  -1  -1
Normal_Videos_003_x264.mp4  Normal  -1  -1  -1  -1
Normal_Videos_006_x264.mp4  Normal  -1  -1  -1  -1
"""
run_eval = functools.partial(evaluate_run.run_eval, silent=False)
OUTPUTS = {"metrics.json", "per_video.csv", "scores.npz", "curves.png"}
SPANS = {"Fighting003_x264": [(30, 100)], "Explosion008_x264": [(64, 150), (200, 320)]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Features, a list with another machine's paths, and ground truth in both of UCF-Crime's formats."""
    rng = np.random.default_rng(4)
    (tmp_path / "features").mkdir()
    rows = ["path,label"]
    for name, count in SNIPPETS.items():
        np.save(tmp_path / "features" / f"{name}__5.npy", rng.standard_normal((count, WIDTH)).astype(np.float16))
        rows.append(f"/home/author/ucf/features/{name}__5.npy,{name.split('0')[0].split('_')[0]}")
    (tmp_path / "test.csv").write_text("\n".join(rows) + "\n")
    (tmp_path / "gt.txt").write_text(UCF_TEXT)
    flat = [labels_of(name) for name in SNIPPETS]
    np.save(tmp_path / "gt.npy", np.concatenate(flat).astype(np.float64))
    spans = [SPANS.get(name, [(0, 16 * count)]) for name, count in SNIPPETS.items()]
    save_lists(tmp_path / "gt_segment.npy", [[[str(a), str(b)] for a, b in one] for one in spans])
    save_lists(tmp_path / "gt_label.npy", [["Fighting"], ["A"], ["Explosion", "Explosion"], ["A"]])
    return tmp_path


def labels_of(name: str) -> np.ndarray:
    labels = np.zeros(16 * SNIPPETS[name], dtype=np.uint8)
    for start, end in SPANS.get(name, []):
        labels[start:end] = 1
    return labels


def settings(folder: Path, model: Path, **changes: object) -> EvalSettings:
    """A run on the arrays, in the folder itself."""
    usual = EvalSettings(
        model=str(model),
        list_file=folder / "test.csv",
        truth=folder / "gt.npy",
        segments=folder / "gt_segment.npy",
        labels=folder / "gt_label.npy",
        output=folder / "out",
        root=folder / "features",
        device="cpu",
        quiet=True,
    )
    return dataclasses.replace(usual, **changes)


def read_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text())))


def save_model_of(directory: Path, classes: tuple[object, ...]) -> Path:
    """A tiny model of these classes, with random weights and text features."""
    torch.manual_seed(3)
    text_features = torch.nn.functional.normalize(torch.randn(len(classes), WIDTH), dim=-1)
    image_tower = tiny_clip().visual.state_dict()
    save_model(directory, tiny_config(classes=classes), DSANetHead(HEAD).state_dict(), text_features, image_tower)
    return directory


def test_ucf_crime_text(folder: Path, tiny_model: Path) -> None:
    arguments = ("--list", "test.csv", "--gt", "gt.txt", "--root", "features", "-o", "out")
    result = run("eval", "--model", tiny_model, *arguments, cwd=folder, COLUMNS="80")
    assert result.returncode == 0, result.stderr
    note, *others = result.stderr.splitlines()
    assert note.startswith(
        f"{Path('features')}: no extraction.json beside the features, so nothing says which encoder made them"
    )
    assert others == ["model tiny on cpu, 4 videos", f"results in out{os.sep}"]
    assert {path.name for path in (folder / "out").iterdir()} == OUTPUTS
    assert (folder / "out" / "curves.png").read_bytes().startswith(b"\x89PNG")

    model = load_model(str(tiny_model))
    scores, labels = [], []
    for name in SNIPPETS:
        features = torch.from_numpy(np.load(folder / "features" / f"{name}__5.npy").astype(np.float32))
        scored = score_snippets(model.head, features, model.text_features, model.config.temperature)
        scores.append(np.repeat(scored.scores.numpy(), 16))
        labels.append(labels_of(name))
    data = json.loads((folder / "out" / "metrics.json").read_text())
    auc = roc_auc_score(np.concatenate(labels), np.concatenate(scores))
    assert data["score"]["auc"] == pytest.approx(auc, abs=1e-6)
    assert data["score"]["anomalous_ap"] == pytest.approx(
        average_precision_score(np.concatenate(labels[::2]), np.concatenate(scores[::2])), abs=1e-6
    )
    assert data["model"] == {"name": "tiny", "sha256": model.sha256}
    assert (data["videos"], data["frames"], data["anomalous_frames"], data["missing"]) == (4, 704, 276, [])
    assert data["detection_map"]["per_class"]["normal"] == [None] * 5  # UCF-Crime's normal segments match no class
    assert sum(map(sum, data["confusion"]["counts"])) == 3
    assert f"{100 * auc:.2f}" in result.stdout
    for title in ("frames, %", "detection mAP, %", "class, %", "events: true class, seen as"):
        assert title in result.stdout

    with np.load(folder / "out" / "scores.npz", allow_pickle=False) as arrays:
        assert arrays["names"].tolist() == list(SNIPPETS)
        assert arrays["classes"].tolist() == ["normal", "fighting", "explosion"]
        assert arrays["offsets"].tolist() == [0, 12, 21, 41, 44]
        np.testing.assert_array_equal(np.repeat(arrays["scores"], 16), np.concatenate(scores))
        assert arrays["probabilities"].shape == (44, 3)
        np.testing.assert_allclose(arrays["probabilities"].sum(axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(arrays["probabilities"][41:], scored.probabilities, atol=1e-6)

    rows = read_rows(folder / "out" / "per_video.csv")
    assert [row["name"] for row in rows] == list(SNIPPETS)
    assert [row["label"] for row in rows] == ["Fighting", "Normal", "Explosion", "Normal"]
    assert [row["frames"] for row in rows] == ["192", "144", "320", "48"]
    assert float(rows[0]["auc"]) == pytest.approx(roc_auc_score(labels[0], scores[0]), abs=1e-5)
    assert (rows[1]["auc"], rows[1]["ap"]) == ("", "")


def test_arrays_give_the_figures_of_the_text(folder: Path, tiny_model: Path) -> None:
    arrays = ("--gt", "gt.npy", "--gt-segments", "gt_segment.npy", "--gt-labels", "gt_label.npy")
    common = ("--model", tiny_model, "--list", "test.csv", "--root", "features", "-q")
    result = run("eval", *common, *arrays, cwd=folder)
    assert (result.returncode, result.stderr) == (0, "")
    run_eval(settings(folder, tiny_model, truth=folder / "gt.txt", segments=None, labels=None))
    from_arrays, from_text = (
        json.loads((folder / name / "metrics.json").read_text()) for name in ("dsanet-eval", "out")
    )
    assert from_arrays["ground_truth"] == ["gt.npy", "gt_segment.npy", "gt_label.npy"]
    for key in ("score", "from_classes", "detection_map", "classes", "confusion", "videos"):
        assert from_arrays[key] == from_text[key]
        assert from_arrays[key] is not None


def test_xd_violence_text(tmp_path: Path) -> None:
    model = save_model_of(tmp_path / "model", XD_VIOLENCE.classes)
    names = ["v=S-7rRLrxnVQ__#1_label_B4-0-0", "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6", "Calm_label_A"]
    rng = np.random.default_rng(6)
    for name in names:
        np.save(tmp_path / f"{name}__0.npy", rng.standard_normal((20, WIDTH)).astype(np.float32))
    labels = ["B4-0-0", "G-B2-B6", "A"]
    rows = [f"{name}__0.npy,{label}" for name, label in zip(names, labels, strict=True)]
    (tmp_path / "test.csv").write_text("\n".join(["path,label", *rows]) + "\n")
    (tmp_path / "by-name.txt").write_text(f"{names[0]} 0 160\n{names[1]} 16 64 100 200\n")
    (tmp_path / "by-segment.txt").write_text(f"{names[0]} B4 0 160\n{names[1]} G 16 64 B6 100 200\n")
    found = {}
    for truth in ("by-name", "by-segment"):
        result = run("eval", "--model", model, "--list", "test.csv", "--gt", f"{truth}.txt", "-o", truth, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        found[truth] = json.loads((tmp_path / truth / "metrics.json").read_text())
    by_name, by_segment = found["by-name"], found["by-segment"]
    assert by_name["score"] == by_segment["score"]
    assert by_name["detection_map"] is None
    assert by_name["left_out"].startswith(f"mAP needs the class of each segment, which is not known in {names[1]}:")
    assert by_segment["left_out"] is None
    assert by_segment["detection_map"]["per_class"]["normal"] != [None] * 5
    assert {c["name"]: c["frames"] for c in by_segment["classes"] if c["frames"]} == {
        "riot": 160,
        "explosion": 48,
        "car accident": 100,
    }


def test_a_frame_array_alone(folder: Path, tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_eval(settings(folder, tiny_model, segments=None, labels=None))
    captured = capsys.readouterr()
    assert "add the gt_segment and gt_label arrays" in " ".join(captured.out.split())
    assert "detection mAP" not in captured.out
    assert json.loads((folder / "out" / "metrics.json").read_text())["score"]["auc"] > 0


class Hostile:
    """Leaves a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.marker),)


def test_a_hostile_pickle_is_refused_in_a_line(folder: Path, tiny_model: Path) -> None:
    save_lists(folder / "hostile.npy", [["165", Hostile(folder / "was here")]])
    files = ("--gt", "gt.npy", "--gt-segments", "hostile.npy", "--gt-labels", "gt_label.npy")
    result = run("eval", "--model", tiny_model, "--list", "test.csv", "--root", "features", *files, "-q", cwd=folder)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: hostile.npy: refused, nothing in it was run: it asks for ")
    assert result.stdout == ""
    for field in ("truth", "segments", "labels"):
        with pytest.raises(SourceError, match=r"hostile.npy: (refused|not a readable \.npy array)"):
            run_eval(settings(folder, tiny_model, **{field: folder / "hostile.npy"}))
    assert not (folder / "was here").exists()
    assert not (folder / "dsanet-eval").exists()
    np.load(folder / "hostile.npy", allow_pickle=True)  # The file is as hostile as it claims.
    assert (folder / "was here").exists()


def test_a_length_mismatch_names_the_video(folder: Path, tiny_model: Path) -> None:
    np.save(folder / "features" / "Explosion008_x264__5.npy", np.zeros((11, WIDTH), np.float32))
    common = ("--model", tiny_model, "--list", "test.csv", "--root", "features", "-q")
    result = run("eval", *common, "--gt", "gt.txt", cwd=folder)
    assert result.returncode == 1
    (line,) = result.stderr.splitlines()
    assert "Explosion008_x264 (features 176 frames, a segment begins at 200)" in line
    with pytest.raises(FeatureError, match=r"Explosion008_x264 \(features 176 frames, a segment begins at 200\)"):
        run_eval(settings(folder, tiny_model))
    with pytest.raises(FeatureError, match=r"gt.npy: has 704 frames, the features of the 4 videos .* have 560"):
        run_eval(settings(folder, tiny_model, segments=None, labels=None))


def test_missing_files_are_named_and_can_be_left_out(folder: Path, tiny_model: Path) -> None:
    (folder / "features" / "Normal_Videos_003_x264__5.npy").unlink()
    common = ("eval", "--model", tiny_model, "--list", "test.csv", "--root", "features", "-q", "--gt", "gt.txt")
    result = run(*common, cwd=folder)
    assert result.returncode == 1
    assert "test.csv: 1 of 4 feature files are missing: " in result.stderr
    assert "Normal_Videos_003_x264__5.npy" in result.stderr
    result = run(*common, "--skip-missing", cwd=folder)
    assert result.returncode == 3
    (line,) = result.stderr.splitlines()
    assert line.startswith("missing, left out: ")
    assert line.endswith("Normal_Videos_003_x264__5.npy")
    data = json.loads((folder / "dsanet-eval" / "metrics.json").read_text())
    assert (data["videos"], len(data["missing"])) == (3, 1)


def test_arrays_need_the_whole_list(folder: Path, tiny_model: Path) -> None:
    (folder / "features" / "Normal_Videos_003_x264__5.npy").unlink()
    with pytest.raises(SourceError, match=r"gt.npy: has the videos of a whole list .*\(1 feature files are missing"):
        run_eval(settings(folder, tiny_model, skip_missing=True))


def test_videos_without_ground_truth_are_named(folder: Path, tiny_model: Path) -> None:
    (folder / "gt.txt").write_text(UCF_TEXT.split("\n", 1)[1])
    with pytest.raises(SourceError, match="no ground truth for 1 of 4 videos: Explosion008_x264;"):
        run_eval(settings(folder, tiny_model, truth=folder / "gt.txt", segments=None, labels=None))


def test_classes_that_the_model_does_not_have(folder: Path, tiny_model: Path) -> None:
    (folder / "gt.txt").write_text(UCF_TEXT.replace("Fighting ", "Arson "))
    with pytest.raises(SourceError, match="Fighting003_x264: its ground truth has the class Arson, which is none of"):
        run_eval(settings(folder, tiny_model, truth=folder / "gt.txt", segments=None, labels=None))


def test_features_of_another_encoder_are_refused(folder: Path, tiny_model: Path) -> None:
    config = load_model(str(tiny_model)).config
    extraction = Extraction(config.encoder, "0" * 64, config.preprocessing, 16, (5,), "float16", "fp32")
    write_extraction(folder / "features", extraction)
    with pytest.raises(FeatureError, match=r"features/Fighting003_x264__5\.npy: features of another encoder"):
        run_eval(settings(folder, tiny_model))
    assert config.encoder_sha256 is not None
    write_extraction(folder / "features", dataclasses.replace(extraction, weights_sha256=config.encoder_sha256))
    run_eval(settings(folder, tiny_model))


def test_snippets_that_last_some_time_are_placed_on_the_frames(folder: Path, tiny_model: Path) -> None:
    """A snippet of 1.28 s at 25 frames/s stands for 32 frames, so each score counts for two sixteens."""
    config = load_model(str(tiny_model)).config
    timed = folder / "timed"
    save_tiny_model(timed, snippet_seconds=1.28)
    videos = [
        MadeFrom(f"{name}", f"/{name}.mp4", 1, 1, -(-count // 2), (5,), "0", frames=16 * count + 7, fps="25/1")
        for name, count in SNIPPETS.items()
    ]
    note = Extraction(
        config.encoder, str(config.encoder_sha256), config.preprocessing, 16, (5,), "float16", "fp32",
        snippet_seconds=1.28, videos=tuple(videos),
    )  # fmt: skip
    write_extraction(folder / "features", note)
    for name, count in SNIPPETS.items():
        path = folder / "features" / f"{name}__5.npy"
        np.save(path, np.load(path)[: -(-count // 2)])
    run_eval(settings(folder, timed))
    with np.load(folder / "out" / "scores.npz") as arrays:
        lengths = np.diff(arrays["offsets"]).tolist()
        assert dict(zip(arrays["names"].tolist(), lengths, strict=True)) == SNIPPETS
        scores = arrays["scores"][: SNIPPETS["Fighting003_x264"]]
        assert (scores[::2] == scores[1::2]).all()
        assert len(set(scores.tolist())) == SNIPPETS["Fighting003_x264"] / 2
    write_extraction(folder / "features", dataclasses.replace(note, videos=()))
    with pytest.raises(FeatureError, match=r"Fighting003_x264__5\.npy: nothing says the frame rate of its video"):
        run_eval(settings(folder, timed))


@pytest.fixture
def results(folder: Path, tiny_model: Path) -> Path:
    """What detect says of the same features."""
    result = run("detect", "features", "--model", tiny_model, "-f", "json", "-o", "results", "--fps", "25", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder / "results"


def test_results_of_detect_give_the_figures_of_the_features(folder: Path, tiny_model: Path, results: Path) -> None:
    command = ("eval", "--results", "results", "--gt", "gt.txt", "-o", "from-results")
    result = run(*command, cwd=folder)
    assert result.returncode == 0, result.stderr
    assert result.stderr.splitlines()[0] == "model tiny, results of 4 videos"
    run_eval(settings(folder, tiny_model, truth=folder / "gt.txt", segments=None, labels=None))
    from_results, from_features = (
        json.loads((folder / name / "metrics.json").read_text()) for name in ("from-results", "out")
    )
    assert from_results["score"] == pytest.approx(from_features["score"], abs=1e-6)
    for key in ("detection_map", "confusion", "frames", "anomalous_frames", "model", "videos"):
        assert from_results[key] == from_features[key]
    assert (from_results["results"], from_results["list"], from_results["from_classes"]) == ("results", None, None)
    assert from_features["results"] is None
    assert {row["label"] for row in read_rows(folder / "from-results" / "per_video.csv")} == {
        "fighting", "explosion", "normal",
    }  # fmt: skip


def test_what_was_not_analysed_counts_as_score_0(folder: Path, results: Path, capsys: pytest.CaptureFixture) -> None:
    path = results / "Explosion008_x264__5.json"
    data = json.loads(path.read_text())
    removed = data["snippets"][5:8]
    del data["snippets"][5:8]
    data["coverage"] |= {"analysed": 0.85, "holes": [[removed[0]["start"], removed[-1]["end"]]]}
    path.write_text(json.dumps(data))
    (folder / "gt.txt").write_text(UCF_TEXT + "Arson011_x264.mp4  Arson  5  9  -1  -1\n")
    run_eval(EvalSettings(truth=folder / "gt.txt", segments=None, labels=None, output=folder / "out", results=results))
    printed = capsys.readouterr().err
    assert "1 annotated videos have no result, such as Arson011_x264; the figures are without them" in printed
    assert "1 videos were not analysed to the full; what was not counts as score 0" in printed
    with np.load(folder / "out" / "scores.npz") as arrays:
        place = arrays["names"].tolist().index("Explosion008_x264")
        mine = slice(*arrays["offsets"][place : place + 2].tolist())
        assert (arrays["scores"][mine] == 0).tolist() == [5 <= n < 8 for n in range(20)]
        assert arrays["probabilities"][mine][5].tolist() == [1, 0, 0]


def test_options_that_results_make_useless_are_named(
    folder: Path, results: Path, capsys: pytest.CaptureFixture
) -> None:
    plain = EvalSettings(truth=folder / "gt.txt", segments=None, labels=None, output=folder / "out", results=results)
    run_eval(plain)
    assert "no effect" not in capsys.readouterr().err
    run_eval(dataclasses.replace(plain, root=folder, skip_missing=True, device="cpu"))
    line = "note: no effect with --results, which have scores already: --root, --skip-missing, --device\n"
    assert line in capsys.readouterr().err


def test_results_that_cannot_be_evaluated(folder: Path, results: Path, tiny_model: Path) -> None:
    plain = EvalSettings(truth=folder / "gt.txt", segments=None, labels=None, output=folder / "out", results=results)
    with pytest.raises(UsageError, match="--results brings scores and videos; drop --model and --list"):
        run_eval(dataclasses.replace(plain, model=str(tiny_model)))
    with pytest.raises(UsageError, match="give --results an annotation file"):
        run_eval(dataclasses.replace(plain, truth=folder / "gt.npy"))
    with pytest.raises(UsageError, match="give --model and --list, or --results"):
        run_eval(dataclasses.replace(plain, results=None))
    with pytest.raises(SourceError, match="features: no results in it"):
        run_eval(dataclasses.replace(plain, results=folder / "features"))
    path = results / "Normal_Videos_006_x264__5.json"
    path.write_text(path.read_text().replace(load_model(str(tiny_model)).sha256, "0" * 64))
    with pytest.raises(SourceError, match=r"Normal_Videos_006_x264__5.json: a result of the model tiny \(000000000000"):
        run_eval(plain)
    path.write_text("{}")
    with pytest.raises(OutputError, match=r"Normal_Videos_006_x264__5.json"):
        run_eval(plain)


def test_wrong_usage(folder: Path, tiny_model: Path) -> None:
    common = ("eval", "--model", tiny_model, "--list", "test.csv", "--gt", "gt.npy")
    result = run(*common, "--gt-segments", "gt_segment.npy", cwd=folder)
    assert result.returncode == 2
    assert result.stderr == "error: --gt-segments and --gt-labels go together; give both or none\n"
    assert run(*common[:5], cwd=folder).returncode == 2
    with pytest.raises(UsageError, match="--device tpu"):
        run_eval(settings(folder, tiny_model, device="tpu"))


def test_results_replace_earlier_ones_whole(folder: Path, tiny_model: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "per_video.csv").write_text("older\n")
    run_eval(settings(folder, tiny_model))
    assert len(read_rows(folder / "out" / "per_video.csv")) == 4
    assert {path.name for path in (folder / "out").iterdir()} == OUTPUTS


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['dsanet', 'eval', '--help']\n"
        "from dsanet_cli.cli.app import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print([m for m in ('torch', 'numpy', 'sklearn', 'matplotlib', 'rich') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines()[-1] == "[]"
