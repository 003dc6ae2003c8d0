"""Networks that turn an image into a vector, cut in two: features, then pooling and what follows up to the vector."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from whalecam.arrays import ByteArray
from whalecam.config import BLACK_BOX, IN_MEMORY
from whalecam.errors import ModelError
from whalecam.network.black_box import answers_of
from whalecam.network.bodies import IMAGENET, Stats, build_body
from whalecam.network.cut import Network
from whalecam.network.exactness import closed_form, is_cosine
from whalecam.network.heads import OWN, GeM, probe_head
from whalecam.network.modules import cut
from whalecam.network.opaque import Opaque, Pixels
from whalecam.network.weights import from_spec
from whalecam.store.network_spec import NetworkSpec

Encode = Callable[[ByteArray], ArrayLike]
"""Images uint8 (N, S, S, 3), RGB → vectors (N, D)."""
POOLINGS: Mapping[str, Callable[[], nn.Module]] = {"average": lambda: nn.AdaptiveAvgPool2d(1), "gem": GeM}
AS_BUILT = "own"
"""The pooling that a network came with, and the layers behind it up to its classifier."""
TRIED = 2
PROJECTED, BASE = "projection.", "base."


class EmbeddingSpec(TypedDict):
    """All of an embedding network but its weights, fit for JSON."""

    base: NetworkSpec
    pooling: str
    projected: int


@dataclass
class EmbeddingNetwork(Network):
    """A network in eval mode whose `head` turns activations into one vector for each image; it has no classes.

    Attributes:
        pooling: of POOLINGS, or AS_BUILT.
        base: the classifier that it was made from, by which it can be built again; None for one in memory alone.
        projected: length of the vectors where a `Projection` was fitted behind the pooling; else 0.
    """

    pooling: str = AS_BUILT
    base: Network | None = None
    projected: int = 0

    def vectors(self, inputs: ByteArray) -> Tensor:
        """Network inputs uint8 (N, S, S, 3) → vectors (N, D) of any length, without gradients."""
        with torch.no_grad():
            return self.vectors_of(self.features(self.batch(inputs)))

    def vectors_of(self, activations: Tensor) -> Tensor:
        """Activations (N, K, h, w) → vectors (N, D)."""
        with torch.no_grad():
            vectors: Tensor = self.head(activations)
        return vectors.flatten(1)


def of_network(network: Network, pooling: str = AS_BUILT) -> EmbeddingNetwork:
    """A classifier without its last linear or cosine layer.

    Args:
        pooling: AS_BUILT: the pooling of the network and the layers behind it; `average` or `gem`: that of the
            activations, and nothing behind it.

    Raises ModelError for another pooling, and for a network without positions or whose head has no known layers, where
    AS_BUILT is asked for.
    """
    if pooling not in (AS_BUILT, *POOLINGS):
        raise ModelError(f"There is no pooling '{pooling}'. There are: {', '.join((AS_BUILT, *POOLINGS))}.")
    if not network.has_positions:
        raise ModelError(
            f"{network.arch} has no activations to compare: it gives probabilities alone. Give a checkpoint, the name "
            "of an architecture, or a function that returns vectors."
        )
    head = _without_classifier(network) if pooling == AS_BUILT else nn.Sequential(POOLINGS[pooling](), nn.Flatten())
    return _embedding(network, head.eval(), pooling, network)


def of_body(arch: str, size: int, *, pretrained: bool = True, resize: str = "squish") -> Network:
    """An architecture by name as a classifier of one class, for `of_network`: its pretrained body, nothing fitted.

    Raises ModelError as `build_body`.
    """
    body = build_body(arch, pretrained, size)
    frame = (("any",), size, resize, body.mean, body.std)
    return Network(body.features.eval(), probe_head(body.channels, 1).eval(), body.arch, *frame, head_kind="probe")


def of_module(
    module: nn.Module, size: int, *, resize: str = "squish", mean: Stats = IMAGENET[0], std: Stats = IMAGENET[1]
) -> EmbeddingNetwork:
    """A module in memory whose outputs are vectors (N, D), such as an encoder without a classifier.

    Raises ModelError where it cannot be cut before its pooling.
    """
    parts = cut(module, size)
    network = Network(
        parts.features, parts.head, type(module).__name__, (), size, resize, mean, std, OWN, way=IN_MEMORY
    )
    return _embedding(network, parts.head, AS_BUILT, None)


def of_function(encode: Encode, size: int, resize: str = "squish") -> EmbeddingNetwork:
    """A function of images as a network without positions: it has vectors, and no maps.

    Raises ModelError where it fails on test images, or gives other than one finite vector for each.
    """
    head = Encoder(encode).eval()
    network = Network(Pixels(), head, BLACK_BOX, (), size, resize, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), OWN, way=BLACK_BOX)
    embedding = _embedding(network, head, AS_BUILT, None)
    embedding.vectors(np.random.default_rng(0).integers(0, 256, (TRIED, size, size, 3), np.uint8))
    return embedding


class Encoder(Opaque):
    """A function of images as a head: inputs (N, 3, S, S) in [0, 1] → vectors (N, D), float32."""

    def __init__(self, encode: Encode) -> None:
        super().__init__()
        self.encode = encode

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()
        return torch.from_numpy(vectors_from(self.encode, np.ascontiguousarray(pixels))).to(images.device)


def vectors_from(encode: Encode, images: ByteArray) -> NDArray[np.float32]:
    """What a function gives for images, (N, D). Raises ModelError where it fails, or gives another shape or NaN."""
    values = answers_of(encode, images, "The function").astype(np.float32)
    if values.ndim != 2 or len(values) != len(images) or not values.shape[1]:
        raise ModelError(f"The function gives {values.shape} for {len(images)} images; one vector each is needed.")
    if not np.isfinite(values).all():
        raise ModelError("The function gives vectors that are NaN or infinite.")
    return values


class Projection(nn.Sequential):
    """Standardised features, (N, K), on fewer dimensions, (N, D): one affine map in eval mode."""

    def __init__(self, channels: int, length: int) -> None:
        super().__init__(nn.BatchNorm1d(channels, eps=1e-6, affine=False), nn.Linear(channels, length, bias=False))

    @property
    def weight(self) -> Tensor:
        """(D, K)."""
        return cast(nn.Linear, self[1]).weight

    def standardize(self, features: Tensor) -> None:
        """Take the mean and the deviation of features (N, K) as those of all images.

        Once for all, since those of batches of a few hundred would change from batch to batch.
        """
        norm = cast(nn.BatchNorm1d, self[0])
        cast(Tensor, norm.running_mean).copy_(features.mean(dim=0))
        cast(Tensor, norm.running_var).copy_(features.var(dim=0, correction=0))


def projected(network: EmbeddingNetwork, projection: Projection) -> EmbeddingNetwork:
    """The network with a fitted projection behind its vectors."""
    head = nn.Sequential(network.head, projection).eval()
    made = _embedding(network, head, network.pooling, network.base)
    made.projected = len(projection.weight)
    return made


def projection_tensors(network: EmbeddingNetwork) -> dict[str, NDArray[Any]]:
    """The weights and statistics of a fitted projection by name, on the CPU."""
    state = cast(nn.Sequential, network.head)[-1].state_dict()
    return {name: value.cpu().numpy() for name, value in state.items()}


def with_projection(network: EmbeddingNetwork, tensors: Mapping[str, NDArray[Any]]) -> EmbeddingNetwork:
    """The network with a projection out of `projection_tensors`. Raises ModelError where it does not fit."""
    state = {name: torch.from_numpy(np.array(values)) for name, values in tensors.items()}
    try:
        projection = Projection(int(state["0.running_mean"].shape[0]), int(state["1.weight"].shape[0]))
        projection.load_state_dict(state)
    except (RuntimeError, KeyError) as error:
        raise ModelError("The projection of the embedding network does not fit it. Fit it again.") from error
    return projected(network, projection)


def embedding_spec(network: EmbeddingNetwork) -> EmbeddingSpec:
    """All but the weights, fit for JSON. Raises ModelError for a network in memory alone."""
    if network.base is None or network.base.way in (BLACK_BOX, IN_MEMORY):
        raise ModelError(f"{network.arch} is in memory alone, so it cannot be kept in a folder.")
    return {"base": network.base.spec(), "pooling": network.pooling, "projected": network.projected}


def embedding_tensors(network: EmbeddingNetwork) -> dict[str, NDArray[Any]]:
    """Every weight and statistic by name, on the CPU."""
    if network.base is None:
        return {}
    stored = {f"{BASE}{name}": values for name, values in network.base.tensors().items()}
    if network.projected:
        stored |= {f"{PROJECTED}{name}": values for name, values in projection_tensors(network).items()}
    return stored


def from_embedding_spec(spec: EmbeddingSpec, tensors: Mapping[str, NDArray[Any]]) -> EmbeddingNetwork:
    """Build a network from what `embedding_spec` and `embedding_tensors` gave. Raises ModelError where they differ."""
    base = from_spec(spec["base"], _named(tensors, BASE))
    network = of_network(base, spec["pooling"])
    return with_projection(network, _named(tensors, PROJECTED)) if spec["projected"] else network


def _named(tensors: Mapping[str, NDArray[Any]], beginning: str) -> dict[str, NDArray[Any]]:
    return {name[len(beginning) :]: values for name, values in tensors.items() if name.startswith(beginning)}


def _without_classifier(network: Network) -> nn.Sequential:
    """The head up to what its last layer takes."""
    parts = closed_form(network.head)
    if parts is None:
        raise ModelError(
            f"The head of {network.arch} has layers that are not known, so its vectors are not either. Pool its "
            f"activations instead: {' or '.join(POOLINGS)}."
        )
    pool, rest = parts
    if rest and (isinstance(rest[-1], nn.Linear) or is_cosine(rest[-1])):
        rest = rest[:-1]
    return nn.Sequential(pool, nn.Flatten(), *rest)


def _embedding(network: Network, head: nn.Module, pooling: str, base: Network | None) -> EmbeddingNetwork:
    frame = (network.size, network.resize, network.mean, network.std, OWN, network.way, network.whole_classes)
    return EmbeddingNetwork(network.features, head, network.arch, (), *frame, pooling=pooling, base=base)
