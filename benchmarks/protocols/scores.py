"""Accuracy of the worst group, and on average, with intervals from drawing whole animals again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.parts import Codes
from whalecam.stats import Interval

Values = NDArray[np.float64]
GROUPS = 4
DRAWS = 2000


def group_accuracies(is_right: NDArray[np.bool_], groups: Codes) -> Values:
    """(4,) the share that is right in each group; NaN for a group without images."""
    counts = np.bincount(groups, minlength=GROUPS)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.bincount(groups, is_right, minlength=GROUPS) / counts)


def worst_group(predicted: Codes, labels: Codes, groups: Codes) -> float:
    """Accuracy of the worst group that has images, in [0, 1]."""
    return float(np.nanmin(group_accuracies(predicted == labels, groups)))


def worst_class(predicted: Codes, labels: Codes) -> float:
    """Accuracy of the worst label, in [0, 1]: what can be known without groups."""
    return min(float((predicted[labels == label] == label).mean()) for label in np.unique(labels))


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What the methods predicted of the test images of one seed.

    Attributes:
        labels, groups, animals: (N,).
        shares: (4,) of each group in training.
        predicted: by method, (N,).
    """

    labels: Codes
    groups: Codes
    animals: Codes
    shares: Values
    predicted: Mapping[str, Codes]


@dataclass(frozen=True, kw_only=True)
class Score:
    """A method's accuracy, each the mean over seeds, in [0, 1]; `behind` is the worst group of `ours` less its own."""

    worst: Interval
    average: Interval
    behind: Interval


def scores(outcomes: Sequence[Outcome], ours: str, draws: int = DRAWS) -> Mapping[str, Score]:
    """Of every method, with 95 % intervals: animals are drawn with all their images of all seeds, alike for all."""
    methods = [name for name in outcomes[0].predicted if all(name in outcome.predicted for outcome in outcomes)]
    animals = np.unique(np.concatenate([outcome.animals for outcome in outcomes]))
    weights = draws_of(len(animals), draws)
    both = {name: _by_draw(outcomes, name, animals, weights) for name in methods}
    mine = both[ours][0] if ours in both else np.full(len(weights), np.nan)
    return {
        name: Score(worst=interval_of(worst), average=interval_of(average), behind=interval_of(mine - worst))
        for name, (worst, average) in both.items()
    }


def draws_of(count: int, draws: int) -> Codes:
    """How often each of `count` things counts, (1 + draws, count): once each, then as often as it is drawn again."""
    drawn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), draws)
    return np.concatenate([np.ones((1, count), np.int64), drawn])


def _by_draw(outcomes: Sequence[Outcome], method: str, animals: Codes, weights: Codes) -> tuple[Values, Values]:
    """Worst group and average, each the mean over seeds, of each draw (D,)."""
    worst, average = [], []
    for outcome in outcomes:
        place = np.searchsorted(animals, outcome.animals)
        images, right = np.zeros((GROUPS, len(animals))), np.zeros((GROUPS, len(animals)))
        np.add.at(images, (outcome.groups, place), 1)
        np.add.at(right, (outcome.groups, place), outcome.predicted[method] == outcome.labels)
        with np.errstate(invalid="ignore"):
            accuracies = (weights @ right.T) / (weights @ images.T)
        worst.append(np.nanmin(accuracies, axis=1))
        shares = np.where(np.isnan(accuracies), 0, outcome.shares)
        average.append(np.nansum(accuracies * shares, axis=1) / shares.sum(axis=1))
    return np.mean(worst, axis=0), np.mean(average, axis=0)


def interval_of(values: Values) -> Interval:
    """The first value, of the images as they are, with the quantiles of the others."""
    if np.isnan(values[0]):
        return Interval(*[float("nan")] * 3)
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return Interval(float(values[0]), float(low), float(high))


def mean_of(values: Values, draws: int) -> Interval:
    """The mean, with its 95 % interval by drawing the values again; of one value, that value."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(draws, len(values)))].mean(axis=1)
    return interval_of(np.concatenate([[values.mean()], means]))


def cell(interval: Interval, sign: str = "") -> str:
    """A share and its interval in percent, for a table; a dash where nothing was measured."""
    if np.isnan(interval.value):
        return "–"
    value, low, high = (f"{100 * number:{sign}.1f}" for number in interval)
    return f"{value} ({low} to {high})"
