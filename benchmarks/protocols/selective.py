"""SELF, selective last-layer finetuning by early-stop disagreement (LaBonte et al. 2023, arXiv 2309.08534).

Of one half of the validation images those are chosen on which the ERM network and an early-stopped copy of it disagree
most, and the last layer is finetuned on them, classes balanced. The other half chooses the hyperparameters; here by the
worst class, so that no group is known anywhere.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from benchmarks.protocols.parts import Codes, Part
from benchmarks.protocols.stages import Linear
from benchmarks.protocols.trial import Candidate, Trial

Values = NDArray[np.float64]
COUNTS, RATES, STEPS = (20, 50, 100), (1e-3, 1e-2, 1e-1), 250
"""Images chosen, and the learning rates and steps of gradient descent on all of them at once."""


def disagreement(logits: Values, early: Values) -> Values:
    """(N,) Kullback-Leibler divergence of the early-stopped network's probabilities from the trained one's, in nats."""
    first, second = log_softmax(logits, axis=1), log_softmax(early, axis=1)
    return np.asarray((np.exp(first) * (first - second)).sum(axis=1))


def selective(trial: Trial) -> tuple[Sequence[Candidate], Part]:
    """A last layer for each early-stopped copy, each of COUNTS and RATES; and the half of validation that chooses."""
    part, embedded = trial.parts.validation, trial.embedded["validation"]
    order = np.random.default_rng([trial.seed, 4]).permutation(len(part))
    fitting, choosing = np.split(order, [len(order) // 2])
    start, candidates = trial.erm.last, []
    for epochs in trial.early:
        early = trial.snapshots[epochs].logits(trial.lowered["validation"])[fitting]
        ranked = fitting[np.argsort(-disagreement(start.logits(embedded[fitting]), early), kind="stable")]
        for count, rate in itertools.product(COUNTS, RATES):
            some = ranked[:count]
            layer = finetuned(start, embedded[some], part.labels[some], rate)
            parts = (embedded[choosing], trial.embedded["test"])
            candidates.append(Candidate(*(layer.logits(values).argmax(axis=1) for values in parts)))
    return candidates, part.only(choosing)


def finetuned(start: Linear, embedded: Values, labels: Codes, rate: float) -> Linear:
    """Gradient descent from `start` on cross-entropy, each class counted alike."""
    weights = 1 / np.bincount(labels)[labels]
    weights /= weights.sum()
    truth, coefficients, bias = np.eye(len(start.bias))[labels], start.weights, start.bias
    for _ in range(STEPS):
        error = weights[:, None] * (softmax(embedded @ coefficients.T + bias, axis=1) - truth)
        coefficients, bias = coefficients - rate * error.T @ embedded, bias - rate * error.sum(axis=0)
    return Linear(coefficients, bias)
