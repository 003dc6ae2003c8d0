"""What a training gives and says while it runs, whichever library it is done with."""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from whalecam.arrays import ByteArray, Progress, Report
from whalecam.network import Network

LEAST_BATCH = 8
Change = Callable[[str, ByteArray, np.random.Generator], ByteArray]
"""(image, network input uint8 (S, S, 3), source of chance) → the input to train on this time, of the same shape."""


class Augment(Protocol):
    """A change of training images that is drawn anew every epoch."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What it did, for the metrics."""

    def __call__(self, training: pd.DataFrame) -> Change:
        """The change for one network, made from the rows it is trained on and from no others."""


@dataclass(frozen=True)
class Fit:
    """A trained network and what it says of the images it was not trained on.

    Attributes:
        probabilities: (V, C), float64, of the validation rows, in the order of the table.
        epochs: one row each, for `metrics.json`.
        facts: what else is to be known of its training.
    """

    model: Network
    probabilities: NDArray[np.float64]
    epochs: list[dict[str, float]]
    facts: Mapping[str, object] = field(default_factory=dict)


class Watch:
    """Reports every step of some networks that are trained one after the other, and keeps the present one's epochs."""

    def __init__(self, report: Report, networks: int = 1) -> None:
        self.report, self.networks, self.begun = report, networks, 0

    def begin(self) -> None:
        """Another network follows."""
        self.begun += 1
        self.epochs: list[dict[str, float]] = []

    def step(self, done: int, of: int, values: Mapping[str, float] | None = None) -> None:
        """Report how far the present network is, with live figures; those that are not finite are left out."""
        stage = f"training network {self.begun} of {self.networks}" if self.networks > 1 else "training"
        shown = {name: value for name, value in (values or {}).items() if math.isfinite(value)}
        self.report(Progress(stage, (self.begun - 1) * of + done, self.networks * of, shown))

    def note(self, row: dict[str, float]) -> None:
        """Keep the row of an epoch."""
        self.epochs.append(row)


def seed_all(seed: int) -> None:
    """Make what follows the same in every run: initial weights, augmentation, order."""
    torch.manual_seed(seed)
    np.random.seed(seed % (2**32 - 1))  # libraries draw from it
    random.seed(seed)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
