"""What a run's networks said of pictures that they had not seen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq


def unseen_odds(parts: Sequence[Path], classes: Sequence[str]) -> pd.DataFrame:
    """One row per audited picture that its network was not trained on, by name, and one column per class.

    Args:
        parts: the Parquet parts of an audit.
        classes: in the order of the logits.

    Returns: probabilities, float64, each row adding up to 1; the index is `image`.
    """
    names, logits = [], []
    for part in parts:
        rows = pq.read_table(part, columns=["image", "in_training", "logits"]).to_pydict()
        for image, seen, values in zip(rows["image"], rows["in_training"], rows["logits"], strict=True):
            if seen is False and values is not None and len(values) == len(classes):
                names.append(image)
                logits.append(values)
    scores = np.asarray(logits, np.float64).reshape(-1, len(classes))
    odds = np.exp(scores - scores.max(axis=1, keepdims=True, initial=-np.inf))
    odds /= odds.sum(axis=1, keepdims=True)
    return pd.DataFrame(odds, pd.Index(names, name="image", dtype=str), list(classes)).sort_index()
