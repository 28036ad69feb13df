from __future__ import annotations

import dataclasses

import pytest
from tiny import ENCODER, tiny_config

from dsanet_cli.errors import FeatureError
from dsanet_cli.features import encoder_check
from dsanet_cli.features.encoder_check import EncoderCheck, note_without_sidecar
from dsanet_cli.features.sidecar import Extraction, write_extraction
from dsanet_cli.video.options import ReadOptions

OWN, OTHER = "1" * 64, "2" * 64
CONFIG = tiny_config(encoder_sha256=OWN)


@pytest.fixture
def made(tmp_path):
    """Writes a sidecar with changes, and names a feature file in a folder below it."""

    def write(name="set", **changes):
        extraction = Extraction(
            encoder=ENCODER,
            weights_sha256=OWN,
            preprocessing=CONFIG.preprocessing,
            sampled_frames=16,
            crops=(0,),
            storage="float32",
            precision="fp32",
        )
        write_extraction(tmp_path / name, dataclasses.replace(extraction, **changes))
        return tmp_path / name / "Abuse" / "a__0.npy"

    return write


def test_features_of_the_models_encoder_are_taken(made):
    EncoderCheck.of_model(CONFIG).check(made(storage="float16", precision="bf16", sampled_frames=2))


def test_features_of_other_weights_are_refused(made):
    with pytest.raises(FeatureError, match=r"a__0\.npy: features of another encoder: its weights .* 2{12}…, not 1{12}"):
        EncoderCheck.of_model(CONFIG).check(made(weights_sha256=OTHER))


def test_a_renamed_encoder_of_the_same_weights_is_taken(made):
    EncoderCheck.of_model(CONFIG).check(made(encoder=dataclasses.replace(ENCODER, architecture="renamed")))


def test_features_of_another_preprocessing_are_refused(made):
    other = dataclasses.replace(CONFIG.preprocessing, crop=(32, 32))
    with pytest.raises(FeatureError, match=r"its preprocessing is .* use the model or encoder .* made with"):
        EncoderCheck.of_model(CONFIG).check(made(preprocessing=other))


def test_a_model_without_the_hash_goes_by_the_architecture(made):
    check = EncoderCheck.of_model(tiny_config())
    check.check(made(weights_sha256=OTHER))
    with pytest.raises(FeatureError, match=r"it is ViT-B-16, not tiny; .* with \(ViT-B-16\)"):
        check.check(made("other", encoder=dataclasses.replace(ENCODER, architecture="ViT-B-16", custom=None)))


def test_features_without_a_sidecar_are_taken_with_a_line(tmp_path, made):
    EncoderCheck.of_model(CONFIG).check(tmp_path / "a.npy")
    assert note_without_sidecar([made()]) is None
    note = note_without_sidecar([made(), tmp_path / "a.npy", tmp_path / "b.npy"])
    assert note is not None
    assert note.startswith(f"{tmp_path}: no extraction.json beside the features")


def test_each_sidecar_is_read_once(made, monkeypatch):
    read = []
    monkeypatch.setattr(encoder_check, "read_sidecar", lambda path: read.append(path) or taken(path))
    check = EncoderCheck.of_model(CONFIG)
    for file in (made(), made().with_name("b.npy"), made().parents[1] / "Arson" / "c.npy"):
        check.check(file)
    assert len(read) == 1


taken = encoder_check.read_sidecar


def test_snippets_that_last_another_time_are_refused(made):
    timed = dataclasses.replace(CONFIG, snippet_seconds=0.5)
    EncoderCheck.of_model(timed).check(made(snippet_seconds=0.5))
    EncoderCheck.of_model(timed).check(made())  # as published
    with pytest.raises(FeatureError, match=r"a__0\.npy: features of snippets of 0\.64 s, not of 0\.5 s"):
        EncoderCheck.of_model(timed).check(made(snippet_seconds=0.64))
    with pytest.raises(FeatureError, match=r"a__0\.npy: features of snippets of 0\.64 s, not of 16 frames"):
        EncoderCheck.of_model(CONFIG).check(made(snippet_seconds=0.64))
    strict = dataclasses.replace(EncoderCheck.of_model(timed), only_by_time=True)
    with pytest.raises(FeatureError, match=r"a__0\.npy: features of snippets of 16 frames, not of 0\.5 s"):
        strict.check(made())


def test_what_features_in_a_folder_below_show_is_read_once(made, monkeypatch):
    file = made(region=(0.0, 0.0, 1.0, 0.5))
    reads = []
    read = encoder_check.read_sidecar
    monkeypatch.setattr(encoder_check, "read_sidecar", lambda path: reads.append(path) or read(path))
    check = EncoderCheck.of_model(CONFIG)
    assert [check.seen(file.with_name(f"{name}__0.npy")) for name in "ab"] == 2 * [((0.0, 0.0, 1.0, 0.5), None)]
    assert len(reads) == 1
    with pytest.raises(FeatureError, match=r"features of another region, 0,0,1,0\.5, not 0,0\.5,1,0\.5"):
        check.check_seen(file, ReadOptions(region=(0, 0.5, 1, 0.5)))
