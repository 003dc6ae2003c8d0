"""Patches that recur in a class: at one place of the image, or with one look at any place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whalecam.store.cue_rows import PatchRow

Whole = NDArray[np.int64]
SMALLEST, LEAST_SHARE, MOST = 8, 0.1, 2
"""Images, and share of a class's tested images, that a group needs: fewer cannot be beyond chance after a correction.
Groups of each kind that are tested, at most, the largest ones."""
OVER = 0.5
"""Share of patches that lies over one another, from which groups are merged, on average over their pairs."""
ROUNDING = 1e-9
ALIKE = 0.5
"""Cosine from which groups of looks are merged, on average over their pairs."""


def at_places(patches: Sequence[PatchRow], smallest: int) -> list[Whole]:
    """Groups of patches that lie over one another, by average linkage, the largest first.

    The distance of two patches is the share of the smaller one that lies beyond the other and the cells around it;
    patches of grids of different sizes are 1 apart.
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(patches) < smallest:
        return []
    apart = np.array([[_apart(first, second) for second in patches] for first in patches])
    labels = fcluster(linkage(squareform(apart, checks=False), "average"), 1 - OVER, "distance")
    return _groups(labels, smallest)


def _apart(first: PatchRow, second: PatchRow) -> float:
    """See `at_places`; 0 to 1, the same either way."""
    if (first["rows"], first["columns"]) != (second["rows"], second["columns"]):
        return 1.0
    one_side, other_side = _cells(first), _cells(second)
    shared = [
        len(cells & _around(others)) / len(cells) for cells, others in ((one_side, other_side), (other_side, one_side))
    ]
    return 1 - max(shared)


def _around(cells: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The cells and their neighbours."""
    near = (-1, 0, 1)
    return {(row + down, column + right) for row, column in cells for down in near for right in near}


def _cells(patch: PatchRow) -> set[tuple[int, int]]:
    return {divmod(cell, patch["columns"]) for cell in patch["cells"]}


def with_looks(patches: Sequence[PatchRow], folds: Sequence[int], smallest: int) -> list[Whole]:
    """Groups of patches that look alike to the network, by average linkage of their cosines.

    Args:
        patches: of one class, with the fold of each, from whose mean looks are measured.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(patches) < smallest:
        return []
    labels = fcluster(linkage(_centred(patches, folds), "average", "cosine"), 1 - ALIKE, "distance")
    return _groups(labels, smallest)


def _groups(labels: Whole, smallest: int) -> list[Whole]:
    """The MOST largest groups of at least `smallest`, the largest first."""
    groups = [np.flatnonzero(labels == number).astype(np.int64) for number in np.unique(labels)]
    return sorted((group for group in groups if len(group) >= smallest), key=lambda group: -len(group))[:MOST]


def smallest_group(tested: int) -> int:
    """How many images make a group in a class of which so many were tested."""
    return max(SMALLEST, int(np.ceil(LEAST_SHARE * tested)))


def place_of(patches: Sequence[PatchRow]) -> str:
    """Where patches lie in words, such as `lower right`, `along the bottom`; empty where they lie all over the image.

    The middle of each patch counts, in thirds of the image; a place is named that two thirds of them share.
    """
    rows, columns, wide, tall = np.array([_extent(patch) for patch in patches]).T
    if (wide >= 0.6).mean() >= 0.5 and (tall <= 0.4).mean() >= 0.5:
        edge = _shared(rows, ("top", "", "bottom"))
        return f"along the {edge}" if edge else ""
    down, across = _shared(rows, ("upper", "middle", "lower")), _shared(columns, ("left", "middle", "right"))
    if not down or not across:
        edge = {"upper": "top", "lower": "bottom"}.get(down, "") or across.replace("middle", "")
        return f"near the {edge}" if edge else ""
    return "middle" if down == across == "middle" else f"{down} {across}"


def _shared(places: NDArray[np.float64], names: tuple[str, str, str]) -> str:
    thirds = np.minimum((places * 3).astype(int), 2)
    counts = np.bincount(thirds, minlength=3)
    return names[int(counts.argmax())] if counts.max() >= 2 / 3 * len(places) else ""


def _extent(patch: PatchRow) -> tuple[float, float, float, float]:
    """Middle (row, column), width and height of a patch, in shares of the image's sides."""
    rows, columns = np.divmod(np.array(patch["cells"]), patch["columns"])
    across, down = patch["columns"], patch["rows"]
    wide, tall = float(np.ptp(columns) + 1) / across, float(np.ptp(rows) + 1) / down
    return float(rows.mean() + 0.5) / down, float(columns.mean() + 0.5) / across, wide, tall


def _centred(patches: Sequence[PatchRow], folds: Sequence[int]) -> NDArray[np.float64]:
    """Looks without the mean of their fold, so that a cosine compares what is peculiar to each."""
    looks, numbers = np.array([patch["look"] for patch in patches], np.float64), np.array(folds)
    for fold in np.unique(numbers):
        looks[numbers == fold] -= looks[numbers == fold].mean(axis=0)
    # Where all look alike nothing is left, and a cosine needs a direction.
    looks[np.linalg.norm(looks, axis=1) < ROUNDING] = 1.0
    return looks
