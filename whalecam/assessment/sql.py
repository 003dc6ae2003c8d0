"""Assessments and people's rejections as SQL, so that a threshold moves without a row being rewritten."""

from collections.abc import Sequence
from itertools import product

import numpy as np

from whalecam.assessment.rule import assess
from whalecam.config import WRONG_MASK, Thresholds

REJECTED = f"coalesce(reviews.reason = '{WRONG_MASK}', false)"
PROVEN = ("p_value", "q_value", "reliance_probability")
REVIEWED = {"verdict": "review", "reason": "review_reason"} | {
    name: name for name in ("note", "suggested_label", "reviewer", "reviewed_at")
}


def assessment_sql(thresholds: Thresholds) -> str:
    """The rule as SQL over `reason`, `attention_score` and `reliance` of a table `rows`, `q_value` of a table `proven`.

    The rule itself stays in `assess`: it is called with every case there is (each score absent, below, at its
    threshold or above; a reason or none), and SQL only finds which case a row is.
    """
    attention_score, reliance, rate = thresholds.attention, thresholds.reliance, thresholds.false_rate
    levels = [(np.nan, at - 1, at) for at in (attention_score, reliance)] + [(np.nan, rate, rate + 1)]
    cases = list(product(("", "some reason"), *levels))
    reasons, *scores = (list(values) for values in zip(*cases, strict=True))
    names = assess(
        np.array(scores[0]), np.array(scores[1]), np.array(reasons, object), thresholds, q_value=np.array(scores[2])
    )
    which = (
        f"(coalesce(rows.reason, '') <> '')::int * 27 + {_level('rows.attention_score', '<', attention_score)} * 9 + "
    )
    which += f"{_level('rows.reliance', '<', reliance)} * 3 + {_level('proven.q_value', '<=', rate)}"
    # An element of a list, for a case of 54 branches would be evaluated branch by branch wherever the verdict is named.
    return f"[{', '.join(repr(str(name)) for name in names)}][{which} + 1]"


SPREAD = "stddev_pop(attention_score::double), stddev_pop(reliance::double), stddev_pop(q_value)"
"""Standard deviations of the scores that `doubt_sql` counts in."""


def doubt_sql(thresholds: Thresholds, spread: Sequence[float | None]) -> str:
    """How far a row's scores are from where its assessment flips; null where it is not assessable.

    Either threshold flips it, that of attention or that of reliance, so the nearer one counts, each score measured in
    its own standard deviations over the set; where one is missing, the other alone counts. Reliance is decided by
    `q_value`, and by `reliance` where there is none. No comma of the expression is followed by a space, which stands
    between the terms of an order.

    Args:
        spread: of `attention_score`, `reliance` and `q_value`; 1 stands for one that is unknown or 0.
    """
    levels = (
        ("attention_score", thresholds.attention),
        ("reliance", thresholds.reliance),
        ("q_value", thresholds.false_rate),
    )
    looks, reliance, rate = (
        f"abs({score}::double - {float(at)!r}::double) / {float(width or 1)!r}::double"
        for (score, at), width in zip(levels, spread, strict=True)
    )
    return f"least({looks},case when q_value is null then {reliance} else {rate} end)"


def joined_sql(thresholds: Thresholds) -> str:
    """The rows with their assessments and reviews, as a subquery to select from.

    Where a person rejected the mask, what was measured under it is taken back.
    """
    assessment = assessment_sql(thresholds)
    reviewed = ", ".join(f"reviews.{name} as {alias}" for name, alias in REVIEWED.items())
    proven = ", ".join(f"proven.{name}" for name in PROVEN)
    return (
        "(select rows.* replace ("
        f"case when {REJECTED} then null else rows.attention_score end as attention_score, "
        f"case when {REJECTED} then null else rows.reliance end as reliance, "
        f"case when {REJECTED} then 'mask rejected by ' || reviews.reviewer else rows.reason end as reason), "
        f"{proven}, case when {REJECTED} then 'not_assessable' else {assessment} end as assessment, {reviewed} "
        "from audited.rows as rows left join audited.proven as proven using (image) "
        "left join audited.reviews as reviews using (image))"
    )


def _level(score: str, less: str, at: float) -> str:
    """0: absent, 1: less than a threshold (or equal, as `less` has it), 2: not less.

    In double precision, as the rule compares, for a stored score is a float.
    """
    return (
        f"(case when {score} is null or isnan({score}) then 0 "
        f"when {score}::double {less} {float(at)!r}::double then 1 else 2 end)"
    )
