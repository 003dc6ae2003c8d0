"""What all methods of a seed start from, and how the best of a method's candidates is chosen."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.protocols.parts import Codes, Part, Parts
from benchmarks.protocols.scores import worst_class, worst_group
from benchmarks.protocols.stages import Classifier, Recipe, Stages, train

Values = NDArray[np.float64]
Rule = Callable[[Codes, Part], float]
"""(predicted labels, the part that they are of) → how good they are; larger is better."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One seed of the protocol.

    Attributes:
        lowered: of each part, what the lower stages give (`Stages.lowered`).
        seed: of every training.
    """

    parts: Parts
    stages: Stages
    recipe: Recipe
    lowered: Mapping[str, Tensor]
    seed: int

    @property
    def early(self) -> tuple[int, ...]:
        """After how many epochs early-stopped copies of the ERM network are kept: about a tenth, a fifth, a half."""
        return tuple(sorted({max(1, round(share * self.recipe.epochs)) for share in (0.1, 0.2, 0.5)}))

    @functools.cached_property
    def snapshots(self) -> Mapping[int, Classifier]:
        """The network trained by empirical risk minimisation (ERM), by epochs: `early` and all."""
        labels = self.parts.training.labels
        return train(self.stages, self.lowered["training"], labels, self.recipe, self.seed, snapshots=(*self.early,))

    @property
    def erm(self) -> Classifier:
        return self.snapshots[self.recipe.epochs]

    @functools.cached_property
    def embedded(self) -> Mapping[str, Values]:
        """Of each part, what the last layer of the ERM network takes, (N, J)."""
        return {name: self.erm.embedded(lowered) for name, lowered in self.lowered.items()}


@dataclass(frozen=True, eq=False)
class Candidate:
    """What a network with one choice of hyperparameters predicts of the validation and of the test images."""

    validation: Codes
    test: Codes


def by_worst_group(predicted: Codes, part: Part) -> float:
    return worst_group(predicted, part.labels, part.groups)


def by_worst_class(predicted: Codes, part: Part) -> float:
    return worst_class(predicted, part.labels)


def chosen(candidates: Sequence[Candidate], rule: Rule, part: Part) -> Codes:
    """The test predictions of the candidate that is best on the validation images; the first of several."""
    return max(candidates, key=lambda candidate: rule(candidate.validation, part)).test


def candidate_of(network: Classifier, trial: Trial) -> Candidate:
    validation, test = (network.logits(trial.lowered[name]).argmax(axis=1) for name in ("validation", "test"))
    return Candidate(validation, test)
