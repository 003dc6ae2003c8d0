"""Just train twice (Liu et al. 2021, arXiv 2107.09044): a second network sees the first one's errors more often."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.protocols.parts import Codes
from benchmarks.protocols.stages import train
from benchmarks.protocols.trial import Candidate, Trial, candidate_of

UPWEIGHTS = (5.0, 20.0)
"""How many times as often an error is drawn."""


def error_set(logits: NDArray[np.float64], labels: Codes) -> NDArray[np.bool_]:
    """(N,) whether the first network is wrong."""
    return np.asarray(logits.argmax(axis=1) != labels)


def jtt(trial: Trial) -> Sequence[Candidate]:
    """A network for each epoch at which the first one is stopped, and for each of UPWEIGHTS.

    The first network is the ERM network after a few of its epochs.
    """
    labels, lowered, candidates = trial.parts.training.labels, trial.lowered["training"], []
    for epochs in trial.early[:2]:
        is_error = error_set(trial.snapshots[epochs].logits(lowered), labels)
        for upweight in UPWEIGHTS:
            weights = np.where(is_error, upweight, 1.0)
            networks = train(trial.stages, lowered, labels, trial.recipe, trial.seed, weights=weights)
            candidates.append(candidate_of(networks[trial.recipe.epochs], trial))
    return candidates
