"""Activations → exact evidence maps for every class, with their exactness and completeness_error."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.exactness import (
    AVERAGE,
    BOTH,
    GEM,
    MAXIMUM,
    NONE,
    WRITTEN,
    closed_form,
    exactness,
    is_cosine,
    is_curved,
    pooling_of,
)


@dataclass(frozen=True)
class Evidence:
    """What each class's logit is made of.

    Attributes:
        maps: (N, C, h, w), logits: how much each position adds to each class's logit; signed.
        bias: (N, C), logits: what no position adds, from the biases and BatchNorms alone.
        logits: (N, C), as the head gives them.
        completeness_error: (N,), logits, ≥ 0: `max_c |Σ_ij maps + bias − logits|`, what the decomposition leaves
            unexplained.
    """

    maps: Tensor
    bias: Tensor
    logits: Tensor
    completeness_error: Tensor


def explain(head: nn.Module, activations: Tensor) -> Evidence:
    """Evidence maps of all classes: closed form for a head of known layers, else gradient × activation.

    The closed form folds the head's layers from the top into `z = b + Σ_k u_k p_k` and spreads each term over the
    positions it was pooled from; no backward pass. It equals HiResCAM at the cut (Draelos & Carin, arXiv 2011.08891)
    and, for a linear head, the class activation map plus its bias (Zhou et al. 2016, arXiv 1512.04150).

    Args:
        head: from activations to logits, in eval mode.
        activations: (N, K, h, w), the output of the network's features.

    Raises ModelError for a head in training mode, a head that sees no positions, or activations of another shape.
    """
    if any(layer.training for layer in head.modules()):
        raise ModelError("The head is in training mode, where BatchNorm mixes the images of a batch. Call head.eval().")
    if activations.ndim != 4 or exactness(head) == NONE:
        shape = tuple(activations.shape)
        raise ModelError(f"No map for activations {shape} with this head. Cut where they are (images, channels, h, w).")
    parts = closed_form(head)
    if parts is None:
        return _by_gradient(head, activations)
    with torch.no_grad():
        return _fold(head, *parts, activations)


def is_finite(logits: NDArray[Any], maps: NDArray[Any], completeness_error: float) -> bool:
    """Whether what a network says of one image can be stored and assessed: finite, with `maps` in float16."""
    return all(bool(np.isfinite(numbers).all()) for numbers in (logits, stored(maps), completeness_error))


def stored(values: NDArray[Any]) -> NDArray[np.float16]:
    """Values as the table has them, float16 little-endian; what lies beyond ±65,504 becomes infinite."""
    with np.errstate(over="ignore"):
        return np.asarray(values).astype("<f2")


def rest_percent(evidence: Evidence) -> float:
    """`completeness_error` in percent of the image's largest |logit|, averaged over the images; ≥ 0."""
    scale = evidence.logits.abs().amax(dim=1).clamp_min(1e-12)
    return float((evidence.completeness_error / scale).mean() * 100)


def _fold(head: nn.Module, pool: nn.Module, rest: list[nn.Module], activations: Tensor) -> Evidence:
    pooled, pooling = pool(activations).flatten(1), str(pooling_of(pool))
    weight, bias = _affine(rest, pooled)
    if pooling == WRITTEN:
        bias = bias + (weight @ activations.chunk(2, dim=1)[1].sum(dim=(2, 3))[:, :, None])[:, :, 0]
    spread = _spread(pooling, activations)
    if pooling == GEM:
        spread = _shares_of_power(pool, activations) * pooled[:, :, None, None]
    maps = weight @ spread.flatten(2)
    maps = maps.reshape(*maps.shape[:2], *activations.shape[2:])
    return _checked(maps, bias, head(activations))


def _checked(maps: Tensor, bias: Tensor, logits: Tensor) -> Evidence:
    rest = maps.sum(dim=(2, 3)) + bias - logits
    return Evidence(maps, bias.expand_as(logits), logits, rest.abs().amax(dim=1))


def _affine(layers: list[nn.Module], pooled: Tensor) -> tuple[Tensor, Tensor]:
    """`z_c = b_c + Σ_k u_ck p_k` around these images, folded from the top: u (N or 1, C, K), b (N or 1, C)."""
    inputs = [pooled]
    for layer in layers:
        inputs.append(_after(layer, inputs[-1]))
    weight, bias = _first(layers, inputs[-1])
    below = layers[:-1] if layers and isinstance(layers[-1], nn.Linear) else layers
    for layer, given in reversed(list(zip(below, inputs, strict=False))):
        weight, bias = _through(layer, given, weight, bias)
    return weight, bias


def _after(layer: nn.Module, pooled: Tensor) -> Tensor:
    """What a layer makes of pooled values (N, K). A LayerNorm may be written for (N, K, 1, 1)."""
    if isinstance(layer, nn.LayerNorm):
        return nn.functional.layer_norm(pooled, pooled.shape[1:], *_gain(layer), layer.eps)
    outputs: Tensor = layer(pooled.clone() if is_curved(layer) else pooled)  # which may work in place
    return outputs


def _gain(layer: nn.LayerNorm) -> tuple[Tensor | None, Tensor | None]:
    """γ and β of a LayerNorm, (K,) each; None where it has none."""
    gamma, beta = (cast(Tensor | None, parameter) for parameter in (layer.weight, layer.bias))
    return None if gamma is None else gamma.flatten(), None if beta is None else beta.flatten()


