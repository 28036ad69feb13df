from __future__ import annotations

import os

# Before torch is imported, here and in every command: tests run side by side, and threads would only get in each
# other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from tiny import MARGINS, save_tiny_model


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The directory of a complete model with random weights."""
    directory = tmp_path_factory.mktemp("model") / "tiny"
    save_tiny_model(directory)
    return directory


@pytest.fixture(scope="session")
def margins_model(tmp_path_factory):
    """The same model, cutting its crops out of larger frames."""
    directory = tmp_path_factory.mktemp("margins") / "tiny"
    save_tiny_model(directory, preprocessing=MARGINS)
    return directory
