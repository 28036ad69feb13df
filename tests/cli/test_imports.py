"""What commands load: each second of import is a second of every start."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
from media import write_video
from results import make_timeline, write_result
from tiny import WIDTH

LATE = {"torch", "torch._dynamo", "torchvision", "open_clip", "timm", "matplotlib", "scipy", "sklearn", "av", "decord"}
RUNS = """
import contextlib, io, sys
TOWER = "torch torch._dynamo torchvision open_clip timm av"
from dsanet_cli.cli.app import app

late, video, features, model = set(sys.argv[1].split()), *sys.argv[2:]
for line, allowed in (
    ("--version", ""),
    ("detect --help", ""),
    ("models list", ""),
    ("models show street", ""),
    ("events results -r -o new -t 0.3", ""),
    ("report results/a.json", ""),
    ("report results", ""),
    (f"detect {features} --model {model} -o found -f csv", "torch av"),
    (f"detect {video} --model {model} -o found -f csv", TOWER),
    (f"detect {video} --model street -o found -f csv --overwrite", TOWER),
    (f"extract {video} --model {model} -o features", TOWER),
):
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()) as said:
        try:
            app(line.split(" "))
        except SystemExit as end:
            assert not end.code, (line, said.getvalue())
    if loaded := (late & sys.modules.keys()) - set(allowed.split()):
        print(line, sorted(loaded))
"""


def test_no_command_loads_what_it_does_without(tmp_path, tiny_model):
    write_result(tmp_path / "results", make_timeline(), "a")
    write_result(tmp_path / "results", make_timeline(), "b")
    np.save(tmp_path / "x.npy", np.ones((4, WIDTH), np.float32))
    video = write_video(tmp_path / "clip.mp4", frames=40)
    done = subprocess.run(
        [sys.executable, "-c", RUNS, " ".join(LATE), video, tmp_path / "x.npy", tiny_model],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout == ""
    assert (tmp_path / "results" / "index.html").exists()
    assert {path.name for path in (tmp_path / "new").iterdir()} >= {"a.json", "b.json", "summary.csv"}
    assert {path.name for path in (tmp_path / "found").iterdir()} >= {"clip.json", "clip.csv"}
