"""An ONNX graph taken apart: its image input, and its last layers as torch layers down to the pooling."""

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.extras import require
from whalecam.network.heads import ConcatPool

SHAPING = ("Cast", "Dropout", "Expand", "Flatten", "Gather", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
"""Operations that are taken to leave pooled values alone; whether they do is proven by the logits."""
ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "Relu": nn.ReLU,
    "Gelu": nn.GELU,
    "Sigmoid": nn.Sigmoid,
    "Tanh": nn.Tanh,
    "HardSwish": nn.Hardswish,
    "Mish": nn.Mish,
}
POOLS: Mapping[str, tuple[type[nn.Module], bool]] = {
    "GlobalAveragePool": (nn.AdaptiveAvgPool2d, True),
    "AveragePool": (nn.AdaptiveAvgPool2d, True),
    "ReduceMean": (nn.AdaptiveAvgPool2d, False),
    "GlobalMaxPool": (nn.AdaptiveMaxPool2d, True),
    "MaxPool": (nn.AdaptiveMaxPool2d, True),
    "ReduceMax": (nn.AdaptiveMaxPool2d, False),
}
"""Operation → the layer, and whether it always pools the last two of four axes."""
SOFTMAX = ("Softmax", "LogSoftmax")
DEEPEST = 40
"""Operations between the logits and the pooling at most."""
EXTERNAL = 1
"""onnx.TensorProto.EXTERNAL: a weight that lies in another file."""


@dataclass(frozen=True)
class Input:
    """The image input: its name, type, and shape (N, 3, H, W) or (N, H, W, 3); None where a length is free."""

    name: str
    type: str
    shape: tuple[int | None, ...]

    @property
    def channels_last(self) -> bool:
        return self.shape[3] == 3 and self.shape[1] != 3

    @property
    def side(self) -> int | None:
        """Its side in px, where the graph fixes it."""
        return self.shape[1] if self.channels_last else self.shape[2]


@dataclass(frozen=True)
class Place:
    """Where a graph can be cut: the tensor before the pooling, the axes that are pooled, and the layers from there."""

    tensor: str
    axes: tuple[int, ...] | None
    head: nn.Sequential


class UnknownGraphError(Exception):
    """The last layers of a graph are none that a map can be drawn through; its text says why."""


