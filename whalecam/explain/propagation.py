"""Maps of a class token by propagation: what each patch hands on through all layers, the shares of attention held.

CP-LRP (Ali et al., ICML 2022; Achtibat et al., ICML 2024) as gradient × input: where the shares of attention, the
deviation of each LayerNorm and the ratio of output to input of each activation are held at what they are for an image,
the network is affine in its embedded patches. The class's logit is then a sum with one term for each patch, and a rest
of the class token's own embedding and of biases, which has no place.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from whalecam.errors import ModelError
from whalecam.explain.cam import Evidence
from whalecam.network import Network
from whalecam.network.exactness import flat_layers
from whalecam.network.heads import Written
from whalecam.network.positions import grid, grid_of
from whalecam.network.written import ClassToken
from whalecam.text import percent

TOLERANCE = 1e-4
"""Of the largest logit: how far what tokens and biases hand on may lie from it."""
TINY, EPS = 1e-10, 1e-5


def explain(network: Network, images: Tensor) -> Evidence:
    """Propagated maps of all classes, `Σ_ij E_c[i, j] + bias_c = z_c` for each image, exact for what is held here.

    Args:
        network: whose features are a `ClassToken`, in eval mode; a backward pass is made for each class.
        images: (N, 3, S, S), normalised, on the network's device.

    Returns: maps (N, C, h, w) and the others as `Evidence` has them. `bias` is what has no place, and differs from
    image to image: the rest of the logits with the held parts, whose distance from those of the network is
    `completeness_error`. `check` compares it with the biases themselves. Raises ModelError for another network.
    """
    features, layers = _parts(network)
    tokens, logits = _forward(features, layers, images)
    each = [_handed_on(logits[:, c].sum(), tokens) for c in range(logits.shape[1])]
    handed = torch.stack(each, dim=2)[:, features.prefix(tokens.shape[1]) :]
    maps, total = grid(handed, grid_of(features.whole)), logits.detach()
    with torch.no_grad():
        own = network.head(features(images))
    return Evidence(maps, total - maps.sum(dim=(2, 3)), own, (total - own).abs().amax(dim=1))


def check(network: Network, image: Tensor) -> None:
    """Raise ModelError for a network that is not affine in its patches with the held parts, or has other parts.

    With one image (1, 3, S, S), the logits must be those of the network itself, and the largest one the sum of what all
    tokens and all biases hand on: a part that bends what passes through it, and is not held, would leave a rest.
    """
    with torch.no_grad():
        wanted = network.head(network.features(image))
    # A copy, for others may use the network meanwhile, and its weights need not be asked for gradients.
    whole = nn.ModuleList(copy.deepcopy([network.features, network.head])).requires_grad_(True)
    features, layers = _parts(replace(network, features=whole[0], head=whole[1]))
    biases = [value for name, value in whole.named_parameters() if name.endswith("bias")]
    tokens, logits = _forward(features, layers, image)
    top = int(logits.abs().argmax())
    slopes = torch.autograd.grad(logits.flatten()[top], [tokens, *biases], allow_unused=True)
    parts = zip([tokens, *biases], slopes, strict=True)
    total = sum(float((value.detach() * slope).sum()) for value, slope in parts if slope is not None)
    scale = float(wanted.abs().max().clamp_min(1e-12))
    apart = max(float((logits.detach() - wanted).abs().max()), abs(total - float(wanted.flatten()[top]))) / scale
    if not apart <= TOLERANCE:
        raise ModelError(
            "Maps by propagation hold the attention, norms and activations of a vision transformer in place, and "
            f"{network.arch} has other parts: {percent(apart, 1)} of its largest logit would be left unexplained. "
            "Use --maps auto or --maps occlusion."
        )


class _Hold(TorchFunctionMode):
    """Torch's functions as ever, but no gradient passes through what is held."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        rule = RULES.get(getattr(func, "__name__", ""))
        given = kwargs or {}
        return func(*args, **given) if rule is None else rule(func, *args, **given)


def _ratio(func: Callable[..., Tensor], values: Tensor, *args: Any, **given: Any) -> Tensor:
    out = func(values.clone(), *args, **given)  # which may work in place
    return values * (out / (values + TINY)).detach()


def _normed(
    _: Callable[..., Tensor],
    values: Tensor,
    shape: Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = EPS,
) -> Tensor:
    axes = tuple(range(-len(shape), 0))
    centred = values - values.mean(dim=axes, keepdim=True)
    out = centred / (centred.square().mean(dim=axes, keepdim=True) + eps).sqrt().detach()
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


def _attended(func: Callable[..., Any], query: Tensor, key: Tensor, value: Tensor, *args: Any, **given: Any) -> Any:
    return func(query.detach(), key.detach(), value, *args, **given)


def _factor(func: Callable[..., Tensor], *args: Any, **given: Any) -> Tensor:
    return func(*args, **given).detach()


RULES: Mapping[str, Callable[..., Any]] = {
    **dict.fromkeys(("gelu", "relu", "silu", "hardswish", "mish", "elu", "leaky_relu"), _ratio),
    "layer_norm": _normed,
    "scaled_dot_product_attention": _attended,
    "softmax": _factor,
    "sigmoid": _factor,
}
"""By the name of torch's function, what holds its part. What else bends its input shows in `check`."""


def _parts(network: Network) -> tuple[ClassToken, list[nn.Module]]:
    """The features, and the layers from the class token to the logits."""
    features, layers = network.features, flat_layers(network.head)
    if not isinstance(features, ClassToken) or not isinstance(layers[0], Written):
        raise ModelError(
            f"Maps by propagation are for vision transformers that classify by a class token alone; {network.arch} is "
            "none. Use --maps auto or --maps occlusion."
        )
    return features, layers[1:]


def _forward(features: ClassToken, layers: Sequence[nn.Module], images: Tensor) -> tuple[Tensor, Tensor]:
    """The embedded tokens (N, T, K), a leaf, and the logits (N, C) that come of them with the held parts."""
    with torch.no_grad():
        embedded = features.embedded(images)
    with torch.enable_grad(), _Hold():
        tokens = embedded.clone().requires_grad_()
        values = features.after_layers(tokens)[:, 0]
        for layer in layers:
            values = layer(values)
    return tokens, values


def _handed_on(wanted: Tensor, tokens: Tensor) -> Tensor:
    """(N, T): gradient × input of each token."""
    (slope,) = torch.autograd.grad(wanted, tokens, retain_graph=True)
    return (tokens.detach() * slope).sum(dim=2)
