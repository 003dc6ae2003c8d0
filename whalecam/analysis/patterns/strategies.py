"""How many ways of looking at a species a network has: clusters of its maps (SpRAy, Lapuschkin et al. 2019)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from whalecam.explain import score
from whalecam.store.table import MapRow

GRID = 8
MOST, FEWEST, SMALLEST = 1500, 16, 5
"""Maps of a species that are compared at most, and at least; images that make a strategy."""
APART = 0.3
"""Share of a cluster's evidence that lies elsewhere than the species', from which it is a strategy of its own."""


@dataclass(frozen=True)
class Strategy:
    """A group of images that the network looks at alike.

    Attributes:
        images: the images, the most typical first.
        mean: (h, w), the share of positive evidence at each position, averaged over the images; adds up to 1.
        apart: the share of that evidence which lies elsewhere than that of all images of the species, 0 to 1.
        leak: mean share of the evidence on water, 0 to 1; NaN where none of the images has a mask.
        usual: whether these are the images that belong to no odd strategy.
    """

    images: tuple[str, ...]
    mean: NDArray[np.float64]
    apart: float
    background_share: float
    usual: bool


def strategies(rows: Iterable[MapRow], classes: tuple[str, ...]) -> list[Strategy]:
    """Groups of the predicted class's relative maps: odd ones, the smallest first, then the usual one.

    Args:
        rows: what `table.stored_maps` gives of a species.
        classes: in the order of the maps.

    Returns: none where fewer than FEWEST images have positive evidence.
    """
    names, maps, leaks = [], [], []
    for row in rows:
        positive = np.maximum(score.contrast(row["maps"], "relative", classes.index(row["predicted"])), 0)
        if positive.sum() > 0:
            names.append(row["image"])
            maps.append(positive / positive.sum())
            leaks.append(np.nan if row["background_share"] is None else row["background_share"])
    if len(names) < FEWEST:
        return []
    order = np.argsort(names)
    shares, known, wet = np.stack(maps)[order].astype(float), np.array(names)[order], np.array(leaks, float)[order]
    labels = odd(shares)
    groups = [_strategy(known, shares, wet, labels == label, label == -1) for label in np.unique(labels)]
    return sorted(groups, key=lambda group: (group.usual, len(group.images), -group.apart))


def odd(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """A number from 0 for each odd strategy among maps (N, h, w) that each add up to 1; -1 for the usual one.

    Clusters by HDBSCAN (Campello et al. 2013), which finds their number itself and does not depend on chance;
    a cluster counts whose evidence lies by APART elsewhere than the mean of all.
    """
    from sklearn.cluster import HDBSCAN

    points = np.stack([smaller(share) for share in shares])
    labels = HDBSCAN(min_cluster_size=SMALLEST, min_samples=SMALLEST, copy=True).fit_predict(points)
    middle, numbers = shares.mean(axis=0), np.full(len(shares), -1, np.int64)
    for label in np.unique(labels[labels >= 0]):
        if distance(shares[labels == label].mean(axis=0), middle) >= APART:
            numbers[labels == label] = numbers.max() + 1
    return numbers


def distance(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """The share of evidence that would have to move to make one map of the other (total variation), 0 to 1."""
    return float(np.abs(first - second).sum() / 2)


def smaller(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """A map (h, w) on at most GRID × GRID cells, as a row of the roots of its shares, so that one strong cell does
    not drown the others (distances are Hellinger's)."""
    height, width = (min(side, GRID) for side in share.shape)
    cells = cv2.resize(share, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(np.sqrt(cells / cells.sum()).ravel(), np.float64)


def _strategy(
    names: NDArray[Any], shares: NDArray[np.float64], leaks: NDArray[np.float64], own: NDArray[np.bool_], usual: bool
) -> Strategy:
    mean = shares[own].mean(axis=0)
    typical = np.argsort(np.abs(shares[own] - mean).sum(axis=(1, 2)), kind="stable")
    known = leaks[own][~np.isnan(leaks[own])]
    wet = float(known.mean()) if len(known) else float("nan")
    return Strategy(tuple(names[own][typical].tolist()), mean, distance(mean, shares.mean(axis=0)), wet, usual)
