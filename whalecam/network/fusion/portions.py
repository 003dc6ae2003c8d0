"""Layers whose activations are larger than a core's cache, for a few images at a time."""

import torch
from torch import Tensor, fx, nn

from whalecam.network.fusion.fusing import Joined

PIXELS = 65_536
"""Of inputs at once: what the first layers make of them then stays in a core's cache until the next one reads it."""
DEPTHWISE_PIXELS = 131_072
"""Of inputs at once through a network of depthwise convolutions: each value that these read meets one weight, so what
they cost is the way to memory. Dense layers take more images at once, for which their weights are read once."""
POOLINGS = (nn.MaxPool2d, nn.AvgPool2d)
PARTS = (Joined, nn.Conv2d, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Identity, nn.BatchNorm2d, *POOLINGS)
"""Layers to which, in eval mode, each image is its own."""


class Portions(nn.Module):
    """The same layers on a CPU, for `pixels` of the batch at a time."""

    def __init__(self, layers: nn.Module, pixels: int = PIXELS) -> None:
        super().__init__()
        self.layers, self.pixels = layers, pixels

    def forward(self, inputs: Tensor) -> Tensor:
        some = max(1, self.pixels // (inputs.shape[2] * inputs.shape[3]))
        activations: Tensor
        if inputs.device.type != "cpu" or some >= len(inputs):
            activations = self.layers(inputs)
        else:
            activations = torch.cat([self.layers(part) for part in torch.split(inputs, some)])
        return activations


def portioned(module: nn.Module) -> nn.Module:
    """A network that takes what its cache cannot hold in portions.

    Returns: one of depthwise convolutions in portions as a whole, and a traced one up to its first pooling; any other
    module as it is.
    """
    if any(isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1 for layer in module.modules()):
        return Portions(module, DEPTHWISE_PIXELS)
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
