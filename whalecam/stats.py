"""A value with its interval, and several tests at once: corrected by Holm, and by a false discovery rate."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Interval(NamedTuple):
    """A value and the ends of its 95 % interval, all of one unit; NaN where nothing was measured."""

    value: float
    low: float
    high: float


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected over their family (Holm 1979), in the given order; NaN stays NaN and counts as no test."""
    known = [at for at in np.argsort(np.asarray(p, float), kind="stable").tolist() if not np.isnan(p[at])]
    corrected, largest = [float("nan")] * len(p), 0.0
    for rank, at in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p[at]))
        corrected[at] = largest
    return corrected


def symmetric_rates(statistic: Sequence[float]) -> list[float]:
    """The smallest false discovery rate at which each value is listed, where chance would make either sign as probable.

    The values at most −t stand for the false ones among those at least t: (1 + their number) / the number of these, at
    the best t up to the value itself (knockoff+, Barber & Candès 2015). In the given order, in (0, 1]; 1 for values
    that are not positive. NaN stays NaN and counts as no value.
    """
    values = np.asarray(statistic, np.float64)
    rates = np.where(np.isnan(values), np.nan, 1.0)
    ordered = np.sort(values[~np.isnan(values)])
    levels = np.unique(ordered[ordered > 0])
    if len(levels):
        above = len(ordered) - np.searchsorted(ordered, levels)
        below = np.searchsorted(ordered, -levels, side="right")
        reached = np.minimum.accumulate(np.minimum(1.0, (1 + below) / above))
        rates[values > 0] = reached[np.searchsorted(levels, values[values > 0])]
    return [float(rate) for rate in rates]
