"""What a run's networks saw in images, as vectors: the activations at the cut, averaged over their positions."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from whalecam.store.parts import names_in, read_part

COLUMNS = ["image", "label", "predicted", "fold", "in_training", "embedding"]
ALL = np.uint64(2**64 - 1)


def embeddings(parts: Sequence[Path], most: int | None = None, unseen: bool = False) -> pd.DataFrame:
    """One row per audited image that has a vector, by name; empty where the audit is older than the column.

    Args:
        parts: the Parquet parts of an audit.
        most: how many images at most; of more, a sample that is the same in every call, and memory stays flat.
        unseen: only images that their network was not trained on.

    Returns: `image`, `label`, `predicted`, `fold`, `in_training`, and `embedding`, each cell a float32 vector (K,);
        the networks of different folds do not speak one language, so vectors compare within a fold, or `aligned`.
    """
    chunks, latest = [pd.DataFrame(columns=COLUMNS)], ALL
    for part in parts:
        if "embedding" not in names_in(part):
            continue
        chunks.append(_read(part, latest, unseen))
        if most is not None and sum(map(len, chunks)) > most + most // 4:
            chunks = [_sampled(pd.concat(chunks), most)]
            latest = _lots(chunks[0]).max(initial=0) if len(chunks[0]) == most else ALL
    rows = _sampled(pd.concat([chunk for chunk in chunks if len(chunk)] or chunks), most)
    # Arrow keeps what reading took for the next time, which of a million vectors is much.
    pa.default_memory_pool().release_unused()
    return rows.sort_values("image").reset_index(drop=True)


def _read(part: Path, latest: np.uint64, unseen: bool) -> pd.DataFrame:
    """The rows of a part with a vector whose lot is not above `latest`."""
    rows: pd.DataFrame = read_part(part, COLUMNS).to_pandas()
    wanted = rows["embedding"].notna() & (_lots(rows) <= latest)
    rows = rows[wanted & ~rows["in_training"].astype(bool)] if unseen else rows[wanted]
    vectors = [np.frombuffer(raw, "<f2").astype(np.float32) for raw in rows["embedding"]]
    return rows.assign(embedding=pd.Series(vectors, rows.index, object))


def _sampled(rows: pd.DataFrame, most: int | None) -> pd.DataFrame:
    """The last row of each image, where its vector is finite; of more than `most` those with the smallest lots."""
    rows = rows.drop_duplicates("image", keep="last")
    rows = rows[np.array([bool(np.isfinite(vector).all()) for vector in rows["embedding"]], bool)]
    return rows if most is None else rows.iloc[np.argsort(_lots(rows), kind="stable")[:most]]


def _lots(rows: pd.DataFrame) -> NDArray[np.uint64]:
    """A number by chance per image, which hangs on its name alone."""
    return pd.util.hash_array(rows["image"].to_numpy(object))


def aligned(rows: pd.DataFrame) -> NDArray[np.float32]:
    """The vectors (N, K) of `embeddings`, standardised within their fold and scaled to length 1.

    The networks of all folds grew from one body, so a channel means nearly the same in each of them, but its level
    and its range drift apart in training; with both taken away a cosine compares images across folds.
    """
    vectors = np.stack(rows["embedding"].tolist()).astype(np.float64) if len(rows) else np.empty((0, 1))
    folds = rows["fold"].to_numpy()
    for fold in np.unique(folds):
        own = vectors[folds == fold]
        spread = own.std(axis=0)
        vectors[folds == fold] = (own - own.mean(axis=0)) / np.where(spread > 0, spread, 1)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(length > 0, length, 1)).astype(np.float32)
