"""Deep feature reweighting, DFR on validation (Kirichenko et al. 2023, arXiv 2204.02937).

Standardised features of the ERM network; L1-penalised logistic regressions on subsets of the validation images that
have as many of each group, their weights averaged. The penalty is chosen on the other half of the validation images.
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from benchmarks.protocols.parts import Codes
from benchmarks.protocols.scores import worst_group
from benchmarks.protocols.stages import Linear
from benchmarks.protocols.trial import Trial

Values = NDArray[np.float64]
PENALTIES = (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01)
"""C of scikit-learn's LogisticRegression, as in the paper."""
SUBSETS = 20


def dfr(trial: Trial) -> Codes:
    """Predicted labels of the test images, (N,)."""
    rng, part = np.random.default_rng([trial.seed, 2]), trial.parts.validation
    embedded = trial.embedded["validation"]
    penalty = tuned(embedded, part.labels, part.groups, rng)
    scaler = StandardScaler().fit(trial.embedded["training"])
    layer = averaged(scaler.transform(embedded), part.labels, part.groups, penalty, rng)
    return np.asarray(layer.logits(scaler.transform(trial.embedded["test"])).argmax(axis=1))


def tuned(embedded: Values, labels: Codes, groups: Codes, rng: Generator) -> float:
    """The penalty whose regression on one half is best for the worst group of the other half."""
    order = rng.permutation(len(labels))
    choosing, fitting = np.split(order, [len(order) // 2])
    some = fitting[balanced(groups[fitting], rng)]
    scaler = StandardScaler().fit(embedded[some])

    def worst(penalty: float) -> float:
        model = _regression(penalty).fit(scaler.transform(embedded[some]), labels[some])
        return worst_group(model.predict(scaler.transform(embedded[choosing])), labels[choosing], groups[choosing])

    return max(PENALTIES, key=worst)


def averaged(embedded: Values, labels: Codes, groups: Codes, penalty: float, rng: Generator) -> Linear:
    """The mean of SUBSETS regressions, each on another balanced subset."""
    weights, intercepts = [], []
    for _ in range(SUBSETS):
        some = balanced(groups, rng)
        model = _regression(penalty).fit(embedded[some], labels[some])
        weights.append(model.coef_[0])
        intercepts.append(model.intercept_[0])
    weight, bias = np.mean(weights, axis=0), float(np.mean(intercepts))
    return Linear(np.stack([-weight, weight]) / 2, np.array([-bias, bias]) / 2)


def balanced(groups: Codes, rng: Generator) -> Codes:
    """Rows with as many of each group as the smallest has, drawn at random without repetition."""
    rows = [rng.permutation(np.flatnonzero(groups == group)) for group in np.unique(groups)]
    smallest = min(map(len, rows))
    return np.concatenate([some[:smallest] for some in rows])


def _regression(penalty: float) -> LogisticRegression:
    return LogisticRegression(l1_ratio=1.0, C=penalty, solver="liblinear")
