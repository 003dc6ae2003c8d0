"""Patches that recur in a class: at one place of the image, or with one look at any place."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whalecam.store.cue_rows import PatchRow

Whole = NDArray[np.int64]
SMALLEST, LEAST_SHARE = 5, 0.08
"""Images, and share of a class's tested images, that a group needs."""
ROUNDING = 1e-9
ALIKE = 0.5
"""Cosine from which groups of looks are merged, on average over their pairs."""


def at_places(patches: Sequence[PatchRow], smallest: int) -> list[Whole]:
    """Groups of patches that share a cell, the largest first; each patch is in one of them at most.

    Args:
        patches: of one class; grids of different sizes share no cell.
    """
    left, groups = set(range(len(patches))), list[Whole]()
    while left:
        counts: dict[tuple[int, int, int], list[int]] = {}
        for at in sorted(left):
            patch = patches[at]
            for cell in patch["cells"]:
                counts.setdefault((patch["rows"], patch["columns"], cell), []).append(at)
        members = max(counts.values(), key=len, default=[])
        if len(members) < smallest:
            break
        groups.append(np.array(members, np.int64))
        left -= set(members)
    return groups


def with_looks(patches: Sequence[PatchRow], folds: Sequence[int], smallest: int) -> list[Whole]:
    """Groups of patches that look alike to the network, by average linkage of their cosines.

    Args:
        patches: of one class, with the fold of each, from whose mean looks are measured.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if len(patches) < smallest:
        return []
    labels = fcluster(linkage(_centred(patches, folds), "average", "cosine"), 1 - ALIKE, "distance")
    groups = [np.flatnonzero(labels == number).astype(np.int64) for number in np.unique(labels)]
    return sorted((group for group in groups if len(group) >= smallest), key=lambda group: -len(group))


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
