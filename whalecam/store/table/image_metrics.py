"""One value per image and figure: what a run is compared by, small enough to hold for a million images."""

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whalecam.config import ASSESSMENTS
from whalecam.store.table.store import Store

TEXTS = ("label", "predicted", "assessment")


def values(store: Store, joined: str) -> pd.DataFrame:
    """One row per image, by name.

    `label predicted assessment` as categories (`assessment` of ASSESSMENTS), `in_training` as bool; float32 with NaN:
    `loss attention_score reliance_probability reliance bg_gap swapped_accuracy`, and `right` and `water_right`, 0 or 1
    where there is a loss; `unit`, uint64, the same for images of one individual, each image's own where
    nobody knows whom it shows.

    Args:
        joined: the rows with verdicts and reviews, as a subquery.
    """
    has_loss = "loss is not null and not isnan(loss)"
    batches = store.batches(
        "select image, label, predicted, assessment, "
        "hash(case when coalesce(\"group\", '') = '' then 'image ' || image else \"group\" end) as unit, "
        "coalesce(in_training, true) as in_training, "
        "loss, attention_score, reliance_probability, reliance, bg_gap, swapped_accuracy, "
        f"case when {has_loss} then coalesce(label = predicted, false)::float end as right, "
        f"case when {has_loss} then (label = background_only_predicted)::float end as water_right from {joined}"
    )
    frame: pd.DataFrame = _by_name(pa.Table.from_batches(map(_coded, batches)).unify_dictionaries()).to_pandas()
    # Arrow keeps what reading and sorting took, more than the rows themselves, for the next time.
    pa.default_memory_pool().release_unused()
    assessments = frame["assessment"].cat.set_categories(list(ASSESSMENTS))
    return frame.assign(assessment=assessments).set_index("image")


def _coded(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with a number in place of each of TEXTS."""
    for name in TEXTS:
        rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].dictionary_encode())
    return rows


def _by_name(rows: pa.Table) -> pa.Table:
    """The rows in the order of names, one of each: two audits at a time may leave an image twice."""
    ordered = rows.take(pc.sort_indices(rows["image"])).combine_chunks()
    images = ordered["image"]
    again = pc.equal(images.slice(1), images.slice(0, max(0, len(images) - 1)))
    if not pc.any(again).as_py():
        return ordered
    return ordered.filter(pa.concat_arrays([pa.array([True]), *pc.invert(again).chunks]))
