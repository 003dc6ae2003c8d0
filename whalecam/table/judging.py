"""Verdicts and people's rejections as SQL, so that a threshold moves without a row being rewritten."""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from whalecam.config import WRONG_MASK, Thresholds

Judge = Callable[..., Any]
"""`leak.verdicts`: (excess, needs, reason, thresholds) → names."""
REJECTED = f"coalesce(reviews.reason = '{WRONG_MASK}', false)"
REVIEWED = {"verdict": "review", "reason": "review_reason"} | {
    name: name for name in ("note", "suggested_label", "reviewer", "reviewed_at")
}


def verdict_sql(judge: Judge, thresholds: Thresholds) -> str:
    """The rule as an expression over `excess`, `needs` and `reason` of a table `rows`.

    The rule itself stays in `judge`: it is asked about every case there is (each score absent, below, at its
    threshold; a reason or none), and SQL only tells which case a row is.
    """
    scores = [(np.nan, at - 1, at) for at in (thresholds.excess, thresholds.needs)]
    cases = list(product(("", "some reason"), *scores))
    names = judge(
        np.array([excess for _, excess, _ in cases]),
        np.array([needs for _, _, needs in cases]),
        np.array([reason for reason, _, _ in cases], object),
        thresholds,
    )
    which = f"(coalesce(rows.reason, '') <> '')::int * 9 + {_level('excess', thresholds.excess)} * 3 + "
    which += _level("needs", thresholds.needs)
    whens = " ".join(f"when {place} then '{name}'" for place, name in enumerate(names))
    return f"case {which} {whens} end"


def doubt_sql(thresholds: Thresholds, looks: float, falls: float) -> str:
    """How far a row's scores are from where its automatic verdict flips; null where it is not assessable.

    Either threshold flips it (evidence.md, §4), so the nearer one counts, each score measured in its own standard
    deviations over the set, `looks` of excess and `falls` of needs; where one is missing, the other alone counts. No
    comma of it is followed by a space, which stands between the terms of an order.
    """
    ways = [
        f"abs({score}::double - {float(at)!r}::double) / {spread!r}::double"
        for score, at, spread in (("excess", thresholds.excess, looks), ("needs", thresholds.needs, falls))
    ]
    return f"least({ways[0]},{ways[1]})"


def joined_sql(judge: Judge, thresholds: Thresholds) -> str:
    """The rows with their verdicts and reviews, as a subquery to select from.

    Where a person rejected the mask, what was scored under it is taken back.
    """
    verdict = verdict_sql(judge, thresholds)
    reviewed = ", ".join(f"reviews.{name} as {told}" for name, told in REVIEWED.items())
    return (
        "(select rows.* replace ("
        f"case when {REJECTED} then null else rows.excess end as excess, "
        f"case when {REJECTED} then null else rows.needs end as needs, "
        f"case when {REJECTED} then 'mask rejected by ' || reviews.reviewer else rows.reason end as reason), "
        f"case when {REJECTED} then 'not_assessable' else {verdict} end as verdict, "
        f"{reviewed} from held.rows as rows left join held.reviews as reviews using (image))"
    )


def _level(score: str, at: float) -> str:
    """0: absent, 1: below, 2: reached. In double precision, as the rule compares, for a stored score is a float."""
    return (
        f"(case when rows.{score} is null or isnan(rows.{score}) then 0 "
        f"when rows.{score}::double < {float(at)!r}::double then 1 else 2 end)"
    )
