"""Which rows each network of a training is validated on: by a split of our own, by groups, or as a file states."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.config import TrainOptions
from whalecam.data import Dataset, folds
from whalecam.data.groups import DAY, INDIVIDUAL, Candidate, candidate
from whalecam.data.split_columns import TEST, VALID
from whalecam.data.split_file import read_split
from whalecam.errors import DatasetError, ModelError
from whalecam.store.training_metrics import SplitMetrics

FILE = "file"
"""The kind of a split that a file states."""
BY_DAY = "Images of one day are kept together, since the label itself is what the split would keep together."


@dataclass(frozen=True, kw_only=True)
class Division:
    """How the rows of a training are divided.

    Attributes:
        rows: those that are trained or validated on; a split file may leave some out.
        kind: out of SPLITS, or FILE.
        validations: per network (N,) bool, True where it is validated on a row.
        never: labels that no network is validated on.
        groups: of each row what a grouped split keeps together; empty where it is unknown.
        group: where these come from; None: the individual.
        notes: how a split file was read; a sentence each.
    """

    rows: pd.DataFrame
    kind: str
    validations: list[NDArray[np.bool_]]
    never: list[str]
    groups: list[str]
    group: Candidate | None = None
    notes: tuple[str, ...] = ()

    def once(self, kind: str, options: TrainOptions) -> NDArray[np.bool_]:
        """One validation part of the same rows by another kind of split. (N,) bool."""
        return _once(self.rows, self.groups, self.group, kind, options)[0]

    def facts(self, validations: Sequence[NDArray[np.bool_]]) -> SplitMetrics:
        """What `metrics.json` has of groups and a split file; nothing where neither was named."""
        facts: SplitMetrics = {"split_notes": list(self.notes)} if self.notes else {}
        if self.group is not None:
            shares = [folds.shared_individuals(self.groups, is_valid) for is_valid in validations]
            facts |= {"group": self.group.name, "group_origin": self.group.origin, "groups": self.group.count}
            facts |= {"share_with_group": self.group.share, "shared_groups": float(np.mean(shares))}
        return facts


def divide(rows: pd.DataFrame, data: Dataset, options: TrainOptions) -> Division:
    """The rows of a training divided by its options.

    Args:
        data: the data set whose table, names and files have the groups.

    Raises DatasetError for a group or a split file that cannot be used, and for too few groups.
    """
    group, notes = _group(data, options)
    if options.split_file:
        return _as_stated(rows, data, options, group)
    groups = _groups(rows, data, group)
    if options.folds <= 1:
        is_valid, never = _once(rows, groups, group, options.split, options)
        validations = [is_valid]
    else:
        labels = rows["label"].tolist()
        if group is not None and options.split == "group":
            fold, never = folds.group_folds(groups, labels, options.folds, options.seed)
        else:
            fold, never = folds.fold_rows(groups, labels, kind=options.split, folds=options.folds, seed=options.seed)
        validations = [fold == number for number in range(options.folds)]
    return Division(
        rows=rows,
        kind=options.split,
        validations=validations,
        never=never,
        groups=groups,
        group=group,
        notes=notes,
    )


def _group(data: Dataset, options: TrainOptions) -> tuple[Candidate | None, tuple[str, ...]]:
    """What a split keeps together, None for the individual, and what is to be known of it.

    Where the label is the individual, each would be validated by a network that never saw it: days are kept together.
    """
    if options.group not in ("", INDIVIDUAL, data.columns.group):
        return candidate(data, options.group), ()
    is_grouped = options.split == "group" or options.compare_splits
    if data.columns.label != data.columns.group or options.split_file or not is_grouped:
        return None, ()
    try:
        return candidate(data, DAY), (BY_DAY,)
    except DatasetError as error:
        raise DatasetError(
            f"The label '{data.columns.label}' is what the split would keep together, so every image would be "
            f"validated by a network that never saw its label, and {error} Name what an encounter is with --group, or "
            "take --split random, whose accuracy counts images of one encounter on both sides."
        ) from error


def _groups(rows: pd.DataFrame, data: Dataset, group: Candidate | None) -> list[str]:
    """What each row belongs to, by the name of its image."""
    if group is None:
        return [str(value) for value in rows["group"]]
    known = dict(zip(reversed(data.table["image"].tolist()), reversed(group.values.tolist()), strict=True))
    return [known.get(image, "") for image in rows["image"]]


def _once(
    rows: pd.DataFrame, groups: list[str], group: Candidate | None, kind: str, options: TrainOptions
) -> tuple[NDArray[np.bool_], list[str]]:
    """One validation part, and the labels that it lacks because only one group has them."""
    labels = rows["label"].tolist()
    if group is None or kind != "group":
        return folds.split_rows(groups, labels, kind=kind, valid_share=options.valid_share, seed=options.seed), []
    parts = max(2, round(1 / options.valid_share))
    present = len(set(folds.groups_of(groups).tolist()))
    for count in range(min(parts, present), 1, -1):
        try:
            fold, never = folds.group_folds(groups, labels, count, options.seed)
            return fold == 0, never
        except DatasetError:
            if count == 2:
                raise
    raise DatasetError(f"All images are of one {group.name}, so no grouped split exists. Use the random split.")


def _as_stated(rows: pd.DataFrame, data: Dataset, options: TrainOptions, group: Candidate | None) -> Division:
    """Raises DatasetError where options contradict the file, or a network would have to know a label unseen."""
    path = Path(str(options.split_file))
    split = read_split(path, data)
    if options.folds not in (1, split.count):
        raise DatasetError(f"The split file has {split.count} folds, --folds says {options.folds}. Leave --folds out.")
    if options.compare_splits:
        raise ModelError("--compare-splits compares splits that are drawn. Leave it out, or leave --split-file out.")
    stated = pd.DataFrame({"image": data.table["image"], "part": split.parts, "fold": split.folds})
    stated = stated.drop_duplicates("image").set_index("image").reindex(rows["image"])
    used = stated["part"].isin(("train", VALID)).to_numpy()
    left, fold = rows[used].reset_index(drop=True), stated["fold"].to_numpy()[used]
    validations = [fold == number for number in range(split.count)]
    notes = list(split.notes)
    if left["label"].nunique() < 2 or not all(is_valid.any() and not is_valid.all() for is_valid in validations):
        raise DatasetError(f"{path.name} leaves too few usable images: each part needs some, of two labels.")
    unknown = {
        str(label)
        for is_valid in validations
        for label in set(left.loc[is_valid, "label"]) - set(left.loc[~is_valid, "label"])
    }
    if unknown:
        notes.append(f"Labels that are validated without an image for training: {', '.join(sorted(unknown))}.")
    held_out = int((stated["part"] == TEST).sum())
    if held_out:
        notes.append(f"{held_out:,} images of the test part are neither trained nor validated on; the audit has them.")
    return Division(
        rows=left,
        kind=FILE,
        validations=validations,
        never=[],
        groups=_groups(left, data, group),
        group=group,
        notes=tuple(notes),
    )
