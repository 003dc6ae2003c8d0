"""Heads of timm's networks as plain layers behind a global average, whose maps have closed forms."""

from collections.abc import Iterable, Sequence
from typing import Any, cast

from torch import nn

PARTS: Sequence[Sequence[str]] = (
    ("global_pool", "norm", "flatten", "pre_logits", "drop", "fc"),  # timm: ConvNeXt, RegNet, Swin, MaxViT, MetaFormer
    ("global_pool", "conv_head", "norm_head", "act2", "flatten", "classifier"),  # timm: MobileNet 3 and 4, GhostNet
    ("fc_norm", "head_drop", "head"),  # timm: vision transformers
    ("head_drop", "fc"),
    ("head_drop", "classifier"),
)
"""Names of the layers from the pooled activations to the logits, in the order in which they run."""


def averaged_heads(whole: nn.Module) -> Iterable[nn.Sequential]:
    """Heads that a network's own layers may form behind a global average; which one is true, its logits must show."""
    owners = [child for name in ("head", "classifier") if (child := getattr(whole, name, None)) is not None]
    for owner in (*owners, whole):
        for names in PARTS:
            if isinstance(getattr(owner, names[-1], None), nn.Linear | nn.Conv2d):
                yield _head(
                    [getattr(owner, name) for name in names if isinstance(getattr(owner, name, None), nn.Module)]
                )


def _head(layers: Iterable[nn.Module]) -> nn.Sequential:
    flat = [plain for layer in layers for plain in plain_layers(layer)]
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), *flat).eval()


def plain_layers(layer: nn.Module) -> list[nn.Module]:
    """A layer as one of pooled values (N, K); poolings and Flattens are left out, since the head begins with them."""
    kind = type(layer).__name__
    if isinstance(layer, nn.Identity | nn.Dropout | nn.Flatten) or "Pool" in kind:
        return []
    if isinstance(layer, nn.Sequential):
        return [plain for child in layer for plain in plain_layers(child)]
    if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1:
        return [_linear(layer)]
    if isinstance(layer, nn.LayerNorm):
        return [_filled(nn.LayerNorm(layer.weight.numel(), eps=layer.eps, bias=layer.bias is not None), layer)]
    if isinstance(layer, nn.BatchNorm2d):  # timm's bring their activation along
        act = cast(nn.Module, getattr(layer, "act", nn.Identity()))
        norm = nn.BatchNorm1d(layer.num_features, layer.eps)
        return [_filled(norm, layer), *plain_layers(act)]
    return [layer]


def _linear(layer: nn.Conv2d) -> nn.Linear:
    """A 1 × 1 convolution of one position."""
    linear = nn.Linear(layer.in_channels, layer.out_channels, bias=layer.bias is not None)
    linear.weight = nn.Parameter(layer.weight.detach().flatten(1))
    if layer.bias is not None:
        linear.bias = nn.Parameter(layer.bias.detach())
    return linear


def _filled(layer: Any, source: nn.Module) -> nn.Module:
    stored = {name: value.flatten() if value.ndim else value for name, value in source.state_dict().items()}
    filled = cast(nn.Module, layer)
    filled.load_state_dict({name: stored[name] for name in filled.state_dict()})
    return filled
