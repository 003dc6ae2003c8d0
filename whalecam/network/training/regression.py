"""A multinomial logistic regression on standardised features, as the weights of one linear layer."""

import importlib
import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

INVERSE_PENALTY = 0.1
"""C of scikit-learn's LogisticRegression, on standardised features."""
UNSEEN = 10.0
"""Logits by which a class without a training image lies below the least probable other, before any image is seen."""
Values = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Regression:
    """`logits = weights · (features − mean) / deviation + bias`.

    Attributes:
        weights: (C, K); a class without a training image has zeros.
        bias: (C,).
        mean, deviation: (K,) of the features; the deviation of a constant feature is 1.
    """

    weights: Values
    bias: Values
    mean: Values
    deviation: Values

    def folded(self) -> tuple[Values, Values]:
        """Weights (C, K) and bias (C,) on the features as they are."""
        weights = self.weights / self.deviation
        return weights, self.bias - weights @ self.mean


def regress(features: Values, labels: NDArray[np.int64], classes: int, share: Values | None = None) -> Regression:
    """Fit scikit-learn's LogisticRegression.

    Args:
        features: (N, K).
        labels: (N,) codes below `classes`.
        share: (N,) how much each row counts, 1 on average; None: all alike. Mean and deviation count all alike.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(features)
    fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(scaler.transform(features), labels, share)
    weights, bias = fitted.coef_, fitted.intercept_
    if len(fitted.classes_) == 2:  # scikit-learn has one row for two classes
        weights, bias = np.concatenate([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    every, intercepts = np.zeros((classes, features.shape[1])), np.full(classes, bias.min() - UNSEEN)
    every[fitted.classes_], intercepts[fitted.classes_] = weights, bias
    return Regression(weights=every, bias=intercepts, mean=scaler.mean_, deviation=scaler.scale_)


def load_ahead() -> None:
    """Begin to load what `regress` needs beside other work: it takes a second."""
    threading.Thread(target=importlib.import_module, args=("sklearn.linear_model",), daemon=True).start()


def log_loss(labels: NDArray[np.int64], probabilities: Values) -> float:
    """The mean of −log p of labels (N,) under probabilities (N, C), in nats; a p of 0 counts as the smallest step."""
    p = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(p.clip(np.finfo(np.float64).eps)).mean())
