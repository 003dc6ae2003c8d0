"""Counts, rates and distributions of a whole run, each one pass over its rows."""

from typing import Any

import numpy as np
import pandas as pd

from whalecam.config import SUSPECT_VERDICTS
from whalecam.store.table.stats import bootstrap, wilson
from whalecam.store.table.store import Store

RELIANCE = "coalesce(reliance_probability, needs)"
"""How much an image relies on its background; audits from before rates were controlled know `needs` alone."""


def overview(store: Store, joined: str) -> dict[str, Any]:
    """Counts and rates of the whole run; accuracy and loss on unseen pictures of known classes.

    Args:
        joined: the rows with verdicts and reviews, as a subquery; also below.
    """
    return store.record(
        "select count(*) as images, count(distinct species) as species, count(distinct nullif(individual_id, '')) "
        "as individuals, count(*) filter (predicted is null) as unreadable, "
        "count(*) filter (excess is not null) as assessable, "
        f"count(*) filter (verdict in {SUSPECT_VERDICTS}) as suspects, "
        f"count({RELIANCE}) as measured, count(q_value) as controlled, "
        "count(*) filter (verdict = 'confirmed_leak') as confirmed, "
        "count(*) filter (verdict = 'hidden_reliance') as hidden, "
        "count(*) filter (verdict = 'background_reliance') as background, avg(bg_gap) as bg_gap, "
        "avg((water_predicted = species)::int) filter (not in_training) as water_only_accuracy, "
        "avg(correct::int) filter (not in_training and loss is not null) as accuracy, "
        "avg(loss) filter (not in_training) as loss, count(loss) filter (not in_training) as unseen, "
        "max(residual) as residual, count(review) as reviewed, count(*) filter (review = 'flag') as flagged "
        f"from {joined}"
    )


def quadrants(store: Store, joined: str, excess: float) -> pd.DataFrame:
    """The 2×2: `correct`, `on_animal` (excess below the threshold), `images`; assessable pictures only."""
    return store.ask(
        "select correct, excess < $excess as on_animal, count(*) as images "
        f"from {joined} where excess is not null group by 1, 2",
        {"excess": excess},
    )


def per_species(store: Store, joined: str) -> pd.DataFrame:
    """One row per species: counts, accuracy, share of leaks with its 95 % Wilson interval, medians.

    `share` is that of confirmed leaks where the background was exchanged, else that of suspects.

    `median_reliance` is that of `reliance_probability`, of `needs` in audits from before; `bg_gap_low` and
    `bg_gap_high` are the 95 % bootstrap interval of the mean.
    """
    frame = store.ask(
        "select species, count(*) as images, avg(correct::int) as accuracy, count(excess) as assessable, "
        f"count(*) filter (verdict in {SUSPECT_VERDICTS}) as suspects, median(excess) as median_excess, "
        f"count({RELIANCE}) as measured, count(*) filter (verdict = 'confirmed_leak') as confirmed, "
        f"median({RELIANCE}) as median_reliance, avg(bg_gap) as bg_gap, "
        f"count(*) filter (review = 'flag') as flagged from {joined} group by 1 order by 1"
    )
    leaks = frame["confirmed" if frame["measured"].sum() else "suspects"]
    bounds = [wilson(int(k), int(n)) for k, n in zip(leaks, frame["assessable"], strict=True)]
    frame[["share", "low", "high"]] = np.array(bounds, float).reshape(-1, 3)
    gaps = store.ask(f"select species, bg_gap from {joined} where bg_gap is not null order by image")
    by_species = {str(species): part.to_numpy(float) for species, part in gaps.groupby("species")["bg_gap"]}
    pairs = [bootstrap(by_species.get(species, np.empty(0))) for species in frame["species"]]
    frame[["bg_gap_low", "bg_gap_high"]] = np.array(pairs, float).reshape(-1, 2)
    return frame


def majority(store: Store) -> float:
    """Share of the most frequent species among the pictures `water_only_accuracy` is taken over."""
    found = store.rows(
        "select max(n) / sum(n) from (select count(*) as n from held.rows where not in_training and "
        "water_predicted is not null group by species)"
    )
    return float(found[0][0]) if found[0][0] is not None else float("nan")


def confusion(store: Store, unseen_only: bool) -> pd.DataFrame:
    """`species`, `predicted`, `images`."""
    where = "not in_training" if unseen_only else "true"
    return store.ask(
        f"select species, predicted, count(*) as images from held.rows where predicted is not null and {where} "
        "group by 1, 2 order by 1, 2"
    )


def scores(store: Store, joined: str, limit: int) -> pd.DataFrame:
    """`image species excess reliance_probability q_value needs loss verdict correct` for charts; a sample above
    `limit`."""
    return store.ask(
        "select image, species, excess, reliance_probability, q_value, needs, loss, verdict, correct "
        f"from {joined} where excess is not null "
        "order by hash(image) limit $limit",
        {"limit": limit},
    )
