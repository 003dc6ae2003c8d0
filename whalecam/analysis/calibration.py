"""How far the automatic flag can be trusted, from what people have said so far. Pure numpy.

An image is *flagged* by the audit where its score reaches a threshold, and *leaks* where a person flags it. People
look at the suspects first, so the judged images are no fair sample of the set: they are counted in strata of the
score, and each stratum stands for its own unjudged images (Cochran 1977, ch. 5). What is estimated is the count that
a review of the whole set would give, so the intervals close as the review goes on.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.arrays import FloatArray
from whalecam.stats import Interval

ENOUGH = 10
"""Judged images on each side of the threshold below which nothing is told."""
FULL_STRATUM = 10
"""Judged images that each half of a side reliance to be a stratum of its own."""
DRAWS = 4000
UNFAIR = 3.0
"""Standard errors by which the scores of the judged images may differ from those of their stratum."""
LEVELS = (0.025, 0.975)
Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """What people's verdicts say of the automatic flag at one threshold.

    Attributes:
        threshold: of the score; the flag is `score >= threshold`.
        images: how many images have a score.
        reviewed: how many of them a person flagged or kept; `unsure` does not count.
        precision: share of leaks among what the audit flags; None where too little is known, as are the next two.
        recall: share of the leaks that the audit flags.
        leak_rate: share of leaks among all images with a score.
        cautions: in words, why something is missing or not to be trusted.
    """

    threshold: float
    images: int
    reviewed: int
    precision: Interval | None
    recall: Interval | None
    leak_rate: Interval | None
    cautions: tuple[str, ...]


@dataclass(frozen=True)
class _Strata:
    """Per stratum: images, judged ones, leaks among them; whether its images reach the threshold."""

    images: Counts
    reviewed: Counts
    leaks: Counts
    above: NDArray[np.bool_]


def leaks_of(reviews: "pd.Series[str]") -> NDArray[np.float64]:
    """People's verdicts as numbers: 1 for flag, 0 for keep, NaN for unsure and for none."""
    return np.where(reviews == "flag", 1.0, np.where(reviews == "keep", 0.0, np.nan))


def calibrate(scores: FloatArray, leaks: FloatArray, threshold: float) -> Calibration:
    """Precision, recall and leak rate at one threshold.

    Args:
        scores: (N,) of the whole set; images with NaN are left out.
        leaks: (N,) 1 where a person flagged the image, 0 where kept, NaN where not judged.
    """
    scores, leaks = _scored(scores, leaks)
    above, known = scores >= threshold, ~np.isnan(leaks)
    counts = len(scores), int(known.sum())
    cautions = _too_little(above, known)
    if cautions:
        return Calibration(threshold, *counts, None, None, None, cautions)
    strata = _strata(scores, leaks, threshold)
    precision, recall, rate = _estimates(strata)
    return Calibration(threshold, *counts, precision, recall, rate, _unfair(scores, known, above))


