"""What a finding is, and what detectors may look at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from whalecam.data import Dataset
from whalecam.words import Words

SEVERITIES = ("high", "medium", "low", "info")
"""Worst first. `info` is no fault: a property worth knowing, or a check that passed."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a data set, or was checked and is right.

    Attributes:
        code: what kind of thing, as in `look_alike`.
        severity: one of SEVERITIES.
        sentence: what was found, with the numbers; plain text that may hold names from the data set.
        why: why it matters.
        todo: what to do about it.
        about: what it speaks of beyond its code, such as two labels; empty where there is one finding of the code.
        facts: the numbers of the sentence, by name.
        rows: what is affected, worst first; with a column `image` where that is images.
    """

    code: str
    severity: str
    sentence: str
    why: str
    todo: str
    about: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: pd.DataFrame = field(default_factory=pd.DataFrame, compare=False, repr=False)

    @property
    def key(self) -> str:
        """The same for the same finding after the data changed a little; what a dismissal speaks of."""
        return "|".join((self.code, *self.about))


@dataclass(frozen=True)
class Evidence:
    """What detectors may look at.

    Attributes:
        data: the checked table.
        boxes: what `dataset.read_boxes` gives; None where there are none.
        properties: what `measure` gives, one row per image; None where no image was looked at.
        odds: what `table.unseen_odds` gives, one row per image judged unseen; None before an audit.
        vectors: what `table.embeddings` gives, at most `outliers.MOST` rows; None before an audit.
        run_words: of the run; None without one.
        group: the name of what stays together where findings test out-of-fold (`data.groups`); empty: the individual.
    """

    data: Dataset
    boxes: pd.DataFrame | None = None
    properties: pd.DataFrame | None = None
    odds: pd.DataFrame | None = None
    vectors: pd.DataFrame | None = None
    run_words: Words | None = None
    group: str = ""

    @property
    def words(self) -> Words:
        """What the findings call the things of the data set: as its run, else as its columns."""
        return self.run_words or self.data.words()


Detector = Callable[[Evidence], list[Finding]]
