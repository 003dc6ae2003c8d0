"""The weight of a penalty chosen on held-out images: right as they are, and right on other backgrounds."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from whalecam.arrays import silent
from whalecam.data import folds
from whalecam.errors import DatasetError
from whalecam.network import Network
from whalecam.network.training.versions import Backgrounds, versions_of

WEIGHTS = (1.0, 4.0, 16.0)
"""Of the penalty, beside a cross-entropy in nats."""
HELD_OUT = 0.25
"""Share of the training images that the choice is made on; the network is trained on all of them afterwards."""
SWAPS = 4
"""Backgrounds that each of them is put on."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What a weight gave on images held out of its training.

    Attributes:
        accuracy: as they are, a share.
        swapped_accuracy: on backgrounds of other labels, a share; NaN where none could be exchanged.
    """

    weight: float
    accuracy: float
    swapped_accuracy: float

    @property
    def score(self) -> float:
        """The mean of both accuracies; of the one that there is."""
        return float(np.nanmean([self.accuracy, self.swapped_accuracy]))

    def plain(self) -> dict[str, float | None]:
        """All of it for JSON; None for NaN."""
        return {name: None if value != value else value for name, value in asdict(self).items()}


def choose(trials: list[Trial]) -> Trial:
    """The trial with the highest score; of equal ones that with the smallest weight."""
    return min(trials, key=lambda trial: (-trial.score, trial.weight))


def held_out_of(training: pd.DataFrame, seed: int) -> NDArray[np.bool_]:
    """True for the training rows (N,) that a weight is chosen on: no group on both sides where that can be."""
    labels, groups = training["label"].tolist(), [str(group) for group in training["group"]]
    for kind in ("group", "random"):
        try:
            is_valid = folds.split_rows(groups, labels, kind=kind, valid_share=HELD_OUT, seed=seed)
        except DatasetError:
            continue
        if set(training["label"][~is_valid]) == set(labels):
            return is_valid
    return folds.split_rows([""] * len(labels), labels, kind="random", valid_share=HELD_OUT, seed=seed)


def tried(weight: float, model: Network, rows: pd.DataFrame, backgrounds: Backgrounds, *, seed: int) -> Trial:
    """What a network trained with a weight gives on rows that it has not seen.

    Args:
        rows: `image`, `path`, `label`; those whose label is no class of the network are left out.
    """
    known = rows[rows["label"].isin(model.classes)]
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        versions = versions_of(model, model.head, known, backgrounds(known), rng=rng, count=SWAPS, report=silent)
    predicted = np.array(model.classes)[versions.features.argmax(axis=1)]
    is_right = predicted == versions.labels
    is_swapped = ~versions.is_own & (versions.labels != versions.backgrounds)
    swapped = float(is_right[is_swapped].mean()) if is_swapped.any() else np.nan
    return Trial(weight=weight, accuracy=float(is_right[versions.is_own].mean()), swapped_accuracy=swapped)
