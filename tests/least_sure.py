"""The order by uncertainty a second time, in numpy, as the table's SQL must give it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.arrays import FloatArray
from whalecam.config import Thresholds


def doubt(
    excess: FloatArray, needs: FloatArray, level: Thresholds, q_value: FloatArray | None = None
) -> NDArray[np.float64]:
    """How far each picture's scores are from where its automatic verdict flips: the smaller, the less sure it is.

    Either threshold flips it (docs/concepts.md), so the nearer one counts, and each score is measured in its own
    standard deviations over the set.

    Args:
        excess: (N,), NaN where attention cannot be assessed; then needs alone can flip the verdict.
        needs: (N,), NaN where the background was not exchanged; then excess alone can flip it.
        q_value: (N,), which decides in place of needs where it is not NaN.

    Returns: (N,) of 0 or more; NaN for pictures that are not assessable.
    """
    looks, falls = np.asarray(excess, np.float64), np.asarray(needs, np.float64)
    distance = np.abs(looks - level.excess) / spread(looks)
    other = np.abs(falls - level.needs) / spread(falls)
    if q_value is not None:
        rate = np.asarray(q_value, np.float64)
        other = np.where(np.isnan(rate), other, np.abs(rate - level.false_rate) / spread(rate))
    return np.fmin(distance, other)


def spread(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.std()) or 1.0 if len(known) else 1.0


def least_sure_first(rows: pd.DataFrame, level: Thresholds) -> list[str]:
    """Names by `doubt`, ties by name; those that are not assessable last.

    Args:
        rows: `image excess needs` of the set, and `q_value` where it has one.
    """
    rate = rows["q_value"].to_numpy(float) if "q_value" in rows else None
    far = doubt(rows["excess"].to_numpy(float), rows["needs"].to_numpy(float), level, rate)
    return [str(name) for name in rows["image"].to_numpy(str)[np.lexsort((rows["image"].to_numpy(str), far))]]
