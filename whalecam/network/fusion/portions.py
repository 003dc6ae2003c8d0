"""The first layers of a network, whose activations are its largest, for a few pictures at a time."""

import torch
from torch import Tensor, fx, nn

from whalecam.network.fusion.fusing import Joined

PIXELS = 65_536
"""Of inputs at once: what the first layers make of them then stays in a core's cache until the next one reads it."""
POOLINGS = (nn.MaxPool2d, nn.AvgPool2d)
PARTS = (Joined, nn.Conv2d, nn.ReLU, nn.ReLU6, nn.SiLU, nn.Identity, nn.BatchNorm2d, *POOLINGS)
"""Layers to which, in eval mode, each picture is its own."""


class Portions(nn.Module):
    """The same layers on a CPU, for PIXELS of the batch at a time."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, inputs: Tensor) -> Tensor:
        some = max(1, PIXELS // (inputs.shape[2] * inputs.shape[3]))
        found: Tensor
        if inputs.device.type != "cpu" or some >= len(inputs):
            found = self.layers(inputs)
        else:
            found = torch.cat([self.layers(part) for part in torch.split(inputs, some)])
        return found


def portioned(module: nn.Module) -> nn.Module:
    """A traced network that takes its layers up to the first pooling in portions; any other module as it is."""
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
    found: list[fx.Node] = []
    node = first
    while len(node.users) == 1:
        node = next(iter(node.users))
        layer = traced.get_submodule(str(node.target)) if node.op == "call_module" else None
        if not isinstance(layer, PARTS) or len(node.all_input_nodes) != 1 or node.kwargs:
            break
        found.append(node)
        if isinstance(layer, POOLINGS):
            return found
    return []
