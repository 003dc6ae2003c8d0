"""What a network that had not seen them says of labels: those that may be wrong, and species that it confuses."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.text import percent_of
from whalecam.words import Words

CONFUSED, FEWEST = 0.2, 10
"""Share of the images of two species that go to the other one, from which they are confused; of so many at least."""
MOST_PAIRS = 5
PER_CLASS = 5
"""Classes with fewer judged images are left out: cleanlab learns from them how sure the network usually is."""


def judgements(evidence: Evidence) -> list[Finding]:
    """Labels that may be wrong, then the most confused pairs; nothing before an audit."""
    if evidence.odds is None or evidence.odds.empty:
        return []
    odds = evidence.odds
    good = evidence.data.good().set_index("image")
    labels = good["label"].reindex(odds.index)
    counts = labels[labels.isin(odds.columns)].value_counts()
    usual = [name for name in odds.columns if counts.get(name, 0) >= PER_CLASS]
    kept = labels.isin(usual).to_numpy()
    if len(usual) < 2:
        return []
    if not kept.all() or len(usual) < len(odds.columns):  # a million rows are not copied for nothing
        odds, labels = odds.loc[kept, usual], labels[kept]
    return [*_label_errors(odds, labels, good), *_confused(odds, labels, good, evidence.words)]


def doubtful(odds: NDArray[np.floating[Any]], codes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows whose label is probably wrong by confident learning, the surest first (Northcutt et al. 2021, cleanlab).

    Args:
        odds: (N, classes) probabilities out of fold.
        codes: (N,) the label's column.
    """
    from cleanlab.filter import find_label_issues

    known = odds / odds.sum(axis=1, keepdims=True)
    # Both criteria must agree: the noise rate alone names images even where every label is right.
    ranked = find_label_issues(codes, known, filter_by="both", return_indices_ranked_by="normalized_margin", n_jobs=1)
    return np.asarray(ranked, np.int64)


def _label_errors(odds: pd.DataFrame, labels: "pd.Series[str]", good: pd.DataFrame) -> list[Finding]:
    values = odds.to_numpy()
    codes = odds.columns.get_indexer(pd.Index(labels)).astype(np.int64)
    at = doubtful(values, codes)
    if len(at) == 0:
        return []
    rows = pd.DataFrame(
        {
            "image": odds.index[at],
            "label": labels.iloc[at].to_numpy(),
            "group": good["group"].reindex(odds.index[at]).to_numpy(),
            "suggested_label": odds.columns[values[at].argmax(axis=1)],
            "p_label": values[at, codes[at]].astype(float).round(4),
            "p_suggested": values[at].max(axis=1).astype(float).round(4),
        }
    )
    return [
        Finding(
            "label_error",
            "low",
            f"{len(at):,} of {len(odds):,} images ({percent_of(len(at), len(odds))}) may have a wrong label: a network "
            "that had not seen them is surer of another one.",
            "A wrong label teaches the network a mistake and counts against it where it is right.",
            "Look at them, the surest first; flag those that are wrong with a suggested label.",
            facts={"images": len(at), "of": len(odds)},
            rows=rows,
        )
    ]


def _confused(odds: pd.DataFrame, labels: "pd.Series[str]", good: pd.DataFrame, words: Words) -> list[Finding]:
    """The pairs of species that are most often taken for one another."""
    codes = odds.columns.get_indexer(pd.Index(labels))
    predicted = odds.to_numpy().argmax(axis=1)
    n = len(odds.columns)
    grid = np.bincount(codes * n + predicted, minlength=n * n).reshape(n, n)
    own = grid.sum(axis=1)
    total, swapped = own[:, None] + own[None], grid + grid.T
    pairs = np.argwhere(np.triu((total >= FEWEST) & (swapped >= CONFUSED * total), 1)).tolist()
    pairs.sort(key=lambda pair: -swapped[*pair] / total[*pair])
    return [
        _pair(
            str(odds.columns[first]),
            str(odds.columns[second]),
            odds.index[((codes == first) & (predicted == second)) | ((codes == second) & (predicted == first))],
            int(total[first, second]),
            good,
            words,
        )
        for first, second in pairs[:MOST_PAIRS]
    ]


def _pair(first: str, second: str, images: pd.Index, total: int, good: pd.DataFrame, words: Words) -> Finding:
    return Finding(
        "confused",
        "low",
        f"{len(images):,} of {total:,} images ({percent_of(len(images), total)}) of '{first}' and '{second}' are taken "
        "for the other one.",
        f"Two {words.labels} that look alike, labels that are mixed up, or a shortcut that both share.",
        "Compare them on the Heatmaps page under “A versus B”.",
        tuple(sorted((first, second))),
        {"images": len(images), "of": total},
        good.loc[images, ["label", "group"]].reset_index(),
    )
