"""What each patch wrote into the one vector that a vision transformer classifies (Gandelsman et al., ICLR 2024).

A class token is a sum: its embedding, and what the attention and the MLP of each layer added. Attention adds
`Σ_j Σ_heads a_j W_O v_j`, one term for each token j that it read. The terms of the patches are placed; all else (its
embedding, MLPs, biases, its own and register tokens) is not. A pooling by attention is one such layer of its own.
"""

import copy
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from whalecam.errors import ModelError
from whalecam.network.heads import Written
from whalecam.network.positions import grid, grid_of, prefix_of


class PatchWrites(nn.Module):
    """Images (N, 3, S, S) → (N, 2K, h, w): what each patch wrote, and, alike in all positions, the rest.

    The sum over both halves and all positions is the vector that is classified.
    """

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def with_tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """What patches wrote (N, 2K, h, w), and all tokens (N, T, K) behind the last layer, before the last norm."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        return self.with_tokens(images)[0]

    def prefix(self, count: int) -> int:
        """How many of `count` tokens stand before those of the patches."""
        return prefix_of(self.whole)

    def _laid_out(self, written: Tensor, rest: Tensor) -> Tensor:
        """Written (N, T, K) and rest (N, K) → (N, 2K, h, w)."""
        alike = (rest / written.shape[1])[:, None].expand_as(written)
        return grid(torch.cat([written, alike], dim=2), grid_of(self.whole))


class ClassToken(PatchWrites):
    """The vector is the class token before the last norm, of a timm or torchvision VisionTransformer in eval mode."""

    def prefix(self, count: int) -> int:
        return prefix_of(self.whole) or 1

    def with_tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        tokens = self.embedded(images)
        before = self.prefix(tokens.shape[1])
        written = tokens.new_zeros(len(tokens), tokens.shape[1] - before, tokens.shape[2])
        for block in self.layers():
            tokens, read, projection = _through(block, tokens)
            # In place, and the rest taken once from the sum: no more arrays of all tokens are written than are needed.
            written.flatten(0, 1).addmm_(read[:, before:].flatten(0, 1), projection)
        return self._laid_out(written, tokens[:, 0] - written.sum(dim=1)), tokens

    def after_layers(self, tokens: Tensor) -> Tensor:
        """Embedded tokens (N, T, K) → all tokens behind the last layer, before the last norm."""
        for block in self.layers():
            tokens = _through(block, tokens)[0]
        return tokens

    def layers(self) -> list[Any]:
        """The layers, each with the parts of timm's or torchvision's."""
        return _blocks(self.whole)

    def embedded(self, images: Tensor) -> Tensor:
        """Images → all tokens (N, T, K) before the first layer."""
        whole = cast(Any, self.whole)
        if hasattr(whole, "conv_proj"):  # torchvision
            patches = whole._process_input(images)
            tokens = torch.cat([whole.class_token.expand(len(images), -1, -1), patches], dim=1)
            return cast(Tensor, tokens + whole.encoder.pos_embedding)
        return cast(Tensor, whole.norm_pre(whole.patch_drop(whole._pos_embed(whole.patch_embed(images)))))


class AttentionPooled(PatchWrites):
    """The vector is what timm's AttentionPoolLatent makes of all tokens, as in SigLIP, with a single latent query."""

    def with_tokens(self, images: Tensor) -> tuple[Tensor, Tensor]:
        whole = cast(Any, self.whole)
        pool, before = whole.attn_pool, prefix_of(self.whole)
        bare = cast(Any, copy.copy(self.whole))  # without its last norm, which forward_features ends with
        bare._modules = {**whole._modules, "norm": nn.Identity()}
        unnormed = bare.forward_features(images)
        tokens = whole.norm(unnormed)
        vector = whole.pool(tokens)
        read = tokens if whole.pool_include_prefix else tokens[:, before:]
        placed = read if pool.pos_embed is None else read + pool.pos_embed
        batch, count, width = placed.shape
        split = (batch, count, 2, pool.num_heads, width // pool.num_heads)
        key, value = pool.kv(placed).reshape(split).permute(2, 0, 3, 1, 4)
        query = pool.q(pool.latent.expand(batch, -1, -1)).reshape(batch, 1, pool.num_heads, -1).transpose(1, 2)
        by_each = F.linear(_read(pool.q_norm(query), pool.k_norm(key), value), pool.proj.weight)
        written = by_each[:, before:] if whole.pool_include_prefix else by_each
        return self._laid_out(written, vector - written.sum(dim=1)), unnormed


def attention_pooled_head(whole: nn.Module) -> nn.Sequential:
    """The layers from the pooled vector to the logits. Raises ModelError for a network of other parts."""
    model = cast(Any, whole)
    if getattr(model, "attn_pool", None) is None or not hasattr(model.attn_pool, "latent"):
        raise ModelError(f"{type(whole).__name__} does not pool by an attention that is known here.")
    return _behind(model.fc_norm, model.head_drop, model.head)


def class_token_head(whole: nn.Module) -> nn.Sequential:
    """The layers from the class token to the logits. Raises ModelError for a network of other parts."""
    model = cast(Any, whole)
    try:
        _blocks(whole)
        if hasattr(model, "conv_proj"):
            return _behind(model.encoder.ln, *model.heads)
        return _behind(model.norm, model.fc_norm, model.head_drop, model.head)
    except AttributeError as error:
        raise ModelError(f"{type(whole).__name__} is not a vision transformer that is known here.") from error


def _behind(*layers: nn.Module) -> nn.Sequential:
    """A head of these layers behind what the patches wrote."""
    return nn.Sequential(Written(), *(layer for layer in layers if not isinstance(layer, nn.Identity))).eval()


def _blocks(whole: nn.Module) -> list[Any]:
    model = cast(Any, whole)
    return list(model.encoder.layers if hasattr(model, "conv_proj") else model.blocks)


def _through(block: Any, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens (N, T, K) after a layer, and what the first token read from each one.

    The latter in two: values by their shares (N, T, K), and the matrix (K, K) that turns them into what is written.
    """
    if isinstance(getattr(block, "self_attention", None), nn.MultiheadAttention):  # torchvision
        attention = block.self_attention
        normed = block.ln_1(tokens)
        mixed = F.linear(normed, attention.in_proj_weight, attention.in_proj_bias)
        joined, read = _attended(mixed, attention.num_heads, nn.Identity(), nn.Identity())
        tokens = tokens + attention.out_proj(joined)
        return tokens + block.mlp(block.ln_2(tokens)), read, cast(Tensor, attention.out_proj.weight).T
    attention, scale = block.attn, block.ls1
    mixed = attention.qkv(block.norm1(tokens))
    joined, read = _attended(mixed, attention.num_heads, attention.q_norm, attention.k_norm)
    tokens = tokens + scale(attention.proj(joined))
    # The scale of what is written is that of the matrix's columns; it may work in place.
    return tokens + block.ls2(block.mlp(block.norm2(tokens))), read, scale(attention.proj.weight.T.clone())


def _attended(mixed: Tensor, heads: int, q_norm: nn.Module, k_norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Self-attention from queries, keys and values side by side (N, T, 3K), all heads in a row (N, T, K).

    Returns: what each token read, and what the first one read from each.
    """
    images, count, width = mixed.shape
    query, key, value = mixed.reshape(images, count, 3, heads, width // 3 // heads).permute(2, 0, 3, 1, 4)
    query, key = q_norm(query), k_norm(key)
    joined = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
    return joined, _read(query[:, :, :1], key, value)


def _read(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """What one query (N, heads, 1, d) read from each token, all heads in a row: (N, T, K)."""
    share = (query @ key.transpose(2, 3) * query.shape[-1] ** -0.5).softmax(dim=-1)
    parts: Tensor = share.transpose(2, 3) * value
    return parts.transpose(1, 2).flatten(2)
