"""What maps through a head may claim, read from its layers alone."""

from torch import nn

AVERAGE, MAXIMUM, BOTH = "average", "maximum", "both"
NONE = "none"
"""The head takes one vector per image, so there are no positions left to draw."""


def exactness(head: nn.Module) -> str:
    """What maps through this head may claim, read from its layers alone.

    Returns: `exact` (linear after average pooling), `exact_here` (the map holds for this image's pattern of ReLUs and
    maxima, and for the standard deviation by which a LayerNorm divides it), `approximate` (see `rest_percent`) or
    `none` (the head takes no positions).
    """
    parts = closed_form(head)
    if parts is None:
        first = next((layer for layer in flat_layers(head) if not isinstance(layer, nn.Dropout | nn.Identity)), None)
        blind = first is None or isinstance(first, nn.Linear | nn.BatchNorm1d | nn.LayerNorm)
        return NONE if blind else "approximate"
    pool, rest = parts
    bent = pooling_of(pool) != AVERAGE or any(isinstance(layer, nn.ReLU | nn.LayerNorm) for layer in rest)
    return "exact_here" if bent else "exact"


def flat_layers(head: nn.Module) -> list[nn.Module]:
    """The head's layers in order, nested Sequentials opened."""
    if isinstance(head, nn.Sequential):
        return [layer for child in head for layer in flat_layers(child)]
    return [head]


def closed_form(head: nn.Module) -> tuple[nn.Module, list[nn.Module]] | None:
    """A head as its pooling and the layers after it that change anything; None where no closed form is known."""
    layers = [layer for layer in flat_layers(head) if not _passing(layer)]
    if not layers or pooling_of(layers[0]) is None or not all(_piecewise_linear(layer) for layer in layers[1:]):
        return None
    return layers[0], layers[1:]


def pooling_of(layer: nn.Module) -> str | None:
    """Which way a layer pools positions away; a concat pool (maximum first) is known by its parts `mp` and `ap`."""
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


def _piecewise_linear(layer: nn.Module) -> bool:
    if isinstance(layer, nn.BatchNorm1d):
        return layer.running_var is not None
    if isinstance(layer, nn.LayerNorm):  # over channels alone, as of one position
        return all(side == 1 for side in layer.normalized_shape[1:])
    return isinstance(layer, nn.Linear | nn.ReLU)
