"""A value with its interval, and several tests at once: the corrections of Holm and of Benjamini and Hochberg."""

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


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """The smallest false discovery rate at which each test is listed (Benjamini & Hochberg 1995), in the given order.

    NaN stays NaN and counts as no test.
    """
    known = [at for at in np.argsort(np.asarray(p, float), kind="stable").tolist() if not np.isnan(p[at])]
    rates, smallest = [float("nan")] * len(p), 1.0
    for rank in range(len(known), 0, -1):
        smallest = min(smallest, p[known[rank - 1]] * len(known) / rank)
        rates[known[rank - 1]] = smallest
    return rates
