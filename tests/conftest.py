from __future__ import annotations

import pytest
from tiny import save_tiny_model


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The directory of a complete model with random weights."""
    directory = tmp_path_factory.mktemp("model") / "tiny"
    save_tiny_model(directory)
    return directory
