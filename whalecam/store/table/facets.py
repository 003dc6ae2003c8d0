"""How many images each choice of a filter would leave, and how scores are spread among those that it shows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from whalecam.store.table.filters import SCORES, Filters, where_of
from whalecam.store.table.store import Store

COLUMNS = ("assessment", "review", "label", "predicted", "correct", "in_training", "group", "mask_source")
"""Columns whose values are counted."""
FREE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "assessment": {"assessments": ()},
        "review": {"review": None, "without": ()},
        "label": {"labels": ()},
        "predicted": {"predicted": ()},
        "correct": {"correct": None},
        "in_training": {"in_training": None},
        "group": {"groups": ()},
        "mask_source": {"mask_sources": ()},
    }
)
"""What of a filter must be left out to count the values of a column: that which chooses among them."""
BINS = 24
MAX_VALUES = 200
"""Values of a column that are counted, the most frequent ones."""
UNBOUNDED, SHARES = ("attention_score", "loss"), ("reliance_probability", "reliance", "confidence")
"""Scores whose histogram goes where they lie, and scores whose histogram goes from 0 to 1."""
TAIL = 0.005
"""Share of the images whose unbounded scores may lie beyond either end, where the outermost bars count them."""


@dataclass(frozen=True)
class Spread:
    """A histogram: `counts` of BINS bars from `low` to `high`, values beyond the ends in the outermost ones."""

    low: float
    high: float
    counts: tuple[int, ...]


@dataclass(frozen=True)
class Facets:
    """What a filter could be narrowed to.

    Attributes:
        counts: column of COLUMNS → value, as text, → images that pass the filter apart from its choice among these
            values, most frequent first. A missing verdict counts as "unreviewed", other missing values do not count.
        spreads: score → its histogram among the images that pass the filter apart from its span of this score; without
            the scores that no image has.
    """

    counts: dict[str, dict[str, int]]
    spreads: dict[str, Spread]


def ends(store: Store, joined: str) -> dict[str, tuple[float, float]]:
    """Score → from where to where its histogram goes; without the scores that no image has."""
    quantiles = [f"quantile_cont({name}::double, [{TAIL}, {1 - TAIL}])" for name in UNBOUNDED]
    counts = [f"count({name})" for name in SHARES]
    row = store.rows(f"select {', '.join(quantiles + counts)} from {joined}")[0]
    spans = {
        name: (0.0, 1.0) if name in SHARES else pair for name, pair in zip(UNBOUNDED + SHARES, row, strict=True) if pair
    }
    return {name: spread for name in SCORES if (spread := _wide(spans.get(name)))}


def _wide(pair: Sequence[float] | None) -> tuple[float, float] | None:
    if pair is None:
        return None
    low, high = float(pair[0]), float(pair[1])
    return low, high if high > low else low + 1


def facets(store: Store, joined: str, filters: Filters, spans: Mapping[str, tuple[float, float]]) -> Facets:
    """See `Facets`. Columns that share their question are counted in one pass.

    Args:
        joined: the rows with verdicts and reviews, as a subquery.
        spans: from `ends`.
    """
    counts: dict[str, dict[str, int]] = {}
    for freed, names in _by_question(filters, (*COLUMNS, *spans)).items():
        counts |= _counted(store, joined, freed, names, spans)
    spreads = {
        name: Spread(*span, tuple(counts[name].get(str(bar), 0) for bar in range(BINS))) for name, span in spans.items()
    }
    return Facets({name: counts[name] for name in COLUMNS}, spreads)


def _by_question(filters: Filters, names: tuple[str, ...]) -> dict[Filters, list[str]]:
    """The filter without its choice among the values of a column → the columns that are counted under it."""
    questions: dict[Filters, list[str]] = {}
    for name in names:
        others = tuple(span for span in filters.spans if span.score != name)
        freed = replace(filters, **FREE[name]) if name in FREE else replace(filters, spans=others)
        questions.setdefault(freed, []).append(name)
    return questions


def _counted(
    store: Store, joined: str, filters: Filters, names: list[str], spans: Mapping[str, tuple[float, float]]
) -> dict[str, dict[str, int]]:
    where, values = where_of(filters)
    columns = ", ".join(f"{_value(name, spans)} as value_{at}" for at, name in enumerate(names))
    every = [f"value_{at}" for at in range(len(names))]
    sets = ", ".join(f"({name})" for name in every)
    question = (
        f"select grouping_id({', '.join(every)}) as kind, coalesce({', '.join(every)}) as value, count(*) as images "
        f"from (select {columns} from {joined} where {where}) group by grouping sets ({sets}) "
        f"qualify row_number() over (partition by kind order by images desc, value) <= {MAX_VALUES} "
        "order by kind, images desc, value"
    )
    every_bit = 2 ** len(names) - 1
    kinds = {every_bit - 2 ** (len(names) - 1 - at): name for at, name in enumerate(names)}
    counts: dict[str, dict[str, int]] = {name: {} for name in names}
    for kind, value, images in store.rows(question, values):
        if value is not None:
            counts[kinds[kind]][value] = int(images)
    return counts


def _value(name: str, spans: Mapping[str, tuple[float, float]]) -> str:
    """The text that images are counted by: the value of a column, the number of a score's bar."""
    if name not in spans:
        return "coalesce(review, 'unreviewed')" if name == "review" else f"nullif(\"{name}\"::varchar, '')"
    low, high = spans[name]
    bar = f"floor(({name}::double - {low!r}) * {BINS} / {high - low!r})"
    return f"case when {name} is not null then greatest(0, least({BINS - 1}, {bar}))::int::varchar end"
