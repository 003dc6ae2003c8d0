"""Images that are not of this data set: what the network saw in them lies far from what it saw in the others."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.text import percent_of
from whalecam.words import Words

FAR = 1.5
"""From how many times the usual distance an image is an outlier. Of clean sets, drawn or normal, none reaches 1.3."""
NEIGHBOURS = 0.25
"""Share of the images that an image's distance is taken to: few neighbours would hide a group of text pages, which
have one another, and so would the cosine, which takes away how loudly the network answers."""
FEWEST, REFERENCE = 40, 2000
MOST = 60_000
"""Of more unseen images a sample is used, which the finding states: the vectors of a million take 4 GB."""
CHUNK = 2048


def outliers(evidence: Evidence) -> list[Finding]:
    """Images far from all others, among those that the same network judged unseen; nothing before an audit."""
    if evidence.vectors is None or evidence.vectors.empty:
        return []
    unseen = evidence.vectors[~evidence.vectors["in_training"].astype(bool)]
    good = evidence.data.good().drop_duplicates("image").set_index("image")
    unseen = unseen[unseen["image"].isin(good.index)]
    parts = [part for _, part in unseen.groupby("fold") if len(part) >= FEWEST]
    if not parts:
        return []
    apart = [part.assign(distance=distances(np.stack(part["embedding"].tolist()))) for part in parts]
    rows = pd.concat(apart).sort_values(["distance", "image"], ascending=[False, True])
    far, sampled = rows[rows["distance"] >= FAR], len(evidence.vectors) >= MOST
    if len(far):
        return [_finding(far, len(rows), good, sampled, evidence.words)]
    return [_none_in_sample(len(rows), evidence.words)] if sampled else []


def distances(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far each vector lies from the nearest quarter of all, as a multiple of the median of that.

    The mean Euclidean distance to k neighbours (Kuan & Mueller 2022, arXiv 2207.03061; cleanlab), with many of them.

    Args:
        vectors: (N, K); of more than REFERENCE, as many serve as neighbours, the same in every call.

    Returns: (N,), ≥ 0, the median is 1.
    """
    from sklearn.neighbors import NearestNeighbors

    chosen = np.random.default_rng(0).permutation(len(vectors))[:REFERENCE]
    # One more, since an image is its own nearest.
    near = NearestNeighbors(n_neighbors=min(int(len(chosen) * NEIGHBOURS) + 1, len(chosen)))
    near.fit(vectors[chosen].astype(np.float64))
    parts = (vectors[start : start + CHUNK].astype(np.float64) for start in range(0, len(vectors), CHUNK))
    away = np.concatenate([near.kneighbors(part)[0].mean(axis=1) for part in parts])
    return np.asarray(away / max(float(np.median(away)), np.finfo(float).tiny), np.float64)


def _none_in_sample(total: int, words: Words) -> Finding:
    return Finding(
        "outlier",
        "info",
        f"None of a sample of {total:,} images lies far from all others by what the network saw; the rest was not "
        "looked at.",
        f"A text page, a drawing or another {words.subject} teaches the network nothing of its label.",
        "Nothing, unless you know of such images.",
        facts={"images": 0, "of": total},
    )


def _finding(far: pd.DataFrame, total: int, good: pd.DataFrame, sampled: bool, words: Words) -> Finding:
    among = f"a sample of {total:,}" if sampled else f"{total:,}"
    rest = " The others were not looked at." if sampled else ""
    rows = far[["image", "label", "predicted", "distance"]].assign(distance=far["distance"].round(2))
    rows.insert(2, "group", good["group"].reindex(rows["image"]).to_numpy())
    return Finding(
        "outlier",
        "low",
        f"{len(far):,} of {among} images ({percent_of(len(far), total)}) lie far from all others by what the network "
        "saw: "
        f"{FAR:g} times as far from the rest as is usual, or farther.{rest}",
        f"A text page, a drawing or another {words.subject} teaches the network nothing of its label.",
        f"Look at them, the farthest first; flag those that do not show the {words.label}.",
        facts={"images": len(far), "of": total},
        rows=rows.reset_index(drop=True),
    )
