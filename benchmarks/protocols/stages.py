"""A pretrained body whose lower stages stay as they are and whose upper ones are trained with the head.

What the lower stages make of each image and of its mirror image is computed once, so that a training takes seconds.
Every method trains the same stages, from the same weights, for the same number of epochs.
"""

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from benchmarks.learners import inputs_of
from benchmarks.protocols.parts import Codes, Pixels
from whalecam.config import FINE_ARCH
from whalecam.network import probe_head
from whalecam.network.bodies import Body, build_body

Values = NDArray[np.float64]
BATCH = 64
LOWER = 3
"""Blocks that stay as they are, behind the stem; the other two are trained."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How every network is trained: AdamW on one cycle of the learning rate (Smith 2018), images mirrored at random."""

    epochs: int = 8
    batch: int = 32
    rate: float = 2e-3
    decay: float = 0.05


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What a loss is computed of.

    Attributes:
        logits: (B, C) of `head`.
        labels: (B,).
        rows: (B,), which of the training images these are.
        is_mirrored: (B,) whether the network was shown the mirror image.
        activations: (B, K, h, w), what `head` was given.
    """

    logits: Tensor
    labels: Tensor
    rows: Codes
    is_mirrored: NDArray[np.bool_]
    activations: Tensor
    head: nn.Module


Loss = Callable[[Batch], Tensor]
"""→ the loss of a batch, a scalar."""


def cross_entropy(batch: Batch) -> Tensor:
    return nn.functional.cross_entropy(batch.logits, batch.labels)


class Stages:
    """EfficientNet-Lite0 up to its fifth stage, cut between the stages that stay and those that are trained."""

    def __init__(self, pretrained: bool = True, classes: int = 2) -> None:
        torch.manual_seed(0)
        self.body: Body = build_body(FINE_ARCH, pretrained)
        self.classes = classes
        features = self.body.features.eval()
        blocks = list(features.get_submodule("blocks").children())
        self.lower = nn.Sequential(
            features.get_submodule("conv_stem"), features.get_submodule("bn1"), *blocks[:LOWER]
        ).requires_grad_(False)
        self.upper = nn.Sequential(*blocks[LOWER:]).to(memory_format=torch.channels_last)

    def lowered(self, images: Pixels) -> Tensor:
        """Images uint8 (N, S, S, 3) → what the lower stages give of each and of its mirror image, (N, 2, K, h, w)."""
        parts = []
        with torch.no_grad():
            for start in range(0, len(images), BATCH):
                batch = images[start : start + BATCH]
                both = [self.lower(inputs_of(np.ascontiguousarray(x), self.body)) for x in (batch, batch[:, :, ::-1])]
                parts.append(torch.stack(both, 1))
        return torch.cat(parts)


@dataclass(frozen=True, eq=False)
class Classifier:
    """Trained upper stages and their head, in eval mode."""

    upper: nn.Module
    head: nn.Sequential

    def embedded(self, lowered: Tensor) -> Values:
        """(N, 2, K, h, w) → what the last layer takes of the images as they are, (N, J)."""
        with torch.no_grad():
            batches = torch.split(lowered[:, 0], BATCH)
            return np.asarray(torch.cat([self.head[:-1](self.upper(x)) for x in batches]).double().numpy())

    @property
    def last(self) -> "Linear":
        """A copy of the last layer."""
        layer = self.head[-1]
        weights, bias = (layer.get_parameter(name).detach().double().numpy().copy() for name in ("weight", "bias"))
        return Linear(weights, bias)

    def logits(self, lowered: Tensor) -> Values:
        """(N, C) of the images as they are."""
        return self.last.logits(self.embedded(lowered))


@dataclass(frozen=True, eq=False)
class Linear:
    """A last layer: weights (C, J) and bias (C,)."""

    weights: Values
    bias: Values

    def logits(self, embedded: Values) -> Values:
        """(N, J) → (N, C)."""
        return np.asarray(embedded @ self.weights.T + self.bias)


def train(
    stages: Stages,
    lowered: Tensor,
    labels: Codes,
    recipe: Recipe,
    seed: int,
    *,
    weights: Values | None = None,
    loss: Loss = cross_entropy,
    snapshots: Collection[int] = (),
) -> Mapping[int, Classifier]:
    """Train the upper stages and a head.

    Args:
        lowered: (N, 2, K, h, w), see `Stages.lowered`.
        weights: (N,) how often each image is drawn, relative to the others; None: each once an epoch.
        snapshots: after how many epochs a copy of the network is kept beside the last.

    Returns: networks by the number of epochs that they were trained for; the last has `recipe.epochs`.
    """
    torch.manual_seed(seed)
    rng, count = np.random.default_rng([seed, 1]), len(labels)
    upper, head = copy.deepcopy(stages.upper), probe_head(stages.body.channels, stages.classes)
    network, truth = nn.Sequential(upper, head), torch.from_numpy(labels)
    steps = max(1, count // recipe.batch)
    optimizer = torch.optim.AdamW(network.parameters(), recipe.rate, weight_decay=recipe.decay)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.rate, total_steps=recipe.epochs * steps)
    kept: dict[int, Classifier] = {}
    for epoch in range(1, recipe.epochs + 1):
        network.train()
        for rows in np.array_split(drawn(count, weights, rng), steps):
            optimizer.zero_grad()
            mirrored = rng.integers(2, size=len(rows))
            shown = lowered[rows, torch.from_numpy(mirrored)].contiguous(memory_format=torch.channels_last)
            activations = upper(shown)
            batch = Batch(
                logits=head(activations),
                labels=truth[rows],
                rows=rows,
                is_mirrored=mirrored == 1,
                activations=activations,
                head=head,
            )
            torch.autograd.backward(loss(batch))
            optimizer.step()
            cycle.step()
        if epoch in snapshots or epoch == recipe.epochs:
            kept[epoch] = _settled(network, lowered)
    return kept


def drawn(count: int, weights: Values | None, rng: np.random.Generator) -> Codes:
    """The rows of an epoch, (count,): each once, or in proportion to `weights`."""
    if weights is None:
        return rng.permutation(count)
    return rng.choice(count, count, p=weights / weights.sum())


def _settled(network: nn.Sequential, lowered: Tensor) -> Classifier:
    """A copy whose running means and variances are those of all training images: they lag behind the weights."""
    settled = copy.deepcopy(network)
    update_bn(iter(torch.split(lowered[:, 0], BATCH)), settled)
    upper, head = settled.eval()
    assert isinstance(head, nn.Sequential)
    return Classifier(upper, head)
