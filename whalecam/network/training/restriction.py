"""Evidence off a region as a penalty of a training: right for the right reasons, in the form of class maps.

Ross, Hughes and Doshi-Velez 2017 (arXiv 1703.03717) penalise the gradient of the prediction by the input outside of
what people marked. Here the closed-form class activation map stands in its place: what it shows is what the audit
shows, and it has a gradient of its own.
"""

from collections.abc import Mapping
from typing import Protocol, cast

import pandas as pd
import torch
from torch import Tensor, nn

from whalecam.arrays import ByteArray
from whalecam.errors import ModelError
from whalecam.network.exactness import AVERAGE, closed_form, pooling_of
from whalecam.network.training.versions import Backgrounds

LEAST_EVIDENCE = 1e-12
"""Logits; a map with less positive evidence has none, and no share of it."""


class Restriction(Protocol):
    """Where a network may look while it trains.

    Attributes:
        weight: of the penalty in the loss, > 0; None: chosen from `weight_choice.WEIGHTS`.
        backgrounds: by which a weight is chosen.
    """

    weight: float | None
    backgrounds: Backgrounds

    @property
    def facts(self) -> Mapping[str, object]:
        """What it did, for the metrics."""

    def regions(self, rows: pd.DataFrame) -> Mapping[str, ByteArray]:
        """By image where evidence may lie, uint8 (S, S), 255 inside; images without a region are absent."""


def off_region(maps: Tensor, outside: Tensor) -> Tensor:
    """The share of each map's positive evidence that lies outside of a region.

    Args:
        maps: (N, h, w), logits, signed.
        outside: (N, h, w) in [0, 1], how much of each cell lies outside.

    Returns: (N,) in [0, 1]; 0 where nothing is positive. Differentiable.
    """
    positive = maps.clamp_min(0)
    mass = positive.sum(dim=(1, 2))
    return (positive * outside).sum(dim=(1, 2)) / mass.clamp_min(LEAST_EVIDENCE)


def label_maps(head: nn.Module, activations: Tensor, labels: Tensor) -> Tensor:
    """The class map of each image's label against the mean of all classes, as the audit scores it; differentiable.

    A batch norm in training mode stands for what it does to this batch, its mean and deviation held.

    Args:
        head: from activations to logits: average pooling, then batch norms and linear layers.
        activations: (N, K, h, w).
        labels: (N,) codes.

    Returns: (N, h, w), logits. Raises ModelError for a head without a closed form that is the same for all images.
    """
    weights = _folded(head, activations)
    directions = weights[labels] - weights.mean(dim=0)
    positions = activations.shape[2] * activations.shape[3]
    return torch.einsum("nk,nkij->nij", directions, activations) / positions


def penalty(head: nn.Module, activations: Tensor, labels: Tensor, inside: Tensor) -> Tensor:
    """The mean of `off_region` over a batch; images whose region is everything add 0.

    Args:
        inside: (N, S, S) in [0, 255], 255 inside the region.
    """
    height, width = activations.shape[2:]
    covered = nn.functional.adaptive_avg_pool2d(inside[:, None].float() / 255, (height, width))[:, 0]
    return off_region(label_maps(head, activations, labels), 1 - covered).mean()


def _folded(head: nn.Module, activations: Tensor) -> Tensor:
    """The head's layers behind the pooling as weights (C, K) on pooled activations."""
    parts = closed_form(head)
    layers = parts[1] if parts is not None and pooling_of(parts[0]) == AVERAGE else []
    if not layers or not all(isinstance(layer, nn.Linear | nn.BatchNorm1d) for layer in layers):
        raise ModelError(
            "The network's head has no class map that is one formula for all images, so its attention cannot be "
            "restricted while it trains. Train with another remedy."
        )
    given, scales = activations.mean(dim=(2, 3)), list[Tensor]()
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            mean, scale = _norm(layer, given)
            scales.append(scale)
            given = (given - mean) * scale + layer.bias
        else:
            scales.append(cast("nn.Linear", layer).weight)
            given = layer(given)
    weights = scales[-1] if scales[-1].ndim == 2 else torch.diag(scales[-1])
    for scale in reversed(scales[:-1]):
        weights = weights * scale if scale.ndim == 1 else weights @ scale
    return weights


def _norm(layer: nn.BatchNorm1d, given: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and scale (K,) of a batch norm: of this batch while it trains, else of all training."""
    if layer.training or layer.running_mean is None or layer.running_var is None:
        mean, variance = given.mean(dim=0).detach(), given.var(dim=0, correction=0).detach()
    else:
        mean, variance = layer.running_mean, layer.running_var
    return mean, torch.rsqrt(variance + layer.eps) * layer.weight
