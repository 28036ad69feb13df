"""The state of a training on disk: resumed from it, a training ends as if it had not been interrupted."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from dsanet_cli.errors import ModelError, UsageError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.files.regular import open_regular
from dsanet_cli.train.trainer import Trainer

CHECKPOINT_FILE = "checkpoint.pt"

_DAMAGED = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    pickle.UnpicklingError,
)
"""What reading a file that is damaged, or no checkpoint, can raise."""


@dataclass(frozen=True)
class Checkpoint:
    """A saved training."""

    path: Path
    facts: Mapping[str, str]
    """What a training must have in common with this one to resume from it."""
    epochs: int
    """Epochs of the whole training."""
    patience: int | None
    """Validations without improvement after which it ends."""
    state: Mapping[str, Any]
    """``Trainer.state_dict``."""


def save_checkpoint(path: Path, trainer: Trainer, facts: Mapping[str, str]) -> None:
    """Write the trainer's state: whole, or not at all.

    Args:
        path: The file to write or replace.
        trainer: Between two steps.
        facts: What a training must have in common with this one to resume from it.

    Raises:
        OutputError: the file cannot be written.
    """
    preset = trainer.preset
    saved = {
        "facts": dict(facts),
        "epochs": preset.epochs,
        "patience": preset.patience,
        "state": trainer.state_dict(),
    }
    with atomic_write(path, "wb", sync=True) as stream:
        torch.save(saved, stream)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read what ``save_checkpoint`` wrote.

    Raises:
        ModelError: the file is damaged; nothing in it is executed.
    """
    try:
        with open_regular(path) as stream:
            saved = torch.load(stream, map_location="cpu", weights_only=True)
        patience = saved.get("patience")
        return Checkpoint(
            path,
            dict(saved["facts"]),
            int(saved["epochs"]),
            None if patience is None else int(patience),
            dict(saved["state"]),
        )
    except _DAMAGED as error:
        raise _damaged(path) from error


def go_on(saved: Checkpoint, trainer: Trainer, facts: Mapping[str, str]) -> None:
    """Give ``trainer`` the saved state.

    Raises:
        ModelError: the file is damaged.
        UsageError: it belongs to another training; names what differs.
    """
    if different := sorted(name for name in facts if saved.facts.get(name) != facts[name]):
        raise UsageError(
            f"{saved.path}: belongs to a training with other settings ({', '.join(different)}); "
            "resume with the same ones, or choose another --output"
        )
    if trainer.preset.epochs < saved.epochs:
        raise UsageError(
            f"--epochs {trainer.preset.epochs}: {saved.path} belongs to a training of {saved.epochs}; "
            "give as many or more, or leave it out"
        )
    try:
        trainer.load_state_dict(saved.state)
        if trainer.preset.epochs > saved.epochs:
            trainer.reset_rates()
    except _DAMAGED as error:
        raise _damaged(saved.path) from error


def _damaged(path: Path) -> ModelError:
    return ModelError(f"{path}: damaged or cut off; begin the training anew with --overwrite")
