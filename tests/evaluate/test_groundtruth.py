"""Ground truth in all its formats, good, damaged and hostile."""

from __future__ import annotations

import io
import os
import pickle
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dsanet_cli.errors import FeatureError, SourceError
from dsanet_cli.evaluate.frame_metrics import Segment, VideoTruth
from dsanet_cli.evaluate.groundtruth import (
    check_lengths,
    classes_in_name,
    frame_truth,
    match_videos,
    read_annotations,
    read_frame_array,
    read_segment_arrays,
    rename_classes,
    video_name,
    with_normal_segments,
)
from dsanet_cli.evaluate.object_arrays import read_lists
from dsanet_cli.models.presets import UCF_CRIME, XD_VIOLENCE

RIOT = "v=S-7rRLrxnVQ__#1_label_B4-0-0"
SEVERAL = "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6"
CALM = "Calm.2001__#00-25-20_00-29-20_label_A"


def write(folder: Path, text: str) -> Path:
    path = folder / "annotations.txt"
    path.write_text(text, encoding="utf-8")
    return path


def save(path: Path, values: list[Any]) -> Path:
    """Save as the research repositories do: one array element a video, whatever it is."""
    array = np.empty(len(values), dtype=object)
    array[:] = values
    np.save(path, array, allow_pickle=True)
    return path


def npy(path: Path, pickled: bytes, shape: tuple[int, ...] = (1,)) -> Path:
    """An object array file around any pickle."""
    stream = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    path.write_bytes(stream.getvalue() + pickled)
    return path


# Text formats


def test_ucf_crime_text(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "Abuse028_x264.mp4  Abuse  165  240  -1  -1  \n"
        "Arson011_x264  Arson  150  420  680  1267  \n"
        "\n"
        "Normal_Videos_003_x264  Normal  -1  -1  -1  -1  \n",
    )
    assert read_annotations(path) == (
        VideoTruth("Abuse028_x264", ("Abuse",), (Segment(165, 240, "Abuse"),)),
        VideoTruth("Arson011_x264", ("Arson",), (Segment(150, 420, "Arson"), Segment(680, 1267, "Arson"))),
        VideoTruth("Normal_Videos_003_x264", ("Normal",), ()),
    )


def test_xd_violence_text_takes_the_class_from_the_name(tmp_path: Path) -> None:
    path = write(tmp_path, f"{RIOT} 0 1517 1970 3038\n{SEVERAL}.mp4 157 180 185 244\n{CALM}\n")
    assert read_annotations(path) == (
        VideoTruth(RIOT, ("B4",), (Segment(0, 1517, "B4"), Segment(1970, 3038, "B4"))),
        VideoTruth(SEVERAL, ("G", "B2", "B6"), (Segment(157, 180, None), Segment(185, 244, None))),
        VideoTruth(CALM, ("A",), ()),
    )


def test_xd_violence_text_with_classes_and_stray_double_spaces(tmp_path: Path) -> None:
    path = write(tmp_path, f"{RIOT} B4 0 1517  B4 1970  3038\n{SEVERAL} B2 157 180 G 185 244 B2 250 282\n")
    assert read_annotations(path) == (
        VideoTruth(RIOT, ("B4",), (Segment(0, 1517, "B4"), Segment(1970, 3038, "B4"))),
        VideoTruth(SEVERAL, ("B2", "G"), (Segment(157, 180, "B2"), Segment(185, 244, "G"), Segment(250, 282, "B2"))),
    )


@pytest.mark.parametrize("gap", ["  ", "\t"])
def test_names_and_classes_with_spaces_stand_between_wider_gaps(tmp_path: Path, gap: str) -> None:
    path = write(tmp_path, gap.join(["my yard 2.mp4", "car accident", "10", "20", "-1", "-1"]))
    assert read_annotations(path) == (VideoTruth("my yard 2", ("car accident",), (Segment(10, 20, "car accident"),)),)


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path: Path) -> None:
    path = tmp_path / "gt.txt"
    path.write_bytes("\ufeffAbuse028_x264  Abuse  165  240  -1  -1\r\n".encode())
    assert read_annotations(path)[0].name == "Abuse028_x264"