def _first(layers: list[nn.Module], value: Tensor) -> tuple[Tensor, Tensor]:
    """Where folding starts: the topmost Linear as it stands, for a C × C identity of 15,000 classes is a gigabyte."""
    zero = value.new_zeros(1, value.shape[1])
    if layers and isinstance(top := layers[-1], nn.Linear):
        return top.weight.detach()[None], zero if top.bias is None else top.bias.detach()[None]
    return torch.eye(value.shape[1], dtype=value.dtype, device=value.device)[None], zero


def _through(layer: nn.Module, given: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """Pull an affine form of a layer's output back to its input."""
    if isinstance(layer, nn.Linear):
        shift = 0 if layer.bias is None else weight @ layer.bias
        return weight @ layer.weight, bias + shift
    if isinstance(layer, nn.BatchNorm1d):
        scale, offset = _batchnorm(layer)
        return weight * scale, bias + weight @ offset
    if isinstance(layer, nn.LayerNorm):
        return _through_layernorm(layer, given, weight, bias)
    if is_curved(layer):
        return weight * _slope(layer, given)[:, None, :], bias + weight @ layer(torch.zeros_like(given[0]))
    if is_cosine(layer):
        return weight @ _cosines(layer, given), bias
    # Also right after an in-place ReLU has overwritten its input: the same values stay positive.
    return weight * (given > 0).to(weight.dtype)[:, None, :], bias


def _through_layernorm(layer: nn.LayerNorm, given: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
    """`y_k = γ_k (p_k − mean p) / s + β_k` with this image's own s held, so that what is left is linear in p.

    Its gradient would be orthogonal to p, as y does not change with p's scale (Euler), and gradient × activation would
    add up to nothing whatever the logit is.
    """
    gamma, beta = _gain(layer)
    shift = 0 if beta is None else weight @ beta
    deviation = torch.sqrt(given.var(dim=1, correction=0) + layer.eps)[:, None, None]
    scaled = (weight if gamma is None else weight * gamma) / deviation
    return scaled - scaled.mean(dim=2, keepdim=True), bias + shift


def _slope(layer: nn.Module, given: Tensor) -> Tensor:
    """The derivative of an activation of single values, (N, K): what it bends away is left to completeness_error."""
    with torch.inference_mode(False), torch.enable_grad():
        values = given.detach().clone().requires_grad_()
        return torch.autograd.grad(layer(values.clone()).sum(), values)[0]


def _cosines(layer: nn.Module, given: Tensor) -> Tensor:
    """`s · w_c / (|w_c| |x|)` of the centre that each class is nearest to, (N, C, K), this image's norm held.

    ArcFace (Deng et al., arXiv 1801.07698) without its margin, as at inference; with several rows of weights for each
    class, its sub-centres (Deng et al., ECCV 2020). The scale s is read from what the layer gives.
    """
    centres = nn.functional.normalize(cast(Tensor, layer.weight).detach())
    outputs: Tensor = layer(given)
    each = (nn.functional.normalize(given) @ centres.T).reshape(len(given), outputs.shape[1], -1)
    cosines, nearest = each.max(dim=2)
    scale = (outputs * cosines).sum() / (cosines * cosines).sum()
    rows = nearest + torch.arange(outputs.shape[1], device=given.device) * each.shape[2]
    norms = torch.linalg.vector_norm(given, dim=1).clamp_min(1e-12)
    weights: Tensor = centres[rows] * (scale / norms)[:, None, None]
    return weights


def _batchnorm(layer: nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """A BatchNorm in eval mode as `scale · x + offset`."""
    mean, variance = cast(Tensor, layer.running_mean), cast(Tensor, layer.running_var)
    scale = torch.rsqrt(variance + layer.eps)
    if layer.affine:
        scale = scale * layer.weight
    offset = -mean * scale
    return scale, offset + layer.bias if layer.affine else offset


def _spread(pooling: str, activations: Tensor) -> Tensor:
    """What each position adds to each pooled value, (N, K or 2K, h, w).

    An average comes from all positions alike, a maximum from where it stands, ties in equal parts.
    """
    if pooling == BOTH:
        return torch.cat([_spread(MAXIMUM, activations), _spread(AVERAGE, activations)], dim=1)
    if pooling == WRITTEN:
        return activations.chunk(2, dim=1)[0]
    if pooling == AVERAGE:
        return activations / (activations.shape[2] * activations.shape[3])
    peak = activations == activations.amax(dim=(2, 3), keepdim=True)
    return activations * peak / peak.sum(dim=(2, 3), keepdim=True)


def _shares_of_power(pool: nn.Module, activations: Tensor) -> Tensor:
    """What share of a generalised mean comes from each position, `a^p / Σ a^p`, (N, K, h, w)."""
    power = cast(Any, pool).p
    least = float(getattr(pool, "eps", 1e-6))
    powers = activations.clamp_min(least).pow(power.detach() if isinstance(power, Tensor) else power)
    return powers / powers.sum(dim=(2, 3), keepdim=True)


def _by_gradient(head: nn.Module, activations: Tensor) -> Evidence:
    """Gradient × activation, one backward pass per class; the bias is what a head says to no activation at all."""
    with torch.inference_mode(False), torch.enable_grad():
        given = activations.detach().clone().requires_grad_()
        # A head may begin with an in-place layer, which a leaf that needs its gradient does not allow.
        logits = head(given.clone())
        slopes = [torch.autograd.grad(logits[:, c].sum(), given, retain_graph=True)[0] for c in range(logits.shape[1])]
    with torch.no_grad():
        maps = torch.stack([(slope * given).sum(dim=1) for slope in slopes], dim=1)
        return _checked(maps, head(torch.zeros_like(given)), logits.detach())
