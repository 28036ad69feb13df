"""Many damaged videos through one ``dsanet detect``: each must end as a result or as one line of error.

    python tests/fuzz.py [--files 1000] [--seed 0] [--work DIR] [-- OPTIONS OF DETECT, such as --jobs 2]

Mutates small valid videos of many containers and codecs (``mutations.py``), analyses all of them and the valid ones
in one batch with a tiny model of random weights, and checks what a person relies on: the exit code; each file once in
``summary.csv``; whole results, or one line of error that names the file; nothing else on stderr, no message of a
library among it; no temporary file and no process left behind. Prints a tally and each violation. Where a violation
names no file, as a crash or a library's message does, batches of fewer and fewer files show which one it is.
Ends with 0 if all holds, else with 1. Inputs, results and all output stay in the work folder.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mutations import mutate, write_valid
from tiny import save_tiny_model

from dsanet_cli.errors import OutputError
from dsanet_cli.timeline.files import read_timeline

DSANET = Path(sys.executable).with_name("dsanet")
FOLDER = "files"
"""Of the inputs, below the work folder; names in it say what was done."""
VALID = "valid-"
"""Starts the names of those that are not damaged."""
START_SECONDS, SECONDS_PER_FILE = 120, 3
"""A batch that takes longer hangs."""
GRACE_SECONDS = 3.0
"""For the processes of a batch to end after it."""
NARROWED = 6
"""Violations for which the file is searched at most: each search takes as long as the batch again."""
SHOWN_ERRORS = 15
PLAUSIBLE_SECONDS = 60
"""The valid videos last a few seconds: damaged time stamps made a longer one."""

FILE = re.compile(rf"{FOLDER}/([^\s:]+)")
OURS = re.compile(rf"error: |model |results in |video +verdict |(\d+/\d+ )?{FOLDER}/")
"""How lines that the program prints to stderr start."""
ANALYSED = re.compile(rf"{FOLDER}/([^\s:]+): analysed in ([\d.]+) s")
SPECIFICS = re.compile(r"0x[0-9a-f]+|\d[\d.]*")


@dataclass(frozen=True)
class Batch:
    """One run of ``dsanet detect`` that has ended, and what it left."""

    folder: Path
    """Holds out/ (results), tmp/ (what was TMPDIR), stdout.txt and stderr.txt."""
    names: tuple[str, ...]
    returncode: int | None
    """None if it had to be ended."""
    seconds: float
    processes_left: bool

    @property
    def errors(self) -> list[str]:
        return (self.folder / "stderr.txt").read_text(errors="backslashreplace").splitlines()

    def summary(self) -> list[dict[str, str]]:
        try:
            with (self.folder / "out" / "summary.csv").open(newline="") as stream:
                return list(csv.DictReader(stream))
        except FileNotFoundError:
            return []


@dataclass(frozen=True)
class Violation:
    """Something that must not be; ``name`` is the file it is about, if that is known."""

    what: str
    name: str | None = None


@dataclass(frozen=True)
class Fuzz:
    """A work folder with its inputs, and how they are analysed."""

    work: Path
    names: tuple[str, ...]
    options: tuple[str, ...] = ()

    def run(self, names: Sequence[str], folder: str = "batch") -> Batch:
        """Analyse some of the inputs in one batch; what ``folder`` held before is lost."""
        target = self.work / folder
        shutil.rmtree(target, ignore_errors=True)
        (target / "tmp").mkdir(parents=True)
        (self.work / "list.txt").write_text("".join(f"{FOLDER}/{name}\n" for name in names))
        outputs = ["-o", f"{folder}/out", "-f", "json", "-f", "csv", "--verbose"]
        command = [DSANET, "detect", "@list.txt", "--model", "model", *outputs, *self.options]
        environment = {**os.environ, "COLUMNS": "250", "TMPDIR": str(target / "tmp")}
        started = time.monotonic()
        with (target / "stdout.txt").open("wb") as stdout, (target / "stderr.txt").open("wb") as stderr:
            process = subprocess.Popen(
                command, cwd=self.work, env=environment, stdout=stdout, stderr=stderr, start_new_session=True
            )
            returncode = _wait(process, START_SECONDS + SECONDS_PER_FILE * len(names))
        seconds = time.monotonic() - started
        return Batch(target, tuple(names), returncode, seconds, _end_group(process.pid))

    def violations(self, batch: Batch) -> list[Violation]:
        """List what must not be after a batch, the file searched for where it is not known."""
        found = check(batch)
        unknown = [violation for violation in found if violation.name is None]
        for violation in unknown[:NARROWED]:
            found[found.index(violation)] = Violation(violation.what, self._culprit(violation, batch.names))
        return found

    def _culprit(self, violation: Violation, names: Sequence[str]) -> str | None:
        """The one of some files that alone shows the same violation, if there is one."""
        while len(names) > 1:
            middle = len(names) // 2
            halves = names[:middle], names[middle:]
            showing = (half for half in halves if violation.what in _kinds(check(self.run(half, "narrowed"))))
            names = next(showing, ())
        return names[0] if names else None


def prepare(work: Path, files: int, seed: int, options: Sequence[str] = ()) -> Fuzz:
    """Fill a work folder: a model, the valid videos, and as many damaged ones as asked for."""
    work = work.resolve()
    shutil.rmtree(work / FOLDER, ignore_errors=True)
    (work / FOLDER).mkdir(parents=True)
    if not (work / "model").exists():
        save_tiny_model(work / "model")
    valid = write_valid(work / "valid")
    contents = {f"{VALID}{name}": data for name, data in valid.items()}
    contents |= dict(mutate(seed, number, valid) for number in range(files))
    for name, data in contents.items():
        (work / FOLDER / name).write_bytes(data)
    return Fuzz(work, tuple(sorted(contents)), tuple(options))


def check(batch: Batch) -> list[Violation]:
    """All that must not be after a batch."""
    rows = batch.summary()
    found = [*_check_exit(batch, rows), *_check_summary(batch, rows)]
    for row in rows:
        found += _check_result(batch, row) if row["status"] == "ok" else _check_failure(batch, row)
    found += [*_check_lines(batch), *_check_leftovers(batch)]
    return list(dict.fromkeys(found))


def _check_exit(batch: Batch, rows: Sequence[dict[str, str]]) -> Iterator[Violation]:
    if batch.returncode is None:
        yield Violation("does not end")
    elif batch.returncode < 0:
        yield Violation(f"killed by {signal.Signals(-batch.returncode).name}")
    else:
        failed = sum(row["status"] == "failed" for row in rows)
        expected = 0 if not failed else 1 if failed == len(rows) else 3
        if batch.returncode != expected:
            yield Violation(f"exit code {batch.returncode} instead of {expected}")


def _check_summary(batch: Batch, rows: Sequence[dict[str, str]]) -> Iterator[Violation]:
    if not rows and len(batch.names) > 1:
        yield Violation("no summary")
    elif rows:
        counts = Counter(row["path"].removeprefix(f"{FOLDER}/") for row in rows)
        for name in sorted(counts.keys() | set(batch.names)):
            if counts[name] != (name in batch.names):
                yield Violation(f"{counts[name]} times in the summary", name)


def _check_result(batch: Batch, row: dict[str, str]) -> Iterator[Violation]:
    name = Path(row["path"]).name
    path = _result(batch, name)
    try:
        timeline = read_timeline(path)
    except OutputError as error:
        yield Violation(f"its JSON: {str(error).removeprefix(str(path))}", name)
        return
    if timeline.video.path != row["path"]:
        yield Violation("its JSON is another video's", name)
    if timeline.video.fps is not None and timeline.video.fps <= 0:
        yield Violation(f"a frame rate of {timeline.video.fps}", name)
    if not path.with_name(f"{path.stem}.csv").is_file():
        yield Violation("analysed, but without its CSV", name)
    if name.startswith(VALID) and timeline.coverage.analysed < 1:
        yield Violation("valid, but not analysed as a whole", name)


def _check_failure(batch: Batch, row: dict[str, str]) -> Iterator[Violation]:
    name = Path(row["path"]).name
    if row["status"] != "failed":
        yield Violation(f"its status is {row['status']!r}", name)
    if not row["error"] or len(row["error"].splitlines()) != 1 or name not in row["error"]:
        yield Violation(f"its error is not one line that names it: {row['error']!r}", name)
    lines = sum(line.startswith("error: ") and _named(line) == name for line in batch.errors)
    if lines != 1:
        yield Violation(f"{lines} lines of error on stderr", name)
    if _result(batch, name).exists():
        yield Violation("failed, but there is a JSON", name)
    if name.startswith(VALID):
        yield Violation(f"valid, but failed: {row['error']}", name)


def _check_lines(batch: Batch) -> Iterator[Violation]:
    for line in batch.errors:
        if "Traceback" in line:
            yield Violation("a traceback")
        elif "failed unexpectedly" in line:
            reason = line.partition("failed unexpectedly")[2]
            yield Violation(f"failed unexpectedly{reason}", _named(line))
        elif line.strip() and not OURS.match(line.strip()):
            yield Violation(f"not a line of ours: {SPECIFICS.sub('#', line.strip())}")


def _check_leftovers(batch: Batch) -> Iterator[Violation]:
    for path in (batch.folder / "out").rglob("*.part"):
        yield Violation(f"left half written: {SPECIFICS.sub('#', path.name)}")
    if left := sorted(path.name for path in (batch.folder / "tmp").iterdir()):
        yield Violation(f"left in TMPDIR: {left[0].partition('-')[0]}…")
    if batch.processes_left:
        yield Violation("processes left behind")


def _result(batch: Batch, name: str) -> Path:
    """Where the JSON of an input is: with the input's suffix where another differs in nothing else."""
    full = batch.folder / "out" / f"{name}.json"
    return full if full.exists() else full.with_name(f"{Path(name).stem}.json")