def test_a_video_of_unknown_class_keeps_its_segments(tmp_path: Path) -> None:
    assert read_annotations(write(tmp_path, "clip 5 9\n"))[0] == VideoTruth("clip", (), (Segment(5, 9, None),))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Abuse028_x264", "has no class and no interval"),
        (RIOT, "has no class and no interval"),
        ("Abuse028_x264  Abuse", "expected a start and an end frame, found 'nothing'"),
        ("Abuse028_x264  Abuse  165", "expected a start and an end frame, found '165'"),
        ("Abuse028_x264  Abuse  165  240  -1", "found '-1'"),
        ("Abuse028_x264  Abuse  165  later", "found '165 later'"),
        ("Abuse028_x264  Abuse  16.5  24.0", "found '16.5 24.0'"),
        ("Abuse028_x264  Abuse  240  165  -1  -1", "the interval 240 to 165 is empty or negative"),
        ("Abuse028_x264  Abuse  240  240  -1  -1", "the interval 240 to 240 is empty"),
        ("Abuse028_x264  Abuse  -5  240  -1  -1", "the interval -5 to 240 is empty or negative"),
        ("Abuse028_x264  Abuse  5  -1  -1  -1", "the interval 5 to -1 is empty or negative"),
        (f"Abuse028_x264  Abuse  5  {'9' * 25}", f"'5 to {'9' * 25}' is beyond the last frame of any video"),
        pytest.param(
            f"Abuse028_x264  Abuse  {'9' * 5000}  {'9' * 5001}",
            "9… is beyond the last frame of any video",
            id="thousands of digits",
        ),
        (f"Abuse028_x264  Abuse  -{'9' * 25}  7", "is beyond the last frame of any video"),
        ("Abuse028_x264  Abuse  nan  inf", "found 'nan inf'"),
        ("Abuse028_x264  Abuse  1e3  2e3", "found '1e3 2e3'"),
        ("\0\x01\x02", "has no class and no interval"),
        pytest.param("Abuse028_x264" + "  7" * 20_000, "is 60013 characters long", id="a long line"),
        pytest.param("x" * 100_000, "is 100000 characters long", id="a long word"),
    ],
)
def test_a_malformed_line_is_named_with_its_reason(tmp_path: Path, line: str, reason: str) -> None:
    path = write(tmp_path, f"Fighting003_x264  Fighting  1820  3103  -1  -1\n\n{line}\n")
    with pytest.raises(SourceError) as caught:
        read_annotations(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: line 3: ")
    assert reason in message
    assert "such as 'Abuse028_x264  Abuse  165  240  -1  -1'" in message
    assert "\n" not in message


def test_a_video_named_twice_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, "a  Abuse  1  2  -1  -1\nb  Abuse  1  2  -1  -1\na.mp4  Abuse  5  6  -1  -1\n")
    with pytest.raises(SourceError, match=r"annotations.txt: line 3: a is already in line 1; join"):
        read_annotations(path)


def test_unreadable_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"missing.txt: cannot be read"):
        read_annotations(tmp_path / "missing.txt")
    with pytest.raises(SourceError, match=r"annotations.txt: holds no annotations"):
        read_annotations(write(tmp_path, "\n \n"))
    (tmp_path / "gt.npy").write_bytes(b"\x93NUMPY\xff\xfe\x00")
    with pytest.raises(SourceError, match=r"gt.npy: not a text file of annotations"):
        read_annotations(tmp_path / "gt.npy")


def not_files(tmp_path: Path) -> list[Path]:
    """What never ends, or makes whoever opens it wait."""
    os.mkfifo(tmp_path / "pipe.npy")
    (tmp_path / "zeros.npy").symlink_to("/dev/zero")
    (tmp_path / "folder.npy").mkdir()
    return [tmp_path / name for name in ("pipe.npy", "zeros.npy", "folder.npy")]


@pytest.mark.timeout(20)
@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes")
def test_pipes_devices_and_folders_are_refused_at_once(tmp_path: Path) -> None:
    for path in not_files(tmp_path):
        message = rf"{path.name}: cannot be read \((Not a regular file|Is a directory)\)"
        for read in (read_annotations, read_lists, lambda path: read_frame_array(path, ["a"], [16])):
            with pytest.raises(SourceError, match=message):
                read(path)


