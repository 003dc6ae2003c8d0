"""Whether predictions rely on the background: what exchanged backgrounds prove, by image and by class. Pure numpy.

An image keeps its object and takes the background of other images: of its predicted class (the placebo, which costs
what the editing costs) and of other classes. A network that does not rely on the background predicts on both alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whalecam.stats import holm

Values = NDArray[np.float64]
Whole = NDArray[np.int64]
DRAWS = 4999
"""Permutations of a class's donors: the smallest p-value is 1 / 5,000."""
MANY_DONORS = 10
"""From this multiple of the own side on, subsets of the donors are drawn rather than permutations."""
ROUNDING = 1e-9
CLASS_LEVEL = 0.05
"""A class relies on its background beyond chance where the p-value of its test, corrected by Holm, is at most this."""

LIKELY = 0.5
"""An image of a smaller probability is never listed, though a list of surer ones would keep its rate with it."""


CERTAIN = 1e-3
"""Probabilities are kept this far from 0 and 1 before their log-odds are taken: beyond, they are rounding."""


@dataclass(frozen=True, kw_only=True)
class Weights:
    """A logistic regression: what the drops of an image, measured and expected, add to the log-odds that it relies."""

    intercept: float
    drop: float
    expected: float


WEIGHTS = Weights(intercept=-4.49, drop=5.07, expected=4.55)
"""Fitted on planted leaks of sixteen kinds; how they fare on kinds that they were not fitted on:
docs/method/evidence.md."""


@dataclass(frozen=True, kw_only=True)
class Exchanges:
    """Probabilities of the predicted class when the whole background is exchanged, of N images with K donors a side.

    Attributes:
        predicted: (N,) the predicted class as a code.
        before: (N,) in [0, 1], on the image's own background, untouched.
        own: (N, K) in [0, 1], on backgrounds of images labelled as the predicted class; NaN beyond the last donor.
        other: (N, K) in [0, 1], on backgrounds of images with other labels; NaN beyond the last donor.
        own_unit: (N, K) the donor, as a code, one code for all donors of a group; not read where `own` is NaN.
        other_unit: (N, K) the same for `other`.
    """

    predicted: Whole
    before: Values
    own: Values
    other: Values
    own_unit: Whole
    other_unit: Whole

    @property
    def drop(self) -> Values:
        """(N,) in [-1, 1]: how far the probability drops on other classes' backgrounds, on average; NaN without."""
        return np.asarray(self.before - _row_means(self.other))

    @property
    def placebo(self) -> Values:
        """(N,) in [-1, 1]: how far it drops on backgrounds of the predicted class, on average; NaN without."""
        return np.asarray(self.before - _row_means(self.own))


@dataclass(frozen=True, kw_only=True)
class ClassTest:
    """Whether the predictions of one class rely on the background.

    Attributes:
        gap: mean probability on own backgrounds less that on others, in [-1, 1]; NaN where one side has no donor.
        log_odds_gap: the same of the log-odds; NaN likewise.
        p_value: one-sided, of a gap at least as large if the donors' labels said nothing; 1 without a gap.
        images: how many images of the class were exchanged.
        donors: how many independent donors (groups) lent their backgrounds, on both sides together.
    """

    gap: float
    log_odds_gap: float
    p_value: float
    images: int
    donors: int


@dataclass(frozen=True, kw_only=True)
class Reliance:
    """What the exchanges prove of N images; NaN where an image or its class lacks donors on one side.

    Attributes:
        probability: (N,) in [0, 1], that the prediction relies on the background: that it would fall by more than 0.5
            if this very background showed what those of other classes show.
        p_value: (N,) in (0, 1], see `p_values`.
        q_value: (N,) in [0, 1], the smallest rate of false ones at which the image is listed; 1 in a class that does
            not rely on its background beyond chance, and of an image that more probably does not rely than does.
        classes: the test of each predicted class, by its code.
        relying: codes of the classes that rely on their background beyond chance.
    """

    probability: Values
    p_value: Values
    q_value: Values
    classes: Mapping[int, ClassTest]
    relying: frozenset[int]


