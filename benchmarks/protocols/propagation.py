"""Relevance of a vision transformer's tokens: AttnLRP (Achtibat et al., ICML 2024), CP-LRP (Ali et al., ICML 2022).

Both are written as gradient × input of a forward pass whose parts are held in place: the deviation of each LayerNorm,
and the ratio of output to input of each GELU. CP-LRP also holds the shares of attention. AttnLRP lets them take part:
a product of two halves its relevance between them.
"""

from typing import Any, Literal

import torch
from torch import Tensor, nn

from whalecam.network.positions import grid, grid_of, prefix_of

Rule = Literal["gradient", "CP-LRP", "AttnLRP"]
TINY = 1e-10
"""Added to the input of a GELU before it divides the output, as the authors' library lxt does."""


def relevance(whole: Any, images: Tensor, classes: Tensor, *, rule: Rule, layer: int = 0) -> Tensor:
    """Relevance of each patch's token before a layer, for a class's logit less the mean over classes.

    Args:
        whole: timm's VisionTransformer, classifying by its class token, in eval mode.
        images: (N, 3, S, S), normalised.
        classes: (N,), int64.
        layer: 0 for the embedded patches.

    Returns: (N, h, w), logits.
    """
    with torch.no_grad():
        tokens = before(whole, images, layer)
    with torch.enable_grad():
        tokens = tokens.detach().requires_grad_()
        wanted = margin(logits_of(whole, tokens, rule=rule, layer=layer), classes)
        (slope,) = torch.autograd.grad(wanted.sum(), tokens)
    return laid_out(whole, (tokens.detach() * slope).sum(dim=2))


def before(whole: Any, images: Tensor, layer: int) -> Tensor:
    """All tokens (N, T, K) before a layer."""
    tokens: Tensor = whole.norm_pre(whole.patch_drop(whole._pos_embed(whole.patch_embed(images))))
    for block in whole.blocks[:layer]:
        tokens = block(tokens)
    return tokens


def logits_of(whole: Any, tokens: Tensor, *, rule: Rule, layer: int = 0) -> Tensor:
    """The logits (N, C) that the network computes, with parts held in place for gradients."""
    for block in whole.blocks[layer:]:
        tokens = tokens + block.ls1(attended(block.attn, _normed(block.norm1, tokens, rule), rule))
        hidden = _activated(block.mlp.act, block.mlp.fc1(_normed(block.norm2, tokens, rule)), rule)
        tokens = tokens + block.ls2(block.mlp.fc2(hidden))
    logits: Tensor = whole.head(whole.fc_norm(_normed(whole.norm, tokens, rule)[:, 0]))
    return logits


def margin(logits: Tensor, classes: Tensor) -> Tensor:
    """(N,): what softmax sees of one class's logit, which is its distance from the mean over classes."""
    return logits.gather(1, classes[:, None])[:, 0] - logits.mean(dim=1)


def laid_out(whole: nn.Module, values: Tensor) -> Tensor:
    """A value per token (N, T) → per patch (N, h, w)."""
    return grid(values[:, prefix_of(whole) :, None], grid_of(whole))[:, 0]


def _normed(norm: nn.Module, tokens: Tensor, rule: Rule) -> Tensor:
    if rule == "gradient" or not isinstance(norm, nn.LayerNorm):
        given: Tensor = norm(tokens)
        return given
    centred = tokens - tokens.mean(dim=-1, keepdim=True)
    deviation = (centred.square().mean(dim=-1, keepdim=True) + norm.eps).sqrt()
    return centred / deviation.detach() * norm.weight + norm.bias


def _activated(activation: nn.Module, values: Tensor, rule: Rule) -> Tensor:
    out: Tensor = activation(values)
    return out if rule == "gradient" else values * (out / (values + TINY)).detach()


def attended(attention: Any, tokens: Tensor, rule: Rule) -> Tensor:
    """What self-attention makes of tokens (N, T, K), with parts held in place for gradients."""
    images, count, _ = tokens.shape
    mixed = attention.qkv(tokens).reshape(images, count, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    query, key, value = attention.q_norm(mixed[0]), attention.k_norm(mixed[1]), mixed[2]
    if rule == "CP-LRP":
        query, key = query.detach(), key.detach()
    if rule == "AttnLRP":  # shares × values, and before it queries × keys
        query, key, value = _divided(query, 4), _divided(key, 4), _divided(value, 2)
    shares = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(dim=-1)
    joined: Tensor = attention.proj((shares @ value).transpose(1, 2).flatten(2))
    return joined


def _divided(values: Tensor, by: float) -> Tensor:
    """The same values, with a gradient divided by a number."""
    return values / by + (values - values / by).detach()
