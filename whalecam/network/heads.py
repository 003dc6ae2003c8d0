"""Heads: from activations to logits."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn


class ConcatPool(nn.Module):
    """Maximum and average pooling side by side, as in fastai's default head: (N, K, h, w) → (N, 2K, 1, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.ap, self.mp = nn.AdaptiveAvgPool2d(1), nn.AdaptiveMaxPool2d(1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.mp(x), self.ap(x)], dim=1)


class Written(nn.Module):
    """The class token of a vision transformer from what was written into it: (N, 2K, h, w) → (N, K).

    The first K channels are what each patch wrote; the others, alike in all positions, what has no place.
    """

    def forward(self, x: Tensor) -> Tensor:
        placed, rest = x.chunk(2, dim=1)
        return (placed + rest).sum(dim=(2, 3))


def linear_head(channels: int, classes: int, p: float = 0.25) -> nn.Sequential:
    """Average pooling and one linear layer; the shape of fastai's `create_head(lin_ftrs=[], concat_pool=False)`."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(channels),
        nn.Dropout(p),
        nn.Linear(channels, classes, bias=False),
    )


def probe_head(channels: int, classes: int) -> nn.Sequential:
    """Average pooling, standardised features and one linear layer with a bias, as a logistic regression has it."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(channels),
        nn.Identity(),
        nn.Linear(channels, classes),
    )


def fastai_head(channels: int, classes: int, hidden: int = 512) -> nn.Sequential:
    """fastai's default head: concat pooling and two layers; its names fit fastai's state dicts."""
    return nn.Sequential(
        ConcatPool(),
        nn.Flatten(),
        nn.BatchNorm1d(2 * channels),
        nn.Dropout(0.25),
        nn.Linear(2 * channels, hidden, bias=False),
        nn.ReLU(),
        nn.BatchNorm1d(hidden),
        nn.Dropout(0.5),
        nn.Linear(hidden, classes, bias=False),
    )


OWN = "own"
"""The head that a library's network was built with, which is none of HEADS."""
HEADS: Mapping[str, Callable[[int, int], nn.Sequential]] = {
    "linear": linear_head,
    "probe": probe_head,
    "fastai": fastai_head,
}