def reliance_of(exchanges: Exchanges, weights: Weights = WEIGHTS, draws: int = DRAWS) -> Reliance:
    """Assess all images of a run together: classes first, then the images of those that rely beyond chance."""
    classes = class_tests(exchanges, draws)
    relying = beyond_chance(classes)
    probability = _probability(exchanges, classes, weights)
    in_relying = np.isin(exchanges.predicted, list(relying))
    q_value = np.where(np.isnan(probability), np.nan, 1.0)
    q_value[in_relying] = q_values(probability[in_relying])
    q_value[probability < LIKELY] = 1.0
    return Reliance(
        probability=probability, p_value=p_values(exchanges), q_value=q_value, classes=classes, relying=relying
    )


def beyond_chance(tests: Mapping[int, ClassTest], level: float = CLASS_LEVEL) -> frozenset[int]:
    """The classes whose gap is beyond chance at `level`, over all of them together (Holm 1979)."""
    corrected = holm([test.p_value for test in tests.values()])
    return frozenset(code for code, p_value in zip(tests, corrected, strict=True) if p_value <= level)


def _probability(exchanges: Exchanges, classes: Mapping[int, ClassTest], weights: Weights) -> Values:
    expected = expected_drops(exchanges, classes)
    return _logistic(weights.intercept + weights.drop * exchanges.drop + weights.expected * expected)


def expected_drops(exchanges: Exchanges, classes: Mapping[int, ClassTest]) -> Values:
    """How far each probability would drop if other backgrounds took from its log-odds what they take in its class.

    An image's own few donors tell its drop with much noise, the many of its class tell theirs with little; and one that
    the network is sure of has further to fall. Returns (N,) in [-1, 1]; NaN where the class lacks donors on one side.
    """
    gap = np.array([classes[code].log_odds_gap for code in exchanges.predicted.tolist()], np.float64)
    return np.asarray(exchanges.before - _logistic(_log_odds(exchanges.before) - gap))


def _log_odds(probability: Values) -> Values:
    inside = np.clip(probability, CERTAIN, 1 - CERTAIN)
    return np.asarray(np.log(inside / (1 - inside)))


def _logistic(log_odds: Values) -> Values:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


def class_tests(exchanges: Exchanges, draws: int = DRAWS, seed: int = 0) -> dict[int, ClassTest]:
    """Test each predicted class as a whole: the labels of the donors are permuted (Fisher 1935), group by group.

    What an image brings itself, and what the editing costs it, is taken out first: its mean over all its donors. Images
    share donors and a donor with a peculiar background moves all of them alike, so donors are what is independent, not
    images. Returns one test for each class in `predicted`.
    """
    rng = np.random.default_rng(seed)
    codes = np.unique(exchanges.predicted).tolist()
    return {code: _class_test(_of(exchanges, exchanges.predicted == code), draws, rng) for code in codes}


def _of(exchanges: Exchanges, some: NDArray[np.bool_]) -> Exchanges:
    return Exchanges(**{name: values[some] for name, values in vars(exchanges).items()})


def _class_test(exchanges: Exchanges, draws: int, rng: np.random.Generator) -> ClassTest:
    both = np.concatenate([exchanges.own, exchanges.other], axis=1)
    known = ~np.isnan(both)
    rest = _without_row_means(both)[known]
    is_own = np.broadcast_to(np.arange(both.shape[1]) < exchanges.own.shape[1], both.shape)[known]
    units = np.concatenate([exchanges.own_unit, exchanges.other_unit], axis=1)[known]
    donors, at = np.unique(units, return_inverse=True)
    sums, counts = (np.bincount(at, weights).astype(np.float64) for weights in (rest, None))
    own = np.zeros(len(donors), bool)
    own[at[is_own]] = True
    images = len(exchanges.before)
    if own.all() or not own.any():
        nothing = float("nan")
        return ClassTest(gap=nothing, log_odds_gap=nothing, p_value=1.0, images=images, donors=len(donors))
    pairs = np.stack([sums, counts])
    gap = float(_gaps(pairs[:, own].sum(axis=1, keepdims=True), pairs)[0])
    drawn = _gaps(_drawn_sides(own, pairs, draws, rng), pairs)
    p_value = (1 + int((drawn >= gap - ROUNDING).sum())) / (draws + 1)
    of_log_odds = _without_row_means(_log_odds(both))[known]
    apart = float(of_log_odds[is_own].mean() - of_log_odds[~is_own].mean())
    return ClassTest(gap=gap, log_odds_gap=apart, p_value=p_value, images=images, donors=len(donors))


