"""Heads: from activations to logits."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from whalecam.config import MAX_CENTRES


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


class GeM(nn.Module):
    """Generalised mean over the positions, `(mean a^p)^(1/p)` (Radenović et al., arXiv 1711.02512); p is not learnt.

    (N, K, h, w) → (N, K, 1, 1). 1 is the average; the larger p, the nearer to the maximum. What is below `eps` counts
    as `eps`.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p, self.eps = p, eps

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=self.eps).pow(self.p).mean(dim=(2, 3), keepdim=True).pow(1 / self.p)


class ArcFace(nn.Module):
    """Cosines of vectors (N, D) with each class's nearest centre, times a scale: (N, C).

    As ArcFace has it at inference (Deng et al., arXiv 1801.07698), with several centres for each class (Deng et al.,
    ECCV 2020). The rows of `weight` are the centres, those of one class next to each other.
    """

    def __init__(self, length: int, classes: int, centres: int = 1, scale: float = 30.0) -> None:
        super().__init__()
        self.classes, self.centres, self.scale = classes, centres, scale
        self.weight = nn.Parameter(torch.empty(classes * centres, length))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * self.cosines(x)

    def cosines(self, x: Tensor) -> Tensor:
        """(N, C) in [-1, 1]."""
        every = nn.functional.normalize(x) @ nn.functional.normalize(self.weight).T
        return every.view(len(x), self.classes, self.centres).amax(dim=2)


def linear_head(channels: int, classes: int, p: float = 0.25) -> nn.Sequential:
    """Average pooling and one linear layer; the shape of fastai's `create_head(lin_ftrs=[], concat_pool=False)`."""
    return nn.Sequential(
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.BatchNorm1d(channels),
        nn.Dropout(p),
        nn.Linear(channels, classes, bias=False),
    )


def arcface_head(channels: int, classes: int, centres: int = 1) -> nn.Sequential:
    """Generalised-mean pooling, a vector of EMBEDDED numbers, and its cosines with the centres of the classes."""
    return nn.Sequential(
        GeM(),
        nn.Flatten(),
        nn.BatchNorm1d(channels),
        nn.Dropout(0.25),
        nn.Linear(channels, EMBEDDED, bias=False),
        ArcFace(EMBEDDED, classes, centres),
    )


def arcface_kind(centres: int) -> str:
    """The name of an `arcface_head` among HEADS."""
    return f"arcface-{centres}"


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


EMBEDDED = 128
"""Length of the vectors of an `arcface_head`."""
OWN = "own"
"""The head that a library's network was built with, which is none of HEADS."""
HEADS: Mapping[str, Callable[[int, int], nn.Sequential]] = {
    "linear": linear_head,
    "probe": probe_head,
    "fastai": fastai_head,
    **{arcface_kind(count): partial(arcface_head, centres=count) for count in range(1, MAX_CENTRES + 1)},
}
