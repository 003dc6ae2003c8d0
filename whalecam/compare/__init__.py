"""Two or more runs on the images they share: figures, what changed per picture and species, and what is chance."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from whalecam.arrays import Progress, Report, silent
from whalecam.compare.comparison import LEVEL, Comparison, Difference, Marks
from whalecam.compare.metrics import METRICS, Metric, figure
from whalecam.compare.paired import bootstrap, holm, mcnemar
from whalecam.compare.shared import notes, shared
from whalecam.config import SUSPECT_VERDICTS, Thresholds
from whalecam.errors import RunError
from whalecam.judged import judged
from whalecam.run import Run
from whalecam.table import Table

__all__ = [
    "LEVEL",
    "METRICS",
    "Comparison",
    "Difference",
    "Metric",
    "bootstrap",
    "compare_runs",
    "figures_of",
    "holm",
    "mcnemar",
]
MEASURED_ON_FEW = 2
CHANGES = ("became_right", "became_wrong", "changed_verdict", "got_better", "got_worse")
Opener = Callable[..., Table]
"""`judged`: (run, thresholds, report=…) → the run's table."""


def figures_of(run: Run, thresholds: Thresholds = Thresholds()) -> dict[str, float]:
    """Every metric of one run, and `not_assessable` as a share of all its pictures; NaN where nothing was measured."""
    rows = judged(run, thresholds).values()
    unseen = ~rows["in_training"].to_numpy()
    found = {name: figure(rows, unseen, metric) for name, metric in METRICS.items()}
    return found | {"not_assessable": float((rows["verdict"] == "not_assessable").mean())}


def compare_runs(
    runs: Sequence[Run], thresholds: Thresholds = Thresholds(), report: Report = silent, opened: Opener = judged
) -> Comparison:
    """Hold every run against the first, on the pictures that all of them audited, of classes that all of them know.

    Args:
        opened: gives a run's table, where rows are held already.

    Raises RunError for fewer than two runs, a run without an audit, or runs that share no picture or class.
    """
    if len(runs) < 2:
        raise RunError("Name two runs or more to compare.")
    names = _names(runs)
    tables = {name: opened(run, thresholds, report=report).values() for name, run in zip(names, runs, strict=True)}
    report(Progress("comparing", 0, len(METRICS)))
    most = max(len(table) for table in tables.values())
    held, said = shared(tables, [run.manifest.classes for run in runs])
    unseen = ~np.logical_or.reduce([rows["in_training"].to_numpy() for rows in held.values()])
    first, later = held[names[0]], {name: held[name] for name in names[1:]}
    return Comparison(
        names,
        held,
        unseen,
        {name: _differences(first, rows, unseen, report) for name, rows in later.items()},
        {name: _changes(first, rows, unseen) for name, rows in later.items()},
        tuple(said + notes(held, most, unseen)),
    )


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """The runs' names; a second one of the same name is told apart by a number."""
    found: list[str] = []
    for run in runs:
        again = [name for name in found if name == run.name or name.startswith(f"{run.name} (")]
        found.append(f"{run.name} ({len(again) + 1})" if again else run.name)
    return tuple(found)


def _differences(before: pd.DataFrame, after: pd.DataFrame, unseen: Marks, report: Report) -> tuple[Difference, ...]:
    found = []
    for name, metric in METRICS.items():
        found.append(_difference(name, metric, before, after, unseen))
        report(Progress("comparing", len(found), len(METRICS)))
    asked = [one.p if METRICS[one.metric].tested else float("nan") for one in found]
    return tuple(
        Difference(**asdict(one) | {"corrected": corrected}) for one, corrected in zip(found, holm(asked), strict=True)
    )


def _difference(name: str, metric: Metric, before: pd.DataFrame, after: pd.DataFrame, unseen: Marks) -> Difference:
    first, second = metric.values(before), metric.values(after)
    known = ~np.isnan(first) & ~np.isnan(second)
    known = known & unseen if metric.unseen else known
    first, second, species = first[known], second[known], before["species"][known]
    if len(first) < MEASURED_ON_FEW:
        return Difference(name, len(first), *[float("nan")] * 6)
    low, high, p = bootstrap(first, second, metric.groups(species), metric.reduce)
    if name == "accuracy":
        p = mcnemar(int((first > second).sum()), int((second > first).sum()))
    figures = metric.of(first, species), metric.of(second, species)
    return Difference(name, len(first), *figures, figures[1] - figures[0], low, high, p)


def _changes(before: pd.DataFrame, after: pd.DataFrame, unseen: Marks) -> Mapping[str, Marks]:
    """Right and wrong count on unseen pictures; a picture got worse that became wrong or came under suspicion."""
    right = before["right"].to_numpy(), after["right"].to_numpy()
    gained, lost = (right[1] > right[0]) & unseen, (right[1] < right[0]) & unseen
    was, became = (rows["verdict"].isin(SUSPECT_VERDICTS).to_numpy() for rows in (before, after))
    judged = ((before["verdict"] != "not_assessable") & (after["verdict"] != "not_assessable")).to_numpy()
    freed, caught = was & ~became & judged, ~was & became & judged
    changed = (before["verdict"] != after["verdict"]).to_numpy()
    better, worse = (gained | freed) & ~lost & ~caught, (lost | caught) & ~gained & ~freed
    return dict(zip(CHANGES, (gained, lost, changed, better, worse), strict=True))
