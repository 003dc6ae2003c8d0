"""The tokens of a vision transformer's patches behind its last layer, as they are before the last norm."""

import torch
from torch import Tensor, nn

from whalecam.network.fusion.folding import Halved
from whalecam.network.fusion.portions import Portions
from whalecam.network.positions import TOKENS, Positions, grid
from whalecam.network.written import PatchWrites


def with_patches(features: nn.Module, images: Tensor) -> tuple[Tensor, Tensor | None]:
    """What features give, and the tokens of the patches behind the last layer, in one pass.

    Args:
        features: of a network that is cut in two.
        images: (N, 3, S, S).

    Returns: activations (N, K, h, w), and tokens (N, D, h, w); None for a network without tokens, and for one whose
    tokens pass a norm within its features, which leaves nothing of their length.
    """
    if isinstance(features, Halved):
        activations, patches = with_patches(
            features.inner, images.to(torch.bfloat16, memory_format=torch.channels_last)
        )
        return activations.float(), None if patches is None else patches.float()
    if isinstance(features, Portions):
        several = [with_patches(features.layers, part) for part in features.portions(images)]
        lasts = [patches for _, patches in several if patches is not None]
        return torch.cat([activations for activations, _ in several]), torch.cat(lasts) if lasts else None
    if isinstance(features, PatchWrites):
        activations, tokens = features.with_tokens(images)
        placed = grid(tokens[:, features.prefix(tokens.shape[1]) :], (activations.shape[2], activations.shape[3]))
        return activations, placed
    activations = features(images)
    return activations, activations if _is_plain(features) else None


def has_patches(features: nn.Module) -> bool:
    """Whether `with_patches` gives tokens."""
    inner = features.inner if isinstance(features, Halved) else features
    inner = inner.layers if isinstance(inner, Portions) else inner
    return isinstance(inner, PatchWrites) or _is_plain(inner)


def _is_plain(features: nn.Module) -> bool:
    """Whether features end in tokens that no norm has passed, as timm's transformers that average theirs."""
    is_tokens = isinstance(features, Positions) and features.layout == TOKENS
    return is_tokens and isinstance(getattr(features.whole, "norm", None), nn.Identity)
