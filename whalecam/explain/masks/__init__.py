"""Ways to find the subject: one file each, and the menu in order of trust.

Torch and OpenCV are imported by the functions that draw, since verbs that read a run need the menu and no mask."""

from collections.abc import Callable, Mapping
from typing import Any

from numpy.typing import NDArray

from whalecam.arrays import Mask, Sample
from whalecam.config import MASK_FALLBACKS
from whalecam.explain.masks.border import border_method
from whalecam.explain.masks.boxes import boxes_method, boxes_of
from whalecam.explain.masks.given import given_method
from whalecam.explain.masks.join import records_of, sentences
from whalecam.explain.masks.joining import Joined, joined
from whalecam.explain.masks.net import net_method
from whalecam.explain.masks.sources import MaskMethod, MaskSources, opened

MASK_METHODS: Mapping[str, Callable[[MaskSources], MaskMethod]] = {
    "given": given_method,
    "boxes": boxes_method,
    "net": net_method,
    "border": border_method,
}

UNFOUND = {"net": "no subject that the mask network is sure of", "border": "no mask"}
"""Why an image has no mask, by the method that found none."""

__all__ = [
    "MASK_METHODS",
    "UNFOUND",
    "Joined",
    "MaskMethod",
    "MaskSources",
    "agreement",
    "fin_region",
    "find_mask",
    "joined",
    "opened",
    "records_of",
    "sentences",
]


def find_mask(sample: Sample, sources: MaskSources, fallback: str = "net") -> Mask | None:
    """The most trusted mask there is: given, then boxes, then the `fallback` method; None where none finds one.

    Raises KeyError for a `fallback` that is not in MASK_METHODS.
    """
    for name in dict.fromkeys(("given", "boxes", fallback)):
        mask = MASK_METHODS[name](sources)(sample)
        if mask is not None:
            return mask
    return None


def agreement(sample: Sample, mask: Mask) -> float | None:
    """IoU at 0.5 of a given mask or box with what the mask network draws; None where there is nothing to compare."""
    drawn = None if mask.source in MASK_FALLBACKS else MASK_METHODS["net"](MaskSources())(sample)
    if drawn is None:
        return None
    area, drawn_area = mask.values > 0.5, drawn.values > 0.5
    return float((area & drawn_area).sum() / max(1, (area | drawn_area).sum()))


def fin_region(sample: Sample, sources: MaskSources) -> NDArray[Any] | None:
    """Where the fin boxes lie, or the fluke boxes where no fin has one; None without either. Never the subject's mask.

    Returns: float32 (H, W) of the image, 1 inside the union of the boxes.
    """
    for kind in ("fin", "fluke"):
        region = boxes_of(sample, sources, kind)
        if region is not None:
            return region
    return None
