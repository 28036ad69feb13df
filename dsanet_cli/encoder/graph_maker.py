"""A process that turns an image tower of torch into a graph of OpenVINO, quantised or not.

It takes a folder with a ``Job``, pickled as ``JOB``, and leaves ``GRAPH`` there, with its weights beside it. That needs
much memory for a while, and the libraries speak and warn on the way, of which the program's own process stays free.
"""

from __future__ import annotations

import logging
import pickle
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dsanet_cli.encoder import openvino_library

JOB = "job.pt"
GRAPH = "graph.xml"


@dataclass(frozen=True)
class Job:
    """A tower, and what it is given."""

    tower: nn.Module
    """In float32 on the CPU, in evaluation mode."""
    images: Tensor
    """(n, 3, h, w) float32, normalised: to calibrate on; the first shows the shape alone where nothing is quantised."""
    quantised: bool


def make_graph(job: Job) -> Any:
    """The graph of a tower that takes one image at a time: (1, 3, h, w) float32 to (1, D) float32."""
    openvino = openvino_library.load()
    first = job.images[:1]
    # What torch does faster in one step OpenVINO takes as its parts only.
    torch.backends.mha.set_fastpath_enabled(False)
    with torch.no_grad():
        traced = torch.jit.trace(job.tower, first, check_trace=False)  # type: ignore[no-untyped-call]
    graph = openvino.convert_model(traced, example_input=first, input=list(first.shape))
    return quantise(graph, job.images) if job.quantised else graph


def quantise(graph: Any, images: Tensor) -> Any:
    """``graph`` with weights and activations of 8 bits, whose ranges are those that ``images`` (n, 3, h, w) meet.

    Exact stay the layers that lose most by it and take little time: the first, the last ones, and convolutions of
    single channels, whose activations differ too much from channel to channel to share one range.
    """
    nncf = openvino_library.load("nncf")
    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(
        graph,
        nncf.Dataset([image[None].numpy() for image in images]),
        subset_size=len(images),
        target_device=nncf.TargetDevice.CPU,
        model_type=nncf.ModelType.TRANSFORMER,
        ignored_scope=nncf.IgnoredScope(names=_delicate(graph)),
    )


def _delicate(graph: Any) -> list[str]:
    """Names of the layers that are not quantised."""
    named: dict[str, list[str]] = {"Convolution": [], "GroupConvolution": [], "MatMul": []}
    for layer in graph.get_ordered_ops():
        named.get(layer.get_type_name(), []).append(layer.get_friendly_name())
    convolutions, products = named["Convolution"], named["MatMul"]
    return sorted({*convolutions[:1], *convolutions[-1:], *named["GroupConvolution"], *products[-1:]})


def main() -> None:
    """Do the job in the folder that is the only argument."""
    warnings.simplefilter("ignore")
    folder = Path(sys.argv[1])
    job: Job = pickle.loads((folder / JOB).read_bytes())  # written by the program that started this one
    openvino_library.load().save_model(make_graph(job), folder / GRAPH, compress_to_fp16=False)


if __name__ == "__main__":
    main()
