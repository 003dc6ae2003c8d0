"""Ways to find the subject: one file each, and the menu in order of trust.

Torch and OpenCV are imported by the functions that draw, since verbs that read a run need the menu and no mask."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import Mask, Sample
from whalecam.config import MASK_FALLBACKS
from whalecam.data.readers.registered import with_offered
from whalecam.errors import DatasetError
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

ENTRY_POINTS = "whalecam.mask_methods"
"""The group of entry points under which other packages offer methods: functions of MaskSources, as in MASK_METHODS."""

UNFOUND = {"net": "no subject that the mask network is sure of", "border": "no mask"}
"""Why an image has no mask, by the method that found none."""

__all__ = [
    "ENTRY_POINTS",
    "MASK_METHODS",
    "UNFOUND",
    "Joined",
    "MaskMethod",
    "MaskSources",
    "agreement",
    "fin_region",
    "find_mask",
    "joined",
    "mask_fallbacks",
    "mask_methods",
    "opened",
    "records_of",
    "sentences",
]


@functools.cache
def mask_methods() -> dict[str, Callable[[MaskSources], MaskMethod]]:
    """MASK_METHODS, then those that other packages offer. Raises what the import of such a package raises."""
    return with_offered(MASK_METHODS, ENTRY_POINTS)


def mask_fallbacks() -> tuple[str, ...]:
    """How a subject without a given mask or box can be located: MASK_FALLBACKS, then the methods of other packages."""
    return (*MASK_FALLBACKS, *(name for name in mask_methods() if name not in MASK_METHODS))


def find_mask(sample: Sample, sources: MaskSources, fallback: str = "net") -> Mask | None:
    """The most trusted mask there is: given, then boxes, then the `fallback` method; None where none finds one.

    Raises KeyError for a `fallback` that is not in `mask_methods`, DatasetError where it gives what is no mask.
    """
    for name in dict.fromkeys(("given", "boxes", fallback)):
        mask = _mask_by(name, sample, sources)
        if mask is not None:
            return mask
    return None


def _mask_by(name: str, sample: Sample, sources: MaskSources) -> Mask | None:
    if name in MASK_METHODS:
        return MASK_METHODS[name](sources)(sample)
    mask = mask_methods()[name](sources)(sample)
    if mask is not None and not _is_mask(mask, sample):
        raise DatasetError(
            f"The mask method '{name}' gave no mask for {sample.image}. It returns None, or a whalecam.arrays.Mask of "
            f"{sample.pixels.shape[0]} × {sample.pixels.shape[1]} float32 values in [0, 1] and a confidence in [0, 1]."
        )
    return mask


def _is_mask(mask: Mask, sample: Sample) -> bool:
    values: object = mask.values if isinstance(mask, Mask) else None
    if (
        not isinstance(values, np.ndarray)
        or values.dtype != np.float32
        or values.shape != sample.pixels.shape[:2]
        or not np.isfinite(values).all()
    ):
        return False
    return bool(values.min() >= 0 and values.max() <= 1 and 0 <= mask.confidence <= 1)


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