def _named(line: str) -> str | None:
    match = FILE.search(line)
    return match[1] if match else None


def _kinds(violations: Sequence[Violation]) -> set[str]:
    return {violation.what for violation in violations}


def _wait(process: subprocess.Popen[bytes], limit: float) -> int | None:
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return None


def _end_group(group: int) -> bool:
    """Whether processes of a batch are still there after it; they are ended."""
    deadline = time.monotonic() + GRACE_SECONDS
    while _members(group):
        if time.monotonic() > deadline:
            os.killpg(group, signal.SIGKILL)
            return True
        time.sleep(0.05)
    return False


def _members(group: int) -> int:
    """How many processes of a group are alive; 0 where the system has no /proc."""
    states = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, process_group = path.read_text(errors="replace").rpartition(")")[2].split()[:3]
            if int(process_group) == group and state != "Z":  # dead, but nobody has asked how it ended
                states.append(state)
    return len(states)


def describe(batch: Batch) -> Iterator[str]:
    """The tally of a batch: how many of each container were analysed, why others failed, what took longest."""
    rows = batch.summary()
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    counts = Counter(row["status"] for row in rows)
    yield f"{len(batch.names)} files in {batch.seconds:.1f} s: {counts['ok']} ok, {counts['failed']} failed"
    yield f"exit code {batch.returncode}, at most {megabytes:.0f} MiB in one process"
    kinds = Counter((Path(row["path"]).suffix, row["status"]) for row in rows)
    parts = (f"{kind} {kinds[kind, 'ok']}/{kinds[kind, 'failed']}" for kind in sorted({kind for kind, _ in kinds}))
    yield f"ok/failed: {', '.join(parts)}"
    times = [(float(match[2]), match[1]) for line in batch.errors if (match := ANALYSED.match(line))]
    if times:
        yield "slowest of those analysed: {1}, {0:.1f} s".format(*max(times))
    lengths = [(float(row["duration"]), Path(row["path"]).name) for row in rows if row["duration"]]
    if lengths:
        doubtful = sum(length > PLAUSIBLE_SECONDS for length, _ in lengths)
        longest = "{1}, {0:.1f} s".format(*max(lengths))
        yield f"{doubtful} last more than {PLAUSIBLE_SECONDS} s by their own account, the longest: {longest}"
    reasons = Counter(SPECIFICS.sub("#", row["error"].partition(": ")[2]) for row in rows if row["error"])
    for reason, count in reasons.most_common(SHOWN_ERRORS):
        yield f"{count:6}  {reason}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()) / "dsanet-fuzz")
    parser.add_argument("options", nargs="*", help="more options of detect, after --")
    arguments = parser.parse_args()
    os.environ.setdefault("SVT_LOG", "0")  # an encoder that introduces itself
    fuzz = prepare(arguments.work, arguments.files, arguments.seed, arguments.options)
    batch = fuzz.run(fuzz.names)
    print(*describe(batch), sep="\n", flush=True)
    found = fuzz.violations(batch)
    for violation in found:
        print(f"VIOLATION {violation.what}: {fuzz.work / FOLDER / violation.name if violation.name else 'no one file'}")
    print("all holds" if not found else f"{len(found)} violations")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
