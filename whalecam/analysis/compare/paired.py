"""Whether two runs differ beyond chance on the same images: McNemar, exchange, bootstrap. Pure numpy."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import comb

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Whole = NDArray[np.int64]
Reduce = Callable[[Values], Values]
"""Means by group, (draws, groups) → one figure per draw, (draws,)."""
TIMES = 2000
LARGE = 1000
MANY = 1000
ROUNDING = 1e-12


def mcnemar(lost: int, gained: int) -> float:
    """Two-sided exact p that two runs are equally often right (McNemar 1947): changes of side are coins.

    Args:
        lost: images that only the first run has right.
        gained: images that only the second has right.

    Returns: `min(1, 2 · P(X ≤ min(lost, gained)))`, X binomial over `lost + gained` with 1/2; 1 where none changed.
    """
    total, fewer = lost + gained, min(lost, gained)
    # Whole numbers of Python: exact at any size, and one division at the end.
    if total > MANY:
        return min(1.0, 2 * _tail(total, fewer))
    return min(1.0, float(2 * sum(comb(total, k) for k in range(fewer + 1)) / 2**total))


def _tail(total: int, fewer: int) -> float:
    """P(X ≤ fewer) by logarithms: whole numbers of a hundred thousand binary digits take seconds."""
    from scipy.special import gammaln, logsumexp  # which verbs that never compare so much need not wait for

    k = np.arange(fewer + 1)
    terms = gammaln(total + 1) - gammaln(k + 1) - gammaln(total - k + 1) - total * np.log(2)
    return float(np.exp(logsumexp(terms)))


@dataclass(frozen=True)
class Pairs:
    """What two runs say of the same images.

    Attributes:
        before, after: one value per image, (N,), none NaN.
        groups: (N,) group of each image, numbered from 0 without gaps.
        individuals: (N,) a number per individual; None: each image shows another one.
    """

    before: Values
    after: Values
    groups: Whole
    individuals: Whole | None = None

    @cached_property
    def clusters(self) -> list[tuple[Values, Values, Values]]:
        """By group, the individuals' sums of both runs and their numbers of images, each (individuals,)."""
        who, sums = np.arange(len(self.before)) if self.individuals is None else self.individuals, []
        for group in range(int(self.groups.max()) + 1):
            mine = np.flatnonzero(self.groups == group)
            of = np.unique(who[mine], return_inverse=True)[1]
            first, second, images = (
                np.bincount(of, values).astype(np.float64) for values in (self.before[mine], self.after[mine], None)
            )
            sums.append((first, second, images))
        return sums


def bootstrap(pairs: Pairs, reduce: Reduce, times: int = TIMES, seed: int = 0) -> tuple[float, float]:
    """95 % percentile interval of a difference `after − before`, by drawing individuals anew.

    The same images are drawn for both runs (Efron 1979), within each group, so that no group is ever empty; all
    images of an individual together, since they are alike (the cluster bootstrap of Davison & Hinkley 1997, §3.8).

    Args:
        reduce: makes one figure from the means of the groups.
    """
    rng = np.random.default_rng(seed)
    both = np.stack([_drawn(*sums, times, rng) for sums in pairs.clusters], axis=2)
    low, high = np.quantile(reduce(both[1]) - reduce(both[0]), (0.025, 0.975))
    return float(low), float(high)


def exchange(pairs: Pairs, reduce: Reduce, *, times: int = TIMES, seed: int = 0, spread: float = 0.0) -> float:
    """Two-sided p that it does not matter which run is which: the runs change places, individual by individual.

    Fisher's (1935) paired randomisation test; of a share over single images it is McNemar's. Valid for any `reduce`,
    for groups of any size, and where the images of one individual are alike.

    Args:
        reduce: makes one figure from the means of the groups.
        spread: standard deviation of a difference that no image accounts for, such as another seed brings; it is part
            of chance.

    Returns: the share of `times` draws whose difference is at least as large, the one at hand counted among them.
    """
    rng, middle, apart, flipped = np.random.default_rng(seed), [], [], []
    for first, second, images in pairs.clusters:
        total, change = images.sum(), second - first
        middle.append((first + second).sum() / total / 2)
        apart.append(change.sum() / total)
        flipped.append(_flipped(change, times, rng) / total)
    # The mean of both runs stays; only which side of it each lies on is chance.
    centre, half = np.array(middle)[None, :], np.stack([np.array(apart), *np.stack(flipped, axis=1)]) / 2
    differences = reduce(centre + half) - reduce(centre - half)
    differences[1:] += rng.normal(0, spread, times)
    differences = np.abs(differences)
    return float((1 + (differences[1:] >= differences[0] - ROUNDING).sum()) / (times + 1))


def _drawn(before: Values, after: Values, images: Values, times: int, rng: np.random.Generator) -> Values:
    """Means of both runs over one group's individuals drawn anew, (2, times).

    Means of a large group's draws follow a normal law with the individuals' own covariance, which is drawn from in
    their place: a bootstrap of 50,000 images would take seconds for each figure.
    """
    size, total = len(before), images.sum()
    if size > LARGE:
        first, change = before.sum() / total, (after - before).sum() / total
        rest = np.stack([before - first * images, after - before - change * images]) / total
        drawn = rng.multivariate_normal([first, change], rest @ rest.T, times, method="eigh").T
        return np.stack([drawn[0], drawn[0] + drawn[1]])
    at = rng.integers(size, size=(times, size))
    weight = images[at].sum(axis=1)
    return np.stack([before[at].sum(axis=1) / weight, after[at].sum(axis=1) / weight])


def _flipped(change: Values, times: int, rng: np.random.Generator) -> Values:
    """Sums of the individuals' changes under signs drawn anew, (times,); of many, from the normal law they follow."""
    if len(change) > LARGE:
        return rng.normal(0, float(np.sqrt((change**2).sum())), times)
    return np.asarray(rng.choice((-1.0, 1.0), (times, len(change))) @ change, np.float64)
