"""Activations of any layout as (N, K, h, w), and whether their rows and columns are those of the image."""

import math
from typing import cast

import torch
from torch import Tensor, nn

FIRST, LAST, TOKENS = LAYOUTS = ("channels first", "channels last", "tokens")
QUARTERS = ((0, 0), (0, 1), (1, 0), (1, 1))
"""Rows and columns, in halves of the image."""
BLOCKS = 16
"""Squares of one colour along a side of the test images: noise of single pixels averages out before the last layers."""
FAR = 3.0
"""How many times larger the change in another quarter must be than in its own to count against it."""


class Positions(nn.Module):
    """What a network with `forward_features` gives before its pooling, as (N, K, h, w).

    Args:
        layout: of LAYOUTS: (N, K, h, w); (N, h, w, K); or tokens (N, prefix + h·w, K) row by row, whose prefix of class
            and register tokens is left out.
    """

    def __init__(self, whole: nn.Module, layout: str = FIRST) -> None:
        super().__init__()
        self.whole, self.layout = whole, layout

    def forward(self, images: Tensor) -> Tensor:
        activations = cast(Tensor, self.whole.forward_features(images))  # type: ignore[operator]
        if self.layout == LAST:
            return activations.permute(0, 3, 1, 2)
        return (
            activations if self.layout == FIRST else grid(activations[:, prefix_of(self.whole) :], grid_of(self.whole))
        )


def prefix_of(whole: nn.Module) -> int:
    """How many tokens stand before those of the patches, by timm's attribute; 0 where there is none."""
    return int(getattr(whole, "num_prefix_tokens", 0) or 0)


def grid_of(whole: nn.Module) -> tuple[int, int] | None:
    """Rows and columns of patches, as the patch embedding has them; None where it says nothing."""
    size = getattr(getattr(whole, "patch_embed", None), "grid_size", None)
    return (int(size[0]), int(size[1])) if isinstance(size, tuple | list) and len(size) == 2 else None


def grid(tokens: Tensor, shape: tuple[int, int] | None) -> Tensor:
    """Tokens (N, T, K), row by row → (N, K, h, w); a square grid where `shape` is of another number of tokens.

    Raises ValueError where T is no square either.
    """
    images, count, channels = tokens.shape
    if shape is None or shape[0] * shape[1] != count:
        side = math.isqrt(count)
        if side * side != count:
            raise ValueError(f"{count} tokens are not a grid")
        shape = (side, side)
    return tokens.transpose(1, 2).reshape(images, channels, *shape)


def out_of_place(features: nn.Module, side: int) -> bool:
    """Whether activations lie elsewhere than what they come from: shown by changing one quarter of an image at a time.

    Rows taken for columns, or tokens in another order, move the change to another quarter, where it is then far larger
    than in its own. A network that hardly tells such images apart, or has fewer than 2 × 2 positions, shows nothing.
    """
    first = next(features.parameters(), torch.empty(0))
    blocks = torch.randn(2, 3, BLOCKS, BLOCKS, generator=torch.Generator().manual_seed(0)).to(first.device)
    images = nn.functional.interpolate(blocks, size=(side, side))
    middle, changed = side // 2, images[:1].repeat(5, 1, 1, 1)
    for at, (row, column) in enumerate(QUARTERS):
        rows = slice(middle, None) if row else slice(0, middle)
        columns = slice(middle, None) if column else slice(0, middle)
        changed[at, :, rows, columns] = images[1, :, rows, columns]
    with torch.no_grad():
        activations = features(changed)
    if min(activations.shape[2:]) < 2:
        return False
    moved = (activations[:4] - activations[4:]).pow(2).sum(dim=1)
    elsewhere = [_by_quarter(change).max() > FAR * _by_quarter(change)[at] for at, change in enumerate(moved)]
    return sum(map(bool, elsewhere)) >= 2


def _by_quarter(moved: Tensor) -> Tensor:
    """The mean of (h, w) over each of QUARTERS; a middle row or column belongs to none."""
    height, width = (side // 2 for side in moved.shape)
    rows, columns = (moved[:height], moved[-height:]), (slice(0, width), slice(-width, None))
    return torch.stack([rows[row][:, columns[column]].mean() for row, column in QUARTERS])
