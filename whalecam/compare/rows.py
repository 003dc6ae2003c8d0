"""The rows of a run that a comparison reads: light columns, the verdicts, and one value per picture and metric."""

import numpy as np
import pandas as pd
import pyarrow as pa

from whalecam import leak
from whalecam.config import AUTO_VERDICTS, WRONG_MASK, Thresholds
from whalecam.errors import RunError
from whalecam.reviews import Journal
from whalecam.run import Run
from whalecam.schema import SCHEMA
from whalecam.table.light import light_rows

NAMES = (
    *("image", "species", "individual_id", "predicted", "in_training", "loss", "excess", "needs", "reason"),
    *("bg_gap", "water_predicted", "swap_correct"),
)
LIGHT = pa.schema([SCHEMA.field(name) for name in NAMES])


def read(run: Run, thresholds: Thresholds) -> pd.DataFrame:
    """One row per audited picture, by name: `LIGHT`, `verdict`, and the values of `metrics.METRICS`.

    `right`, `water_right` and `is_…` are 0, 1 or NaN where there is nothing to tell; a picture whose mask somebody
    rejected is not assessable, as everywhere. Raises RunError for a run without an audit.
    """
    if not run.parts():
        raise RunError(f"Run '{run.name}' has no audited pictures yet. Audit it first: whalecam audit {run.path}")
    rows = light_rows(run.parts(), LIGHT)
    reviews = Journal.of(run).latest()
    rejected = rows.index.isin(reviews.loc[reviews["reason"] == WRONG_MASK, "image"])
    rows.loc[rejected, ["excess", "needs"]] = np.nan
    reasons = rows["reason"].fillna("").to_numpy(str)
    given = rows["excess"].to_numpy(float), rows["needs"].to_numpy(float)
    rows["verdict"] = leak.verdicts(*given, reasons, thresholds)
    told = rows["loss"].notna()
    rows["right"] = (rows["species"] == rows["predicted"]).astype(float).where(told)
    rows["water_right"] = (
        (rows["species"] == rows["water_predicted"]).astype(float).where(told & rows["water_predicted"].notna())
    )
    assessable = rows["verdict"] != "not_assessable"
    for name in AUTO_VERDICTS:
        rows[f"is_{name}"] = (rows["verdict"] == name).astype(float).where(assessable)
    return rows