def suggested_threshold(scores: FloatArray, leaks: FloatArray, thresholds: Sequence[float]) -> float | None:
    """The threshold with the largest F1 (harmonic mean of precision and recall); None where too little is known.

    Of several that are equally good, the middle one.
    """
    scores, leaks = _scored(scores, leaks)
    known, best = ~np.isnan(leaks), 0.0
    chosen: list[float] = []
    for threshold in thresholds:
        if _too_little(scores >= threshold, known):
            continue
        f1 = _f1(_strata(scores, leaks, threshold))
        if f1 > best + 1e-9:
            best, chosen = f1, []
        if f1 >= best - 1e-9 and f1 > 0:
            chosen.append(float(threshold))
    return chosen[(len(chosen) - 1) // 2] if chosen else None


def _scored(scores: FloatArray, leaks: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    values = np.asarray(scores, np.float64)
    some = ~np.isnan(values)
    return values[some], np.asarray(leaks, np.float64)[some]


def _too_little(above: NDArray[np.bool_], known: NDArray[np.bool_]) -> tuple[str, ...]:
    """What must still be reviewed before anything can be told; a side that is wholly judged is enough."""
    if not known.any():
        return ("Nobody has flagged or kept an image with a score yet.",)
    missing = []
    for side, words in ((above, "from the threshold on"), (~above, "below the threshold")):
        reviewed, wanted = int((side & known).sum()), min(ENOUGH, int(side.sum()))
        if reviewed < wanted:
            missing.append(
                f"Too few verdicts {words}: {reviewed}; flag or keep {wanted - reviewed} more, taken at random."
            )
    return tuple(missing)


def _strata(scores: NDArray[np.float64], leaks: NDArray[np.float64], threshold: float) -> _Strata:
    """Each side of the threshold, halved at the median of its scores where both halves hold enough verdicts."""
    parts: list[tuple[bool, NDArray[np.float64]]] = []
    for reached in (True, False):
        side = (scores >= threshold) == reached
        if side.any():
            upper = scores >= np.median(scores[side])
            halves = [leaks[side & upper], leaks[side & ~upper]]
            split = min(int((~np.isnan(half)).sum()) for half in halves) >= FULL_STRATUM
            parts += [(reached, half) for half in (halves if split else [leaks[side]])]
    return _Strata(
        np.array([len(part) for _, part in parts], float),
        np.array([(~np.isnan(part)).sum() for _, part in parts], float),
        np.array([np.nansum(part) for _, part in parts], float),
        np.array([reached for reached, _ in parts]),
    )


def _expected(strata: _Strata) -> Counts:
    """Leaks of each stratum, if its unjudged images leak as often as its judged ones."""
    return strata.images * strata.leaks / strata.reviewed


def _f1(strata: _Strata) -> float:
    hits, flagged = float(_expected(strata)[strata.above].sum()), float(strata.images[strata.above].sum())
    both = flagged + float(_expected(strata).sum())
    return 2 * hits / both if both else 0.0


def _estimates(strata: _Strata) -> tuple[Interval | None, Interval | None, Interval]:
    """Precision, recall and rate: the shares, with bounds from few and from many leaks among the unjudged images."""
    above, images = strata.above, strata.images
    few, many, expected = _drawn(strata, 0), _drawn(strata, 1), _expected(strata)
    rate = _estimate(expected.sum() / images.sum(), few.sum(axis=1) / images.sum(), many.sum(axis=1) / images.sum())
    precision = recall = None
    if flagged := float(images[above].sum()):
        hits = few[:, above].sum(axis=1), many[:, above].sum(axis=1)
        precision = _estimate(expected[above].sum() / flagged, hits[0] / flagged, hits[1] / flagged)
    if leaks := float(expected.sum()):
        low, high = _shares(few, many, above, 0.0), _shares(many, few, above, 1.0)
        recall = _estimate(expected[above].sum() / leaks, low, high)
    return precision, recall, rate


def _shares(confirmed: Counts, missed: Counts, above: NDArray[np.bool_], none: float) -> Counts:
    """Per draw, the share of the leaks that lie above the threshold; `none` where there are no leaks."""
    hits = confirmed[:, above].sum(axis=1)
    every = hits + missed[:, ~above].sum(axis=1)
    return np.asarray(np.divide(hits, every, out=np.full_like(hits, none), where=every > 0))


def _drawn(strata: _Strata, more: int) -> Counts:
    """(DRAWS, strata): counts of leaks; the same in every call.

    Rates are drawn so that their quantiles are the bounds of Clopper and Pearson (1934): the lower ones for `more` = 0,
    the upper ones for 1. Jeffreys' prior, between the two, covered 92 % where few images are judged and most leak.
    """
    rng, kept = np.random.default_rng(0), strata.reviewed - strata.leaks
    a, b = strata.leaks + more, kept + 1 - more
    drawn = rng.beta(np.maximum(a, 1), np.maximum(b, 1), (DRAWS, len(a)))
    rates = np.where(a == 0, 0.0, np.where(b == 0, 1.0, drawn))
    return np.asarray(strata.leaks + rng.binomial((strata.images - strata.reviewed).astype(int), rates), np.float64)


def _estimate(value: float, few: Counts, many: Counts) -> Interval:
    low, high = float(np.quantile(few, LEVELS[0])), float(np.quantile(many, LEVELS[1]))
    return Interval(float(value), min(low, float(value)), max(high, float(value)))


def _unfair(scores: NDArray[np.float64], known: NDArray[np.bool_], above: NDArray[np.bool_]) -> tuple[str, ...]:
    """Say so where the judged images of a side have other scores than chance would give them."""
    for side, words in ((above, "from the threshold on"), (~above, "below the threshold")):
        ranks = pd.Series(scores[side]).rank().to_numpy(float)
        reviewed, images = int(known[side].sum()), len(ranks)
        if not 0 < reviewed < images:
            continue
        spread = ranks.std() * np.sqrt((images - reviewed) / (reviewed * max(1, images - 1)))
        if abs(ranks[known[side]].mean() - ranks.mean()) > UNFAIR * spread:
            return (
                f"The images reviewed {words} are no random sample, so the estimates are biased. Order the gallery at "
                "random and review some more.",
            )
    return ()