def _without_row_means(values: Values) -> Values:
    return values - _row_means(values)[:, None]


def _gaps(near: Values, pairs: Values) -> Values:
    """The mean on the own side less the mean on the other, (B,).

    Args:
        near: (2, B) sum and count over the donors of the own side, for each of B assignments.
        pairs: (2, D) sum and count of each donor.
    """
    far = pairs.sum(axis=1, keepdims=True) - near
    return np.asarray(near[0] / near[1] - far[0] / far[1])


def _drawn_sides(own: NDArray[np.bool_], pairs: Values, draws: int, rng: np.random.Generator) -> Values:
    """Sum and count over the own side, (2, draws), where as many donors as `own` has are drawn for it by chance."""
    size = int(own.sum())
    if len(own) < MANY_DONORS * size:
        near = rng.permuted(np.broadcast_to(own, (draws, len(own))), axis=1)
        return np.asarray(pairs @ near.T)
    return np.asarray(pairs[:, subsets(len(own), size, draws, rng)].sum(axis=2))


def subsets(among: int, size: int, draws: int, rng: np.random.Generator) -> Whole:
    """Random subsets of `size` numbers below `among`, each equally probable, (draws, size). For a small share of them.

    Rows in which a number stands twice are drawn anew, which takes much less time than permuting all of `among`.
    """
    rows = rng.integers(among, size=(draws, size))
    while True:
        ordered = np.sort(rows, axis=1)
        again = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
        if not again.any():
            return rows
        rows[again] = rng.integers(among, size=(int(again.sum()), size))


def p_values(exchanges: Exchanges) -> Values:
    """For each image, how often a placebo drops at least as far as it does on other classes' backgrounds.

    The placebos of all images of the same predicted class are pooled, since the donors of one image are too few for a
    small p-value. With n placebos the smallest is 1 / (n + 1). Returns (N,) in (0, 1]; NaN where either is missing.
    """
    drop, placebo = exchanges.drop, exchanges.placebo
    p_value = np.full(len(drop), np.nan)
    for code in np.unique(exchanges.predicted).tolist():
        mine = exchanges.predicted == code
        null = np.sort(placebo[mine & ~np.isnan(placebo)])
        compared = mine & ~np.isnan(drop)
        if len(null):
            p_value[compared] = (1 + len(null) - np.searchsorted(null, drop[compared] - ROUNDING)) / (len(null) + 1)
    return p_value


def q_values(probability: Values) -> Values:
    """The share of false ones among all images that are at least as probable, expected from the probabilities.

    Listing the images with a q-value of at most x keeps the expected false discovery rate at x, where the probabilities
    are calibrated (the direct posterior approach, Newton et al. 2004). Returns (N,) in [0, 1], NaN where there is none.
    """
    known = np.flatnonzero(~np.isnan(probability))
    order = known[np.argsort(-probability[known], kind="stable")]
    q_value = np.full(len(probability), np.nan)
    running = np.cumsum(1 - probability[order]) / np.arange(1, len(order) + 1)
    # Equal probabilities share the largest of their q-values, so that none depends on the order of the rows.
    last = np.searchsorted(-probability[order], -probability[order], side="right") - 1
    q_value[order] = running[last]
    return q_value


def _row_means(values: Values) -> Values:
    """Means over a row's known values; NaN where none is."""
    known = ~np.isnan(values)
    count = known.sum(axis=1)
    total = np.where(known, values, 0).sum(axis=1)
    return np.asarray(np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0))
