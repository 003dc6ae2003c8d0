"""The order by uncertainty a second time, in numpy, as the table's SQL must give it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.arrays import FloatArray
from whalecam.config import Thresholds


def doubt(
    attention_score: FloatArray, reliance: FloatArray, level: Thresholds, q_value: FloatArray | None = None
) -> NDArray[np.float64]:
    """How far each image's scores are from where its automatic verdict flips: the smaller, the less sure it is.

    Either threshold flips it (docs/concepts.md), so the nearer one counts, and each score is measured in its own
    standard deviations over the set.

    Args:
        attention_score: (N,), NaN where attention cannot be assessed; then reliance alone can flip the verdict.
        reliance: (N,), NaN where the background was not exchanged; then attention_score alone can flip it.
        q_value: (N,), which decides in place of reliance where it is not NaN.

    Returns: (N,) of 0 or more; NaN for images that are not assessable.
    """
    looks, falls = np.asarray(attention_score, np.float64), np.asarray(reliance, np.float64)
    distance = np.abs(looks - level.attention) / spread(looks)
    other = np.abs(falls - level.reliance) / spread(falls)
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
        rows: `image attention_score reliance` of the set, and `q_value` where it has one.
    """
    rate = rows["q_value"].to_numpy(float) if "q_value" in rows else None
    far = doubt(rows["attention_score"].to_numpy(float), rows["reliance"].to_numpy(float), level, rate)
    return [str(name) for name in rows["image"].to_numpy(str)[np.lexsort((rows["image"].to_numpy(str), far))]]
