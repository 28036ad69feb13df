from __future__ import annotations

import pytest
from tiny import MARGINS, save_tiny_model


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
