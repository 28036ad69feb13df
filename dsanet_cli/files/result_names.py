"""Where the results of each input go: names that mirror the inputs' tree, and that no two inputs share."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath

from dsanet_cli.files.regular import open_regular

SUMMARY_FILE = "summary.csv"
"""Of all results in a folder."""
PLOT_SOFTWARE = "dsanet"
"""That plots name as what drew them, by which they are told from other pictures."""
PLOT_MARK = b"Software\0" + PLOT_SOFTWARE.encode()
RESULT_SUFFIX = ".json"
REVIEW = "review.json"
"""How the names of files end that say what a person thinks of a result's events."""
_OTHER_JSON = ("metrics.json", "extraction.json")
"""Files that the program writes beside results."""
PROXY = "proxy.mp4"
"""How the names of small copies end that pages play instead of their videos."""
_BEGINNING = 512
"""Bytes of a plot in which its mark stands."""
_RESERVED = PurePath(SUMMARY_FILE).stem
LONGEST_NAME = 255 - len(".json")
"""Bytes that the name of a file has on most file systems, without what is appended to it."""


def result_names(files: Collection[str], roots: Collection[str]) -> dict[str, Path]:
    """``Source.relative`` of each of ``files`` (absolute paths); ``roots`` are the folders they come from.

    A name is the file's place below the deepest folder that holds all ``roots``, without its suffix. Files that would
    share one keep their suffix (``clip.mp4`` and ``clip.avi``), and where that does not tell them apart, or a name is
    too long, a digest of the file's own name is appended. Files that are missing should take part, so that no name
    changes when one appears.
    """
    full = _below_common_root(files, roots)
    names = {file: _shortened(path.with_suffix(""), path) for file, path in full.items()}
    finer = {file: [_shortened(path, path), _marked(path.with_suffix(""), path)] for file, path in full.items()}
    while shared := _shared(names, finer):
        for file in shared:
            names[file] = finer[file].pop(0)
    return names


def _shared(names: Mapping[str, Path], finer: Mapping[str, list[Path]]) -> list[str]:
    """The files that need a finer name: of those that share one, those that have the most of them left."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for file, name in names.items():
        groups[folded(name)].append(file)
    found = []
    for shared, files in groups.items():
        left = max(len(finer[file]) for file in files)
        if left and (len(files) > 1 or shared == _RESERVED):
            found += [file for file in files if len(finer[file]) == left]
    return found


def folded(name: PurePath) -> str:
    """The same for two names that a file system may take for one: letters of any case, accents in any form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.as_posix()).casefold())


def _below_common_root(files: Collection[str], roots: Collection[str]) -> dict[str, Path]:
    if not files:
        return {}
    try:
        root = os.path.commonpath(roots)
    except ValueError:  # on several drives of Windows, which become folders
        return {file: Path(re.sub(r"\W+", "_", PurePath(file).drive), *PurePath(file).parts[1:]) for file in files}
    return {file: Path(os.path.relpath(file, root)) for file in files}


def _shortened(name: Path, path: Path) -> Path:
    return name if len(os.fsencode(name.name)) <= LONGEST_NAME else _marked(name, path)


def _marked(name: Path, path: Path) -> Path:
    """``name`` with a digest of ``path`` at its end, as long as a name can be."""
    mark = "~" + hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    stem = name.name
    while len(os.fsencode(stem)) > LONGEST_NAME - len(mark):
        stem = stem[:-1]
    return name.with_name(stem + mark)


SCORES_FILM = ".scores.mp4"
"""How the names of videos end that have the scores burnt in."""
CLIPS_FOLDER = ".clips"
"""How the names of folders end that hold clips of events."""
FEATURES_FOLDER = "features"
"""Of features that were kept, in a folder of results."""
KEPT_FEATURES = "__0.npy"
"""How their names end: as those of ``extract``, of the centre crop."""
KEPT_FOLDER_MARK = ".kept-by-detect"
"""A file in a folder that is part of results, and no source of others."""


def find_kept_features(result: Path) -> Path | None:
    """The features of a result: in ``features/`` of the folder of results, which the result may lie deep in."""
    path = result.absolute()
    for folder in path.parents:
        below = path.relative_to(folder).with_suffix("")
        file = folder / FEATURES_FOLDER / below.with_name(f"{below.name}{KEPT_FEATURES}")
        if file.is_file():
            return file
    return None


def is_made_film(path: Path) -> bool:
    """Whether a video was made of another one, whose record or page lies beside it."""
    with_scores, copy = path.name.removesuffix(SCORES_FILM), path.name.removesuffix(f".{PROXY}")
    if with_scores != path.name:
        return path.with_name(f"{with_scores}.json").exists()
    day = re.sub(r"\.[0-9]+$", "", copy)  # whose files have a copy each
    return copy != path.name and any(path.with_name(f"{page}.html").exists() for page in (copy, day))


def is_made_folder(folder: Path) -> bool:
    """Whether a folder is part of results: clips of a video whose record lies beside it, or features that were kept."""
    record = folder.with_name(folder.name.removesuffix(CLIPS_FOLDER) + ".json")
    return (folder.name.endswith(CLIPS_FOLDER) and record.exists()) or (folder / KEPT_FOLDER_MARK).exists()


def may_be_result(name: str) -> bool:
    """Whether a file in a folder of results is called as one: not hidden, and none of the others that are JSON."""
    others = name in _OTHER_JSON or name.endswith(f".{REVIEW}")
    return name.endswith(RESULT_SUFFIX) and not name.startswith(".") and not others


def is_plot(picture: Path) -> bool:
    """Whether a picture is a plot that lies beside the record it was drawn from, and no frame of a video."""
    if picture.suffix != ".png" or not picture.with_suffix(".json").exists():
        return False
    try:
        with open_regular(picture) as stream:
            return PLOT_MARK in stream.read(_BEGINNING)
    except OSError:
        return False
