"""How well some numbers tell labels that they should know nothing of: out of fold, grouped by individual."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whalecam.stats import Interval

FOLDS, TREES, LEAF, SEED = 5, 100, 5, 0
RESAMPLES = 200
INTERVAL = (2.5, 97.5)
FEWEST_GROUPS = 2


@dataclass(frozen=True)
class Guess:
    """The result of guessing labels.

    Attributes:
        measure: `AUC` between two labels, else `balanced accuracy`.
        score: of the guesses out of fold, in [0, 1].
        chance: the score of who knows nothing: 0.5, or one over the number of classes (whoever always names the
            majority has this balanced accuracy).
        accuracy: plain accuracy, to be held against `majority`, the share of the largest class.
        p_label: the probability given to each image's own label, in the order of `images`.
    """

    measure: str
    score: Interval
    chance: float
    accuracy: float
    majority: float
    classes: int
    images: list[str]
    p_label: NDArray[np.float64]

    @property
    def skill(self) -> float:
        """Where the lower end of the interval lies between chance, 0, and perfection, 1."""
        return (self.score.low - self.chance) / (1 - self.chance)


def guess(
    numbers: NDArray[np.float64], labels: Sequence[str], individuals: Sequence[str], images: list[str]
) -> Guess | None:
    """Guess each label from (N, D) numbers by trees that saw neither the image nor its individual.

    None where fewer than two labels have two individuals each, so that there is nothing to learn or to judge.
    """
    from whalecam.data import folds

    names = np.asarray(labels, object)
    groups = folds.groups_of(individuals)
    enough = [label for label in set(labels) if len(set(groups[names == label].tolist())) >= FEWEST_GROUPS]
    kept = np.isin(names, enough)
    if len(enough) < 2:
        return None
    classes, codes = np.unique(names[kept].astype(str), return_inverse=True)
    odds = _out_of_fold(numbers[kept], codes, groups[kept])
    named = odds.argmax(axis=1)
    majority = float(np.bincount(codes).max() / len(codes))
    two = len(classes) == 2
    score = _auc(odds[:, 1], codes, groups[kept]) if two else _balanced(named, codes, groups[kept])
    return Guess(
        "AUC" if two else "balanced accuracy",
        score,
        1 / len(classes),
        float((named == codes).mean()),
        majority,
        len(classes),
        [image for image, keep in zip(images, kept, strict=True) if keep],
        odds[np.arange(len(codes)), codes],
    )


def _out_of_fold(
    numbers: NDArray[np.float64], codes: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(N, classes) probabilities; a class that a fold did not see has 0."""
    from sklearn.ensemble import ExtraTreesClassifier

    from whalecam.data import folds

    parts = min(FOLDS, len(np.unique(groups)))
    fold, _ = folds.fold_rows([str(g) for g in groups], [str(c) for c in codes], kind="group", folds=parts, seed=SEED)
    odds = np.zeros((len(codes), int(codes.max()) + 1))
    for number in range(parts):
        is_held_out = fold == number
        trees = ExtraTreesClassifier(TREES, min_samples_leaf=LEAF, class_weight="balanced", random_state=SEED)
        trees.fit(numbers[~is_held_out], codes[~is_held_out])
        if is_held_out.any():
            odds[np.ix_(is_held_out, trees.classes_)] = trees.predict_proba(numbers[is_held_out])
    return odds


def _weights(groups: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often each of RESAMPLES draws of individuals, with putting back, holds each individual; and who has a row."""
    present, place = np.unique(groups, return_inverse=True)
    rng = np.random.default_rng(SEED)
    counts = rng.multinomial(len(present), np.full(len(present), 1 / len(present)), size=RESAMPLES)
    return counts, place


def _balanced(named: NDArray[np.int64], codes: NDArray[np.int64], groups: NDArray[np.int64]) -> Interval:
    """Balanced accuracy: the mean over classes of the share that is named right."""
    counts, place = _weights(groups)
    hits = np.zeros((counts.shape[1], int(codes.max()) + 1))
    seen = np.zeros_like(hits)
    np.add.at(hits, (place, codes), named == codes)
    np.add.at(seen, (place, codes), 1)
    with np.errstate(invalid="ignore"):  # a draw may hold nobody of a class: that class does not count in it
        drawn = np.nanmean((counts @ hits) / (counts @ seen), axis=1)
    low, high = np.percentile(drawn, INTERVAL)
    return Interval(float((hits.sum(axis=0) / seen.sum(axis=0)).mean()), float(low), float(high))


def _auc(odds: NDArray[np.float64], codes: NDArray[np.int64], groups: NDArray[np.int64]) -> Interval:
    """How often an image of the second label has higher odds of it than one of the first; ties count half."""
    from sklearn.metrics import roc_auc_score

    counts, place = _weights(groups)
    both = [weights for weights in counts[:, place] if np.unique(codes[weights > 0]).size == 2]
    drawn = [roc_auc_score(codes, odds, sample_weight=weights) for weights in both]
    low, high = np.percentile(drawn, INTERVAL) if drawn else (0.0, 1.0)
    return Interval(float(roc_auc_score(codes, odds)), float(low), float(high))
