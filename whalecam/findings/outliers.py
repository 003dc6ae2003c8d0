"""Pictures that are not of this data set: what the network saw in them lies far from what it saw in the others."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.findings.finding import Evidence, Finding, share

FAR = 1.5
"""From how many times the usual distance a picture is an outlier. Of clean sets, drawn or normal, none reaches 1.3."""
NEIGHBOURS = 0.25
"""Share of the pictures that a picture's distance is taken to: few neighbours would hide a group of text pages, which
have one another, and so would the cosine, which takes away how loudly the network answers."""
FEWEST, REFERENCE = 40, 2000


def outliers(evidence: Evidence) -> list[Finding]:
    """Pictures far from all others, among those that the same network judged unseen; nothing before an audit."""
    if evidence.vectors is None or evidence.vectors.empty:
        return []
    unseen = evidence.vectors[~evidence.vectors["in_training"].astype(bool)]
    good = evidence.data.good().drop_duplicates("image").set_index("image")
    unseen = unseen[unseen["image"].isin(good.index)]
    judged = [part for _, part in unseen.groupby("fold") if len(part) >= FEWEST]
    if not judged:
        return []
    apart = [part.assign(distance=distances(np.stack(part["embedding"].tolist()))) for part in judged]
    rows = pd.concat(apart).sort_values(["distance", "image"], ascending=[False, True])
    far = rows[rows["distance"] >= FAR]
    return [_finding(far, len(rows), good)] if len(far) else []


def distances(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far each vector lies from the nearest quarter of all, as a multiple of the median of that.

    The mean Euclidean distance to k neighbours (Kuan & Mueller 2022, arXiv 2207.03061; cleanlab), with many of them.

    Args:
        vectors: (N, K); of more than REFERENCE, as many serve as neighbours, the same in every call.

    Returns: (N,), ≥ 0, the median is 1.
    """
    from cleanlab.outlier import OutOfDistribution
    from sklearn.neighbors import NearestNeighbors

    values = vectors.astype(np.float64)
    chosen = np.random.default_rng(0).permutation(len(values))[:REFERENCE]
    # One more, since a picture is its own nearest.
    near = NearestNeighbors(n_neighbors=min(int(len(chosen) * NEIGHBOURS) + 1, len(chosen))).fit(values[chosen])
    scores = OutOfDistribution({"knn": near}).score(features=values)
    return np.asarray(-np.log(np.maximum(scores, np.finfo(float).tiny)), np.float64)


def _finding(far: pd.DataFrame, total: int, good: pd.DataFrame) -> Finding:
    rows = far[["image", "species", "predicted", "distance"]].assign(distance=far["distance"].round(2))
    rows.insert(2, "individual_id", good["individual_id"].reindex(rows["image"]).to_numpy())
    return Finding(
        "outlier",
        "low",
        f"{len(far):,} of {total:,} pictures ({share(len(far), total)}) look to the network like no other: they lie "
        f"{FAR:g} times as far from the rest as is usual, or farther.",
        "A text page, a drawing or another animal teaches the network nothing of its label.",
        "Look at them, the farthest first; flag those that are no photograph of the species.",
        facts={"pictures": len(far), "of": total},
        rows=rows.reset_index(drop=True),
    )