def test_annotations_of_gigabytes_are_not_read(tmp_path: Path) -> None:
    with (tmp_path / "gt.txt").open("wb") as stream:
        stream.truncate(2**40)
    with pytest.raises(SourceError, match=r"gt.txt: cannot be read \(Larger than 8 MiB\)"):
        read_annotations(tmp_path / "gt.txt")


# Names, matching, classes, lengths


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Abuse028_x264.mp4", "Abuse028_x264"),
        ("/data/UCF/Abuse/Abuse028_x264__5.npy", "Abuse028_x264"),
        (r"D:\features\Abuse028_x264__10.npy", "Abuse028_x264"),
        (f"xd/{RIOT}__0.npy", RIOT),
        (f"{RIOT}.mp4", RIOT),
        (SEVERAL, SEVERAL),
        ("take__2.mp4", "take__2"),
        ("plain.npy", "plain"),
    ],
)
def test_video_name(path: str, name: str) -> None:
    assert video_name(path) == name


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        (RIOT, ("B4",)),
        (SEVERAL, ("G", "B2", "B6")),
        (CALM, ("A",)),
        ("x_label_B2-B2-0", ("B2",)),
        ("Abuse028", ()),
    ],
)
def test_classes_in_name(name: str, classes: tuple[str, ...]) -> None:
    assert classes_in_name(name) == classes


def test_videos_are_matched_in_the_lists_order(tmp_path: Path) -> None:
    truths = read_annotations(write(tmp_path, f"{SEVERAL} 5 9\n{RIOT} 0 1517\n"))
    matched = match_videos(truths, [f"/a/{RIOT}__0.npy", f"/b/{CALM}__0.npy", f"{SEVERAL}__0.npy"])
    assert [truth.name for truth in matched] == [RIOT, CALM, SEVERAL]
    assert matched[1] == VideoTruth(CALM, ("A",), ())


def test_videos_without_ground_truth_are_named(tmp_path: Path) -> None:
    truths = read_annotations(write(tmp_path, f"{RIOT} 0 1517\n"))
    with pytest.raises(SourceError, match=r"no ground truth for 2 of 3 videos: Abuse028_x264, other; add"):
        match_videos(truths, ["Abuse028_x264__5.npy", f"{RIOT}__0.npy", "other.mp4"])


def test_frame_truth_is_half_open_and_ignores_normal_segments() -> None:
    segments = (Segment(2, 4, "B1"), Segment(3, 6, None), Segment(0, 10, "A"), Segment(8, 99, "B2"))
    labels = frame_truth(VideoTruth("v", ("B1",), segments), 10)
    assert labels.tolist() == [0, 0, 1, 1, 1, 1, 0, 0, 1, 1]
    assert labels.dtype == np.uint8
    assert frame_truth(VideoTruth("v", ("B1",), segments), 10, normal={"A", "B1", "B2"}).sum() == 3


def test_normal_videos_become_one_segment_as_in_the_arrays() -> None:
    truths = [
        VideoTruth("n", ("Normal",), ()),
        VideoTruth("a", ("A",), ()),
        VideoTruth("b", ("B1",), ()),
        VideoTruth("c", ("B1",), (Segment(0, 9, "B1"),)),
    ]
    normal = (Segment(0, 32, "A"),)
    done = with_normal_segments(truths, [32] * 4)
    assert [t.segments for t in done] == [normal, normal, (), (Segment(0, 9, "B1"),)]
    assert not frame_truth(done[0], 32).any()


def test_classes_are_renamed_to_the_models() -> None:
    xd = VideoTruth("v", ("A", "B6"), (Segment(0, 9, "A"), Segment(9, 12, "B6"), Segment(12, 14, None)))
    assert rename_classes([xd], XD_VIOLENCE.labels) == (
        VideoTruth(
            "v",
            ("normal", "car accident"),
            (Segment(0, 9, "normal"), Segment(9, 12, "car accident"), Segment(12, 14, None)),
        ),
    )
    ucf = VideoTruth("v", ("roadaccidents",), (Segment(0, 9, "RoadAccidents"), Segment(0, 9, "A")))
    assert rename_classes([ucf], UCF_CRIME.labels)[0].segments == (
        Segment(0, 9, "roadaccidents"),
        Segment(0, 9, "A"),
    )


