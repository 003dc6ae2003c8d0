"""What a run's networks said of images that they had not seen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def unseen_odds(parts: Sequence[Path], classes: Sequence[str]) -> pd.DataFrame:
    """One row per audited image that its network was not trained on, by name, and one column per class.

    Args:
        parts: the Parquet parts of an audit.
        classes: in the order of the logits.

    Returns: probabilities, float32 as the logits are, each row adding up to 1 to 1e-6; the index is `image`.
    """
    names, logits = [np.empty(0, object)], [np.empty((0, len(classes)), np.float32)]
    for part in parts:
        rows = pq.read_table(part, columns=["image", "in_training", "logits"])
        rows = rows.filter(
            pc.and_(pc.invert(rows["in_training"]), pc.equal(pc.list_value_length(rows["logits"]), len(classes)))
        )
        names.append(rows["image"].to_numpy())
        logits.append(pc.list_flatten(rows["logits"]).to_numpy().reshape(-1, len(classes)))
    pa.default_memory_pool().release_unused()
    order = np.argsort(np.concatenate(names).astype(str), kind="stable")
    odds = np.concatenate(logits)[order]
    odds -= odds.max(axis=1, keepdims=True, initial=-np.inf)
    np.exp(odds, out=odds)
    odds /= odds.sum(axis=1, keepdims=True)
    return pd.DataFrame(odds, pd.Index(np.concatenate(names)[order], name="image", dtype=str), list(classes))
