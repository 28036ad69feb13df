"""Damaged model configurations, sidecars, results, profiles and class files: each must be taken, or be one line.

    python tests/fuzz_config.py [--cases 1000] [--seed 0]

Breaks the text of one such file (``config_mutations.py``) and lets the program use it as its commands do, in a process
that may take so many seconds and so much memory. Prints each case that ended in anything but a result or one line of
error; ends with 0 if there is none, else with 1.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch
from config_mutations import mutate_text
from tiny import WIDTH, save_tiny_model

from dsanet_cli.calibrate.run import CalibrateSettings, run_calibrate
from dsanet_cli.detect.profile import Camera, Profile, write_profile
from dsanet_cli.detect.run import BatchSettings, run_batch
from dsanet_cli.detect.runner import Runner
from dsanet_cli.detect.settings import RunnerSettings
from dsanet_cli.detect.summary import SummaryRow, update_summary
from dsanet_cli.encoder.tower import tower_sha256
from dsanet_cli.errors import DsanetError
from dsanet_cli.features.encoder_check import EncoderCheck
from dsanet_cli.features.origins import Origins
from dsanet_cli.features.sidecar import SIDECAR_FILE, Extraction, MadeFrom, read_extraction, write_extraction
from dsanet_cli.files.folders import open_folder
from dsanet_cli.files.sources import Source
from dsanet_cli.models.classes import read_classes
from dsanet_cli.models.directory import load_model
from dsanet_cli.models.listing import print_model
from dsanet_cli.timeline.files import read_timeline

PATIENCE = 60.0
"""Seconds after which a case hangs, on a machine with other work."""
CPU_SECONDS = 15
"""That a case may compute."""
MEMORY = 2 * 2**30
"""Bytes that a case may take beside what is loaded."""
CLASSES = """
[[class]]
name = "normal"

