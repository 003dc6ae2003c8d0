"""Whether a network's classes are named in the wrong order, which nothing but its confusions can show."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.text import percent

Counts = NDArray[np.int64]
MIN_IMAGES = 20
"""Images of the labels in question below which nothing is proposed."""
MAX_CLASSES = 500
"""Classes beyond which nothing is proposed: orders of 15,000 individuals would take gigabytes and hours."""
MAX_AS_NAMED, MIN_AS_PROPOSED = 0.25, 0.6
"""Shares of them that must be right at most as the classes are named, and at least as they are proposed."""
SHUFFLES = 200
"""How often labels are shuffled: none of the shuffles may fit any order as well as the confusions fit the proposed."""


@dataclass(frozen=True)
class ClassOrder:
    """Another order of a network's classes that explains its confusions.

    Attributes:
        classes: all of them, in the proposed order of the outputs.
        moved: how many stand at another place than they are named.
        accuracy_as_named, accuracy_as_proposed: shares of the `images` of the moved labels that are right, in [0, 1].
    """

    classes: tuple[str, ...]
    moved: int
    images: int
    accuracy_as_named: float
    accuracy_as_proposed: float

    @property
    def sentence(self) -> str:
        return (
            f"The classes seem to be named in another order than the network's outputs: of {self.images:,} images of "
            f"{self.moved} labels, {percent(self.accuracy_as_named)} are right as the classes are named, and "
            f"{percent(self.accuracy_as_proposed)} in this order: {','.join(self.classes)}. Every map and score "
            "belongs to the class named, so load the checkpoint again with the right order before you trust any."
        )


def proposed_order(confusion: pd.DataFrame, classes: Sequence[str]) -> ClassOrder | None:
    """The order of the classes that makes most images right (Hungarian assignment), where it explains the confusions.

    A network that has learned nothing, or confuses two classes one way, gets none: of the labels whose place changes,
    a quarter at most may be right as named, three of five must be as proposed, and more than in any of SHUFFLES random
    pairings of these images with predictions, each at its own best order.

    Args:
        confusion: `label`, `predicted`, `images`, as `Table.confusion` gives them.
        classes: as they are named, in the order of the outputs.
    """
    if len(classes) > MAX_CLASSES:
        return None
    counts = _counts(confusion, classes)
    if (counts.diagonal() > MAX_AS_NAMED * counts.sum(axis=1)).all() or not _may_explain(counts):
        return None
    order = _best(counts)
    moved = np.flatnonzero(order != np.arange(len(order)))
    images = int(counts[moved].sum())
    if len(moved) < 2 or images < MIN_IMAGES:
        return None
    as_named, as_proposed = (int(counts[moved, place].sum()) / images for place in (moved, order[moved]))
    if as_named > MAX_AS_NAMED or as_proposed < MIN_AS_PROPOSED or as_proposed <= _by_chance(counts[moved]):
        return None
    names = list(classes)
    for label, output in zip(classes, order, strict=True):
        names[output] = label
    return ClassOrder(tuple(names), len(moved), images, as_named, as_proposed)


def _counts(confusion: pd.DataFrame, classes: Sequence[str]) -> Counts:
    """Images by label (rows) and predicted class (columns), both in the order of the classes."""
    at = {name: number for number, name in enumerate(classes)}
    counts = np.zeros((len(at), len(at)), np.int64)
    for label, predicted, images in confusion[["label", "predicted", "images"]].itertuples(index=False):
        if label in at and predicted in at:
            counts[at[label], at[predicted]] += int(images)
    return counts


def _may_explain(counts: Counts) -> bool:
    """Whether another order may make enough images right: then some label's images mostly fall under one other class.

    Asked first, for the search needs scipy, which takes longer to import than all else that a verb does.
    """
    others = counts - np.diag(counts.diagonal())
    return bool((others.max(axis=1, initial=0) >= MIN_AS_PROPOSED * counts.sum(axis=1))[counts.any(axis=1)].any())


def _best(counts: Counts) -> NDArray[np.intp]:
    """For each label the output that it is given, all different; where nothing is gained, a label keeps its own."""
    stays = np.eye(len(counts)) * (0.5 / max(1, len(counts)))  # less than one image in all
    return _assignment(counts + stays)


def _by_chance(counts: Counts) -> float:
    """The largest share of images that an order makes right where labels and predictions have nothing in common."""
    labels, predicted = (
        np.repeat(np.arange(n), counts.sum(axis=axis)) for axis, n in ((1, len(counts)), (0, counts.shape[1]))
    )
    rng = np.random.default_rng(0)
    most = 0
    for _ in range(SHUFFLES):
        shuffled = np.zeros_like(counts)
        np.add.at(shuffled, (rng.permutation(labels), predicted), 1)
        most = max(most, int(shuffled[np.arange(len(counts)), _assignment(shuffled)].sum()))
    return most / len(labels)


def _assignment(gains: NDArray[Any]) -> NDArray[np.intp]:
    """A column for each row, all different, with the largest sum of gains (Hungarian method)."""
    from scipy.optimize import linear_sum_assignment

    return np.asarray(linear_sum_assignment(gains, maximize=True)[1])
