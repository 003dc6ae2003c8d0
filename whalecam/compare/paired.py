"""Whether two runs differ beyond chance on the same pictures: McNemar, paired bootstrap, Holm. Pure numpy."""

from collections.abc import Callable, Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, logsumexp

Values = NDArray[np.float64]
Whole = NDArray[np.int64]
Reduce = Callable[[Values], Values]
"""Means by group, (draws, groups) → one figure per draw, (draws,)."""
TIMES = 2000
LARGE = 1000
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
    if total > MANY:
        return min(1.0, 2 * _tail(total, fewer))
    return min(1.0, float(2 * sum(comb(total, k) for k in range(fewer + 1)) / 2**total))


def _tail(total: int, fewer: int) -> float:
    """P(X ≤ fewer) by logarithms: whole numbers of a hundred thousand binary digits take seconds."""
    k = np.arange(fewer + 1)
    terms = gammaln(total + 1) - gammaln(k + 1) - gammaln(total - k + 1) - total * np.log(2)
    return float(np.exp(logsumexp(terms)))


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
    rng, members = np.random.default_rng(seed), [np.flatnonzero(groups == one) for one in range(int(groups.max()) + 1)]
    drawn = np.stack([_drawn(before[at], after[at], times, rng) for at in members], axis=2)
    apart = reduce(drawn[1]) - reduce(drawn[0])
    low, high = np.quantile(apart, (0.025, 0.975))
    side = min(int((apart <= 0).sum()), int((apart >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (side + 1) / (times + 1))


def _drawn(before: Values, after: Values, times: int, rng: np.random.Generator) -> Values:
    """Means of both runs over one group's pictures drawn anew, (2, times).

    Means of a large group's draws follow a normal law with the pictures' own covariance, which is drawn from in their
    place: a bootstrap of 50,000 pictures would take seconds for each figure.
    """
    size = len(before)
    if size > LARGE:
        apart = after - before
        spread = np.cov(before, apart, bias=True) / size
        first, change = rng.multivariate_normal([before.mean(), apart.mean()], spread, times, method="eigh").T
        return np.stack([first, first + change])
    at = rng.integers(size, size=(times, size))
    return np.stack([before[at].mean(axis=1), after[at].mean(axis=1)])
