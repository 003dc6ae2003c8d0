"""What a run's networks saw in pictures, as vectors: the activations at the cut, averaged over their positions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from numpy.typing import NDArray

COLUMNS = ["image", "species", "predicted", "fold", "in_training", "embedding"]


def embeddings(parts: Sequence[Path]) -> pd.DataFrame:
    """One row per audited picture that has a vector, by name; empty where the audit is older than the column.

    Args:
        parts: the Parquet parts of an audit.

    Returns: `image`, `species`, `predicted`, `fold`, `in_training`, and `embedding`, each cell a float32 vector (K,);
        the networks of different folds do not speak one language, so vectors compare within a fold, or `aligned`.
    """
    newer = [part for part in parts if "embedding" in pq.read_schema(part).names]
    tables = [pq.read_table(part, columns=COLUMNS).to_pandas() for part in newer]
    rows = pd.concat(tables) if tables else pd.DataFrame(columns=COLUMNS)
    rows = rows[rows["embedding"].notna()].drop_duplicates("image", keep="last")
    vectors = [np.frombuffer(raw, "<f2").astype(np.float32) for raw in rows["embedding"]]
    finite = np.array([bool(np.isfinite(vector).all()) for vector in vectors], bool)
    rows = rows.assign(embedding=pd.Series(vectors, rows.index, object))
    return rows[finite].sort_values("image").reset_index(drop=True)


def aligned(rows: pd.DataFrame) -> NDArray[np.float32]:
    """The vectors (N, K) of `embeddings`, standardised within their fold and scaled to length 1.

    The networks of all folds grew from one body, so a channel means nearly the same in each of them, but its level
    and its range drift apart in training; with both taken away a cosine compares pictures across folds.
    """
    vectors = np.stack(rows["embedding"].tolist()).astype(np.float64) if len(rows) else np.empty((0, 1))
    folds = rows["fold"].to_numpy()
    for fold in np.unique(folds):
        own = vectors[folds == fold]
        spread = own.std(axis=0)
        vectors[folds == fold] = (own - own.mean(axis=0)) / np.where(spread > 0, spread, 1)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
