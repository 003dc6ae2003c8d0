"""How well the group of an image predicts its label, by the other individuals of the group."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.data.folds import groups_of

PERMUTATIONS, SEED = 999, 0
MAX_GROUPS, MAX_CLASSES = 5_000, 50
"""Of a larger set so many groups, drawn at random, and the largest classes."""
LEAST_SKILL = 0.1
"""Below it no p value is computed: what hardly predicts does not matter."""


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """The result of predicting labels from groups.

    Attributes:
        pairs: an individual in a group counts once; how many such pairs were predicted.
        accuracy: share of the pairs whose label is that of most other individuals of the group, among equals and alone
            in a group the most frequent one; labels that are equal in this too count as wrong.
        majority: share of the most frequent label, which is the accuracy without groups.
        p: of an accuracy as large under random labels of the individuals (permutations, one-sided); 1 where the skill
            is below LEAST_SKILL.
    """

    pairs: int
    accuracy: float
    majority: float
    p: float

    @property
    def skill(self) -> float:
        """Where the accuracy lies between the majority's, 0, and perfection, 1."""
        return (self.accuracy - self.majority) / (1 - self.majority)


def predict_labels(
    groups: Sequence[str], labels: Sequence[str], individuals: Sequence[str], seed: int = SEED
) -> Prediction | None:
    """Predict the label of each individual from the others in its group.

    Args:
        groups: of each image; images with an empty one do not count.
        individuals: of each image; an empty one is an individual of its own. Its label is the most frequent one.

    Returns: None where fewer than two groups or two labels are left.
    """
    table = pd.DataFrame({"group": list(groups), "label": list(labels), "unit": groups_of(individuals)})
    table = _drawn(table[table["group"] != ""], np.random.default_rng(seed))
    if table["group"].nunique() < 2 or table["label"].nunique() < 2:
        return None
    units, unit = np.unique(table["unit"], return_inverse=True)
    label = _label_of_units(table.assign(unit=unit), len(units))
    pairs = np.unique(np.column_stack([pd.factorize(table["group"])[0], unit]), axis=0)
    majority = float(np.bincount(label[pairs[:, 1]]).max() / len(pairs))
    accuracy = _accuracy(pairs, label)
    unproven = Prediction(pairs=len(pairs), accuracy=accuracy, majority=majority, p=1.0)
    if majority == 1 or unproven.skill < LEAST_SKILL:
        return None if majority == 1 else unproven
    rng = np.random.default_rng(seed)
    drawn = np.array([_accuracy(pairs, rng.permutation(label)) for _ in range(PERMUTATIONS)])
    p = float((1 + (drawn >= accuracy - 1e-12).sum()) / (1 + PERMUTATIONS))
    return Prediction(pairs=len(pairs), accuracy=accuracy, majority=majority, p=p)


def _drawn(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """The rows of the largest classes, and of some groups where there are very many."""
    table = table[table["label"].isin(table["label"].value_counts().head(MAX_CLASSES).index)]
    names = np.sort(table["group"].unique().astype(str))
    if len(names) <= MAX_GROUPS:
        return table
    return table[table["group"].isin(rng.permutation(names)[:MAX_GROUPS])]


def _label_of_units(table: pd.DataFrame, count: int) -> NDArray[np.int64]:
    """The most frequent label of each unit, as a code; among equals the first by name."""
    codes, names = pd.factorize(table["label"], sort=True)
    counts = np.zeros((count, len(names)), np.int32)
    np.add.at(counts, (table["unit"].to_numpy(), codes), 1)
    return np.asarray(counts.argmax(axis=1), np.int64)


def _accuracy(pairs: NDArray[np.int64], label: NDArray[np.int64]) -> float:
    """The share of pairs (group, unit) whose label the rest of the group has most; ties go to the frequent label."""
    group, own = pairs[:, 0], label[pairs[:, 1]]
    classes = int(label.max()) + 1
    counts = np.bincount(group * classes + own, minlength=(int(group.max()) + 1) * classes).reshape(-1, classes)
    vote = len(own) + 1  # so that all frequencies together weigh less than one of the group
    votes = counts * vote + np.bincount(own, minlength=classes)
    best = votes.argmax(axis=1)
    rows = np.arange(len(votes))
    first = votes[rows, best]
    votes[rows, best] = -1
    second = votes.max(axis=1)
    is_best = best[group] == own
    votes[rows, best] = first
    mine = votes[group, own] - vote
    return float((mine > np.where(is_best, second[group], first[group])).mean())
