"""What a run's networks predicted on exchanged backgrounds, read from the parts of its audit."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whalecam.reliance import Exchanges, codes_of

SIDES = ("own", "other")
LISTS = [f"exchange_{side}{what}" for side in SIDES for what in ("", "_donors")]
COLUMNS = ["image", "predicted", "needs_swap", *LISTS]


def exchanges(parts: Sequence[Path]) -> tuple[list[str], Exchanges]:
    """The images whose background was exchanged, by name, and what was predicted on it.

    Images without a donor of other labels are left out, as are parts of audits from before single exchanges were kept.
    """
    known = [part for part in parts if set(COLUMNS) <= set(pq.read_schema(part).names)]
    read = [pq.read_table(part, columns=COLUMNS).to_pandas() for part in known]
    rows = pd.concat(read) if read else pd.DataFrame(columns=COLUMNS)
    some = [isinstance(values, np.ndarray) and len(values) > 0 for values in rows["exchange_other"]]
    rows = rows[np.array(some, bool)].drop_duplicates("image", keep="last").sort_values("image")
    sides = {side: _padded(rows[f"exchange_{side}"], np.nan) for side in SIDES}
    units = {side: _padded(rows[f"exchange_{side}_donors"], -1).astype(np.int64) for side in SIDES}
    before = rows["needs_swap"].to_numpy(np.float64) + np.nanmean(sides["other"], axis=1) if len(rows) else np.empty(0)
    probabilities = Exchanges(
        predicted=codes_of(rows["predicted"].tolist()),
        before=before,
        own=sides["own"],
        other=sides["other"],
        own_unit=units["own"],
        other_unit=units["other"],
    )
    return rows["image"].tolist(), probabilities


def _padded(lists: pd.Series, empty: float) -> NDArray[np.float64]:
    """Lists of any length as rows of one array, (N, longest)."""
    longest = max((len(values) for values in lists), default=0)
    padded = np.full((len(lists), longest), empty, np.float64)
    for place, values in enumerate(lists):
        padded[place, : len(values)] = values
    return padded
