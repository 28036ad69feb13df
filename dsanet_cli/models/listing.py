"""Models as tables: all that can be given by name, and everything that one says of itself."""

from __future__ import annotations

from rich.table import Table

from dsanet_cli.config import ModelConfig
from dsanet_cli.console import print_table
from dsanet_cli.errors import DsanetError
from dsanet_cli.models.folders import find_model, list_models, read_config
from dsanet_cli.timeline.text import DEMONSTRATION


def print_models() -> None:
    """One row per model that can be given by name."""
    table = Table("name", "encoder", "classes", "where", box=None, header_style="bold")
    for directory in list_models():
        try:
            config = read_config(directory)
            classes = ", ".join(config.class_names)
            table.add_row(directory.name, config.encoder.architecture, classes, str(directory))
        except DsanetError as error:
            table.add_row(directory.name, "", f"damaged: {error}", str(directory))
    print_table(table)


def print_model(name: str) -> None:
    """Everything a model says of itself.

    Raises:
        ModelError: no such model.
    """
    directory = find_model(name)
    config = read_config(directory)
    encoder = config.encoder
    source = "in the model directory" if encoder.pretrained is None else f"open_clip, tag {encoder.pretrained}"
    rows = [
        ("directory", str(directory)),
        ("description", config.description),
        ("classes", ", ".join(f"{c.name} ({' | '.join(c.prompts)})" for c in config.classes)),
        ("encoder", f"{encoder.architecture}, {encoder.width} wide; weights {source}"),
        ("frames", f"resized to {_size(config.preprocessing.resize)}, cut to {_size(config.preprocessing.crop)}"),
        ("snippets", f"{_length(config)}, of which {_frames(config.sampled_frames)} encoded"),
        ("events", f"from score {config.events.threshold:.3g} on, until below {config.events.release:.3g}"),
        *([("demonstration", DEMONSTRATION)] if config.demonstration else []),
        *([("fetched from", f"{config.origin.url}, SHA-256 {config.origin.sha256}")] if config.origin else []),
        *((f"training: {key}", str(value)) for key, value in config.training.items()),
        *((f"measured: {key}", str(value)) for key, value in config.metrics.items()),
    ]
    table = Table(box=None, show_header=False)
    for row in rows:
        table.add_row(*row)
    print_table(table)


def _length(config: ModelConfig) -> str:
    if config.snippet_seconds is None:
        return f"{config.snippet_frames} frames"
    return f"{config.snippet_seconds:.3g} seconds"


def _frames(count: int) -> str:
    return "one frame is" if count == 1 else f"{count} frames are"


def _size(size: tuple[int, int]) -> str:
    return f"{size[1]} x {size[0]}"
