"""``dsanet models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import Preset

models = typer.Typer(help="List, show and import models.", no_args_is_help=True, rich_markup_mode=None)


@models.command("list")
def list_models() -> None:
    """List the models that can be given by name."""
    from dsanet_cli.models.listing import print_models

    print_models()


@models.command("show")
def show_model(name: Annotated[str, typer.Argument(help="Name or directory of the model.")]) -> None:
    """Show what a model recognises, what it was trained on, and its figures."""
    from dsanet_cli.models.listing import print_model

    print_model(name)


@models.command("import")
def import_model(
    checkpoint: Annotated[Path, typer.Argument(help="A published state dict, such as model_ucf.pth.")],
    preset: Annotated[Preset, typer.Option(help="The data set it was trained on.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Model directory to write. (default: the preset's name)")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")] = False,
) -> None:
    """Turn a published checkpoint into a model directory."""
    from dsanet_cli.models.published import import_checkpoint

    import_checkpoint(checkpoint, str(preset), output, overwrite)
