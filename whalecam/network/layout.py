"""What a body's activations must look like, (N, C, h, w), proven by running it: no list of names decides."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from whalecam.errors import ModelError
from whalecam.text import percent

FIRST, SECOND = (128, 128), (160, 192)
"""Heights and widths of the two inputs, px: the second is larger, and wider than it is high."""
TOLERANCE = 1e-4
ADVICE = "Use a convolutional network that keeps (images, channels, height, width), such as resnet18 or convnext_tiny."


def proven_channels(features: nn.Module, arch: str, native: int = 224) -> int:
    """The number of channels C of a body, in eval mode, that gives (N, C, h, w) for inputs (N, 3, H, W).

    Between two inputs of different size, h and w must change with H and W while C stays. This tells channels from
    rows where a network stores (N, h, w, C), and positions from what a pooling inside the body leaves of them.

    Args:
        native: the side in px that the network was made for; asked where it takes no other, so that the message can
            name the shape.

    Raises ModelError with the shapes that were seen.
    """
    first, fault = _shape(features, *FIRST)
    second, later_fault = _shape(features, *SECOND) if first else ((), "")
    if not first or not second:
        refused, why = (FIRST, fault) if not first else (SECOND, later_fault)
        at_home, _ = _shape(features, native, native)
        known = f" At {native} × {native} px it gives {at_home}." if at_home else ""
        raise ModelError(
            f"'{arch}' takes no images of {refused[0]} × {refused[1]} px ({why}), so a second size cannot show which "
            f"of its axes are channels.{known} {ADVICE}"
        )
    if (complaint := _complaint(first, second)) is not None:
        raise ModelError(
            f"'{arch}' {complaint}: it gives {first} for an image of {FIRST[0]} × {FIRST[1]} px and {second} for "
            f"{SECOND[0]} × {SECOND[1]} px. {ADVICE}"
        )
    return first[1]


def check_size(features: nn.Module, arch: str, size: int) -> None:
    """Raise ModelError where a body gives no positions for inputs of `size` px."""
    shape, fault = _shape(features, size, size)
    if len(shape) != 4 or 0 in shape:
        raise ModelError(
            f"'{arch}' cannot be used at {size} px: {fault or f'it gives {shape}'}. Choose another size, such as 128."
        )


def check_cut(whole: nn.Module, joint: nn.Module, features: nn.Module, arch: str, *, before: bool) -> None:
    """Check that `whole(x) == head(features(x))`: all that the logits know of an image passes through `features`.

    The whole network is shown another image while `features(x)` takes the place of what reaches the cut: its logits
    must be those of x to 1e-4 of the largest. A branch that leaves before the cut, or a step left out, changes them.

    Args:
        joint: the module of `whole` at which it is cut: `features(x)` is what it takes (`before`) or what it gives.

    Raises ModelError where they differ, or where the network cannot be run.
    """
    chance = torch.Generator().manual_seed(0)
    image, other = (torch.rand(1, 3, *FIRST, generator=chance) for _ in range(2))
    try:
        with torch.no_grad():
            expected, activations = whole.eval()(image), features.eval()(image)
            handle = _put(joint, activations, before)
            try:
                given = whole(other)
            finally:
                handle.remove()
        apart = largest_difference(given, expected)
    except (RuntimeError, AssertionError, TypeError, AttributeError) as error:
        raise ModelError(f"'{arch}' cannot be cut before its head: {first_line(error)}. {ADVICE}") from error
    if not apart <= TOLERANCE:
        raise ModelError(
            f"'{arch}' cannot be cut before its head: head(features(x)) differs from the network's own logits by "
            f"{percent(apart, 1)} of the largest, so a map would miss part of them. {ADVICE}"
        )


def largest_difference(given: Tensor, expected: Tensor) -> float:
    """The largest absolute difference as a share of the largest expected value; NaN where either has one."""
    return float((given - expected).abs().max() / expected.abs().max().clamp_min(1e-12))


def _put(joint: nn.Module, activations: Tensor, before: bool) -> RemovableHandle:
    """Let `joint` take, or give, these activations whatever it is called with."""

    def change_input(_: nn.Module, __: Any) -> tuple[Tensor]:
        return (activations.clone(),)

    def change_output(_: nn.Module, __: Any, ___: Any) -> Tensor:
        return activations.clone()

    return joint.register_forward_pre_hook(change_input) if before else joint.register_forward_hook(change_output)


def _shape(features: nn.Module, height: int, width: int) -> tuple[tuple[int, ...], str]:
    """The shape of what comes out, or () and why nothing does."""
    try:
        with torch.no_grad():
            out = features.eval()(torch.zeros(1, 3, height, width))
    except Exception as error:  # A forward pass is anybody's code: whatever it raises, it takes no such image.
        return (), first_line(error)
    return (tuple(out.shape), "") if isinstance(out, Tensor) else ((), f"it gives a {type(out).__name__}, not a tensor")


def _complaint(first: tuple[int, ...], second: tuple[int, ...]) -> str | None:
    """What is wrong with the shapes for FIRST and SECOND; None where they are (1, C, h, w)."""
    if len(first) != 4 or len(second) != 4 or first[0] != 1 or second[0] != 1:
        return "keeps no positions to draw a map on"
    (_, channels, height, width), (_, channels_then, height_then, width_then) = first, second
    if channels == channels_then and height_then > height and width_then > width and width_then >= height_then:
        return None
    if first[3] == second[3] and first[1] != second[1]:
        return "keeps its channels last, (images, height, width, channels)"
    if first[2:] == second[2:]:
        return "pools its positions away, or to a fixed number of them"
    return "keeps its activations in an unknown order"


def first_line(error: Exception) -> str:
    """What an error says in its first line, without the full stop."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
