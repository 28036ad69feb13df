"""Encoders of OpenVINO, int8 above all. One graph is made, which takes seconds; all else finds it in the cache."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pytest
import torch
from commands import run
from media import write_video
from tiny import tiny_clip, tiny_config

from dsanet_cli.encoder import graph_store, openvino_library, trial
from dsanet_cli.encoder.calibration import calibration_frames
from dsanet_cli.encoder.device import OpenvinoDevice, choose_encoder_device, choose_precision, precision_name
from dsanet_cli.encoder.frame_encoder import FrameEncoder
from dsanet_cli.encoder.graph_maker import GRAPH, Job
from dsanet_cli.errors import UsageError
from dsanet_cli.extract.run import ExtractSettings, run_extract
from dsanet_cli.features.sidecar import SIDECAR_FILE
from dsanet_cli.models.encoder_choice import EncoderChoice

pytestmark = pytest.mark.skipif(
    any(openvino_library.importlib.util.find_spec(name) is None for name in openvino_library.EXTRA),
    reason="needs the extra openvino",
)

CPU = torch.device("cpu")
PREPROCESSING = tiny_config().preprocessing


def encoder(dtype=torch.int8, device=CPU):
    return FrameEncoder(tiny_clip().visual, PREPROCESSING, device, dtype)


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
    message = r"on 8 frames of the first video .* the lowest 0\.99\d\d, .*; use --precision bf16 or auto"
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


def test_detect_and_what_it_refuses(home, tiny_model, tmp_path):
    write_video(tmp_path / "clip.mp4", frames=40)
    command = ("detect", "clip.mp4", "--model", tiny_model, "--precision", "int8", "-o")
    done = run(*command, "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "on cpu in int8" in done.stderr
    sampling = json.loads((tmp_path / "out" / "clip.json").read_text())["sampling"]
    assert (sampling["precision"], sampling["device"]) == ("int8", "cpu")
    weights = kept(home) / "graph.bin"
    content = weights.read_bytes()
    weights.write_bytes(np.random.default_rng(0).permutation(np.frombuffer(content, np.uint8)).tobytes())
    try:
        refused = run(*command, "other", cwd=tmp_path)
    finally:
        weights.write_bytes(content)
    assert refused.returncode == 2
    assert "--precision int8: refused, since on 8 frames of the first video" in refused.stderr
    assert not list((tmp_path / "other").glob("*.json"))
