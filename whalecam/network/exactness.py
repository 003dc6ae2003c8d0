"""What maps through a head may claim, read from its layers alone."""

from torch import nn

from whalecam.network.heads import Written
from whalecam.network.opaque import Opaque

AVERAGE, MAXIMUM, BOTH, WRITTEN = "average", "maximum", "both", "written"
GEM = "gem"
GEM_NAMES = ("GeM", "GeMPooling", "GeneralizedMeanPooling")
COSINE_NAMES = ("ArcFace", "ArcMarginProduct", "ArcMarginProduct_subcenter", "AddMarginProduct", "CosFace")
COSINE_ALIASES = ("CosineLinear", "NormLinear", "NormedLinear", "NormalizedLinear")
"""What the winners of whale-identification contests and their followers call these layers."""
CURVED = (nn.GELU, nn.SiLU, nn.Hardswish, nn.Hardtanh, nn.Tanh, nn.Sigmoid, nn.Mish, nn.ELU, nn.LeakyReLU)
"""Activations of single values that are no ReLU."""
CURVED_NAMES = ("HardSwish", "Swish", "QuickGELU", "GELUTanh", "Mish", "HardMish", "Tanh", "Sigmoid", "GELU")
"""The same, as timm has them."""
NONE = "none"
"""The head takes one vector per image, so there are no positions left to draw."""


def exactness(head: nn.Module) -> str:
    """What maps through this head may claim, read from its layers alone.

    Returns: `exact` (linear after average pooling), `exact_here` (the map holds for this image's pattern of ReLUs and
    maxima, and for the standard deviation, the norm or the mean by which a layer divides it), `approximate` (a curved
    activation taken by its slope here, or no closed form at all; see `rest_percent`) or `none` (the head takes no
    positions).
    """
    parts = closed_form(head)
    if parts is None:
        first = next((layer for layer in flat_layers(head) if not isinstance(layer, nn.Dropout | nn.Identity)), None)
        blind = first is None or isinstance(first, nn.Linear | nn.BatchNorm1d | nn.LayerNorm | Opaque)
        return NONE if blind else "approximate"
    pool, rest = parts
    if any(is_curved(layer) for layer in rest):
        return "approximate"
    bent = pooling_of(pool) != AVERAGE or any(
        isinstance(layer, nn.ReLU | nn.LayerNorm) or is_cosine(layer) for layer in rest
    )
    return "exact_here" if bent else "exact"


def flat_layers(head: nn.Module) -> list[nn.Module]:
    """The head's layers in order, nested Sequentials opened."""
    if isinstance(head, nn.Sequential):
        return [layer for child in head for layer in flat_layers(child)]
    return [head]


def closed_form(head: nn.Module) -> tuple[nn.Module, list[nn.Module]] | None:
    """A head as its pooling and the layers after it that change anything; None where no closed form is known."""
    layers = [layer for layer in flat_layers(head) if not _passing(layer)]
    if not layers or pooling_of(layers[0]) is None or not all(_foldable(layer) for layer in layers[1:]):
        return None
    return layers[0], layers[1:]


def pooling_of(layer: nn.Module) -> str | None:
    """Which way a layer pools positions away; a concat pool (maximum first) is known by its parts `mp` and `ap`.

    A generalised mean, `(mean a^p)^(1/p)` (Radenović et al., arXiv 1711.02512), is known by its name and its p.
    """
    if isinstance(layer, Written):
        return WRITTEN
    if type(layer).__name__ in GEM_NAMES and hasattr(layer, "p"):
        return GEM
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return AVERAGE if layer.output_size in (1, (1, 1)) else None
    if isinstance(layer, nn.AdaptiveMaxPool2d):
        return MAXIMUM if layer.output_size in (1, (1, 1)) else None
    parts = [getattr(layer, name, None) for name in ("mp", "ap")]
    known = all(isinstance(part, nn.Module) for part in parts)
    return BOTH if known and [pooling_of(part) for part in parts if part] == [MAXIMUM, AVERAGE] else None


def _passing(layer: nn.Module) -> bool:
    """Whether a layer leaves pooled values alone in eval mode; fastai brings a Flatten of its own."""
    if type(layer).__name__ == "Flatten":
        return not getattr(layer, "full", False) and getattr(layer, "start_dim", 1) == 1
    return isinstance(layer, nn.Identity | nn.Dropout)


def is_curved(layer: nn.Module) -> bool:
    """Whether a layer bends its values otherwise than a ReLU does: on a map, it stands for its slope."""
    return isinstance(layer, CURVED) or type(layer).__name__ in CURVED_NAMES


def is_cosine(layer: nn.Module) -> bool:
    """Whether a layer's outputs are cosines times a scale: known by its name and its one matrix, which has no bias."""
    known = type(layer).__name__ in COSINE_NAMES + COSINE_ALIASES
    return known and getattr(layer, "bias", None) is None and hasattr(layer, "weight")


def _foldable(layer: nn.Module) -> bool:
    if isinstance(layer, nn.BatchNorm1d):
        return layer.running_var is not None
    if isinstance(layer, nn.LayerNorm):  # over channels alone, as of one position
        return all(side == 1 for side in layer.normalized_shape[1:])
    return isinstance(layer, nn.Linear | nn.ReLU) or is_curved(layer) or is_cosine(layer)
