"""A network made quick for judging: BatchNorms folded, activations joined, bfloat16 where the CPU computes in it."""

import copy
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from whalecam.network.cut import Network, fast_halves
from whalecam.network.fusion.fusing import joined
from whalecam.network.fusion.portions import Portions, portioned
from whalecam.network.layout import largest_difference

TOLERANCE = 1e-3
SIDE = 64
"""px of the probe, or what the network takes."""


class Halved(nn.Module):
    """Computes in bfloat16, its weights stored so; takes and gives float32."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner.to(torch.bfloat16)

    def forward(self, inputs: Tensor) -> Tensor:
        activations: Tensor = self.inner(inputs.to(torch.bfloat16, memory_format=torch.channels_last))
        return activations.float()


def quick(network: Network, halves: bool = True) -> Network:
    """A copy whose features cost less: the head, and with it the maps' completeness, stays as it is.

    Args:
        halves: compute in bfloat16 where the CPU is faster at it. Maps then differ from float32 by about 1 % of their
            largest value for a resnet, by more than 10 % for the narrow layers of an EfficientNet; else by 1e-5.

    An opaque network is returned as it is.
    """
    if network.is_opaque:
        return network
    features = folded(network.features, network.size).to(memory_format=torch.channels_last)
    device = network.device
    if device.type == "cpu":
        features = _where_alike(features, portioned(joined(features)), network.size)
    return replace(network, features=Halved(features) if halves and fast_halves(device) else features)


def folded(module: nn.Module, size: int = SIDE) -> nn.Module:
    """A copy with each BatchNorm folded into the convolution before it; a plain copy where that changes the function.

    Neighbours in a module's list of children need not follow one another in its forward pass, so a probe decides.

    Args:
        size: px that the network takes, asked where it takes no smaller probe.
    """
    changed = copy.deepcopy(module)
    if not any(isinstance(layer, nn.BatchNorm2d) for layer in changed.modules()):
        return changed
    fold(changed)
    kept = _where_alike(module, changed, size)
    return changed if kept is changed else copy.deepcopy(module)


def _where_alike(module: nn.Module, changed: nn.Module, size: int) -> nn.Module:
    """The changed module where it does the same on a probe, else the module as it was."""
    if changed is module or (isinstance(changed, Portions) and changed.layers is module):
        return changed
    probe, before = _probed(module, size)
    with torch.no_grad():
        after = changed(probe)
    return changed if largest_difference(after, before) <= TOLERANCE else module


def _probed(module: nn.Module, size: int) -> tuple[Tensor, Tensor]:
    """A small probe and what a network makes of it, or one of `size` where it takes no other, as transformers do."""
    device = next(module.parameters()).device
    small, own = (
        torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(device)
        for side in (min(SIDE, size), size)
    )
    with torch.no_grad():
        try:
            return small, module(small)
        except Exception:  # A forward pass is anybody's code.
            return own, module(own)


def fold(module: nn.Module) -> None:
    """Fold in place, child by child; an activation that a BatchNorm brings with it stays."""
    children = list(module.named_children())
    for (name, convolution), (after, norm) in pairwise(children):
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(convolution, norm))
            setattr(module, after, getattr(norm, "act", nn.Identity()))
    for _, child in module.named_children():
        fold(child)
