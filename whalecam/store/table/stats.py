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
    share, z2 = hits / of, NORMAL**2
    center, scale = 2 * of * share + z2, 2 * (of + z2)
    reach = NORMAL * math.sqrt(4 * of * share * (1 - share) + z2)
    low = 0.0 if hits == 0 else (center - reach) / scale
    high = 1.0 if hits == of else (center + reach) / scale
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
