"""The order by uncertainty a second time, in numpy, as the table's SQL must give it."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.arrays import FloatArray
from whalecam.config import Thresholds


def doubt(excess: FloatArray, needs: FloatArray, level: Thresholds) -> NDArray[np.float64]:
    """How far each picture's scores are from where its automatic verdict flips: the smaller, the less sure it is.

    Either threshold flips it (evidence.md, §4), so the nearer one counts, and each score is measured in its own
    standard deviations over the set.

    Args:
        excess: (N,), NaN where attention cannot be assessed; then needs alone can flip the verdict.
        needs: (N,), NaN where the second witness was not asked; then excess alone can flip it.

    Returns: (N,) of 0 or more; NaN for pictures that are not assessable.
    """
    looks, falls = np.asarray(excess, np.float64), np.asarray(needs, np.float64)
    distance = np.abs(looks - level.excess) / spread(looks)
    other = np.abs(falls - level.needs) / spread(falls)
    return np.fmin(distance, other)


def spread(values: NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.std()) or 1.0 if len(known) else 1.0


def least_sure_first(rows: pd.DataFrame, level: Thresholds) -> list[str]:
    """Names by `doubt`, ties by name; those that are not assessable last. `rows`: `image excess needs` of the set."""
    far = doubt(rows["excess"].to_numpy(float), rows["needs"].to_numpy(float), level)
    return [str(name) for name in rows["image"].to_numpy(str)[np.lexsort((rows["image"].to_numpy(str), far))]]
