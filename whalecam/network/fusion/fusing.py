"""Convolutions joined with the sum and the activation that follow them: one call of oneDNN instead of three."""

import functools
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from whalecam.network.fusion import bfloat16, winograd

ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.ReLU6: "hardtanh"}
LIMITS: dict[str, list[float]] = {"relu": [], "hardtanh": [0.0, 6.0]}
PLAIN: dict[str, Callable[..., Tensor]] = {"relu": F.relu, "hardtanh": F.relu6}
SUMS = (operator.add, operator.iadd, torch.add)


class Joined(nn.Module):
    """`activation(convolution(x) + other)`; on a CPU in one call, with the weights laid out for it.

    Neither intermediate is written to memory and read again, which at the rate of bfloat16 costs as much as computing.
    """

    def __init__(self, convolution: nn.Conv2d, activation: str) -> None:
        super().__init__()
        self.convolution, self.activation = convolution, activation
        self._packed: Tensor | None = None
        self._kernels: Tensor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Packed weights are this process's own: they can be neither copied nor sent."""
        return {**self.__dict__, "_packed": None, "_kernels": None}

    def _apply(self, function: Callable[..., Any], recurse: bool = True) -> "Joined":
        self._packed = self._kernels = None
        super()._apply(function, recurse)  # type: ignore[no-untyped-call]
        return self

    def forward(self, inputs: Tensor, other: Tensor | None = None) -> Tensor:
        if inputs.device.type == "cpu" and inputs.dtype == torch.bfloat16 and not bfloat16.computes():
            return self._in_float32(inputs, other)
        if inputs.device.type != "cpu" or not available() or (other is not None and not self._fits(inputs, other)):
            convolved = self.convolution(inputs)
            return PLAIN[self.activation](convolved if other is None else convolved + other)
        if winograd.fits(self.convolution, inputs):
            convolved = winograd.convolved(inputs, self._transformed(), self.convolution.bias)
            return PLAIN[self.activation](convolved if other is None else convolved.add_(other), inplace=True)
        conv, operation = self.convolution, torch.ops.mkldnn._convolution_pointwise
        frame = (conv.padding, conv.stride, conv.dilation, conv.groups)
        post_op = (self.activation, LIMITS[self.activation], "")
        joined: Tensor
        if other is None:
            joined = operation(inputs, self._weight(), conv.bias, *frame, *post_op)
        else:
            joined = operation.binary(inputs, other, self._weight(), conv.bias, *frame, "add", 1.0, *post_op)
        return joined

    def _in_float32(self, inputs: Tensor, other: Tensor | None) -> Tensor:
        """The same where the CPU has no bfloat16, whose kernels there fail: rounded once, at the end."""
        conv = self.convolution
        bias = None if conv.bias is None else conv.bias.float()
        convolved = conv._conv_forward(inputs.float(), conv.weight.float(), bias)
        return PLAIN[self.activation](convolved if other is None else convolved + other).to(inputs.dtype)

    def _fits(self, inputs: Tensor, other: Tensor) -> bool:
        """Whether nothing is to be broadcast in the sum."""
        conv, sides = self.convolution, []
        for axis in (0, 1):
            reach = conv.dilation[axis] * (conv.kernel_size[axis] - 1) + 1
            sides.append((inputs.shape[2 + axis] + 2 * int(conv.padding[axis]) - reach) // conv.stride[axis] + 1)
        return other.shape == (inputs.shape[0], conv.out_channels, *sides) and other.dtype == inputs.dtype

    def _transformed(self) -> Tensor:
        if self._kernels is None:
            self._kernels = winograd.transformed(self.convolution.weight)
        return self._kernels

    def _weight(self) -> Tensor:
        if self._packed is None:
            conv = self.convolution
            frame = (conv.padding, conv.stride, conv.dilation, conv.groups)
            self._packed = torch.ops.mkldnn._reorder_convolution_weight(conv.weight.detach(), *frame)
        return self._packed


@functools.cache
def available() -> bool:
    """Whether this build of torch has oneDNN with the joined operations that its compiler uses."""
    here = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return bool(here) and hasattr(torch.ops.mkldnn, "_convolution_pointwise")


def joined(module: nn.Module) -> nn.Module:
    """The same function with convolutions joined with what follows; the module itself where none is, or no trace.

    Args:
        module: in eval mode, its BatchNorms folded; its parts are shared with the result, not copied.
    """
    if not available():
        return module
    try:
        traced = fx.symbolic_trace(module)
    except Exception:  # A forward pass is anybody's code: whatever tracing raises, the module still runs as it is.
        return module
    _drop_identities(traced)
    for node in list(traced.graph.nodes):
        if (kind := _activation(traced, node)) is not None:
            _join(traced, node, kind)
    traced.graph.eliminate_dead_code()
    traced.delete_all_unused_submodules()
    traced.recompile()
    return traced if any(isinstance(layer, Joined) for layer in traced.modules()) else module


def _drop_identities(traced: fx.GraphModule) -> None:
    for node in list(traced.graph.nodes):
        if isinstance(_called(traced, node), nn.Identity | nn.Dropout):
            node.replace_all_uses_with(node.args[0])
            traced.graph.erase_node(node)


def _join(traced: fx.GraphModule, node: fx.Node, kind: str) -> None:
    """Replace an activation, the sum before it where there is one, and the convolution before that."""
    given, other = node.args[0], None
    if kind == "relu" and isinstance(given, fx.Node) and _is_sum(given):  # oneDNN joins sums with ReLU alone
        left, right = given.args[:2]
        given, other = (left, right) if _convolution(traced, left) else (right, left)
    conv = _convolution(traced, given)
    if conv is None or not isinstance(given, fx.Node):
        return
    name = f"joined_{given.name}"
    traced.add_submodule(name, Joined(conv, kind))
    with traced.graph.inserting_before(node):
        inputs = (given.args[0],) if other is None else (given.args[0], other)
        node.replace_all_uses_with(traced.graph.call_module(name, inputs))
    traced.graph.erase_node(node)


def _called(traced: fx.GraphModule, node: Any) -> nn.Module | None:
    """The module a node calls, None where it calls none."""
    named = isinstance(node, fx.Node) and node.op == "call_module"
    return traced.get_submodule(str(node.target)) if named else None


def _activation(traced: fx.GraphModule, node: fx.Node) -> str | None:
    if node.op == "call_function" and node.target in (F.relu, torch.relu):
        return "relu"
    called = _called(traced, node)
    return None if called is None else ACTIVATIONS.get(type(called))


def _convolution(traced: fx.GraphModule, node: Any) -> nn.Conv2d | None:
    """The convolution behind a node that only the next one reads."""
    layer = _called(traced, node)
    fit = type(layer) is nn.Conv2d and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return layer if isinstance(layer, nn.Conv2d) and fit and len(node.users) == 1 else None


def _is_sum(node: fx.Node) -> bool:
    """A plain sum of two activations that only the next node reads."""
    plain = node.op == "call_function" and node.target in SUMS and len(node.args) == 2 and not node.kwargs
    return plain and len(node.users) == 1 and all(isinstance(term, fx.Node) for term in node.args)