def test_an_unknown_class_names_its_video() -> None:
    with pytest.raises(SourceError, match=r"v: its ground truth has the class B9, which is none of A, B1"):
        rename_classes([VideoTruth("v", (), (Segment(0, 9, "B9"),))], XD_VIOLENCE.labels)


def test_lengths_that_cannot_be_are_named() -> None:
    fits = VideoTruth("fits", ("B1",), (Segment(40, 60, "B1"),))
    late = VideoTruth("late", ("B1",), (Segment(0, 9, "B1"), Segment(48, 60, "B1")))
    longer = VideoTruth("longer", ("A",), (Segment(0, 48, "A"),), frames=48)
    check_lengths([fits, longer, VideoTruth("none", ("A",), ())], [32, 48, 16])
    with pytest.raises(FeatureError) as caught:
        check_lengths([fits, late, longer], [32, 32, 32])
    assert "late (features 32 frames, a segment begins at 48)" in str(caught.value)
    assert "longer (features 32 frames, ground truth 48)" in str(caught.value)
    assert "fits" not in str(caught.value)


# Arrays


def test_segment_arrays_as_the_repositories_save_them(tmp_path: Path) -> None:
    segments = save(tmp_path / "s.npy", [[["165", "240"]], [[0, 320]], [["9", "12"], ["20", "30"]]])
    labels = save(tmp_path / "l.npy", [["Abuse"], ["A"], ["Arson", "Fighting"]])
    truths = read_segment_arrays(segments, labels, ["x/a__0.npy", "b__0.npy", "c__0.npy"])
    assert truths == (
        VideoTruth("a", ("Abuse",), (Segment(165, 240, "Abuse"),)),
        VideoTruth("b", ("A",), (Segment(0, 320, "A"),), frames=320),
        VideoTruth("c", ("Arson", "Fighting"), (Segment(9, 12, "Arson"), Segment(20, 30, "Fighting"))),
    )


def test_arrays_that_numpy_made_regular_are_the_same(tmp_path: Path) -> None:
    """Where all videos have one segment, the repositories' np.save(list) needs no pickle."""
    np.save(tmp_path / "s.npy", [[["165", "240"]], [["0", "320"]]])
    np.save(tmp_path / "l.npy", [["Abuse"], ["A"]])
    np.save(tmp_path / "flat.npy", ["Abuse", "A"])
    expected = (
        VideoTruth("a", ("Abuse",), (Segment(165, 240, "Abuse"),)),
        VideoTruth("b", ("A",), (Segment(0, 320, "A"),), frames=320),
    )
    assert read_segment_arrays(tmp_path / "s.npy", tmp_path / "l.npy", ["a", "b"]) == expected
    assert read_segment_arrays(tmp_path / "s.npy", tmp_path / "flat.npy", ["a", "b"]) == expected


def test_object_arrays_of_more_dimensions_and_numpy_values(tmp_path: Path) -> None:
    values: list[list[Any]] = [[np.int64(1), "a", np.str_("ü")], [2.5, np.float32(0.5), np.bool_(True)]]
    np.save(tmp_path / "a.npy", np.array(values, dtype=object), allow_pickle=True)
    assert read_lists(tmp_path / "a.npy") == [[1, "a", "ü"], [2.5, 0.5, True]]


@pytest.mark.parametrize("core", [b"numpy.core.multiarray", b"numpy._core.multiarray"], ids=["numpy1", "numpy2"])
@pytest.mark.parametrize("protocol", [3, 4])
def test_both_numpy_generations(tmp_path: Path, core: bytes, protocol: int) -> None:
    array = np.empty(2, dtype=object)
    array[:] = [["Abuse"], [np.int64(7)]]
    pickled = pickle.dumps(array, protocol=protocol)
    for written in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        if protocol == 3:
            pickled = pickled.replace(b"c" + written + b"\n", b"c" + core + b"\n")
        else:
            pickled = pickled.replace(bytes([0x8C, len(written)]) + written, bytes([0x8C, len(core)]) + core)
    if protocol == 4:  # The one frame's length changes with the name's.
        assert pickled[2:3] == b"\x95"
        pickled = pickled[:3] + struct.pack("<Q", len(pickled) - 11) + pickled[11:]
    assert core in pickled
    assert read_lists(npy(tmp_path / "a.npy", pickled, (2,))) == [["Abuse"], [7]]


