"""Which rows, in which order: choices of people as SQL with named values."""

from dataclasses import dataclass

from whalecam.store.table.store import Values

ORDERS = {
    "evidence": "case assessment when 'confirmed_leak' then 0 when 'hidden_reliance' then 1 when 'background_reliance' "
    "then 2 when 'suspect' then 3 when 'cosmetic' then 4 else 5 end, reliance_probability desc nulls last, "
    "reliance desc nulls last, attention_score desc nulls last, loss desc nulls last",
    "attention": "attention_score desc nulls last",
    "reliance": "reliance_probability desc nulls last, reliance desc nulls last",
    "loss": "loss desc nulls last",
    "confidence": "confidence desc nulls last",
    "least confident": "confidence asc nulls last",
    "name": "image",
    "label": "label, attention_score desc nulls last",
    "random": "hash(image)",
    "uncertainty": "doubt asc nulls last",
}
"""`doubt`: how far the scores are from where the assessment flips, see `assessment.sql.doubt_sql`."""
SCORES = ("attention_score", "reliance_probability", "reliance", "loss", "confidence")
"""Columns of numbers that a filter can bound."""
REVIEW_STATES = ("reviewed", "unreviewed", "flag", "keep", "unsure")


@dataclass(frozen=True)
class Span:
    """Numbers of one of SCORES from `low` on and below `high`; None leaves an end open. Missing numbers lie outside."""

    score: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Filters:
    """Which rows: empty tuples and None let everything through."""

    labels: tuple[str, ...] = ()
    predicted: tuple[str, ...] = ()
    assessments: tuple[str, ...] = ()
    review: str | None = None
    correct: bool | None = None
    in_training: bool | None = None
    text: str = ""
    images: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    mask_sources: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    spans: tuple[Span, ...] = ()


def where_of(filters: Filters) -> tuple[str, Values]:
    """SQL with named values only: no text of the data set becomes part of a question.

    Raises ValueError for a span of what is none of SCORES.
    """
    parts: list[str] = ["true"]
    values: dict[str, str | bool | float | list[str]] = {}
    for column, wanted in (
        ("label", filters.labels or None),
        ("predicted", filters.predicted or None),
        ("assessment", filters.assessments or None),
        ("image", filters.images),
        ("mask_source", filters.mask_sources or None),
        ("group", filters.groups or None),
    ):
        if wanted is not None:
            parts.append(f'"{column}" in (select unnest(${column}::varchar[]))')
            values[column] = list(wanted)
    for column, flag in (("correct", filters.correct), ("in_training", filters.in_training)):
        if flag is not None:
            parts.append(f"{column} = ${column}")
            values[column] = flag
    for span in filters.spans:
        where, bounds = _within(span)
        parts.append(where)
        values |= bounds
    if filters.without:
        parts.append("image not in (select unnest($without::varchar[]))")
        values["without"] = list(filters.without)
    if filters.text:
        parts.append('(contains(lower(image), lower($text)) or contains(lower("group"), lower($text)))')
        values["text"] = filters.text
    if filters.review in ("flag", "keep", "unsure"):
        parts.append("review = $review")
        values["review"] = filters.review
    elif filters.review:
        parts.append(f"review is {'not' if filters.review == 'reviewed' else ''} null")
    return " and ".join(parts), values


def _within(span: Span) -> tuple[str, dict[str, float]]:
    if span.score not in SCORES:
        raise ValueError(f"no score to bound: {span.score}")
    parts, values = [f"{span.score} is not null"], {}
    for name, bound, sign in (("low", span.low, ">="), ("high", span.high, "<")):
        if bound is not None:
            parts.append(f"{span.score} {sign} ${span.score}_{name}::double")
            values[f"{span.score}_{name}"] = bound
    return " and ".join(parts), values
