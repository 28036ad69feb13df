"""What the project's documents name: options of commands, other files, headings."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import typer

from dsanet_cli.cli.app import app

DOCUMENTS = ("README.md", "dsanet_cli/README.md", "tests/README.md", "weights/README.md", ".github/CONTRIBUTING.md")
HEADING = re.compile(r"^#{1,6} (.*)$", re.MULTILINE)
SECTION = re.compile(r"^(?=#{1,3} )", re.MULTILINE)
SHELL = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^):]+)\)")
OPTION = re.compile(r"--?[a-z][a-z-]*")


@cache
def options_by_command() -> Mapping[str, frozenset[str]]:
    """The options that the help page of each command shows, by its words: ``detect``, ``models import``."""

    def visit(command, words: tuple[str, ...]) -> Iterator[tuple[str, frozenset[str]]]:
        with command.make_context(words[-1] if words else "dsanet", [], resilient_parsing=True) as context:
            shown = [option for option in command.get_params(context) if not getattr(option, "hidden", False)]
        names = (name for option in shown for name in (*option.opts, *option.secondary_opts))
        yield " ".join(words), frozenset(name for name in names if name.startswith("-"))
        for name, child in getattr(command, "commands", {}).items():
            yield from visit(child, (*words, name))

    return dict(visit(typer.main.get_command(app), ()))


def unknown_options(text: str) -> list[str]:
    """What a document names and the program does not have: commands, and options of the commands they stand with.

    An option that stands alone, such as ``--scan``, must be one of a command that its section names, or of any
    command where the section names none.
    """
    unknown = []
    for section in SECTION.split(text):
        inline = INLINE.findall(BLOCK.sub("", section))
        lines = [line for block in SHELL.findall(section) for line in block.replace("\\\n", " ").splitlines()]
        named = set()
        for line in lines + [code for code in inline if code.startswith("dsanet ")]:
            for words in _command_lines(line):
                command = _command_of(words)
                named.add(command)
                given = [word.partition("=")[0] for word in words]
                unknown += [f"{command} {option}" for option in given if _is_unknown(option, {command})]
                if not command and words and not words[0].startswith("-"):
                    unknown.append(words[0])
        alone = [option for code in inline if code.startswith("-") for option in code.split()[0].split("/")]
        unknown += [option for option in alone if _is_unknown(option, named - {""})]
    return unknown


def broken_links(document: Path) -> list[str]:
    """Links to files or headings that are not there."""
    broken = []
    for target in LINK.findall(BLOCK.sub("", document.read_text(encoding="utf-8"))):
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            broken.append(target)
    return broken


def _command_lines(line: str) -> Iterator[list[str]]:
    """What follows ``dsanet`` in each command of a line of shell."""
    words = shlex.split(line, comments=True)
    while words:
        end = next((at for at, word in enumerate(words) if word in ("&&", "|", ";")), len(words))
        command, words = words[:end], words[end + 1 :]
        if command and Path(command[0]).name == "dsanet":
            yield command[1:]


def _command_of(words: list[str]) -> str:
    known = options_by_command()
    return next((name for size in (2, 1) if (name := " ".join(words[:size])) in known), "")


def _is_unknown(word: str, commands: set[str]) -> bool:
    known = options_by_command()
    return bool(OPTION.fullmatch(word)) and not any(word in known[name] for name in commands or known)


def _anchors(document: Path) -> set[str]:
    headings = HEADING.findall(BLOCK.sub("", document.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
