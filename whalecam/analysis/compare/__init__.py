"""Two or more runs on the images they share: figures, what changed per image and species, and what is chance."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from whalecam.analysis.compare.comparison import Comparison
from whalecam.analysis.compare.difference import FEWEST, LEVEL, Difference, Marks, differences
from whalecam.analysis.compare.leak_outcome import Fate, fate
from whalecam.analysis.compare.metrics import METRICS, Metric, figure
from whalecam.analysis.compare.paired import Pairs, bootstrap, exchange, mcnemar
from whalecam.analysis.compare.shared import earlier_first, notes, on_reliance_alone, parent_of, seem_comparable, shared
from whalecam.arrays import Progress, Report, silent
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.errors import RunError
from whalecam.store.open_table import open_table
from whalecam.store.run import Run
from whalecam.store.table import Table

__all__ = [
    "LEVEL",
    "METRICS",
    "Comparison",
    "Difference",
    "Fate",
    "Metric",
    "Pairs",
    "bootstrap",
    "compare_runs",
    "earlier_first",
    "exchange",
    "fate",
    "mcnemar",
    "metrics_of",
    "parent_of",
    "seem_comparable",
]
CHANGES = ("became_right", "became_wrong", "changed_assessment", "got_better", "got_worse")
Opener = Callable[..., Table]
"""`open_table`: (run, thresholds, report=…) → the run's table."""


def metrics_of(run: Run, thresholds: Thresholds = Thresholds()) -> dict[str, float]:
    """Every metric of one run, and `not_assessable` as a share of all its images; NaN where nothing was measured."""
    rows = open_table(run, thresholds).values()
    unseen = ~rows["in_training"].to_numpy()
    metrics = {name: figure(rows, unseen, metric) for name, metric in METRICS.items()}
    return metrics | {"not_assessable": float((rows["assessment"] == "not_assessable").mean())}


def compare_runs(
    runs: Sequence[Run], thresholds: Thresholds = Thresholds(), report: Report = silent, opened: Opener = open_table
) -> Comparison:
    """Hold every run against the first, on the images that all of them audited, of classes that all of them know.

    Args:
        opened: gives a run's table, where rows are held already.

    Raises RunError for fewer than two runs, a run without an audit, or runs that share no image or class.
    """
    if len(runs) < 2:
        raise RunError("Name two runs or more to compare.")
    names = _names(runs)
    tables = {name: opened(run, thresholds, report=report).values() for name, run in zip(names, runs, strict=True)}
    report(Progress("comparing", 0, len(METRICS)))
    most = max(len(table) for table in tables.values())
    rows_by_run, remarks = shared(tables, [run.manifest.classes for run in runs])
    rows_by_run, blind = on_reliance_alone(rows_by_run)
    unseen = ~np.logical_or.reduce([rows["in_training"].to_numpy() for rows in rows_by_run.values()])
    first, later = rows_by_run[names[0]], {name: rows_by_run[name] for name in names[1:]}
    tested = {name: differences(first, rows, unseen, report) for name, rows in later.items()}
    return Comparison(
        names,
        rows_by_run,
        unseen,
        tested,
        {name: _changes(first, rows, unseen) for name, rows in later.items()},
        {name: _fate(results, thresholds) for name, results in tested.items()},
        tuple(remarks + blind + notes(rows_by_run, most, unseen)),
        runs[0].words,
    )


def _fate(results: Sequence[Difference], thresholds: Thresholds) -> Fate:
    leaks = next(difference for difference in results if difference.metric == "confirmed_leak")
    counts = [round(share * leaks.images) if leaks.images >= FEWEST else 0 for share in (leaks.before, leaks.after)]
    return fate(
        leaks.images, counts[0], counts[1], fewer=leaks.p < LEVEL and counts[1] < counts[0], thresholds=thresholds
    )


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """The runs' names; a later one of the same name is told apart by the first number that is free."""
    names: list[str] = []
    for run in runs:
        name, number = run.name, 1
        while name in names:
            number += 1
            name = f"{run.name} ({number})"
        names.append(name)
    return tuple(names)


def _changes(before: pd.DataFrame, after: pd.DataFrame, unseen: Marks) -> Mapping[str, Marks]:
    """Right and wrong count on unseen images; an image got worse that became wrong or came under suspicion."""
    right = before["right"].to_numpy(), after["right"].to_numpy()
    gained, lost = (right[1] > right[0]) & unseen, (right[1] < right[0]) & unseen
    was, became = (rows["assessment"].isin(SUSPECT_ASSESSMENTS).to_numpy() for rows in (before, after))
    assessable = ((before["assessment"] != "not_assessable") & (after["assessment"] != "not_assessable")).to_numpy()
    freed, caught = was & ~became & assessable, ~was & became & assessable
    changed = (before["assessment"] != after["assessment"]).to_numpy()
    better, worse = (gained | freed) & ~lost & ~caught, (lost | caught) & ~gained & ~freed
    return dict(zip(CHANGES, (gained, lost, changed, better, worse), strict=True))