[[class]]
name = "fighting"
prompts = ["people fighting", "a brawl"]
labels = ["Fighting", "B1"]
"""

Use = Callable[[Path], object]


@dataclass(frozen=True)
class Kind:
    """A kind of file: where it lies in the folder of a case, and what is done with it."""

    name: str
    use: Use
    is_json: bool = True


def prepare(folder: Path) -> Path:
    """A folder with one whole file of each kind; a case works on a copy."""
    pristine = folder / "pristine"
    save_tiny_model(pristine / "model")
    model = load_model(pristine / "model")
    (pristine / "in").mkdir()
    np.save(pristine / "in" / "a.npy", np.random.default_rng(0).standard_normal((40, WIDTH)).astype(np.float32))
    config = model.config
    extraction = Extraction(
        config.encoder, tower_sha256(model.image_tower()), config.preprocessing, 2, (0,), "float32", "fp32",
        str(pristine / "model"), None, 16,
        videos=(MadeFrom("a", "/in/a.mp4", 1000, 10**18, 40, (0,), "0.1.0"),),
    )  # fmt: skip
    write_extraction(pristine / "in", extraction)
    profile = Profile(model="tiny", model_sha256=model.sha256, threshold=0.5, release=0.3, camera=(
        Camera(match="cam*", threshold=0.8, min_length=2.0, drop=("fighting",)),
    ))  # fmt: skip
    write_profile(pristine / "gate.toml", profile, ["may be edited"])
    (pristine / "classes.toml").write_text(CLASSES)
    work = RunnerSettings(str(pristine / "out"), ("json",), str(pristine / "model"))
    run_batch(BatchSettings((str(pristine / "in" / "a.npy"),), False, work, quiet=True))
    return pristine


def use_model(folder: Path) -> None:
    """As ``models show`` and ``detect`` do."""
    print_model(str(folder / "model"))
    model = load_model(folder / "model")
    model.frame_encoder(torch.device("cpu"), torch.float32).close()


def use_sidecar(folder: Path) -> None:
    """As ``extract``, ``train`` and ``detect`` of feature files do."""
    read_extraction(folder / "in")
    Origins(folder / "in").of(Path("a"))
    EncoderCheck.of_model(load_model(folder / "model").config).check(folder / "in" / "a.npy")


def use_result(folder: Path) -> None:
    """As a later ``detect``, its summary and ``calibrate`` do."""
    source = Source(folder / "in" / "a.npy", Path("a"))
    runner = Runner(RunnerSettings(str(folder / "out"), ("json",), str(folder / "model")))
    if isinstance(settled := runner.settled(source, skip_done=True), DsanetError):
        raise settled
    update_summary(open_folder(str(folder / "out")), [SummaryRow.failed("b.mp4", "broken")], True, False)
    read_timeline(folder / "out" / "a.json")
    record, profile = str(folder / "out" / "a.json"), folder / "new.toml"
    run_calibrate(CalibrateSettings((record,), profile, "1/day", model=str(folder / "model")))


def use_profile(folder: Path) -> None:
    """As ``detect --profile`` does."""
    settings = RunnerSettings(None, ("json",), str(folder / "model"), profile=folder / "gate.toml")
    runner = Runner(settings, writes=False)
    source = Source(folder / "in" / "a.npy", Path("cam1.npy"))
    ((_, result),) = runner._detector.detect_many([source], settings.pipeline, lambda *_: None)
    if isinstance(result, DsanetError):
        raise result


def use_classes(folder: Path) -> None:
    """As ``detect --classes`` and ``train --classes`` do."""
    read_classes(folder / "classes.toml")
    Runner(RunnerSettings(None, ("json",), str(folder / "model"), classes=folder / "classes.toml"), writes=False)


KINDS = (
    Kind("model/config.json", use_model),
    Kind(f"in/{SIDECAR_FILE}", use_sidecar),
    Kind("out/a.json", use_result),
    Kind("gate.toml", use_profile, is_json=False),
    Kind("classes.toml", use_classes, is_json=False),
)


@dataclass(frozen=True)
class Outcome:
    """How a case ended: ``taken``, ``refused``, or in a way that must not be."""

    name: str
    what: str
    said: str = ""

    @property
    def is_well(self) -> bool:
        return self.what in ("taken", "refused")


def run_case(pristine: Path, folder: Path, seed: int, number: int) -> Outcome:
    """Break a file, use it in a process of its own, and say how that ended."""
    kind = KINDS[number % len(KINDS)]
    shutil.copytree(pristine, folder)
    path = folder / kind.name
    status = path.stat()
    done, text = mutate_text(seed, number, path.read_text(), kind.is_json)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    name = f"{number:05} {kind.name} {done}"
    ours, theirs = multiprocessing.get_context("fork").Pipe()
    process = multiprocessing.get_context("fork").Process(target=_use, args=(kind, folder, theirs))
    process.start()
    theirs.close()
    try:
        outcome = Outcome(name, *ours.recv()) if ours.poll(PATIENCE) else Outcome(name, "hangs")
    except EOFError:
        process.join()
        outcome = Outcome(name, f"ends with {process.exitcode}")
    process.kill()
    process.join()
    shutil.rmtree(folder)
    return outcome


def _use(kind: Kind, folder: Path, answer: Connection) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    torch.set_num_threads(1)
    answer.send(_ending(kind, folder))
    answer.close()
    os._exit(0)


def _ending(kind: Kind, folder: Path) -> tuple[str, str]:
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        try:
            kind.use(folder)
        except DsanetError as error:
            said = str(error)
            if "unexpectedly" in said:
                return "failed unexpectedly", said
            return ("refused" if len(said.splitlines()) == 1 else "more than a line"), said
        except BaseException:
            return "a traceback", traceback.format_exc()
    return "taken", ""


def run_cases(folder: Path, seed: int, numbers: Iterable[int]) -> Iterator[Outcome]:
    """All cases, one after the other."""
    pristine = prepare(folder)
    for number in numbers:
        yield run_case(pristine, folder / "case", seed, number)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    tally: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        for outcome in run_cases(Path(name), arguments.seed, range(arguments.cases)):
            tally[outcome.what] += 1
            if not outcome.is_well:
                print(f"{outcome.name}: {outcome.what}\n{outcome.said}", flush=True)
    print(f"seed {arguments.seed}: {dict(tally)}")
    return 0 if tally.keys() <= {"taken", "refused"} else 1


if __name__ == "__main__":
    sys.exit(main())
