"""Tokens of high norm, in which a transformer keeps what it knows of the whole image (Darcet et al., ICLR 2024)."""

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import FloatArray

DEVIATIONS = 6.0
"""Standard deviations above the median, by the median absolute deviation."""
RATIO = 2.0
"""Times the median, at the least: norms that hardly vary have a deviation near 0."""
NORMAL = 1.4826
"""Standard deviation of a normal distribution in median absolute deviations."""
BACKGROUND = 0.5
"""Share of a cell that shows the background, from which on it counts as background."""


def high_norm(norms: FloatArray) -> NDArray[np.bool_]:
    """Which tokens of one image stand out by their norm: above both RATIO medians and DEVIATIONS deviations.

    Args:
        norms: (h, w), L2 norms of the patches' tokens behind the last layer, ≥ 0.
    """
    values = np.asarray(norms, np.float64)
    median = float(np.median(values))
    deviation = NORMAL * float(np.median(np.abs(values - median)))
    return values > max(RATIO * median, median + DEVIATIONS * deviation)


def high_norm_share(relative: FloatArray, norms: FloatArray, background: FloatArray | None) -> float:
    """The share of a map's positive evidence in tokens of high norm that show the background; NaN without evidence.

    Args:
        relative: (h, w), signed.
        norms: (h, w).
        background: (h, w), share of each cell that shows the background, in [0, 1]; None: not known, all cells count.
    """
    positive = np.maximum(np.asarray(relative, np.float64), 0)
    chosen = high_norm(norms) if background is None else high_norm(norms) & (background >= BACKGROUND)
    total = float(positive.sum())
    return float(positive[chosen].sum()) / total if total > 0 else float("nan")