class Hostile:
    """Leaves a file where it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("bare", [True, False], ids=["instead of the array", "in the array"])
def test_a_hostile_array_is_refused_and_runs_nothing(tmp_path: Path, protocol: int, bare: bool) -> None:
    marker = tmp_path / "was here"
    array = np.empty(1, dtype=object)
    array[0] = [["165", Hostile(marker)]]
    pickled = pickle.dumps(Hostile(marker) if bare else array, protocol=protocol)
    path = npy(tmp_path / "gt_segment.npy", pickled)
    labels = save(tmp_path / "gt_label.npy", [["Abuse"]])
    with pytest.raises(
        SourceError, match=r"gt_segment.npy: refused, nothing in it was run: it asks for '.*'; an"
    ) as caught:
        read_segment_arrays(path, labels, ["a"])
    assert "\n" not in str(caught.value)
    assert not marker.exists()
    np.load(path, allow_pickle=True)  # The file is as hostile as it claims …
    assert marker.exists()


@pytest.mark.parametrize(
    "code",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"cnumpy\nload\n(S'x'\ntR.",
        b"cnumpy.core.multiarray\nfromfile\n(S'x'\ntR.",
        b"cdsanet_cli.evaluate.object_arrays\nread_lists\n.",
        b"ios\nsystem\n.",
        b"\x82\x01.",
    ],
)
def test_names_beside_numpys_four_are_refused(tmp_path: Path, code: bytes) -> None:
    with pytest.raises(SourceError, match=r"a.npy: (refused|not a readable)"):
        read_lists(npy(tmp_path / "a.npy", code))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ({"a": 1}, "it holds a dict"),
        (None, "it holds a nonetype"),
        (b"bytes", "it holds a bytes"),
        ([1 + 2j], "it asks for 'builtins.complex'"),
        ([np.arange(3)], "it holds an array within the array"),
        ([np.datetime64("2020-01-01")], "neither number nor string"),
        ([[[[[[[["deep"]]]]]]]], "too many within each other"),
    ],
)
def test_other_values_are_refused(tmp_path: Path, value: object, found: str) -> None:
    array = np.empty(1, dtype=object)
    array[0] = value
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(SourceError, match=found):
        read_lists(tmp_path / "a.npy")


def npy_header(shape: object, descr: str, version: bytes = b"\x01\x00") -> bytes:
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY" + version + struct.pack("<H", len(text) + 1) + text + b"\n"


@pytest.mark.parametrize(
    ("shape", "descr"),
    [
        ((10**13,), "<f8"),
        ((10**13,), "<f4"),
        ((2**62, 2**62), "<f8"),
        ((-5,), "<f8"),
        ((10**25,), "<f8"),
        ((16,), "<U2000000000"),
        ((10**9,), "<U0"),
        ((10**9,), "|V0"),
        ((16,), "|S"),
        ((1, 16), "<M8[s]"),
    ],
)
def test_headers_that_claim_what_is_not_there(tmp_path: Path, shape: object, descr: str) -> None:
    (tmp_path / "gt.npy").write_bytes(npy_header(shape, descr) + bytes(128))
    with pytest.raises((SourceError, FeatureError), match=r"gt\.npy: ") as caught:
        read_frame_array(tmp_path / "gt.npy", ["a"], [16])
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match=r"gt\.npy: ") as caught:
        read_lists(tmp_path / "gt.npy")
    assert "\n" not in str(caught.value)


def test_a_sparse_array_of_terabytes_is_not_looked_at(tmp_path: Path) -> None:
    with (tmp_path / "gt.npy").open("wb") as stream:
        stream.write(npy_header((2**40,), "|u1"))
        stream.truncate(stream.tell() + 2**40)
    with pytest.raises(FeatureError, match=r"gt\.npy: has 1099511627776 frames"):
        read_frame_array(tmp_path / "gt.npy", ["a"], [16])
    with pytest.raises(SourceError, match=r"gt\.npy: refused, .* holds too many values"):
        read_lists(tmp_path / "gt.npy")


def test_a_pickle_of_gigabytes_is_not_read(tmp_path: Path) -> None:
    path = save(tmp_path / "gt.npy", [["Abuse"]])
    with path.open("ab") as stream:
        stream.truncate(2**40)
    with pytest.raises(SourceError, match=r"gt\.npy: refused, .* larger than 64 MiB"):
        read_lists(path)


def test_numbers_beyond_all_bounds_are_refused(tmp_path: Path) -> None:
    for number in (10**25, -(10**25), 2**63, 1 << 40_000):
        with pytest.raises(SourceError, match="it holds a number beyond all bounds"):
            read_lists(save(tmp_path / "a.npy", [[number]]))


@pytest.mark.parametrize(
    "array_type", ["i8", "f8", "U3", "V8", "O4"], ids=["integers", "floats", "texts", "raw", "other objects"]
)
def test_an_array_that_says_another_type_than_its_elements_have_is_refused(tmp_path: Path, array_type: str) -> None:
    code = (
        b"cnumpy.core.multiarray\n_reconstruct\n(tR(I1\n(I1\nt"
        b"cnumpy\ndtype\n(S'%s'\ntRI00\n(lS'Abuse'\natb." % array_type.encode()
    )
    with pytest.raises(SourceError, match=r"a\.npy: refused, .* it holds an array within the array"):
        read_lists(npy(tmp_path / "a.npy", code, (1,)))
    whole = code.replace(array_type.encode(), b"O8")
    assert read_lists(npy(tmp_path / "b.npy", whole, (1,))) == ["Abuse"]


def test_a_value_that_says_no_type_is_refused(tmp_path: Path) -> None:
    code = b"cnumpy.core.multiarray\n_reconstruct\n(tR(I1\n(I1\ntS'O8'\nI00\n(lS'Abuse'\natb."
    with pytest.raises(SourceError, match=r"it holds an array within the array"):
        read_lists(npy(tmp_path / "a.npy", code, (1,)))


def test_a_small_pickle_of_endless_lists_is_refused(tmp_path: Path) -> None:
    wide: list[Any] = ["x"] * 500
    for _ in range(3):
        wide = [wide] * 500
    with pytest.raises(SourceError, match="too many lists"):
        read_lists(save(tmp_path / "a.npy", [wide]))
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(SourceError, match="too many within each other"):
        read_lists(save(tmp_path / "b.npy", [endless]))


def test_stand_ins_cannot_be_changed_by_a_pickle(tmp_path: Path) -> None:
    """BUILD on a class sets attributes of it; here it meets a method that wants an instance."""
    code = b"cnumpy\nndarray\n(N}S'__setstate__'\ncnumpy\ndtype\nstb."
    with pytest.raises(SourceError, match=r"a.npy: (refused|not a readable)"):
        read_lists(npy(tmp_path / "a.npy", code))
    assert read_lists(save(tmp_path / "b.npy", [["still", "read"]])) == [["still", "read"]]


def test_damaged_arrays_are_errors(tmp_path: Path) -> None:
    whole = save(tmp_path / "whole.npy", [["Abuse"], ["A"]]).read_bytes()
    damaged = {
        "empty.npy": b"",
        "text.npy": b"Abuse028_x264  Abuse  165  240",
        "header.npy": whole[:40],
        "half.npy": whole[:-20],
        "open header.npy": whole.replace(b"'shape': (2,)", b"'shape': (2, "),
        "mixed header.npy": whole.replace(b"'shape'", b"b'hape'"),
        "reference.npy": whole[:128] + b"]r\xff\xff\xff\xff.",
        "version.npy": b"\x93NUMPY\x09\x00" + whole[8:],
        "raw.npy": pickle.dumps([["Abuse"]]),
    }
    for name, data in damaged.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError, match=f"{re.escape(name)}: not a readable .npy array") as caught:
            read_lists(tmp_path / name)
        assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match=r"missing.npy: no such file"):
        read_lists(tmp_path / "missing.npy")
    array = np.empty(2, dtype=object)
    array[:] = [["a"], ["b"]]
    with pytest.raises(SourceError, match=r"2 elements for the shape \(3,\)"):
        read_lists(npy(tmp_path / "shape.npy", pickle.dumps(array), (3,)))
    np.save(tmp_path / "single.npy", np.float32(1))
    with pytest.raises(SourceError, match=r"single.npy: holds a single value"):
        read_lists(tmp_path / "single.npy")


def test_arrays_of_another_list_are_an_error(tmp_path: Path) -> None:
    segments = save(tmp_path / "s.npy", [[["1", "2"]], [["1", "2"]]])
    labels = save(tmp_path / "l.npy", [["Abuse"]])
    with pytest.raises(SourceError, match=r"s.npy: holds 2 videos, the list has 1; use"):
        read_segment_arrays(segments, labels, ["a"])
    with pytest.raises(SourceError, match=r"l.npy: holds 1 videos, the list has 2; use"):
        read_segment_arrays(segments, labels, ["a", "b"])


@pytest.mark.parametrize(
    ("segments", "labels", "reason"),
    [
        ([["1", "2"]], ["Abuse", "Abuse"], "one class for each segment"),
        ("12", ["Abuse"], "one class for each segment"),
        ([["1", "2"]], 7, "one class for each segment"),
        ([["1", "2"]], [7], "are not a start frame, an end frame and a class"),
        ([["1"]], ["Abuse"], "are not a start frame, an end frame"),
        ([["1", "2", "3"]], ["Abuse"], "are not a start frame, an end frame"),
        ([["1", ["2"]]], ["Abuse"], "are not a start frame, an end frame"),
        ([["one", "2"]], ["Abuse"], "are not a start frame, an end frame"),
        ([["9", "2"]], ["Abuse"], "are not a start frame, an end frame"),
        ([[0, float("inf")]], ["Abuse"], "are not a start frame, an end frame"),
        ([[0, float("nan")]], ["Abuse"], "are not a start frame, an end frame"),
        ([["0", "9" * 25]], ["Abuse"], "are not a start frame, an end frame"),
        ([["0", "9" * 5000]], ["Abuse"], "9… and 'Abuse' are not a start frame, an end frame"),
        ([[-4, 9]], ["Abuse"], "are not a start frame, an end frame"),
        (["12"], ["Abuse"], "are not a start frame, an end frame"),
    ],
)
def test_lists_that_do_not_fit_name_the_video(tmp_path: Path, segments: Any, labels: Any, reason: str) -> None:
    spans = save(tmp_path / "s.npy", [[["1", "2"]], segments])
    classes = save(tmp_path / "l.npy", [["Abuse"], labels])
    with pytest.raises(SourceError, match=rf"l.npy: video 2 \(b\): .*{reason}"):
        read_segment_arrays(spans, classes, ["a", "b"])


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8, bool])
def test_frame_arrays_are_cut_into_videos(tmp_path: Path, dtype: type) -> None:
    flat = np.zeros(48, dtype=dtype)
    flat[10:20] = 1
    np.save(tmp_path / "gt.npy", flat)
    first, second = read_frame_array(tmp_path / "gt.npy", ["a", "b"], [16, 32])
    assert first.dtype == np.uint8
    assert (first.sum(), second.sum(), len(first), len(second)) == (6, 4, 16, 32)


def test_frame_arrays_that_do_not_fit_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "gt.npy"
    np.save(path, np.zeros(48))
    with pytest.raises(
        FeatureError,
        match=r"gt.npy: has 48 frames, the features of the 2 videos a, b have 64 \(\+1 snippets\)",
    ):
        read_frame_array(path, ["a", "b"], [32, 32])
    np.save(path, np.full(48, 0.5))
    with pytest.raises(SourceError, match=r"gt.npy: holds values other than 0 and 1"):
        read_frame_array(path, ["a"], [48])
    np.save(path, np.zeros((4, 12)))
    with pytest.raises(SourceError, match=r"gt.npy: expected one number per frame"):
        read_frame_array(path, ["a"], [48])
    save(path, [["Abuse"]])
    with pytest.raises(SourceError, match=r"gt.npy: not a readable .npy array"):
        read_frame_array(path, ["a"], [48])
    np.savez(tmp_path / "gt.npz", gt=np.zeros(48))
    with pytest.raises(SourceError, match=r"gt.npz: not a readable .npy array"):
        read_frame_array(tmp_path / "gt.npz", ["a"], [48])
    with pytest.raises(SourceError, match=r"missing.npy: no such file"):
        read_frame_array(tmp_path / "missing.npy", ["a"], [48])
