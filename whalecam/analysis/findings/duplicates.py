"""Images that are there twice: pixel for pixel, or nearly."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.analysis.findings.finding import Evidence, Finding
from whalecam.data import OK
from whalecam.words import Words

NEAR_BITS = 2
"""Of 64 bits of the perceptual hash, how many may differ between near duplicates (CleanVision: none)."""
SHAPE, SHADE = 0.03, 12.0
"""How far the sides' ratio (as a share) and the water's mean Lab (of 255) of near duplicates may differ."""
BLOCK, MOST_COMPARED = 512, 1000
COLUMNS = ["duplicate_set", "image", "label", "group", "width", "height"]


def duplicates(evidence: Evidence) -> list[Finding]:
    """Exact, then near duplicates; those under different labels apart from the others, and first."""
    if evidence.properties is None:
        return []
    seen = evidence.properties[evidence.properties["status"] == OK]
    seen = evidence.data.good().drop(columns=["path", "status"]).merge(seen, on="image").reset_index(drop=True)
    exact = seen["digest"].to_numpy(object)
    near = alike_within(near_groups(seen["phash"].to_numpy(object)), _looks(seen))
    exact_rows = _grouped(seen, pd.factorize(exact)[0])
    near_rows = _grouped(seen, near)
    near_only = near_rows.groupby("duplicate_set")["digest"].transform("nunique") > 1
    words = evidence.words
    return [*_findings("exact", exact_rows, words), *_findings("near", near_rows[near_only], words)]


def near_groups(hashes: NDArray[np.object_]) -> NDArray[np.int64]:
    """A number per image, shared by those that a chain of steps of at most NEAR_BITS bits connects."""
    bits = np.array([int(text, 16) for text in hashes], np.uint64)
    # Equal hashes first, or a thousand blank images would be half a million pairs.
    distinct, place = np.unique(bits, return_inverse=True)
    pairs = np.concatenate([np.empty((0, 2), int), *_close(distinct)])
    return _connected(pairs[:, 0], pairs[:, 1], len(distinct))[place]


def alike_within(groups: NDArray[np.int64], looks: NDArray[np.float64]) -> NDArray[np.int64]:
    """The groups, parted where no chain of images whose `looks` (N, D) all differ by at most 1 connects them.

    The hash knows neither shape nor colour: two orcas in two waters may have one.
    """
    parted, shared = groups.copy(), np.flatnonzero(np.bincount(groups, minlength=1)[groups] > 1)
    for group in np.unique(groups[shared]):
        rows = np.flatnonzero(groups == group)
        if len(rows) <= MOST_COMPARED:
            near = (np.abs(looks[rows, None] - looks[None, rows]) <= 1).all(axis=2)
            first, second = np.nonzero(near)
            parted[rows] = parted.max() + 1 + _connected(first, second, len(rows))
    return parted


def _looks(seen: pd.DataFrame) -> NDArray[np.float64]:
    """Shape and colour, each in units of what a resized or recompressed copy may differ by."""
    aspect = np.log((seen["width"] / seen["height"]).to_numpy(float)) / SHAPE
    water = seen[["water_l", "water_a", "water_b"]].to_numpy(float) / SHADE
    return np.column_stack([aspect, water])


def _connected(first: NDArray[np.int64], second: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """A number per node, the same for those that a path of edges connects."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _close(distinct: NDArray[np.uint64]) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(distinct), BLOCK):
        part = distinct[start : start + BLOCK, None]
        first, second = np.nonzero(np.bitwise_count(part ^ distinct[None, start:]) <= NEAR_BITS)
        later = first < second
        yield np.stack([first[later] + start, second[later] + start], axis=1)


def _grouped(seen: pd.DataFrame, groups: NDArray[np.int64]) -> pd.DataFrame:
    """The rows that share their number with another, numbered from 1 in the order of the table: `duplicate_set`."""
    table = seen.assign(duplicate_set=groups)
    table = table[table["duplicate_set"].duplicated(keep=False)]
    numbered = table.assign(duplicate_set=pd.factorize(table["duplicate_set"])[0] + 1)
    return numbered.sort_values("duplicate_set", kind="stable")


def _findings(kind: str, rows: pd.DataFrame, words: Words) -> list[Finding]:
    labels = rows.groupby("duplicate_set")["label"].transform("nunique") > 1
    animals = rows[rows["group"] != ""].groupby("duplicate_set")["group"].nunique()
    apart = labels | rows["duplicate_set"].isin(animals.index[animals > 1])
    both = [(True, rows[apart]), (False, rows[~apart])]
    return [_finding(kind, differ, part[COLUMNS], words) for differ, part in both if len(part)]


def _finding(kind: str, differ: bool, rows: pd.DataFrame, words: Words) -> Finding:
    groups, exact = int(rows["duplicate_set"].nunique()), kind == "exact"
    how = "are pixel for pixel the same" if exact else "look nearly the same"
    under = f"under different labels or {words.groups}" if differ else "under one label"
    return Finding(
        f"{kind}_duplicates",
        ("high" if exact else "medium") if differ else ("medium" if exact else "low"),
        f"{len(rows):,} images in {groups:,} set{'' if groups == 1 else 's'} {how}, {under}.",
        "At most one of the labels is right, and the network is punished for either."
        if differ
        else "An image in training and in validation at once is predicted from memory; and it counts twice.",
        "Look at them side by side and correct the wrong ones." if differ else "Keep one of each set.",
        ("different labels" if differ else "one label",),
        {"images": len(rows), "groups": groups},
        rows,
    )
