"""Where a classifier of the library transformers may be cut: before its average, or by what wrote its class token."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn

from whalecam.network.exactness import flat_layers
from whalecam.network.heads import Written
from whalecam.network.library_heads import plain_layers
from whalecam.network.positions import FIRST, LAST, LAYOUTS, grid
from whalecam.network.transformers_model import TransformersClassifier
from whalecam.network.written import ClassToken

TRANSFORMERS = "transformers, "
"""How the ways of these networks begin."""
NORMS = ("none", "layernorm", "pooler.layernorm", "norm", "layer_norm")
"""Norms of the body behind the average, by name: ConvNeXt's, BEiT's."""


class HiddenPositions(nn.Module):
    """What the body gives, as (N, K, h, w), after the classifier's own norm of positions if it has one (PoolFormer)."""

    def __init__(self, whole: TransformersClassifier, layout: str) -> None:
        super().__init__()
        self.whole, self.layout = whole, layout

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.whole.hidden(images)
        if self.layout == LAST:
            return hidden.permute(0, 3, 1, 2)
        if self.layout == FIRST:
            norm = getattr(self.whole.model, "norm", None)
            return cast(Tensor, norm(hidden)) if norm is not None else hidden
        return grid(hidden[:, prefix_of_square(hidden.shape[1]) :], None)


class HiddenClassToken(ClassToken):
    """The class token of a vision transformer of the library, before its last norm, by what each patch wrote."""

    def embedded(self, images: Tensor) -> Tensor:
        return cast(Tensor, cast(Any, self.whole).body.embeddings(images))

    def layers(self) -> list[Any]:
        body = cast(Any, self.whole).body
        return [_block(layer) for layer in (body.layers if hasattr(body, "layers") else body.encoder.layer)]

    def prefix(self, count: int) -> int:
        return prefix_of_square(count)


class ClassTokenAndPatches(HiddenClassToken):
    """What the patches wrote into the class token, and the last tokens themselves: (N, 3K, h, w), as DINOv2 pools."""

    def with_tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        written, last = super().with_tokens(images)
        patches = _last_norm(cast(TransformersClassifier, self.whole))(last[:, prefix_of_square(last.shape[1]) :])
        return torch.cat([written, grid(patches, None)], dim=1), last


class ClassTokenAndAverage(nn.Module):
    """The norm of the class token beside the average of the patches, and one linear layer: (N, 3K, h, w) → (N, C).

    The standard deviation by which the norm divides takes no gradient, so gradient × activation adds up to the logit.
    """

    def __init__(self, norm: nn.LayerNorm, classifier: nn.Linear) -> None:
        super().__init__()
        self.norm, self.classifier = norm, classifier

    def forward(self, x: Tensor) -> Tensor:
        written, rest, patches = x.chunk(3, dim=1)
        token = (written + rest).sum(dim=(2, 3))
        centered = token - token.mean(dim=1, keepdim=True)
        scale = (token.var(dim=1, correction=0, keepdim=True) + self.norm.eps).sqrt().detach()
        normed = centered / scale * self.norm.weight + self.norm.bias
        return cast(Tensor, self.classifier(torch.cat([normed, patches.mean(dim=(2, 3))], dim=1)))


def transformers_ways(whole: TransformersClassifier) -> Iterator[tuple[str, Any]]:
    """Ways to cut by name, as `ways_to_cut.ways`."""
    for norm in NORMS:
        for layout in LAYOUTS:
            yield f"{TRANSFORMERS}average, {norm}, {layout}", partial(_averaged, whole, norm, layout)
    yield TRANSFORMERS + "class token", lambda: (HiddenClassToken(whole), _class_token_head(whole))
    yield (
        TRANSFORMERS + "class token and average",
        lambda: (
            ClassTokenAndPatches(whole),
            ClassTokenAndAverage(cast(nn.LayerNorm, _last_norm(whole)), cast(nn.Linear, whole.classifier)),
        ),
    )


def prefix_of_square(count: int) -> int:
    """How many of `count` tokens stand before a square grid of patches: class, distillation and register tokens."""
    return count - math.isqrt(count) ** 2


def _averaged(whole: TransformersClassifier, norm: str, layout: str) -> tuple[nn.Module, nn.Module]:
    norms = [] if norm == "none" else [whole.body.get_submodule(norm)]
    layers = [plain for layer in [*norms, *flat_layers(whole.classifier)] for plain in plain_layers(layer)]
    return HiddenPositions(whole, layout), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), *layers)


def _class_token_head(whole: TransformersClassifier) -> nn.Sequential:
    return nn.Sequential(Written(), _last_norm(whole), whole.classifier)


def _last_norm(whole: TransformersClassifier) -> nn.Module:
    norms = (getattr(whole.body, name, None) for name in ("layernorm", "norm", "layer_norm"))
    return next(norm for norm in norms if isinstance(norm, nn.Module))


@dataclass(frozen=True)
class _Attention:
    """A self-attention of the library as timm's: queries, keys and values side by side."""

    layer: Any
    num_heads: int
    proj: Any
    q_norm: nn.Module
    k_norm: nn.Module

    def qkv(self, tokens: Tensor) -> Tensor:
        return torch.cat([getattr(self.layer, f"{name}_proj")(tokens) for name in "qkv"], dim=-1)


@dataclass(frozen=True)
class _Block:
    """A layer of the library under the names that timm gives its parts."""

    norm1: Any
    attn: _Attention
    ls1: Any
    norm2: Any
    mlp: Any
    ls2: Any


def _block(layer: Any) -> _Block:
    attention = layer.attention
    heads, proj = attention.num_attention_heads, attention.o_proj
    known = _Attention(attention, heads, proj, nn.Identity(), nn.Identity())
    norms = ("layernorm_before", "layernorm_after") if hasattr(layer, "layernorm_before") else ("norm1", "norm2")
    first, second = (getattr(layer, name) for name in norms)
    scales = [getattr(layer, f"layer_scale{number}", None) or nn.Identity() for number in (1, 2)]
    return _Block(first, known, scales[0], second, layer.mlp, scales[1])
