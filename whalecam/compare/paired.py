"""Whether two runs differ beyond chance on the same pictures: McNemar, paired bootstrap, Holm. Pure numpy."""

from collections.abc import Callable, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Whole = NDArray[np.int64]
Reduce = Callable[[Values], Values]
"""Means by group, (draws, groups) → one figure per draw, (draws,)."""
TIMES = 2000
AT_ONCE = 4_000_000
MANY = 1000


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided exact p that two runs are equally often right (McNemar 1947): changes of side are coins.

    Args:
        lost: pictures that only the first run has right.
        gained: pictures that only the second has right.

    Returns: `min(1, 2 · P(X ≤ min(lost, gained)))`, X binomial over `lost + gained` with 1/2; 1 where none changed.
    """
    total, fewer = lost + gained, min(lost, gained)
    # Whole numbers of Python: exact at any size, and one division at the end.
    tail = sum(comb(total, k) for k in range(fewer + 1)) if total <= MANY else _tail(total, fewer)
    return min(1.0, float(2 * tail / 2**total))


def _tail(total: int, fewer: int) -> int:
    """The sum of the first binomial coefficients, each from the one before."""
    term, found = 1, 1
    for k in range(1, fewer + 1):
        term = term * (total - k + 1) // k
        found += term
    return found


def holm(p: Sequence[float]) -> list[float]:
    """p values corrected over their family (Holm 1979), in the given order; NaN stays NaN and counts as no test."""
    known = [at for at in np.argsort(np.asarray(p, float), kind="stable").tolist() if not np.isnan(p[at])]
    corrected, largest = [float("nan")] * len(p), 0.0
    for rank, at in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p[at]))
        corrected[at] = largest
    return corrected


def bootstrap(
    before: Values, after: Values, groups: Whole, reduce: Reduce, times: int = TIMES, seed: int = 0
) -> tuple[float, float, float]:
    """95 % percentile interval of a difference `after − before`, and a two-sided p, by drawing pictures anew.

    The same pictures are drawn for both runs (Efron 1979), within each group, so that no group is ever empty.

    Args:
        before, after: one value per picture, (N,), none NaN.
        groups: (N,) group of each picture, numbered from 0 without gaps.
        reduce: makes one figure from the means of the groups.

    Returns: (low, high, p); p is `2 · min(P(Δ ≤ 0), P(Δ ≥ 0))` with one draw added to each side, at most 1.
    """
    order = np.argsort(groups, kind="stable")
    first, second, sizes = before[order], after[order], np.bincount(groups).astype(np.int64)
    starts = np.cumsum(sizes) - sizes
    base, width = np.repeat(starts, sizes), np.repeat(sizes, sizes)
    rng, found = np.random.default_rng(seed), list[Values]()
    step = max(1, AT_ONCE // len(order))
    for done in range(0, times, step):
        drawn = base + (rng.random((min(step, times - done), len(order))) * width).astype(np.int64)
        found.append(_figures(second, drawn, starts, sizes, reduce) - _figures(first, drawn, starts, sizes, reduce))
    apart = np.concatenate(found)
    low, high = np.quantile(apart, (0.025, 0.975))
    side = min(int((apart <= 0).sum()), int((apart >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (side + 1) / (times + 1))


def _figures(values: Values, drawn: Whole, starts: Whole, sizes: Whole, reduce: Reduce) -> Values:
    return reduce(np.add.reduceat(values[drawn], starts, axis=1) / sizes)
