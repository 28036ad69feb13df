"""Encoders of OpenVINO, int8 above all. One graph is made, which takes seconds; all else finds it in the cache."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run
from media import write_video
from tiny import ENCODER, tiny_clip, tiny_config

from dsanet_cli.detect.detector import Detector, DetectSettings
from dsanet_cli.encoder import graph_store, openvino_library, trial
from dsanet_cli.encoder.calibration import calibration_frames
from dsanet_cli.encoder.device import OpenvinoDevice, choose_encoder_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.graph_maker import GRAPH, Job, _delicate
from dsanet_cli.encoder.openvino_tower import _inner
from dsanet_cli.encoder.tower import load_image_tower
from dsanet_cli.errors import UsageError
from dsanet_cli.extract.run import ExtractSettings, run_extract
from dsanet_cli.features.sidecar import SIDECAR_FILE
from dsanet_cli.files.sources import Source
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.encoder_choice import EncoderChoice
from dsanet_cli.pipeline.pipeline import PipelineSettings

pytestmark = pytest.mark.skipif(
    any(openvino_library.importlib.util.find_spec(name) is None for name in openvino_library.EXTRA),
    reason="needs the extra openvino",
)

CPU = torch.device("cpu")
PREPROCESSING = tiny_config().preprocessing


def encoder(dtype=torch.int8, device=CPU):
    """As the tiny model has it."""
    tower = load_image_tower(ENCODER, tiny_clip().visual.state_dict(), Path("tiny"))
    return FrameEncoder(tower, PREPROCESSING, device, dtype)


def cosines(one, other):
    return (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)


@pytest.fixture(scope="module")
def frames():
    return calibration_frames(PREPROCESSING.resize)[::3]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A user's cache in which the int8 encoder of the tiny model was made, and what was said of that."""
    home = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph_store, "cache_folder", lambda: home / "dsanet" / "openvino")
        notices = encoder().notices
    return home, list(notices)


@pytest.fixture
def home(made, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(made[0]))
    monkeypatch.setattr(graph_store, "cache_folder", lambda: made[0] / "dsanet" / "openvino")
    return made[0]


def kept(home):
    (graph,) = (home / "dsanet" / "openvino").glob(f"*/{GRAPH}")
    return graph.parent