class Graph:
    """The graph of one ONNX file.

    Args:
        content: the file.

    Raises ModelError for a file that is none, that keeps weights in other files, or has weights that are NaN or
    infinite; ExtraError without the library onnx.
    """

    def __init__(self, content: bytes, name: str) -> None:
        require("onnx", "An ONNX network")
        import onnx
        from google.protobuf.message import DecodeError

        try:
            self.model = onnx.load_model_from_string(content)
        except (DecodeError, ValueError) as error:
            raise ModelError(f"{name} is not an ONNX file that can be read.") from error
        self.name, self.content = name, content
        if not self.model.graph.node:
            raise ModelError(f"{name} is not an ONNX file that can be read: it has no operations.")
        self._check_weights()

    @cached_property
    def weights(self) -> dict[str, NDArray[Any]]:
        """Weights and constants by name."""
        from onnx import numpy_helper

        graph = self.model.graph
        constants = {
            node.output[0]: attribute.t
            for node in graph.node
            if node.op_type == "Constant"
            for attribute in node.attribute
            if attribute.name == "value"
        }
        known = {tensor.name: tensor for tensor in graph.initializer} | constants
        # Exporters store equal weights once, and name them again by Identity.
        for node in graph.node:
            if node.op_type == "Identity" and node.input[0] in known:
                known[node.output[0]] = known[node.input[0]]
        return {name: numpy_helper.to_array(tensor) for name, tensor in known.items()}

    @cached_property
    def _makers(self) -> dict[str, Any]:
        """The operation that each tensor comes from, by its name."""
        return {name: node for node in self.model.graph.node for name in node.output}

    @property
    def output(self) -> str:
        return str(self.model.graph.output[0].name)

    @cached_property
    def input(self) -> Input:
        """Raises ModelError where the graph does not take one batch of RGB images."""
        given = [value for value in self.model.graph.input if value.name not in self.weights]
        if len(given) != 1:
            raise ModelError(f"{self.name} takes {len(given)} inputs; one batch of images is needed.")
        from onnx import TensorProto

        tensor = given[0].type.tensor_type
        shape = tuple(length.dim_value or None for length in tensor.shape.dim)
        kind = TensorProto.DataType.Name(tensor.elem_type).lower()
        if len(shape) != 4 or 3 not in (shape[1], shape[3]) or kind not in ("float", "float16", "double"):
            raise ModelError(
                f"{self.name} takes {kind} {list(shape)}; images are float (N, 3, H, W) or (N, H, W, 3), normalised."
            )
        return Input(given[0].name, kind, shape)

    @property
    def class_names(self) -> object:
        """What the file's metadata says of its classes, as a list or a mapping; None where it says nothing."""
        metadata = {entry.key: entry.value for entry in self.model.metadata_props}
        text = next((metadata[key] for key in ("names", "classes", "class_names", "id2label") if key in metadata), None)
        try:
            return None if text is None else ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return [name.strip() for name in str(text).split(",")]

    @property
    def ends_in_softmax(self) -> bool:
        return self._makers[self.output].op_type in SOFTMAX

    def place(self) -> Place:
        """The last place with positions, and the layers from there on. Raises UnknownGraphError where there is none."""
        name, layers = self.output, list[nn.Module]()
        if self.ends_in_softmax:
            name = self._makers[name].input[0]
        for _ in range(DEEPEST):
            node = self._makers.get(name)
            if node is None:
                break
            if (pool := self._pool(node)) is not None:
                layer, tensor, axes = pool
                return Place(tensor, axes, nn.Sequential(layer, nn.Flatten(), *reversed(layers)).eval())
            name, added = self._layer(node)
            layers += added
        raise UnknownGraphError("no pooling stands before its last layers")

    def cut_at(self, tensor: str) -> bytes:
        """The part of the graph that a tensor depends on, as a file with that tensor as its only output."""
        import onnx

        part = onnx.ModelProto()
        part.CopyFrom(self.model)
        needed, waiting = set[str](), [tensor]
        while waiting:
            name = waiting.pop()
            if name and name not in needed:
                needed.add(name)
                waiting += self._makers[name].input if name in self._makers else ()
        nodes = [node for node in part.graph.node if needed & set(node.output)]
        weights = [weight for weight in part.graph.initializer if weight.name in needed]
        for field, kept in (("node", nodes), ("initializer", weights), ("value_info", [])):
            part.graph.ClearField(field)
            getattr(part.graph, field).extend(kept)
        part.graph.ClearField("output")
        part.graph.output.append(onnx.ValueInfoProto(name=tensor))
        return bytes(part.SerializeToString())

    def _check_weights(self) -> None:
        graph = self.model.graph
        if elsewhere := [tensor for tensor in graph.initializer if tensor.data_location == EXTERNAL]:
            raise ModelError(
                f"{self.name} keeps weights in another file ({elsewhere[0].name}), which is not opened. Save it as one "
                "file: onnx.save(onnx.load(path), path), or torch.onnx.export(…, external_data=False)."
            )
        numbers = {name: values for name, values in self.weights.items() if values.dtype.kind == "f"}
        bad = [name for name, values in numbers.items() if values.size > 1 and not np.isfinite(values).all()]
        if bad:
            raise ModelError(f"{self.name} has weights that are NaN or infinite, in {bad[0]}. Nothing can be measured.")

    def _pool(self, node: Any) -> tuple[nn.Module, str, tuple[int, ...] | None] | None:
        """The pooling that an operation is, the tensor that it pools, and its axes (None: the last two of four)."""
        if node.op_type == "Concat":
            return self._concat_pool(node)
        if node.op_type not in POOLS:
            return None
        kind, is_spatial = POOLS[node.op_type]
        axes = None if is_spatial else self._axes(node)
        if axes is not None and len(axes) > 2:
            raise UnknownGraphError(f"its {node.op_type} pools the axes {axes}")
        if axes is not None and axes in ((-1,), ()):
            raise UnknownGraphError(f"its {node.op_type} pools no positions")
        return kind(1), str(node.input[0]), axes

    def _concat_pool(self, node: Any) -> tuple[nn.Module, str, tuple[int, ...] | None] | None:
        """fastai's two poolings side by side, the maximum first, of one tensor."""
        parts = [self._makers[name] for name in node.input if name in self._makers]
        pools = [pool for part in parts if part.op_type in POOLS and (pool := self._pool(part)) is not None]
        if len(parts) != 2 or len(pools) != 2:
            return None
        (maximum, *of), (average, *like) = pools
        is_fastais = isinstance(maximum, nn.AdaptiveMaxPool2d) and isinstance(average, nn.AdaptiveAvgPool2d)
        return (ConcatPool(), pools[0][1], pools[0][2]) if is_fastais and of == like else None

    def _axes(self, node: Any) -> tuple[int, ...]:
        stated = [list(attribute.ints) for attribute in node.attribute if attribute.name == "axes"]
        if not stated and len(node.input) > 1 and node.input[1] in self.weights:
            stated = [self.weights[node.input[1]].tolist()]
        return tuple(sorted(stated[0])) if stated else ()

    def _layer(self, node: Any) -> tuple[str, list[nn.Module]]:
        """The tensor below an operation, and the operation as torch layers, the uppermost first."""
        kind, below = node.op_type, str(node.input[0])
        if kind in SHAPING:
            return below, []
        if kind in ACTIVATIONS:
            return below, [ACTIVATIONS[kind]()]
        if kind == "Gemm":
            return below, [self._gemm(node)]
        if kind == "LayerNormalization":
            return below, [self._layernorm(node)]
        if kind == "BatchNormalization":
            return below, [self._batchnorm(node)]
        if kind == "Div" and (source := self._normalised(node)) is not None:
            return source
        if kind in ("MatMul", "Add", "Mul"):
            return self._with_weight(node)
        raise UnknownGraphError(f"its layer {kind} before the logits has no closed form")

    def _weight(self, name: str) -> Tensor:
        if name not in self.weights:
            raise UnknownGraphError("a layer before the logits takes no fixed weight")
        return torch.from_numpy(np.array(self.weights[name], np.float32))

    def _gemm(self, node: Any) -> nn.Module:
        given = _attributes(node)
        if given.get("transA", 0) or given.get("alpha", 1.0) != 1 or given.get("beta", 1.0) != 1:
            raise UnknownGraphError("its Gemm scales or transposes what it takes")
        weight = self._weight(node.input[1])
        bias = self._weight(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        return _linear(weight if given.get("transB", 0) else weight.T, bias)

    def _layernorm(self, node: Any) -> nn.Module:
        gain = self._weight(node.input[1])
        layer = nn.LayerNorm(gain.numel(), eps=float(_attributes(node).get("epsilon", 1e-5)))
        shift = self._weight(node.input[2]) if len(node.input) > 2 and node.input[2] else torch.zeros_like(gain)
        layer.load_state_dict({"weight": gain.flatten(), "bias": shift.flatten()})
        return layer

    def _batchnorm(self, node: Any) -> nn.Module:
        gain, shift, mean, variance = (self._weight(name) for name in node.input[1:5])
        layer = nn.BatchNorm1d(len(gain), eps=float(_attributes(node).get("epsilon", 1e-5)))
        state = {"weight": gain, "bias": shift, "running_mean": mean, "running_var": variance}
        layer.load_state_dict(state, strict=False)
        return layer

    def _normalised(self, node: Any) -> tuple[str, list[nn.Module]] | None:
        """A LayerNorm without gain as graphs before opset 17 have it: (x − mean x) / sqrt(mean (x − mean x)² + ε)."""
        centred, root = (self._makers.get(name) for name in node.input)
        if not centred or not root or (centred.op_type, root.op_type) != ("Sub", "Sqrt"):
            return None
        mean, shifted = self._makers.get(centred.input[1]), self._makers.get(root.input[0])
        if not mean or mean.op_type != "ReduceMean" or mean.input[0] != centred.input[0]:
            return None
        if not shifted or shifted.op_type != "Add":
            return None
        eps = [float(self.weights[name].item()) for name in shifted.input if name in self.weights]
        return (str(centred.input[0]), [_Normalised(eps[0])]) if eps else None

    def _with_weight(self, node: Any) -> tuple[str, list[nn.Module]]:
        """A product, sum or scaling with a fixed weight, which may stand on either side of a sum or scaling."""
        fixed = [at for at, name in enumerate(node.input) if name in self.weights]
        if fixed != [1] and (node.op_type == "MatMul" or fixed != [0]):
            raise UnknownGraphError(f"its layer {node.op_type} before the logits joins two branches")
        weight, below = self._weight(node.input[fixed[0]]), str(node.input[1 - fixed[0]])
        if node.op_type == "MatMul":
            return below, [_linear(weight.T, None)]
        values = weight.flatten()
        scale, shift = (values, 0 * values) if node.op_type == "Mul" else (torch.ones_like(values), values)
        return below, [_scaled(scale, shift)]


class _Normalised(nn.LayerNorm):
    """A LayerNorm over all channels without gain and shift, whatever their number."""

    def __init__(self, eps: float) -> None:
        super().__init__(1, eps=eps, elementwise_affine=False)

    def forward(self, pooled: Tensor) -> Tensor:
        return nn.functional.layer_norm(pooled, pooled.shape[1:], eps=self.eps)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    if weight.ndim != 2:
        raise UnknownGraphError("a layer before the logits is not a plain matrix")
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.load_state_dict({"weight": weight.contiguous()} | ({} if bias is None else {"bias": bias.flatten()}))
    return layer


def _scaled(scale: Tensor, shift: Tensor) -> nn.Module:
    """`scale · x + shift`, channel by channel."""
    layer = nn.BatchNorm1d(len(scale), eps=0.0)
    layer.load_state_dict({"weight": scale, "bias": shift}, strict=False)
    return layer


def _attributes(node: Any) -> dict[str, float]:
    return {attribute.name: attribute.f or attribute.i for attribute in node.attribute}


def grid_axes(axes: Iterable[int] | None, rank: int) -> tuple[int, ...] | None:
    """The axes that hold positions, counted from the front; None where they are none of an image.

    Returns (2, 3) for channels first, (1, 2) for channels last, (1,) for tokens.
    """
    spatial = (2, 3) if axes is None else tuple(sorted(axis % rank for axis in axes))
    known = {4: ((2, 3), (1, 2)), 3: ((1,),)}
    return spatial if spatial in known.get(rank, ()) else None


def square(tokens: int) -> int | None:
    """The side of a square grid of so many tokens; None where they are none."""
    side = math.isqrt(tokens)
    return side if side * side == tokens else None
