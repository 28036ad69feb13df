"""``dsanet models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dsanet_cli.cli.options import Preset, Quiet

Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="Model directory to write. (default: the data set's name)")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a model of that name.")]

models = typer.Typer(help="List, show, fetch and import models.", no_args_is_help=True, rich_markup_mode=None)


@models.command("list")
def list_models() -> None:
    """List the models that can be given by name."""
    from dsanet_cli.models.default import default_model
    from dsanet_cli.models.listing import print_models

    print_models()
    print(f"{default_model()} is taken where --model names no other; dsanet models use NAME sets another one")


@models.command("show")
def show_model(name: Annotated[str, typer.Argument(help="Name or directory of the model.")]) -> None:
    """Show what a model recognises, what it was trained on, and its figures."""
    from dsanet_cli.models.listing import print_model

    print_model(name)


@models.command("use")
def use(name: Annotated[str, typer.Argument(help="Name or directory of the model.")]) -> None:
    """Take this model wherever --model names none."""
    from dsanet_cli.models.default import use_model

    print(f"{use_model(name)} is taken from now on where --model names no other")


@models.command("import")
def import_model(
    checkpoint: Annotated[Path, typer.Argument(help="A published state dict, such as model_ucf.pth.")],
    preset: Annotated[
        Preset | None, typer.Option(help="The data set it was trained on. (default: its shapes say)")
    ] = None,
    output: Output = None,
    overwrite: Overwrite = False,
) -> None:
    """Turn a published checkpoint into a model directory."""
    from dsanet_cli.models.published import import_checkpoint

    imported = import_checkpoint(checkpoint, output, None if preset is None else str(preset), overwrite)
    print(f"{imported.directory}: imported {checkpoint.name}, a checkpoint for {imported.preset}")
    _print_use(imported.name)


@models.command("pull")
def pull_model(
    target: Annotated[
        str,
        typer.Argument(
            metavar="NAME|URL", help="ucf-crime or xd-violence; or a checkpoint at http(s):// or hf://owner/repo/file."
        ),
    ],
    sha256: Annotated[
        str | None, typer.Option(help="What the file must have; without it, what comes is taken.")
    ] = None,
    output: Output = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fetch a published checkpoint, check it and turn it into a model directory.

    The same command continues a download that broke off.
    """
    from dsanet_cli.console import DownloadBar
    from dsanet_cli.models.pull import pull

    with DownloadBar(quiet) as bar:
        pulled = pull(target, lambda remote: bar.follow(remote.name), sha256, output, overwrite)
    model = pulled.model
    print(f"{model.directory}: {'ready' if pulled.fetched else 'there already'}, a model for {model.preset}")
    _print_use(model.name)


def _print_use(name: str) -> None:
    print(f"take it with --model {name}, or always: dsanet models use {name}")