@pytest.fixture
def copied(home, tmp_path, monkeypatch):
    """Another cache, empty, and instead of the process that makes graphs one that copies the one that is made."""
    script = f"import shutil, sys; shutil.copytree({str(kept(home))!r}, sys.argv[1], dirs_exist_ok=True)"
    monkeypatch.setattr(graph_store, "COMMAND", (sys.executable, "-c", script))
    monkeypatch.setattr(graph_store, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


def test_int8_comes_near_and_knows_no_place_in_a_batch(home, frames):
    exact = encoder(torch.float32).encode(frames)
    features = encoder().encode(frames)
    assert features.dtype == np.float32
    assert cosines(features, exact).min() > 0.995
    assert np.abs(features - exact).max() > 1e-3  # it is another encoder
    np.testing.assert_array_equal(encoder().submit(frames[5:9]).result(), features[5:9])
    assert encoder().encode(frames[:1], crop=5).shape == (1, exact.shape[1])


def test_it_is_made_once(made, home):
    assert len(made[1]) == 1
    assert made[1][0].startswith("the int8 encoder was made in ")
    assert str(kept(home)) in made[1][0]
    assert {path.name for path in kept(home).iterdir()} == {"graph.xml", "graph.bin"}
    assert not encoder().notices


def test_each_lane_has_a_thread_and_images_one_at_a_time(home):
    assert encoder().lanes == torch.get_num_threads()


def test_a_graph_is_another_for_whatever_makes_a_difference(monkeypatch):
    clip = tiny_clip()

    def key(tower=clip.visual, value=0.0, size=4, quantised=True):
        return graph_store.graph_key(Job(tower, torch.full((2, 3, size, size), value), quantised))

    other = tiny_clip().visual
    with torch.no_grad():
        other.proj[0, 0] += 1
    slow = tiny_clip().visual
    slow.transformer.resblocks[0].mlp.gelu = torch.nn.GELU()
    assert key() == key(tiny_clip().visual)
    keys = {
        key(), key(other), key(slow), key(value=1.0), key(size=8),
        key(quantised=False),
    }  # fmt: skip
    monkeypatch.setattr(openvino_library, "versions", lambda: "openvino 3000.1 nncf 4.0")
    assert len(keys | {key()}) == 7


def test_a_damaged_graph_is_made_anew(copied, frames):
    expected = encoder().encode(frames)
    (place,) = (path for path in copied.iterdir() if path.is_dir())
    (place / GRAPH).write_bytes(b"<net")
    again = encoder()
    assert [notice.split(" in ")[0] for notice in again.notices] == ["the int8 encoder was made"]
    np.testing.assert_array_equal(again.encode(frames), expected)
    assert not encoder().notices
    assert [path.name for path in copied.iterdir() if path.is_dir()] == [place.name]


@pytest.mark.parametrize("fault", ["a file in its way", "no home"])
def test_without_a_cache_it_is_made_for_one_run(fault, copied, frames, monkeypatch):
    expected = encoder().encode(frames)
    (copied.parent / "file").touch()

    def homeless():
        raise OSError("no home")

    monkeypatch.setattr(graph_store, "cache_folder", homeless if fault == "no home" else lambda: copied.parent / "file")
    alone = encoder()
    (notice,) = alone.notices
    assert notice.startswith("the int8 encoder was made for this run alone, since it cannot be kept (")
    np.testing.assert_array_equal(alone.encode(frames), expected)


def graph_of_layers(depthwise):
    """Of four convolutions and two products of matrices; two convolutions are of single channels if ``depthwise``."""
    opset = openvino_library.load("openvino.opset15")
    layer = opset.parameter([1, 3, 8, 8], np.float32)
    pads = ([1, 1], [0, 0], [0, 0], [1, 1])
    first = layer
    for number, channels in enumerate((3, 4, 4, 4)):
        if depthwise and number in (1, 2):
            layer = opset.group_convolution(layer, np.ones((4, 1, 1, 1, 1), np.float32), *pads, name=f"single {number}")
        else:
            layer = opset.convolution(layer, np.ones((4, channels, 1, 1), np.float32), *pads, name=f"all {number}")
    layer = opset.reduce_mean(layer, np.array([2, 3]), keep_dims=False)
    for number in range(2):
        layer = opset.matmul(layer, np.ones((4, 4), np.float32), False, False, name=f"product {number}")
    return openvino_library.load().Model([layer], [first])


def test_delicate_layers_stay_exact():
    assert _delicate(graph_of_layers(False)) == ["all 0", "all 3", "product 1"]
    assert _delicate(graph_of_layers(True)) == ["all 0", "all 3", "product 1", "single 1", "single 2"]


def test_delicate_layers_are_computed_in_float32(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    for depthwise, expected in ((True, torch.float32), (False, torch.bfloat16)):
        assert _inner(graph_of_layers(depthwise), CPU, torch.int8) == expected
    assert _inner(graph_of_layers(True), CPU, torch.bfloat16) == torch.bfloat16


def test_an_encoder_that_cannot_be_taken(copied, monkeypatch):
    monkeypatch.setattr(graph_store, "COMMAND", (sys.executable, "-c", "raise SystemExit('no such operation')"))
    with pytest.raises(UsageError, match=r"OpenVINO cannot take this encoder \(no such operation\); use --precision"):
        encoder()
    assert not [path for path in copied.iterdir() if path.is_dir()]


def test_one_that_differs_when_it_is_made_is_not_kept(copied, monkeypatch):
    monkeypatch.setattr(trial, "LEAST_COSINE", 1.5)
    with pytest.raises(UsageError, match=r"--precision int8: refused, since on \d frames of the samples"):
        encoder()
    assert not [path for path in copied.iterdir() if path.is_dir()]


def test_one_that_differs_on_the_first_video_encodes_nothing(home, frames, monkeypatch):
    other = encoder()
    monkeypatch.setattr(trial, "LEAST_COSINE", 1.5)
    message = r"on 8 frames of the first video .* the lowest \d\.\d{4}, .*; use --precision bf16 or auto"
    for _ in range(2):
        with pytest.raises(UsageError, match=message):
            other.submit(frames)
    with pytest.raises(UsageError, match=message):
        other.encode(frames)


def test_once_trusted_the_exact_one_is_let_go(home, frames):
    trusted = encoder()
    assert trusted._spare is not None
    trusted.submit(frames).result()
    assert trusted._spare is None
    assert trusted._exact is None


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_openvino_in_other_formats(precision, copied, frames, monkeypatch):
    script = "from dsanet_cli.encoder.graph_maker import main; main()"
    monkeypatch.setattr(graph_store, "COMMAND", (sys.executable, "-c", script))
    device = choose_encoder_device("openvino:cpu")
    assert (str(device), device.type) == ("openvino:CPU", "openvino")
    if precision == "auto":
        assert precision_name(choose_precision("auto", device)) in ("bf16", "fp32")
        return
    other = encoder(choose_precision(precision, device), device)
    assert other.device == device
    np.testing.assert_allclose(other.encode(frames), encoder(torch.float32).encode(frames), atol=1e-5)


def test_what_a_device_has_not():
    with pytest.raises(UsageError, match=r"--device openvino:XPU7: not available .* finds openvino:CPU"):
        choose_encoder_device("openvino:XPU7")
    with pytest.raises(UsageError, match=r"--precision fp16: not on openvino:CPU; use auto, .*int8"):
        choose_precision("fp16", OpenvinoDevice("CPU"))
    with pytest.raises(UsageError, match=r"--precision int8: not on cuda; add --device cpu"):
        choose_precision("int8", torch.device("cuda"))


@pytest.mark.parametrize("missing", openvino_library.EXTRA)
def test_without_the_extra_a_line_says_how_to_get_it(missing, monkeypatch):
    find = openvino_library.importlib.util.find_spec
    monkeypatch.setattr(
        openvino_library.importlib.util, "find_spec", lambda name, *rest: None if name == missing else find(name, *rest)
    )
    message = r": OpenVINO is not installed; pip install 'dsanet-cli\[openvino\]'"
    with pytest.raises(UsageError, match=f"--precision int8{message}"):
        choose_precision("int8", CPU)
    with pytest.raises(UsageError, match=f"--device openvino:GPU{message}"):
        choose_encoder_device("openvino:GPU")


def test_nothing_is_reported_to_anyone(tmp_path, monkeypatch):
    (tmp_path / "reports_its_use.py").write_text(
        "try:\n    import openvino_telemetry\nexcept ImportError:\n    openvino_telemetry = None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    there = types.ModuleType("openvino_telemetry")
    monkeypatch.setitem(sys.modules, "openvino_telemetry", there)
    assert openvino_library.load("reports_its_use").openvino_telemetry is None
    assert sys.modules["openvino_telemetry"] is there
    monkeypatch.delitem(sys.modules, "openvino_telemetry")
    openvino_library.load()
    assert "openvino_telemetry" not in sys.modules


def test_extract_notes_the_format_and_mixes_it_with_no_other(home, tiny_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "clip.mp4", frames=40)

    def extract(precision):
        choice = EncoderChoice(model=str(tiny_model))
        return run_extract(ExtractSettings(("clip.mp4",), tmp_path / "out", encoder=choice, precision=precision))

    assert extract("int8").extracted == 1
    assert json.loads((tmp_path / "out" / SIDECAR_FILE).read_text())["precision"] == "int8"
    with pytest.raises(UsageError, match="precision int8, not fp32"):
        extract("fp32")
    assert extract("int8").kept == 1


def test_detect_says_the_format(home, tiny_model, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=40)
    done = run("detect", "clip.mp4", "--model", tiny_model, "--precision", "int8", "-o", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on cpu in int8" in done.stderr
    assert "was made" not in done.stderr
    sampling = json.loads((tmp_path / "out" / "clip.json").read_text())["sampling"]
    assert (sampling["precision"], sampling["device"]) == ("int8", "cpu")


def test_a_refusal_ends_the_run_and_costs_no_video_after_the_other(home, tiny_model, tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "LEAST_COSINE", 1.5)
    sources = []
    for name in ("one", "two", "three"):
        write_video(tmp_path / f"{name}.mp4", frames=40)
        sources.append(Source(tmp_path / f"{name}.mp4", Path(name)))
    detector = Detector(load_model(str(tiny_model)), DetectSettings(device="cpu", precision="int8"))
    with pytest.raises(UsageError, match=r"--precision int8: refused, since on \d frames of the first video"):
        list(detector.detect_many(sources, PipelineSettings(), lambda *_: None))
