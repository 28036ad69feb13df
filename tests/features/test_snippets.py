from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from tiny import ENCODER, tiny_config

from dsanet_cli.errors import FeatureError
from dsanet_cli.features.folder import feature_file, name_of
from dsanet_cli.features.sidecar import SIDECAR_FILE, Extraction, MadeFrom, write_extraction
from dsanet_cli.features.snippets import SnippetNotes


def write_note(folder, seconds=None, **rates):
    folder.mkdir(exist_ok=True)
    videos = tuple(
        MadeFrom(name.replace("_", "/"), f"/{name}.mp4", 1, 1, 5, (0,), "0", frames=100, fps=fps)
        for name, fps in rates.items()
    )
    preprocessing = tiny_config().preprocessing
    note = Extraction(
        ENCODER, "0" * 64, preprocessing, 16, (0,), "float32", "fp32", snippet_seconds=seconds, videos=videos
    )
    write_extraction(folder, note)


@pytest.mark.parametrize("relative", ["a", "Abuse/a.b", "Abuse/a__b", "a__1"])
@pytest.mark.parametrize("crop", [0, 9])
def test_names_of_videos_are_read_off_their_feature_files(relative, crop):
    assert name_of(feature_file(Path(), Path(relative), crop)) == relative


def test_a_note_says_how_long_snippets_last(tmp_path):
    write_note(tmp_path / "counted", a="25/1", b_c="30000/1001", d=None)
    write_note(tmp_path / "timed", 0.5, a="5/1")
    notes = SnippetNotes(16)
    counted, timed = tmp_path / "counted", tmp_path / "timed"
    assert notes.of(counted / "a__0.npy").lasting() == pytest.approx(0.64)
    assert notes.of(counted / "a__7.npy").fps == 25
    assert notes.of(counted / "b" / "c__5.npy").fps == Fraction(30_000, 1001)
    assert notes.of(counted / "d__0.npy").lasting() == pytest.approx(16 / 30)
    assert notes.of(counted / "a__0.npy").lasting(Fraction(10)) == 1.6
    assert notes.of(timed / "a__0.npy").lasting() == notes.of(timed / "a__0.npy").lasting(Fraction(10)) == 0.5
    known = {"counted/a__0.npy": True, "counted/d__0.npy": False, "counted/e__0.npy": False, "timed/e__0.npy": True}
    assert {name: notes.of(tmp_path / name).known for name in known} == known
    assert not notes.of(tmp_path / "a__0.npy").known
    assert notes.of(tmp_path / "a__0.npy").frames == 16


def test_a_damaged_note_is_an_error(tmp_path):
    write_note(tmp_path / "counted", a="25/0")
    with pytest.raises(FeatureError, match=SIDECAR_FILE):
        SnippetNotes(16).of(tmp_path / "counted" / "a__0.npy")
