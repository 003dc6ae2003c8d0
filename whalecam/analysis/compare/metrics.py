"""What runs are compared by: a value per image, and how the images' values become one figure."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.analysis.compare.paired import Reduce, Values
from whalecam.analysis.compare.shared import BY_RELIANCE
from whalecam.config import ASSESSMENTS
from whalecam.words import Words


@dataclass(frozen=True)
class Metric:
    """One figure of a run.

    Attributes:
        words: what people call it; like `why` with the words of a run in braces, for `named` and `explained`.
        column: of the images' values in `table.values`; NaN where an image has none.
        why: what it says beyond its words, for a reader who asks.
        verdict: where set, an image's value is whether its verdict is this one; NaN where it is not assessable, and
            where it takes attention that was not measured in the whole run.
        unseen: whether only images count that neither network was trained on.
        per_label: means by species are taken first, and `reduce` joins them; else there is one group.
        better: 1 where more is better, -1 where less is, 0 where neither.
        tested: whether its p joins the family; not what has no good side, nor a minimum (no valid bootstrap test).
        share: whether it is a share, to be written in percent.
        seeds: standard deviation of its difference between two networks that differ in nothing but the seed, beyond the
            chance of the images (`python -m benchmarks.twins reseeded`).
        scaled: whether `seeds` is a share of the figure itself, as of what vanishes with a leak; else it is absolute.
    """

    words: str
    column: str
    better: int
    unseen: bool = True
    per_label: bool = False
    reduce: Reduce = lambda means: means[:, 0]
    share: bool = True
    tested: bool = True
    why: str = ""
    assessment: str = ""
    seeds: float = 0.0
    scaled: bool = True

    def named(self, words: Words) -> str:
        """What people call it, in the words of a run."""
        return self.words.format(words=words)

    def explained(self, words: Words) -> str:
        """`why`, in the words of a run; its name where there is none."""
        return (self.why or self.words).format(words=words)

    def values(self, rows: pd.DataFrame) -> Values:
        """The images' values, (N,), NaN where one has none; of rows as `table.values` gives them."""
        if not self.assessment:
            return rows[self.column].to_numpy(np.float64)
        if self.assessment in BY_RELIANCE and rows["attention_score"].isna().all():
            return np.full(len(rows), np.nan)
        assessable = rows["assessment"] != "not_assessable"
        return np.where(assessable, (rows["assessment"] == self.assessment).to_numpy(np.float64), np.nan)

    def spread(self, before: float, after: float) -> float:
        """`seeds` for two figures, in their unit."""
        return self.seeds * (abs(before) + abs(after)) / 2 if self.scaled else self.seeds

    def of(self, values: Values, species: "pd.Series[str]") -> float:
        """The figure of images with known values (N,), by the species of each; NaN for no image."""
        if not len(values):
            return float("nan")
        return float(self.reduce(self.means(values, species)[None, :])[0])

    def means(self, values: Values, species: "pd.Series[str]") -> Values:
        """Means by group, (groups,)."""
        codes = self.groups(species)
        return np.asarray(np.bincount(codes, values) / np.bincount(codes), np.float64)

    def groups(self, species: "pd.Series[str]") -> NDArray[np.int64]:
        """The group of each image, numbered from 0."""
        if not self.per_label:
            return np.zeros(len(species), np.int64)
        return np.asarray(pd.factorize(species, sort=True)[0], np.int64)


MANY = {"confirmed_leak": "confirmed leaks", "suspect": "suspects"}
SEEDS = {"confirmed_leak": 0.19, "hidden_reliance": 0.25, "cosmetic": 0.2, "clean": 0.22}


def _verdict(name: str) -> Metric:
    better = {"clean": 1, "not_tested": 0}.get(name, -1)
    return Metric(
        MANY.get(name, name.replace("_", " ")),
        "assessment",
        better,
        unseen=False,
        tested=better != 0,
        why="share of assessable images",
        assessment=name,
        seeds=SEEDS.get(name, 0.0),
    )


METRICS: Mapping[str, Metric] = {
    "accuracy": Metric("accuracy", "right", 1),
    "balanced_accuracy": Metric(
        "balanced accuracy", "right", 1, True, True, lambda means: means.mean(axis=1), seeds=0.02, scaled=False
    ),
    "worst_label_accuracy": Metric(
        "accuracy of the worst {words.label}", "right", 1, True, True, lambda means: means.min(axis=1), tested=False
    ),
    "swapped_accuracy": Metric(
        "accuracy on swapped backgrounds",
        "swapped_accuracy",
        1,
        why="the {words.subject} before {words.backgrounds} of other labels",
        seeds=0.03,
        scaled=False,
    ),
    "loss": Metric("loss", "loss", -1, share=False, why="cross-entropy of the label, nats"),
    "attention_score": Metric(
        "attention score",
        "attention_score",
        -1,
        unseen=False,
        share=False,
        why="1: looks no better than a flat map",
        seeds=0.02,
    ),
    "bg_gap": Metric(
        "BG-gap",
        "bg_gap",
        -1,
        unseen=False,
        share=False,
        why="gain in probability from the label's own {words.background}",
        seeds=0.19,
    ),
    "background_only_accuracy": Metric(
        "accuracy from the background alone", "water_right", -1, why="the {words.subject} painted over"
    ),
    **{name: _verdict(name) for name in ASSESSMENTS if name != "not_assessable"},
}
"""Name, as the command line spells it → metric."""


def figure(rows: pd.DataFrame, unseen: NDArray[np.bool_], metric: Metric) -> float:
    """A metric of one run's rows; `unseen` (N,) tells which images count where the network must not know them."""
    values = metric.values(rows)
    known = ~np.isnan(values)
    known = known & unseen if metric.unseen else known
    return metric.of(values[known], rows["label"][known])
