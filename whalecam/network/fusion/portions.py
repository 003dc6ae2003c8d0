"""Layers whose activations are larger than a core's cache, for a few images at a time."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, fx, nn

from whalecam.network.fusion.fusing import Joined
from whalecam.network.positions import LAST
from whalecam.network.positions import TOKENS as TOKEN_LAYOUT
from whalecam.network.written import PatchWrites

PIXELS = 65_536
"""Of inputs at once: what the first layers make of them then stays in a core's cache until the next one reads it."""
DEPTHWISE_POSITIONS = 32_768
"""Behind the first layer at once, of a network of depthwise convolutions: each value that these read meets one weight,
so what they cost is the way to memory. Dense layers take more images at once, for which their weights are read once."""
TOKENS = 2_048
"""Patches at once through a transformer, for the same reason: its norms and sums read each value for one operation."""
WINDOW_PATCHES = 10_240
"""The same for transformers of windows, as Swin: their first layers have more patches, each of fewer channels."""
COLORS = 3
POOLINGS = (nn.MaxPool2d, nn.AvgPool2d)
PARTS = (Joined, nn.Conv2d, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Identity, nn.BatchNorm2d, *POOLINGS)
"""Layers to which, in eval mode, each image is its own."""


class Portions(nn.Module):
    """The same layers on a CPU, for `pixels` of the batch at a time."""

    def __init__(self, layers: nn.Module, pixels: int = PIXELS) -> None:
        super().__init__()
        self.layers, self.pixels = layers, pixels

    def forward(self, inputs: Tensor) -> Tensor:
        parts = self.portions(inputs)
        activations: Tensor = self.layers(inputs) if len(parts) == 1 else torch.cat([self.layers(x) for x in parts])
        return activations

    def portions(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The images (N, 3, S, S) that go through the layers together, in parts as equal as can be."""
        some = max(1, self.pixels // (inputs.shape[2] * inputs.shape[3]))
        alone = inputs.device.type != "cpu" or some >= len(inputs)
        return (inputs,) if alone else torch.tensor_split(inputs, math.ceil(len(inputs) / some))


def portioned(module: nn.Module) -> nn.Module:
    """A network that takes what its cache cannot hold in portions.

    Returns: one of depthwise convolutions or of tokens in portions as a whole, and a traced one up to its first
    pooling; any other module as it is.
    """
    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    # A traced network lists its joined layers last, the one that reads colors among them.
    convolutions.sort(key=lambda layer: layer.in_channels != COLORS)
    positions = _positions_at_once(module, convolutions)
    if convolutions and positions is not None:
        return Portions(module, positions * math.prod(convolutions[0].stride))
    if not isinstance(module, fx.GraphModule):
        return module
    first = next(node for node in module.graph.nodes if node.op == "placeholder")
    chain = _chain(module, first)
    if not chain:
        return module
    layers = nn.Sequential(*[module.get_submodule(str(node.target)) for node in chain])
    module.add_submodule("portions", Portions(layers))
    with module.graph.inserting_after(chain[-1]):
        chain[-1].replace_all_uses_with(module.graph.call_module("portions", (first,)))
    for node in reversed(chain):
        module.graph.erase_node(node)
    module.delete_all_unused_submodules()
    module.recompile()
    return module


def _positions_at_once(module: nn.Module, convolutions: Sequence[nn.Conv2d]) -> int | None:
    """Behind the first layer, of a network that is taken in portions as a whole; None for any other."""
    if any(layer.groups == layer.in_channels > 1 for layer in convolutions):
        return DEPTHWISE_POSITIONS
    layout = getattr(module, "layout", "")
    if isinstance(module, PatchWrites) or layout == TOKEN_LAYOUT:
        return TOKENS
    return WINDOW_PATCHES if layout == LAST else None


def _chain(traced: fx.GraphModule, first: fx.Node) -> list[fx.Node]:
    """Nodes from the input up to the first pooling, where each reads the one before alone and nothing else reads it."""
    chain: list[fx.Node] = []
    node = first
    while len(node.users) == 1:
        node = next(iter(node.users))
        layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        if not isinstance(layer, PARTS) or len(node.all_input_nodes) != 1 or node.kwargs:
            break
        chain.append(node)
        if isinstance(layer, POOLINGS):
            return chain
    return []
