"""Whether matches rely on the background: what exchanged backgrounds prove, by match and by kind of match. Pure numpy.

A query keeps its subject and takes other backgrounds: of its own encounter (the placebo, which costs what the editing
costs) and of other encounters. One background is own to some queries and foreign to others, so the test of all of them
together is paired by query, unlike that of classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from whalecam.assessment.reliance import (
    DRAWS,
    ROUNDING,
    ClassTest,
    Exchanges,
    Values,
    Whole,
    beyond_chance,
    p_values,
)
from whalecam.stats import symmetric_rates

LEAST_DROP, PLACEBO_LIMIT = 0.5, 0.25
"""A match is never listed whose probability drops by less than LEAST_DROP beyond its own placebo; of one whose placebo
drops by PLACEBO_LIMIT the editing itself makes another match."""


@dataclass(frozen=True, kw_only=True)
class MatchReliance:
    """What the exchanges prove of N matches; NaN where a match lacks donors on one side.

    Attributes:
        p_value: (N,) in (0, 1], how often a placebo drops as far as the match does; see `reliance.p_values`.
        q_value: (N,) in [0, 1], the smallest false discovery rate at which it is listed; 1 among matches of a kind that
            does not rely on the background beyond chance, and of a match that drops by less than LEAST_DROP beyond
            its placebo.
        kinds: the test of each kind of match, by its code.
    """

    p_value: Values
    q_value: Values
    kinds: Mapping[int, ClassTest]


def match_reliance(exchanges: Exchanges, encounter: Whole, draws: int = DRAWS, seed: int = 0) -> MatchReliance:
    """Assess all matches of a run together: kinds first, then the matches of those that rely beyond chance.

    These are listed by what they drop beyond their own placebos, against those whose placebos drop as far beyond them
    (Barber & Candès 2015). So a match that falls whatever is done to its image neither is listed nor keeps others from
    it. Fewer than 1 / rate relying matches cannot be listed at a rate.

    Args:
        exchanges: `predicted` is the kind of each match, such as within and across encounters.
        encounter: (N,) code of each query's encounter; queries of one encounter count as one.
    """
    rng = np.random.default_rng(seed)
    beyond = exchanges.drop - exchanges.placebo
    kinds = {
        code: _paired_test(beyond[exchanges.predicted == code], encounter[exchanges.predicted == code], draws, rng)
        for code in np.unique(exchanges.predicted).tolist()
    }
    relying = np.isin(exchanges.predicted, list(beyond_chance(kinds)))
    p_value = p_values(exchanges)
    q_value = np.where(np.isnan(p_value) | np.isnan(beyond), np.nan, 1.0)
    some = relying & ~np.isnan(q_value)
    q_value[some] = symmetric_rates(beyond[some].tolist())
    q_value[beyond < LEAST_DROP] = 1.0
    return MatchReliance(p_value=p_value, q_value=q_value, kinds=kinds)


def _paired_test(beyond: Values, encounter: Whole, draws: int, rng: np.random.Generator) -> ClassTest:
    """Fisher's paired randomization (1935): the sign of each encounter's sum is drawn anew, one-sided."""
    known = ~np.isnan(beyond)
    images, units = len(beyond), np.unique(encounter[known], return_inverse=True)
    sums = np.bincount(units[1], beyond[known])
    if not len(sums):
        return ClassTest(gap=float("nan"), log_odds_gap=float("nan"), p_value=1.0, images=images, donors=0)
    gap = float(sums.sum() / known.sum())
    drawn = (rng.choice([-1.0, 1.0], (draws, len(sums))) @ sums) / known.sum()
    p_value = (1 + int((drawn >= gap - ROUNDING).sum())) / (draws + 1)
    # No log-odds are compared: `gap` is of drops beyond the placebo.
    return ClassTest(gap=gap, log_odds_gap=float("nan"), p_value=p_value, images=images, donors=len(sums))
