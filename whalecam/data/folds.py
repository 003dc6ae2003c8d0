"""Which images a network is trained on and which judge it.

scikit-learn is imported where rows are divided: audits read folds, and its import takes as long as pandas'."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whalecam.errors import DatasetError


def split_rows(
    individuals: Sequence[str], labels: Sequence[str], *, kind: str, valid_share: float, seed: int
) -> NDArray[np.bool_]:
    """True where a row is for validation.

    Args:
        individuals: one name per row; a blank one is an individual of its own.
        labels: one per row, for stratification.
        kind: `random` or `group`: no individual on both sides, stratified by label; where
            there are too few individuals to stratify, a plain grouped split.
        valid_share: wanted share of validation rows, in (0, 1); each side keeps at least one row or individual.

    Raises DatasetError for another kind, a share outside (0, 1), fewer than two rows, or fewer than two individuals.
    """
    if not 0 < valid_share < 1:
        raise DatasetError(f"A validation share of {valid_share} leaves one side empty. Use a share such as 0.2.")
    n = len(labels)
    if n < 2:
        raise DatasetError(f"A split needs at least two usable images; there {'is 1' if n else 'are none'}.")
    if kind == "random":
        from sklearn.model_selection import ShuffleSplit

        _, valid = next(ShuffleSplit(1, test_size=_count(valid_share, n), random_state=seed).split(np.zeros(n)))
    elif kind == "group":
        valid = _grouped(groups_of(individuals), labels, valid_share, seed)
    else:
        raise DatasetError(f"There is no split '{kind}'. There are: random, group.")
    chosen = np.zeros(n, bool)
    chosen[valid] = True
    return chosen


def fold_rows(
    individuals: Sequence[str], labels: Sequence[str], *, kind: str, folds: int, seed: int
) -> tuple[NDArray[np.int64], list[str]]:
    """The fold that judges each row, stratified by label; under `group`, one fold for all rows of an individual.

    A label all of whose rows are one individual (or one image) is in every training part: no network that knows it
    could judge it unseen. Any other label lies in two folds at least, so that whoever judges it has learnt it.

    Returns: (N,) fold in [0, folds), −1 for what no fold judges; and the labels that this holds for, sorted.
    Raises DatasetError for fewer than two folds, another kind, or fewer individuals than folds.
    """
    if kind not in ("random", "group"):
        raise DatasetError(f"There is no split '{kind}'. There are: random, group.")
    groups = groups_of(individuals if kind == "group" else [""] * len(labels))
    of_label: dict[str, set[int]] = {}
    for label, group in zip(labels, groups.tolist(), strict=True):
        of_label.setdefault(label, set()).add(group)
    never = sorted(label for label, own in of_label.items() if len(own) < 2)
    validated = np.flatnonzero(~np.isin(np.asarray(labels, object), never))
    if folds < 2 or len(set(groups[validated].tolist())) < folds:
        raise DatasetError(
            f"{folds} folds need as many groups whose label occurs in another group too; there are "
            f"{len(set(groups[validated].tolist()))}. Use fewer folds, but two at least."
        )
    fold_of = np.full(len(labels), -1, np.int64)
    fold_of[validated] = _stratified(groups[validated], np.asarray(labels, object)[validated], folds, seed)
    for label in sorted(set(labels) - set(never)):
        _spread(fold_of, groups, np.flatnonzero(np.asarray(labels, object) == label), folds)
    return fold_of, never


def group_folds(
    groups: Sequence[str], labels: Sequence[str], folds: int, seed: int
) -> tuple[NDArray[np.int64], list[str]]:
    """The fold that validates each row where groups may have several labels, such as cameras: one fold for a group.

    A label that a single group has would be unknown to the network that validates it. All rows of such a group are in
    every training part, and its other labels with them, so that no group is on both sides.

    Returns: (N,) fold in [0, folds), −1 for what is in every training part; and the labels that no fold validates.
    Raises DatasetError for fewer than two folds, or fewer groups than folds.
    """
    numbers, names = groups_of(groups), np.asarray(labels, object)
    owners: dict[str, set[int]] = {}
    for label, group in zip(labels, numbers.tolist(), strict=True):
        owners.setdefault(label, set()).add(group)
    fixed = set().union(*(own for own in owners.values() if len(own) < 2))
    validated = np.flatnonzero(~np.isin(numbers, list(fixed)))
    left = len(set(numbers[validated].tolist()))
    if folds < 2 or left < folds:
        raise DatasetError(
            f"{folds} parts need as many groups whose labels occur in other groups too; there are {left} of "
            f"{len(set(numbers.tolist()))}. Use fewer folds, another --group, or --split random."
        )
    fold_of = np.full(len(names), -1, np.int64)
    fold_of[validated] = _stratified(numbers[validated], names[validated], folds, seed)
    for label in sorted(set(names[validated].tolist())):
        _spread(fold_of, numbers, np.flatnonzero(names == label), folds)
    while (unknown := _unlearnt(fold_of, names)) is not None:
        # Groups of several labels cannot always be spread: then one of them is in every training part.
        own = Counter(numbers[names == unknown].tolist())
        fold_of[numbers == min(own, key=lambda group: (own[group], group))] = -1
    if set(range(folds)) - set(fold_of.tolist()):
        raise DatasetError(
            f"These groups cannot be divided into {folds} parts whose labels occur in other parts too. Use fewer folds."
        )
    return fold_of, sorted(set(labels) - set(names[fold_of >= 0].tolist()))


def _unlearnt(fold_of: NDArray[np.int64], names: NDArray[Any]) -> str | None:
    """A label whose rows all lie in one fold, so that the network that validates it has not learnt it."""
    folds_of: dict[str, set[int]] = {}
    for label, fold in zip(names.tolist(), fold_of.tolist(), strict=True):
        folds_of.setdefault(label, set()).add(fold)
    return next((label for label in sorted(folds_of) if len(folds_of[label]) == 1 and -1 not in folds_of[label]), None)


def groups_of(individuals: Sequence[str]) -> NDArray[np.int64]:
    """A number per row, the same for the same individual; each blank one gets a number of its own."""
    names = [name or f"\0{row}" for row, name in enumerate(individuals)]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def shared_individuals(individuals: Sequence[str], is_valid: NDArray[np.bool_]) -> float:
    """Share of validation rows whose (known) individual is in training too; 0 where there is no validation row."""
    names = np.asarray(individuals, object)
    known = set(names[~is_valid]) - {""}
    validated = names[is_valid]
    return float(np.mean([name in known for name in validated])) if len(validated) else 0.0


def _stratified(groups: NDArray[Any], labels: NDArray[Any], folds: int, seed: int) -> NDArray[np.int64]:
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    fold_of = np.zeros(len(groups), np.int64)
    with warnings.catch_warnings():
        # A label with fewer images than folds is spread as far as it goes; `_spread` sees to the least it needs.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        largest = max(Counter(labels.tolist()).values())
        splitter = StratifiedGroupKFold if largest >= folds else GroupKFold
        parts = splitter(folds, shuffle=True, random_state=seed).split(np.zeros(len(groups)), labels, groups)
        for number, (_, validated) in enumerate(parts):
            fold_of[validated] = number
    return fold_of


def _spread(fold_of: NDArray[np.int64], groups: NDArray[Any], rows: NDArray[Any], folds: int) -> None:
    """Where all rows of a label lie in one fold, move its smallest individual to the fold with the fewest rows."""
    own = set(fold_of[rows].tolist())
    if len(own) > 1:
        return
    smallest = min(Counter(groups[rows].tolist()).items(), key=lambda item: (item[1], item[0]))[0]
    sizes = Counter(fold_of.tolist())
    fold_of[groups == smallest] = min((fold for fold in range(folds) if fold not in own), key=lambda fold: sizes[fold])


def _count(share: float, n: int) -> int:
    """How many of n are for validation: at least one, and one is left."""
    return min(math.ceil(share * n), n - 1)


def _grouped(groups: NDArray[Any], labels: Sequence[str], valid_share: float, seed: int) -> NDArray[Any]:
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    parts, present = round(1 / valid_share), len(set(groups.tolist()))
    if present < 2:
        raise DatasetError("All images show one group, so no grouped split exists. Use the random split.")
    rows = np.zeros(len(groups))
    largest = max(Counter(labels).values())
    if 2 <= parts <= min(present, largest):
        folds = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
        train, valid = next(folds.split(rows, np.asarray(labels), groups))
        if len(train) and len(valid):
            return np.asarray(valid)
    chooser = GroupShuffleSplit(1, test_size=_count(valid_share, present), random_state=seed)
    return np.asarray(next(chooser.split(rows, groups=groups))[1])
