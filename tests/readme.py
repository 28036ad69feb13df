"""Write the current ``--help`` pages into README.md: ``python tests/readme.py``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"<!-- help: (?P<command>[a-z ]+) -->\n```text\n(?P<text>.*?)```\n", re.DOTALL)


def help_text(command: str) -> str:
    """What ``dsanet COMMAND --help`` prints on a plain terminal of 100 columns."""
    dsanet = Path(sys.executable).with_name("dsanet")
    plain = {**os.environ, "COLUMNS": "100", "TERMINAL_WIDTH": "100", "TERM": "dumb", "NO_COLOR": "1"}
    plain.pop("FORCE_COLOR", None)
    plain.pop("GITHUB_ACTIONS", None)
    result = subprocess.run(
        [dsanet, *command.split(), "--help"], env=plain, capture_output=True, text=True, check=True, encoding="utf-8"
    )
    return "\n".join(line.rstrip() for line in result.stdout.strip().splitlines()) + "\n"


def main() -> None:
    """Rewrite all blocks."""
    text = README.read_text(encoding="utf-8")
    fresh = BLOCK.sub(
        lambda block: f"<!-- help: {block['command']} -->\n```text\n{help_text(block['command'])}```\n", text
    )
    README.write_text(fresh, encoding="utf-8")


if __name__ == "__main__":
    main()
