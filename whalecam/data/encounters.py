"""Encounters: images of one day, place or camera, and splits that leave each encounter on one side."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whalecam.data.folds import groups_of
from whalecam.data.groups import candidate
from whalecam.data.table import Dataset
from whalecam.errors import DatasetError

Codes = NDArray[np.int64]
TRAIN, QUERY, NEW, LEFT_OUT = "train", "query", "new", "left out"
KINDS = ("closed", "open", "disjoint")


@dataclass(frozen=True)
class EncounterSplit:
    """Which images a network is trained on and which are looked up; no encounter is on both sides.

    Attributes:
        part: (N,) of text: TRAIN; QUERY, of an individual that the training part has in another encounter; NEW, of an
            individual that it has not; LEFT_OUT.
        kind: `closed`: every individual that is looked up is known; `open`: some are new; `disjoint`: all are.
    """

    part: NDArray[np.str_]
    kind: str


def encounters_of(data: Dataset, names: Sequence[str]) -> list[str]:
    """The encounter of each row of the table: its values of all these candidates of `groups.candidate` together.

    Args:
        names: such as `day`, `place`, `camera`, `source` or a column.

    Returns: "" where none of them is known. Raises DatasetError for a name that the table has not.
    """
    if not names:
        return [""] * len(data.table)
    columns = [candidate(data, name).values.to_list() for name in names]
    return [" · ".join(values) if any(values) else "" for values in zip(*columns, strict=True)]


def encounter_split(
    individuals: Sequence[str], encounters: Sequence[str], kind: str = "closed", *, share: float = 0.2, seed: int = 0
) -> EncounterSplit:
    """Divide images by encounter. A blank individual or encounter is one of its own.

    Args:
        kind: of KINDS.
        share: about which share of the encounters (`closed`) or of the individuals is looked up, in (0, 1).

    Raises DatasetError for another kind or share, and where no individual can be looked up.
    """
    if kind not in KINDS or not 0 < share < 1:
        raise DatasetError(f"A split is {', '.join(KINDS)} with a share between 0 and 1, not {kind} with {share}.")
    who, when = groups_of(individuals), groups_of(encounters)
    rng = np.random.default_rng(seed)
    new = np.zeros(len(who), bool)
    if kind != "closed":
        people = np.unique(who)
        new = np.isin(who, rng.choice(people, max(1, round(share * len(people))), replace=False))
    aside = np.isin(when, when[new])
    if kind != "disjoint":
        aside |= _seen_again(who, when, aside, share, rng)
    is_known = np.isin(who, who[~aside])
    # An individual whose every encounter is aside is new as well, unless it may not be.
    part = np.where(~aside, TRAIN, np.where(is_known, LEFT_OUT if kind == "disjoint" else QUERY, NEW))
    part[(part == NEW) & ~new & (kind != "open")] = LEFT_OUT
    if not np.isin(part, (QUERY, NEW)).any() or not (part == TRAIN).any():
        raise DatasetError(
            "No individual is seen in two encounters, so none can be looked up in another one. Name what an encounter "
            "is: day, place, camera, source or a column."
        )
    return EncounterSplit(part, kind)


def _seen_again(
    who: Codes, when: Codes, aside: NDArray[np.bool_], share: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Rows of about `share` of the encounters, each of whose individuals keeps another encounter for training."""
    pairs = np.unique(np.stack([who, when], axis=1)[~aside], axis=0)
    left = np.bincount(pairs[:, 0], minlength=int(who.max(initial=0)) + 1)
    members: dict[int, list[int]] = {}
    for person, encounter in pairs.tolist():
        members.setdefault(encounter, []).append(person)
    order = rng.permutation(np.unique(pairs[:, 1]))
    wanted = max(1, round(share * len(order)))
    chosen: list[int] = []
    for encounter in order.tolist():
        if len(chosen) < wanted and all(left[person] > 1 for person in members[encounter]):
            left[members[encounter]] -= 1
            chosen.append(encounter)
    return np.isin(when, chosen)
