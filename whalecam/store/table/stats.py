"""What single values of the table mean."""

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from whalecam.stats import Interval

NORMAL = 1.959963984540054
"""The 0.975 quantile of the normal distribution; scipy.stats, which has this interval too, takes 0.6 s to import."""


class Overlay(NamedTuple):
    """What can be laid over an image: `maps` float32 (classes, h, w), `mask_bits` packed; None where there is none."""

    maps: NDArray[np.float32] | None
    mask_bits: bytes | None


def unpack_maps(raw: bytes | None, height: Any, width: Any) -> NDArray[np.float32] | None:
    """Stored float16 bytes → float32 (classes, height, width)."""
    if not raw:
        return None
    return np.frombuffer(raw, "<f2").reshape(-1, int(height), int(width)).astype(np.float32)


def wilson(hits: int, of: int) -> Interval:
    """Share and its 95 % Wilson score interval (Wilson 1927); NaN where there is nothing to count."""
    if of == 0:
        return Interval(np.nan, np.nan, np.nan)
    return _wilson(hits / of, of)


def clustered_share(
    *, images: float, hits: float, images_squared: float, products: float, hits_squared: float, groups: float
) -> Interval:
    """Share of hits with a 95 % Wilson interval that counts images of one group as alike as they are.

    The number of images is divided by the design effect (Kish 1965), the variance of the share over groups by
    linearization against that of images drawn one by one; it is at least 1. Where all images are hits, or none,
    their likeness cannot be seen and the groups alone are counted. NaN where there is nothing to count.

    Args:
        images, hits: of all groups; over the groups, `images_squared` is the sum of the squared numbers of images,
            `products` that of images times hits, `hits_squared` that of the squared hits.
    """
    if not images:
        return Interval(np.nan, np.nan, np.nan)
    share = hits / images
    alone = share * (1 - share) / images
    if groups < 2 or not alone:
        return _wilson(share, groups)
    residuals = hits_squared - 2 * share * products + share**2 * images_squared
    effect = max(1.0, groups / (groups - 1) * residuals / images**2 / alone)
    return _wilson(share, images / effect)


def _wilson(share: float, of: float) -> Interval:
    """Wilson's score interval for any number of trials, which need not be whole."""
    middle, width = (
        share + NORMAL**2 / (2 * of),
        NORMAL * math.sqrt(share * (1 - share) / of + (NORMAL / (2 * of)) ** 2),
    )
    scale = 1 + NORMAL**2 / of
    low = 0.0 if share == 0 else float((middle - width) / scale)
    high = 1.0 if share == 1 else float((middle + width) / scale)
    return Interval(share, low, high)


def bootstrap(values: NDArray[np.float64], times: int = 400) -> tuple[float, float]:
    """95 % percentile interval of the mean (Efron 1979), the same in every call; NaN for fewer than two values."""
    known = values[~np.isnan(values)]
    if len(known) < 2:
        return np.nan, np.nan
    rng = np.random.default_rng(0)
    means = [float(known[rng.integers(len(known), size=len(known))].mean()) for _ in range(times)]
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)
