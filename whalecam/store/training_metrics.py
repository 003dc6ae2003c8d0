"""What `metrics.json` of a run holds: how a training ended, by the names in that file."""

from collections.abc import Mapping, Sequence
from typing import TypedDict


class SplitMetrics(TypedDict, total=False):
    """Results on one kind of split; a network that was trained elsewhere has none.

    Accuracies are shares of the `n_valid` images that are validated on, `valid_loss` is in nats. `group` names what the
    split keeps together where that is not the individual; `shared_groups` and `shared_individuals` are the shares of
    the validated images whose group or individual is in training too, in [0, 1].
    """

    split: str
    accuracy: float
    balanced_accuracy: float
    valid_loss: float
    n_valid: int
    shared_individuals: float
    shared_groups: float
    share_with_group: float
    group: str
    group_origin: str
    groups: int
    split_notes: list[str]


NeverValidated = TypedDict(  # noqa: UP013 - a key of the file that would be no good name here
    "NeverValidated", {"never_judged": list[str]}, total=False
)


class TrainingMetrics(SplitMetrics, NeverValidated, total=False):
    """All of the file; empty before training.

    `never_judged` are labels that no network is validated on; `other_split` is the same recipe on the other kind of
    split; `confusion` counts images by label (rows) and prediction (columns), in the order of the run's classes;
    `epochs` are one row per epoch and network; `remedy` has the name of the remedy and what it notes. `refused_maps`,
    which an audit writes, is the share of the logits' differences that maps would place which it did not draw.
    """

    arch: str
    note: str
    folds: int
    n_train: int
    dropped_classes: list[str]
    other_split: SplitMetrics
    confusion: list[list[int]]
    epochs: Sequence[Mapping[str, float]]
    remedy: Mapping[str, object]
    refused_maps: float
