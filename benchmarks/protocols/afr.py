"""Automatic feature reweighting (Qiu et al. 2023, arXiv 2306.11074).

ERM on 80 % of the training images; on the others the last layer is fitted again, where images count the more, the less
probable the network finds their label: exp(−γ p), classes balanced. A penalty keeps it near the first layer.
"""

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from benchmarks.protocols.parts import Codes
from benchmarks.protocols.stages import Linear, train
from benchmarks.protocols.trial import Candidate, Trial

Values = NDArray[np.float64]
SHARE = 0.8
"""Of the training images, in the first stage."""
GAMMAS, PENALTIES = (4.0, 8.0, 12.0, 16.0, 20.0), (0.0, 0.1, 0.2, 0.3, 0.4)
RATE, STEPS, EVERY = 1e-2, 500, 50
"""Of gradient descent on all images at once; a candidate after every EVERY steps, for early stopping."""


def afr(trial: Trial) -> Sequence[Candidate]:
    """A last layer for each γ, each penalty and each time at which it is stopped."""
    part, lowered = trial.parts.training, trial.lowered["training"]
    first, second = np.split(np.random.default_rng([trial.seed, 3]).permutation(len(part)), [round(SHARE * len(part))])
    network = train(trial.stages, lowered[first], part.labels[first], trial.recipe, trial.seed)[trial.recipe.epochs]
    embedded, labels, start = network.embedded(lowered[second]), part.labels[second], network.last
    validation, test = (network.embedded(trial.lowered[name]) for name in ("validation", "test"))
    candidates = []
    for gamma, penalty in itertools.product(GAMMAS, PENALTIES):
        weights = image_weights(start.logits(embedded), labels, gamma)
        for layer in descended(start, embedded, labels, weights, penalty):
            predicted = (layer.logits(values).argmax(axis=1) for values in (validation, test))
            candidates.append(Candidate(*predicted))
    return candidates


def image_weights(logits: Values, labels: Codes, gamma: float) -> Values:
    """(N,) exp(−γ p) by the probability p of the label, divided by the size of the class; they sum to 1."""
    p = softmax(logits, axis=1)[np.arange(len(labels)), labels]
    weights = np.exp(-gamma * p) / np.bincount(labels)[labels]
    return np.asarray(weights / weights.sum())


def descended(start: Linear, embedded: Values, labels: Codes, weights: Values, penalty: float) -> list[Linear]:
    """Layers after every EVERY steps down `Σ weights · cross-entropy + penalty · |layer − start|²`."""
    truth, layers = np.eye(len(start.bias))[labels], []
    coefficients, bias = start.weights.copy(), start.bias.copy()
    for step in range(1, STEPS + 1):
        error = weights[:, None] * (softmax(embedded @ coefficients.T + bias, axis=1) - truth)
        slope = error.T @ embedded + 2 * penalty * (coefficients - start.weights)
        bias_slope = error.sum(axis=0) + 2 * penalty * (bias - start.bias)
        coefficients, bias = coefficients - RATE * slope, bias - RATE * bias_slope
        if step % EVERY == 0:
            layers.append(Linear(coefficients, bias))
    return layers
