"""An ONNX file as a network in ONNX Runtime: cut before its pooling where that is proven, else a black box."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.black_box import LEAST, TOTAL
from whalecam.network.bodies import Stats
from whalecam.network.cut import Network
from whalecam.network.heads import OWN
from whalecam.network.layout import TOLERANCE, first_line, largest_difference
from whalecam.network.onnx_graph import Graph, Place, UnknownGraphError, grid_axes, square
from whalecam.network.onnx_runtime import open_session
from whalecam.network.opaque import Opaque, Pixels
from whalecam.network.positions import out_of_place
from whalecam.store.network_spec import NetworkSpec

ONNX, SUFFIX = "onnx", ".onnx"
TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64}
IMAGES = 2


class Session(nn.Module):
    """ONNX Runtime on one graph: images (N, 3, H, W) float32 → its first output, float32. On the CPU.

    Args:
        content: the graph to compute: the whole of `source`, or a part of it.
        source: the file, which a run keeps, and by which the network is built again.
    """

    graph: Tensor

    def __init__(self, content: bytes, source: Graph) -> None:
        super().__init__()
        self.content, self.input = content, source.input
        self.register_buffer("graph", torch.frombuffer(bytearray(source.content), dtype=torch.uint8))
        self.engine = open_session(content, source.name)

    def forward(self, images: Tensor) -> Tensor:
        """Raises ModelError where the graph refuses the images."""
        pixels = images.detach().float().cpu()
        if self.input.channels_last:
            pixels = pixels.permute(0, 2, 3, 1)
        values = np.ascontiguousarray(pixels.numpy(), TYPES[self.input.type])
        outputs = [self._run(part) for part in self._batches(values)]
        return torch.from_numpy(np.concatenate(outputs)[: len(values)].astype(np.float32)).to(images.device)

    def _batches(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """All images at once, or as many at a time as the graph takes, the last ones filled up with copies."""
        at_once = self.input.shape[0]
        if at_once is None:
            return [values]
        filled = np.concatenate([values, np.repeat(values[-1:], -len(values) % at_once, axis=0)])
        return [filled[start : start + at_once] for start in range(0, len(filled), at_once)]

    def _run(self, values: NDArray[Any]) -> NDArray[Any]:
        try:
            return np.asarray(self.engine.run(None, {self.input.name: values})[0])
        except Exception as error:  # ONNX Runtime raises a dozen kinds of its own.
            raise ModelError(f"The ONNX graph takes no images {values.shape}: {first_line(error)}.") from error

    def __deepcopy__(self, memo: dict[int, Any]) -> "Session":
        """The engine does not copy, and holds no state: copies share it."""
        other = copy.copy(self)
        memo[id(self)] = other
        return other

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "engine"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self.engine = open_session(self.content, "The network")


class OnnxFeatures(Opaque):
    """The graph up to its pooling, as (N, K, h, w). Args: axes: those of positions, see `grid_axes`."""

    def __init__(self, session: Session, axes: tuple[int, ...]) -> None:
        super().__init__()
        self.session, self.axes = session, axes

    def forward(self, images: Tensor) -> Tensor:
        activations: Tensor = self.session(images)
        if self.axes == (1, 2):
            return activations.permute(0, 3, 1, 2)
        if self.axes == (1,):
            side = square(activations.shape[1]) or 0
            return activations.transpose(1, 2).reshape(len(activations), activations.shape[2], side, side)
        return activations


class OnnxOutput(Opaque):
    """The whole graph as a head: inputs → logits, (N, C). Args: is_probability: what it gives adds up to 1."""

    def __init__(self, session: Session, is_probability: bool) -> None:
        super().__init__()
        self.session, self.is_probability = session, is_probability

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.session(images)
        return outputs.double().clamp_min(LEAST).log() if self.is_probability else outputs


def read_graph(path: Path) -> Graph:
    """The graph of an ONNX file. Raises ModelError for a file that cannot be read, and as `Graph`."""
    try:
        return Graph(path.read_bytes(), path.name)
    except OSError as error:
        raise ModelError(f"{path.name} cannot be read: {error.strerror}.") from error


def built(
    graph: Graph, classes: tuple[str, ...], *, size: int, resize: str, frame: tuple[Stats, Stats]
) -> tuple[Network, str]:
    """The network of a graph, cut before its pooling where that is proven; and why it has no maps, "" where it has.

    Args:
        size: side of its input, px, where the graph leaves it free.
        frame: mean and standard deviation of its input's channels, in [0, 1]; an ONNX file does not say them.

    Raises ModelError for another kind of input, and for another number of classes than the graph's.
    """
    whole = Session(graph.content, graph)
    images = torch.rand(IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0))
    expected = whole(images)
    if expected.ndim != 2 or expected.shape[1] != len(classes):
        outputs = expected.shape[1] if expected.ndim == 2 else tuple(expected.shape)
        raise ModelError(
            f"{graph.name} has {outputs} outputs, but {len(classes)} classes are named. Name its classes in order."
        )
    is_probability = bool((expected >= 0).all() and (expected.sum(dim=1) - 1).abs().max() < TOTAL)
    known = (f"{Path(graph.name).stem} (ONNX)", classes, size, resize, *frame, OWN, ONNX, len(classes))
    why = ""
    try:
        features, head = _cut(graph, graph.place(), images)
        _prove(features, head, images, expected, graph.ends_in_softmax)
        return Network(features, head, *known), ""
    except UnknownGraphError as error:
        why = f"No maps: {error}. It is audited as a black box, for its reliance on the background alone."
    return Network(Pixels(), OnnxOutput(whole, is_probability).eval(), *known), why


def rebuilt(spec: NetworkSpec, tensors: Mapping[str, NDArray[Any]]) -> Network:
    """The network from what `Network.spec` and `Network.tensors` gave."""
    content = next(values for name, values in tensors.items() if name.endswith("session.graph")).tobytes()
    graph = Graph(content, str(spec["arch"]).removesuffix(" (ONNX)"))
    frame = (cast(Stats, tuple(spec["mean"])), cast(Stats, tuple(spec["std"])))
    classes, side, resize = tuple(spec["classes"]), int(spec["size"]), str(spec["resize"])
    return built(graph, classes, size=side, resize=resize, frame=frame)[0]


def _cut(graph: Graph, place: Place, images: Tensor) -> tuple[nn.Module, nn.Module]:
    """Raises UnknownGraphError where the tensor before the pooling is not a grid of positions."""
    try:
        session = Session(graph.cut_at(place.tensor), graph)
        shape = session(images).shape
    except ModelError as error:
        raise UnknownGraphError(
            f"its part before the pooling cannot be computed alone ({first_line(error)})"
        ) from error
    axes = grid_axes(place.axes, len(shape))
    if axes is None or (axes == (1,) and square(shape[1]) is None):
        raise UnknownGraphError(f"what is pooled, {tuple(shape)}, is not a grid of positions")
    return OnnxFeatures(session, axes).eval(), place.head


def _prove(features: nn.Module, head: nn.Module, images: Tensor, expected: Tensor, is_softmax: bool) -> None:
    """Raise UnknownGraphError where `head(features(x))` is not what the whole graph gives, to 1e-4 of the largest."""
    try:
        with torch.no_grad():
            given = head(features(images))
    except RuntimeError as error:
        raise UnknownGraphError(f"its last layers do not fit together ({first_line(error)})") from error
    if is_softmax:
        given = given.softmax(dim=1) if bool((expected >= 0).all()) else given.log_softmax(dim=1)
    if given.shape != expected.shape or not largest_difference(given, expected) <= TOLERANCE:
        raise UnknownGraphError("its last layers are not what they seem, as the logits show")
    if out_of_place(features, images.shape[-1]):
        raise UnknownGraphError("its positions are in another order than the image's rows and columns")
