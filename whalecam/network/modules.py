"""A network in memory, cut in two before its pooling: `logits = head(features(x))`, proven on test input."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from whalecam.errors import ModelError
from whalecam.network.exactness import closed_form
from whalecam.network.layout import TOLERANCE, first_line, largest_difference
from whalecam.network.positions import out_of_place
from whalecam.network.ways_to_cut import Parts, ways
from whalecam.text import percent

HOW = (
    "Pass it as torch.nn.Sequential(features, head), where features returns activations (images, channels, height, "
    "width) and head turns them into logits."
)
TELLING = 0.5
"""Share of the largest logit that a map without a closed form may leave unexplained, on test input."""
CHECKED = 5
"""Classes of which that is checked: each costs a backward pass."""
IMAGES = 2


@dataclass(frozen=True)
class Cut:
    """A network in two: features, (N, 3, S, S) → (N, K, h, w), and head, (N, K, h, w) → (N, C), both in eval mode.

    `way` names how it was cut, so that the same architecture can be cut alike before it has its weights.
    """

    way: str
    features: nn.Module
    head: nn.Module


def cut(module: nn.Module, size: int) -> Cut:
    """A copy of a classifier, cut before its pooling.

    Understood are `nn.Sequential(features, head)`, as fastai's learners have it; modules whose children run one after
    the other around a pooling, as in torchvision's convolutional networks and Swins; timm's networks, whose activations
    may be channels last or tokens; and vision transformers of both libraries that classify by a class token.

    Args:
        size: side of the images that it is used with, px.

    Raises ModelError where no cut gives the module's own logits to 1e-4 of the largest, with positions in the order of
    the image's, and a map that explains most of them.
    """
    whole = copy.deepcopy(module).eval()
    images = torch.rand(IMAGES, 3, size, size, generator=torch.Generator().manual_seed(0))
    images = images.to(next((weight.device for weight in whole.parameters()), torch.device("cpu")))
    expected = _logits(whole, images)
    seen: list[str] = []
    for way, parts in ways(whole):
        if (candidate := _tried(way, parts)) is None:
            continue
        if (fault := _fault(candidate, images, expected)) is None:
            return candidate
        seen += [fault] if fault else []
    reason = f": {seen[0]}" if seen else ""
    raise ModelError(f"{type(module).__name__} cannot be cut before its pooling{reason}. {HOW}")


def cut_alike(module: nn.Module, way: str) -> Cut:
    """The module itself, cut in the way that `cut` found for the same architecture; nothing is tried.

    Raises ModelError where it has no such place.
    """
    for name, parts in ways(module.eval()):
        if name == way and (candidate := _tried(name, parts)) is not None:
            return candidate
    raise ModelError(f"{type(module).__name__} cannot be cut as it was: there is no way '{way}' here.")


def _logits(whole: nn.Module, images: Tensor) -> Tensor:
    try:
        with torch.no_grad():
            return cast(Tensor, whole(images))
    except Exception as error:  # A forward pass is anybody's code.
        side, name = images.shape[-1], type(whole).__name__
        native = getattr(whole, "pretrained_cfg", {}).get("input_size", (0, 0, 0))[-1] or getattr(
            whole, "image_size", 0
        )
        advice = f" It is made for {native} px." if native and native != side else ""
        raise ModelError(f"{name} takes no images of {side} × {side} px: {first_line(error)}.{advice}") from error


def _tried(way: str, parts: Callable[[], Parts]) -> Cut | None:
    try:
        features, head = parts()
    except Exception:  # A way that is none for this network fails in whatever way its parts do.
        return None
    return Cut(way, features.eval(), head.eval())


def _fault(candidate: Cut, images: Tensor, expected: Tensor) -> str | None:
    """Why a cut is none: "" where its parts are not the network's, else in words; None where it holds."""
    try:
        with torch.no_grad():
            activations = candidate.features(images)
            if activations.ndim != 4:
                return ""
            logits = candidate.head(activations)
        if logits.shape != expected.shape or not largest_difference(logits, expected) <= TOLERANCE:
            return ""
        if out_of_place(candidate.features, images.shape[-1]):
            return "its activations are in another order than the image's rows and columns"
    except Exception:  # A cut at the wrong place fails in whatever way its layers do.
        return ""
    if closed_form(candidate.head) is None and (left := _unexplained(candidate.head, activations)) > TELLING:
        return f"a map by gradient would leave {percent(left)} of the largest logit unexplained"
    return None


def _unexplained(head: nn.Module, activations: Tensor) -> float:
    """What gradient × activation and the logits of no activation leave of the first classes' logits, of the largest."""
    with torch.enable_grad():
        given = activations.detach().clone().requires_grad_()
        logits = head(given.clone())
        some = logits[:, :CHECKED]
        slopes = [torch.autograd.grad(some[:, c].sum(), given, retain_graph=True)[0] for c in range(some.shape[1])]
        placed = torch.stack([(slope * given).sum(dim=(1, 2, 3)) for slope in slopes], dim=1)
    with torch.no_grad():
        rest = placed + head(torch.zeros_like(given))[:, :CHECKED] - some
    return float((rest.abs().amax(dim=1) / logits.abs().amax(dim=1).clamp_min(1e-12)).mean())
