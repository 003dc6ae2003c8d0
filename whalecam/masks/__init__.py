"""Ways to find the animal: one file each, and the menu in order of trust."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from whalecam.arrays import Mask, Sample
from whalecam.masks.border import border_method
from whalecam.masks.boxes import boxes_method, boxes_of
from whalecam.masks.given import given_method
from whalecam.masks.sources import MaskMethod, MaskSources

MASK_METHODS: Mapping[str, Callable[[MaskSources], MaskMethod]] = {
    "given": given_method,
    "boxes": boxes_method,
    "border": border_method,
}

__all__ = ["MASK_METHODS", "MaskMethod", "MaskSources", "fin_region", "find_mask"]


def find_mask(sample: Sample, sources: MaskSources, fallback: str = "border") -> Mask | None:
    """The most trusted mask there is: given, then boxes, then the `fallback` method; None where none finds one.

    Raises KeyError for a `fallback` that is not in MASK_METHODS.
    """
    for name in dict.fromkeys(("given", "boxes", fallback)):
        mask = MASK_METHODS[name](sources)(sample)
        if mask is not None:
            return mask
    return None


def fin_region(sample: Sample, sources: MaskSources) -> NDArray[Any] | None:
    """Where the fin boxes lie, or the fluke boxes where no fin has one; None without either. Never the animal's mask.

    Returns: float32 (H, W) of the picture, 1 inside the union of the boxes.
    """
    for kind in ("fin", "fluke"):
        region = boxes_of(sample, sources, kind)
        if region is not None:
            return region
    return None
