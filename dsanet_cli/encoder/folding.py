"""Batch norms folded into the convolutions before them: the same features with fewer passes over the pictures."""

from __future__ import annotations

import copy

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norms(tower: nn.Module) -> nn.Module:
    """A copy of ``tower``, for inference, whose batch norms are part of the convolutions that they follow.

    Only a norm that takes what a convolution gives, where nothing else takes it, can be folded; others stay. A tower
    without such norms, or whose way cannot be traced, comes back as it is.

    Args:
        tower: In evaluation mode and float32; it is not changed.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in tower.modules()):
        return tower
    pairs = _foldable(tower)
    if not pairs:
        return tower
    folded = copy.deepcopy(tower)
    for convolution, norm in pairs:
        before, after = folded.get_submodule(convolution), folded.get_submodule(norm)
        if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
            folded.set_submodule(convolution, fuse_conv_bn_eval(before, after))
            folded.set_submodule(norm, _without_norm(after))
    return folded


def _foldable(tower: nn.Module) -> list[tuple[str, str]]:
    """Names of the convolutions and of the norms that they can take in."""
    tracer = _Tracer()
    try:
        graph = tracer.trace(tower)
    except Exception:  # whatever a tower's own code raises at values that are not there yet
        return []
    modules = dict(tower.named_modules())
    pairs = []
    for node in graph.nodes:
        if node.op != "call_module" or not _is_frozen_norm(modules[node.target]):
            continue
        source = node.args[0] if node.args else None
        if not isinstance(source, fx.Node) or source.op != "call_module" or len(source.users) != 1:
            continue
        if isinstance(modules[source.target], nn.Conv2d):
            pairs.append((str(source.target), str(node.target)))
    used = [name for pair in pairs for name in pair]
    calls = [str(node.target) for node in graph.nodes if node.op == "call_module"]
    # A module that is called twice would be folded for both calls.
    return [pair for pair in pairs if all(calls.count(name) == used.count(name) == 1 for name in pair)]


class _Tracer(fx.Tracer):
    """Looks into neither convolutions nor batch norms, of timm's kinds either."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def _is_frozen_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm2d) and module.track_running_stats and not module.training


def _without_norm(norm: nn.Module) -> nn.Module:
    """What a batch norm of timm does besides: dropout, none in evaluation, and an activation."""
    activation = getattr(norm, "act", None)
    return nn.Identity() if activation is None else copy.deepcopy(activation)
