"""A network in memory, cut in two before its pooling: `logits = head(features(x))`, proven on two inputs."""

import copy
import itertools
from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.layout import TOLERANCE, first_line, largest_difference

POOLINGS = ("AdaptiveAvgPool2d", "AdaptiveMaxPool2d", "AdaptiveConcatPool2d", "SelectAdaptivePool2d")
HOW = (
    "Pass it as torch.nn.Sequential(features, head), where features returns activations (images, channels, height, "
    "width) and head turns them into logits."
)


def cut(module: nn.Module, size: int) -> tuple[nn.Module, nn.Module]:
    """A copy of a classifier as features, (N, 3, S, S) → (N, K, h, w), and head, (N, K, h, w) → (N, C); in eval mode.

    Understood are `nn.Sequential(features, head)`, as fastai's learners have it, and modules whose children run one
    after the other around a pooling: torchvision's ResNets, MobileNets, EfficientNets, ConvNeXts and DenseNets,
    and timm's convolutional networks.

    Args:
        size: side of the images that it is used with, px.

    Raises ModelError where no cut gives the module's own logits to 1e-4 of the largest.
    """
    whole = copy.deepcopy(module).eval()
    images = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    device = next((weight.device for weight in whole.parameters()), torch.device("cpu"))
    images = images.to(device)
    try:
        with torch.no_grad():
            expected = whole(images)
    except Exception as error:  # A forward pass is anybody's code.
        raise ModelError(
            f"{type(module).__name__} takes no images of {size} × {size} px: {first_line(error)}."
        ) from error
    for features, head in _candidates(whole):
        if _is_exact(features.eval(), head.eval(), images, expected):
            return features, head
    raise ModelError(f"{type(module).__name__} cannot be cut before its pooling. {HOW}")


def _candidates(whole: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Ways to cut, the surest first."""
    children = list(whole.children())
    if isinstance(whole, nn.Sequential) and len(children) == 2:
        yield children[0], children[1]
    for at, child in enumerate(children):
        if type(child).__name__ in POOLINGS:
            pooled = nn.AdaptiveAvgPool2d(1) if type(child).__name__ == "SelectAdaptivePool2d" else child
            befores: list[nn.Module] = [nn.Sequential(*children[:at])]
            befores += [_Features(whole)] if hasattr(whole, "forward_features") else []
            for features, flat in itertools.product(befores, ([nn.Flatten(1)], [])):
                yield features, nn.Sequential(pooled, *flat, *children[at + 1 :])
    if all(hasattr(getattr(whole, "head", None), part) for part in ("norm", "drop", "fc")):  # timm's ConvNeXts
        head = cast(Any, whole.head)
        yield _Features(whole), nn.Sequential(nn.AdaptiveAvgPool2d(1), head.norm, nn.Flatten(1), head.drop, head.fc)
    if len(children) == 2:  # DenseNet: a rectifier and an average that are no children
        rectified = nn.Sequential(children[0], nn.ReLU())
        yield rectified, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), children[1])


class _Features(nn.Module):
    """The part of a timm network before its pooling."""

    def __init__(self, whole: nn.Module) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.whole.forward_features(images))  # type: ignore[operator]


def _is_exact(features: nn.Module, head: nn.Module, images: Tensor, expected: Tensor) -> bool:
    try:
        with torch.no_grad():
            activations = features(images)
            if activations.ndim != 4:
                return False
            logits = head(activations)
    except Exception:  # A cut at the wrong place fails in whatever way its layers do.
        return False
    if logits.shape != expected.shape:
        return False
    return largest_difference(logits, expected) <= TOLERANCE
