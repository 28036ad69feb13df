"""The package keeps to its linter, its formatter, strict types and the rule of which folder imports which.

Scripts that no other test runs take from it what is there.
"""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


CHECKS = {
    "lint": ("-m", "ruff", "check"),
    "format": ("-m", "ruff", "format", "--check"),
    "types": ("-m", "mypy"),
    "imports": ("-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"),
}


@pytest.mark.parametrize("check", CHECKS)
def test_clean(check):
    result = subprocess.run([sys.executable, *CHECKS[check]], cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


SCRIPTS = [*ROOT.glob("tests/*.py"), *ROOT.glob("tests/benchmarks/*.py"), *ROOT.glob("weights/*.py")]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.relative_to(ROOT).as_posix())
def test_scripts_import_what_is_there(script):
    for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dsanet_cli"):
            module = importlib.import_module(node.module)
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            assert not missing or all(importlib.util.find_spec(f"{node.module}.{name}") for name in missing), (
                f"{node.module} has no {missing}"
            )
