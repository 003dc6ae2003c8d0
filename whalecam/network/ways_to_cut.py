"""Where a classifier may be cut in two before its pooling: candidates by name, which only its own logits can prove."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.library_heads import averaged_heads
from whalecam.network.positions import FIRST, LAST, LAYOUTS, Positions, prefix_of
from whalecam.network.transformers_model import TransformersClassifier
from whalecam.network.transformers_ways import transformers_ways
from whalecam.network.written import AttentionPooled, ClassToken, attention_pooled_head, class_token_head

POOLINGS = ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AdaptiveConcatPool2d", "SelectAdaptivePool2d")
Parts = tuple[nn.Module, nn.Module]
"""Features, (N, 3, S, S) → (N, K, h, w), and head, (N, K, h, w) → (N, C)."""
Ways = Iterator[tuple[str, Callable[[], Parts]]]


def ways(whole: nn.Module) -> Ways:
    """Ways to cut by name, those with a closed form first. The same architecture gives the same names."""
    if isinstance(whole, TransformersClassifier):
        yield from transformers_ways(whole)
        return
    if hasattr(whole, "forward_features"):
        for number, head in enumerate(averaged_heads(whole)):
            for layout in LAYOUTS:
                yield f"average {number}, {layout}", partial(_of_layout, whole, layout, head)
    yield from _between_children(whole, list(whole.children()))
    yield "class token", lambda: (ClassToken(whole), class_token_head(whole))
    yield "attention pooling", lambda: (AttentionPooled(whole), attention_pooled_head(whole))
    if hasattr(whole, "forward_head") and not prefix_of(whole):
        for layout in LAYOUTS:
            yield f"own head, {layout}", partial(_of_layout, whole, layout, OwnHead(whole, layout))


def _between_children(whole: nn.Module, children: list[nn.Module]) -> Ways:
    if isinstance(whole, nn.Sequential) and len(children) == 2:
        yield "pair", partial(_pair, *children)
    for at, child in enumerate(children):
        if type(child).__name__ in POOLINGS:
            yield from _around(whole, children, at)
        if isinstance(child, nn.Sequential):
            yield from _within(children, at)
    if len(children) > 2 and isinstance(children[-1], nn.Linear):  # ShuffleNet: an average that is no child
        averaged = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), children[-1])
        yield "all but last", partial(_pair, nn.Sequential(*children[:-1]), averaged)
    if len(children) == 2:  # DenseNet: a rectifier and an average that are no children
        rectified = nn.Sequential(children[0], nn.ReLU())
        averaged = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), children[1])
        yield "rectified", partial(_pair, rectified, averaged)


def _of_layout(whole: nn.Module, layout: str, head: nn.Module) -> Parts:
    return Positions(whole, layout), head


def _around(whole: nn.Module, children: list[nn.Module], at: int) -> Ways:
    """Cuts at a pooling that is a child of the network, before which its children run in order, or in its own way."""
    child = children[at]
    pooled = nn.AdaptiveAvgPool2d(1) if type(child).__name__ == "SelectAdaptivePool2d" else child
    for flat, suffix in (([nn.Flatten(1)], ", flat"), ([], "")):
        head = nn.Sequential(pooled, *flat, *children[at + 1 :])
        yield f"children {at}{suffix}", partial(_pair, nn.Sequential(*children[:at]), head)
        yield f"until {at}{suffix}", partial(_pair, Until(whole, at), head)


def _within(children: list[nn.Module], at: int) -> Ways:
    """Cuts at a pooling inside a child that is a sequence: torchvision's MaxViTs and SqueezeNets."""
    layers = list(cast(nn.Sequential, children[at]))
    for place, layer in enumerate(layers):
        if type(layer).__name__ in POOLINGS:
            before = [part for child in children[:at] for part in _opened(child)]
            head = nn.Sequential(layer, nn.Flatten(1), *layers[place + 1 :])
            yield f"within {at}, {place}", partial(_pair, nn.Sequential(*before, *layers[:place]), head)


def _opened(child: nn.Module) -> list[nn.Module]:
    return list(child) if isinstance(child, nn.ModuleList) else [child]


def _pair(features: nn.Module, head: nn.Module) -> Parts:
    return features, head


class _Reached(Exception):  # noqa: N818  it ends no run: it carries what was sought
    """What reached the pooling of a network that `Until` runs."""

    def __init__(self, activations: Tensor) -> None:
        super().__init__()
        self.activations = activations


class _Stop(nn.Module):
    def forward(self, activations: Tensor) -> Tensor:
        raise _Reached(activations)


class Until(nn.Module):
    """A network up to the child number `at`, its pooling, whatever its forward pass does before."""

    def __init__(self, whole: nn.Module, at: int) -> None:
        super().__init__()
        self.whole = copy.copy(whole)
        self.whole._modules = dict(whole._modules)
        self.whole._modules[list(whole._modules)[at]] = _Stop()

    def forward(self, images: Tensor) -> Tensor:
        try:
            self.whole(images)
        except _Reached as reached:
            return reached.activations
        raise ModelError("The network never reached its pooling.")


class OwnHead(nn.Module):
    """The head of a timm network as it is, for activations (N, K, h, w) of `Positions`."""

    def __init__(self, whole: nn.Module, layout: str) -> None:
        super().__init__()
        self.whole, self.layout = whole, layout

    def forward(self, activations: Tensor) -> Tensor:
        given = activations if self.layout == FIRST else activations.flatten(2).transpose(1, 2)
        if self.layout == LAST:
            given = activations.permute(0, 2, 3, 1)
        return cast(Tensor, self.whole.forward_head(given))  # type: ignore[operator]
