"""The differences between two runs on shared pictures, each with its interval and whether it is beyond chance."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.compare.metrics import METRICS, Metric
from whalecam.compare.paired import bootstrap, exchange, holm, mcnemar
from whalecam.folds import groups_of

LEVEL = 0.05
MEASURED_ON_FEW = 2


@dataclass(frozen=True)
class Difference:
    """One metric of a run against the first run's, on the `images` for which both have it.

    Attributes:
        before, after, difference: the figures, and `after − before`; NaN where no picture has it in both.
        low, high: 95 % paired bootstrap interval of the difference, over individuals.
        p: two-sided; of McNemar's exact test for accuracy, else of `paired.exchange` over individuals: whether these
            two networks differ.
        reseeded: the same with what another seed brings (`Metric.seeds`) as part of chance: whether the ways in which
            they were trained differ.
        corrected: `reseeded` after Holm's correction over all metrics of this pair of runs.
    """

    metric: str
    images: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    p: float
    reseeded: float
    corrected: float = float("nan")

    @property
    def beyond_chance(self) -> bool:
        return self.corrected < LEVEL

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `different` (where neither is good), or `none` where chance explains it;
        `untested` where no test was made."""
        if self.corrected != self.corrected:
            return "untested"
        if not self.beyond_chance:
            return "none"
        side = METRICS[self.metric].better * np.sign(self.difference)
        return "better" if side > 0 else "worse" if side < 0 else "different"


def figure(rows: pd.DataFrame, unseen: "pd.Series[bool]", metric: Metric) -> float:
    """One metric of one run's rows; `unseen` (N,) says which pictures no network was trained on."""
    held = rows[unseen] if metric.unseen else rows
    held = held[held[metric.column].notna()]
    return metric.of(held[metric.column].to_numpy(float), held["species"])


def differences(before: pd.DataFrame, after: pd.DataFrame, unseen: "pd.Series[bool]") -> tuple[Difference, ...]:
    """Every metric of two runs' rows of the same pictures (`rows.read`), in the same order."""
    individuals = groups_of(before["individual_id"].fillna("").tolist())
    found = [_difference(name, metric, before, after, unseen, individuals) for name, metric in METRICS.items()]
    asked = [one.reseeded if METRICS[one.metric].tested else float("nan") for one in found]
    return tuple(
        Difference(**asdict(one) | {"corrected": corrected}) for one, corrected in zip(found, holm(asked), strict=True)
    )


def _difference(
    name: str,
    metric: Metric,
    before: pd.DataFrame,
    after: pd.DataFrame,
    unseen: "pd.Series[bool]",
    individuals: NDArray[np.int64],
) -> Difference:
    known = before[metric.column].notna() & after[metric.column].notna()
    known = known & unseen if metric.unseen else known
    first, second = (rows.loc[known, metric.column].to_numpy(float) for rows in (before, after))
    species = before.loc[known, "species"]
    if len(first) < MEASURED_ON_FEW:
        return Difference(name, len(first), *[float("nan")] * 7)
    asked = first, second, metric.groups(species), metric.reduce, individuals[known.to_numpy()]
    low, high = bootstrap(*asked)
    p = mcnemar(int((first > second).sum()), int((second > first).sum())) if name == "accuracy" else exchange(*asked)
    figures = metric.of(first, species), metric.of(second, species)
    spread = metric.spread(*figures)
    reseeded = max(p, exchange(*asked, spread=spread)) if spread else p
    return Difference(name, len(first), *figures, figures[1] - figures[0], low, high, p, reseeded)
