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
from whalecam.network.exactness import AVERAGE, GEM, closed_form, pooling_of
from whalecam.network.heads import ArcFace, GeM
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

    A batch norm in training mode stands for what it does to this batch, its mean and deviation held; the length of a
    vector whose cosines are taken is held too.

    Args:
        head: from activations to logits: average pooling or a generalised mean, then batch norms and linear layers;
            last, where it is ArcFace's, cosines.
        activations: (N, K, h, w).
        labels: (N,) codes.

    Returns: (N, h, w), logits. Raises ModelError for any other head.
    """
    pool, layers = _layers(head)
    placed = _placed(pool, activations)
    directions = _against_others(layers, placed.mean(dim=(2, 3)), labels)
    positions = activations.shape[2] * activations.shape[3]
    return torch.einsum("nk,nkij->nij", directions, placed) / positions


def penalty(head: nn.Module, activations: Tensor, labels: Tensor, inside: Tensor) -> Tensor:
    """The mean of `off_region` over a batch; images whose region is everything add 0.

    Args:
        inside: (N, S, S) in [0, 255], 255 inside the region.
    """
    height, width = activations.shape[2:]
    covered = nn.functional.adaptive_avg_pool2d(inside[:, None].float() / 255, (height, width))[:, 0]
    return off_region(label_maps(head, activations, labels), 1 - covered).mean()


def _layers(head: nn.Module) -> tuple[nn.Module, list[nn.Module]]:
    """The head's pooling, and what follows it."""
    pool, layers = closed_form(head) or (nn.Identity(), [])
    affine = layers[:-1] if layers and isinstance(layers[-1], ArcFace) else layers
    is_known = all(isinstance(layer, nn.Linear | nn.BatchNorm1d) for layer in affine)
    if not layers or pooling_of(pool) not in (AVERAGE, GEM) or not is_known:
        raise ModelError(
            "The network's head has no class map that is one formula for all images, so its attention cannot be "
            "restricted while it trains. Train with another remedy."
        )
    return pool, layers


def _placed(pool: nn.Module, activations: Tensor) -> Tensor:
    """What each position gives to each pooled channel, (N, K, h, w), times their number: its mean is what is pooled."""
    if pooling_of(pool) == AVERAGE:
        return activations
    powers = activations.clamp(min=cast("GeM", pool).eps).pow(cast("GeM", pool).p)
    placed: Tensor = powers / powers.mean(dim=(2, 3), keepdim=True) * pool(activations)
    return placed


def _against_others(layers: list[nn.Module], pooled: Tensor, labels: Tensor) -> Tensor:
    """How much a pooled channel adds to the label's logit more than to that of a class on average, (N, K)."""
    last = layers[-1]
    if not isinstance(last, ArcFace):
        weights, _ = _folded(layers, pooled)
        return weights[labels] - weights.mean(dim=0)
    weights, vectors = _folded(layers[:-1], pooled)
    centres = nn.functional.normalize(last.weight)
    cosines = (nn.functional.normalize(vectors) @ centres.T).view(len(vectors), last.classes, last.centres)
    nearest = cosines.argmax(dim=2)
    chosen = centres.view(last.classes, last.centres, -1)[torch.arange(last.classes)[None], nearest]
    against = chosen[torch.arange(len(labels)), labels] - chosen.mean(dim=1)
    length = vectors.norm(dim=1, keepdim=True).detach()
    return cast("Tensor", last.scale * against @ weights / length)


def _folded(layers: list[nn.Module], given: Tensor) -> tuple[Tensor, Tensor]:
    """Batch norms and linear layers as weights (D, K) on pooled activations (N, K), and what they make of these."""
    weights = torch.eye(given.shape[1], dtype=given.dtype, device=given.device)
    for layer in layers:
        if isinstance(layer, nn.BatchNorm1d):
            mean, scale = _norm(layer, given)
            given, weights = (given - mean) * scale + layer.bias, scale[:, None] * weights
        else:
            given, weights = layer(given), cast("nn.Linear", layer).weight @ weights
    return weights, given


def _norm(layer: nn.BatchNorm1d, given: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and scale (K,) of a batch norm: of this batch while it trains, else of all training."""
    if layer.training or layer.running_mean is None or layer.running_var is None:
        mean, variance = given.mean(dim=0).detach(), given.var(dim=0, correction=0).detach()
    else:
        mean, variance = layer.running_mean, layer.running_var
    return mean, torch.rsqrt(variance + layer.eps) * layer.weight
