"""Where a training stands, on disk, so that it can go on after an interruption as if there had been none."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch

from dsanet_cli.errors import ModelError, UsageError
from dsanet_cli.files.atomic import atomic_write
from dsanet_cli.train.trainer import Trainer

CHECKPOINT_FILE = "checkpoint.pt"


def save_checkpoint(path: Path, trainer: Trainer, facts: Mapping[str, str]) -> None:
    """Write the trainer's state: whole, or not at all.

    Args:
        path: The file to write or replace.
        trainer: Between two steps.
        facts: What a training must have in common with this one to go on from here.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(path, "wb", sync=True) as stream:
        torch.save({"facts": dict(facts), "state": trainer.state_dict()}, stream)


def load_checkpoint(path: Path, trainer: Trainer, facts: Mapping[str, str]) -> None:
    """Bring ``trainer`` to where the saved one stood.

    Raises:
        ModelError: the file is damaged; nothing in it is executed.
        UsageError: it belongs to another training; names what differs.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        different = sorted(name for name in facts if saved["facts"].get(name) != facts[name])
        if not different:
            trainer.load_state_dict(saved["state"])
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise ModelError(f"{path}: damaged or cut off; begin the training anew with --overwrite") from error
    if different:
        raise UsageError(
            f"{path}: belongs to a training with other settings ({', '.join(different)}); "
            "resume with the same ones, or choose another --output"
        )
