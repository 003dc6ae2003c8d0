"""Counts, rates and distributions of a whole run, each one pass over its rows."""

from typing import cast

import numpy as np
import pandas as pd

from whalecam.config import SUSPECT_ASSESSMENTS
from whalecam.stats import Interval
from whalecam.store.table.stats import bootstrap, clustered_share, wilson
from whalecam.store.table.store import Store
from whalecam.store.table.typed_rows import Totals

MATERIAL = 0.1
"""A gap of a class, in probability, from which on it is named among the `relying`."""
RELIANCE = "coalesce(reliance_probability, reliance)"
"""How much an image relies on its background; audits from before rates were controlled know `reliance` alone."""


def overview(store: Store, joined: str) -> Totals:
    """Counts and rates of the whole run; accuracy and loss on unseen images of known classes.

    Args:
        joined: the rows with verdicts and reviews, as a subquery; also below.
    """
    record = store.record(
        "select count(*) as images, count(distinct label) as labels, count(distinct nullif(\"group\", '')) "
        "as groups, count(*) filter (predicted is null) as unreadable, "
        "count(*) filter (attention_score is not null) as assessable, "
        f"count(*) filter (assessment in {SUSPECT_ASSESSMENTS}) as suspects, "
        f"count({RELIANCE}) as measured, count(q_value) as controlled, "
        "count(*) filter (assessment = 'confirmed_leak') as confirmed, "
        "count(*) filter (assessment = 'hidden_reliance') as hidden, "
        "count(*) filter (assessment = 'background_reliance') as background, avg(bg_gap) as bg_gap, "
        "avg((background_only_predicted = label)::int) filter (not in_training) as background_only_accuracy, "
        "avg(correct::int) filter (not in_training and loss is not null) as accuracy, "
        "avg(loss) filter (not in_training) as loss, count(loss) filter (not in_training) as unseen, "
        "max(completeness_error) as completeness_error, count(review) as reviewed, "
        "count(*) filter (review = 'flag') as flagged "
        f"from {joined}"
    )
    classes = store.rows(f"select predicted from audited.classes where relies and gap >= {MATERIAL} order by gap desc")
    return cast(Totals, {**record, "relying": [str(name) for (name,) in classes]})


def accuracy(store: Store) -> Interval:
    """The share of right predictions on held-out images of known classes, with its 95 % interval over groups."""
    sums = store.record(
        "select coalesce(sum(images), 0)::double as images, coalesce(sum(hits), 0)::double as hits, "
        "coalesce(sum(images * images), 0)::double as images_squared, coalesce(sum(images * hits), 0)::double as "
        "products, coalesce(sum(hits * hits), 0)::double as hits_squared, count(*)::double as groups "
        "from (select count(*) as images, sum(correct::int) as hits from audited.rows "
        "where not in_training and loss is not null "
        "group by case when \"group\" <> '' then 'group ' || \"group\" else 'image ' || image end)"
    )
    return clustered_share(**{name: float(str(value)) for name, value in sums.items()})


def unassessed(store: Store, joined: str) -> pd.DataFrame:
    """Why images are not assessed, the most frequent reason first: `reason`, `is_readable`, `images`."""
    return store.ask(
        "select coalesce(reason, '') as reason, predicted is not null as is_readable, count(*) as images "
        f"from {joined} where assessment = 'not_assessable' group by 1, 2 order by 3 desc, 1"
    )


def unread(store: Store) -> pd.DataFrame:
    """The images that could not be read, by name: `image` and `status`, the reason."""
    return store.ask(
        "select image, coalesce(reason, '') as status from audited.rows where predicted is null order by image"
    )


def quadrants(store: Store, joined: str, attention_score: float) -> pd.DataFrame:
    """The 2×2: `correct`, `on_animal` (attention_score below the threshold), `images`; assessable images only."""
    return store.ask(
        "select correct, attention_score < $attention_score as on_animal, count(*) as images "
        f"from {joined} where attention_score is not null group by 1, 2",
        {"attention_score": attention_score},
    )


def per_label(store: Store, joined: str) -> pd.DataFrame:
    """One row per label: counts, accuracy, share of leaks with its 95 % Wilson interval, medians.

    `share` is that of confirmed leaks where the background was exchanged, else that of suspects.

    `median_reliance` is that of `reliance_probability`, of `reliance` in audits from before; `bg_gap_low` and
    `bg_gap_high` are the 95 % bootstrap interval of the mean.
    """
    frame = store.ask(
        "select label, count(*) as images, avg(correct::int) as accuracy, count(attention_score) as assessable, "
        f"count(*) filter (assessment in {SUSPECT_ASSESSMENTS}) as suspects, "
        "median(attention_score) as median_attention_score, "
        f"count({RELIANCE}) as measured, count(*) filter (assessment = 'confirmed_leak') as confirmed, "
        f"median({RELIANCE}) as median_reliance, avg(bg_gap) as bg_gap, "
        f"count(*) filter (review = 'flag') as flagged from {joined} group by 1 order by 1"
    )
    leaks = frame["confirmed" if frame["measured"].sum() else "suspects"]
    bounds = [wilson(int(k), int(n)) for k, n in zip(leaks, frame["assessable"], strict=True)]
    frame[["share", "low", "high"]] = np.array(bounds, float).reshape(-1, 3)
    gaps = store.ask(f"select label, bg_gap from {joined} where bg_gap is not null order by image")
    by_label = {str(label): part.to_numpy(float) for label, part in gaps.groupby("label")["bg_gap"]}
    pairs = [bootstrap(by_label.get(label, np.empty(0))) for label in frame["label"]]
    frame[["bg_gap_low", "bg_gap_high"]] = np.array(pairs, float).reshape(-1, 2)
    return frame


def majority(store: Store) -> float:
    """Share of the most frequent label among the images `background_only_accuracy` is taken over."""
    counts = store.rows(
        "select max(n) / sum(n) from (select count(*) as n from audited.rows where not in_training and "
        "background_only_predicted is not null group by label)"
    )
    return float(counts[0][0]) if counts[0][0] is not None else float("nan")


def high_norm(store: Store, limit: float) -> tuple[int, int]:
    """Images whose tokens were measured, and those of them with a share of evidence in high norms above `limit`."""
    counts = store.rows(
        "select count(high_norm_share), count(*) filter (high_norm_share > $limit) from audited.rows", {"limit": limit}
    )
    return int(counts[0][0]), int(counts[0][1])


def confusion(store: Store, unseen_only: bool) -> pd.DataFrame:
    """`label`, `predicted`, `images`."""
    where = "not in_training" if unseen_only else "true"
    return store.ask(
        f"select label, predicted, count(*) as images from audited.rows where predicted is not null and {where} "
        "group by 1, 2 order by 1, 2"
    )


def scores(store: Store, joined: str, limit: int) -> pd.DataFrame:
    """`image label attention_score reliance_probability q_value reliance loss assessment correct` for charts.

    A sample of `limit` images where there are more.
    """
    return store.ask(
        "select image, label, attention_score, reliance_probability, q_value, reliance, loss, assessment, correct "
        f"from {joined} where attention_score is not null "
        "order by hash(image) limit $limit",
        {"limit": limit},
    )
