"""The differences between two runs on shared images, each with its interval and whether it is beyond chance."""

from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.analysis.compare.metrics import METRICS, Metric
from whalecam.analysis.compare.paired import Pairs, bootstrap, exchange, mcnemar
from whalecam.arrays import Progress, Report, silent
from whalecam.stats import holm

LEVEL = 0.05
"""A difference is beyond chance where its corrected p is below this."""
FEWEST = 2
"""Images on which a figure is compared at all."""
Marks = NDArray[np.bool_]
"""(N,) which of the shared images, in their order."""


@dataclass(frozen=True)
class Difference:
    """One metric of a run against the first run's, on the `images` for which both have it.

    Attributes:
        before, after, difference: the figures, and `after − before`; NaN where no image has it in both.
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
    def is_shown(self) -> bool:
        """Whether either run has anything to show: not a verdict that neither gave, nor what neither measured."""
        return self.before == self.before and bool(self.before or self.after)

    @property
    def beyond_chance(self) -> bool:
        return self.corrected < LEVEL

    @property
    def verdict(self) -> str:
        """`better` or `worse`, `none` where chance explains it, `untested` where no test was made."""
        if self.corrected != self.corrected:
            return "untested"
        if not self.beyond_chance:
            return "none"
        return "better" if METRICS[self.metric].better * self.difference > 0 else "worse"


def differences(
    before: pd.DataFrame, after: pd.DataFrame, unseen: Marks, report: Report = silent
) -> tuple[Difference, ...]:
    """Every metric of two runs' rows of the same images (`table.values`), in the same order."""
    individuals, results = np.unique(before["unit"], return_inverse=True)[1].astype(np.int64), []
    for name, metric in METRICS.items():
        results.append(_difference(name, metric, before, after, unseen, individuals))
        report(Progress("comparing", len(results), len(METRICS)))
    uncorrected = [result.reseeded if METRICS[result.metric].tested else float("nan") for result in results]
    return tuple(
        Difference(**asdict(result) | {"corrected": corrected})
        for result, corrected in zip(results, holm(uncorrected), strict=True)
    )


def _difference(
    name: str,
    metric: Metric,
    before: pd.DataFrame,
    after: pd.DataFrame,
    unseen: Marks,
    individuals: NDArray[np.int64],
) -> Difference:
    first, second = metric.values(before), metric.values(after)
    known = ~np.isnan(first) & ~np.isnan(second)
    known = known & unseen if metric.unseen else known
    first, second, species = first[known], second[known], before["label"][known]
    if len(first) < FEWEST:
        return Difference(name, len(first), *[float("nan")] * 7)
    arguments = Pairs(first, second, metric.groups(species), individuals[known]), metric.reduce
    low, high = bootstrap(*arguments)
    p = (
        mcnemar(int((first > second).sum()), int((second > first).sum()))
        if name == "accuracy"
        else exchange(*arguments)
    )
    values = metric.of(first, species), metric.of(second, species)
    spread = metric.spread(*values)
    reseeded = max(p, exchange(*arguments, spread=spread)) if spread else p
    return Difference(name, len(first), *values, values[1] - values[0], low, high, p, reseeded)
