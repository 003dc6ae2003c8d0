"""Two or more runs on the images they share: figures, what changed per picture and species, and what is chance."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from whalecam.compare.difference import LEVEL, Difference, differences, figure
from whalecam.compare.fate import Fate, fate
from whalecam.compare.metrics import METRICS, Metric
from whalecam.compare.paired import bootstrap, exchange, holm, mcnemar
from whalecam.compare.rows import read
from whalecam.config import SUSPECT_VERDICTS, Thresholds
from whalecam.errors import RunError
from whalecam.run import Run

__all__ = [
    "LEVEL",
    "METRICS",
    "Comparison",
    "Difference",
    "Fate",
    "Metric",
    "bootstrap",
    "compare_runs",
    "exchange",
    "fate",
    "figures_of",
    "holm",
    "mcnemar",
]
CHANGES = ("became_right", "became_wrong", "changed_verdict", "got_better", "got_worse")


@dataclass(frozen=True)
class Comparison:
    """The first run against each other one.

    Attributes:
        names: of the runs, the first being what the others are held against; unlike each other.
        rows: by run, one row per shared picture (see `rows.read`), all in the same order.
        unseen: (N,) whether no network was trained on the picture.
        differences: by later run, one per metric.
        changes: by later run, the pictures of each of `CHANGES`.
        leaks: by later run, what became of the first run's confirmed leaks.
        notes: what a reader must know, in words.
    """

    names: tuple[str, ...]
    rows: Mapping[str, pd.DataFrame]
    unseen: "pd.Series[bool]"
    differences: Mapping[str, tuple[Difference, ...]]
    changes: Mapping[str, Mapping[str, list[str]]]
    leaks: Mapping[str, Fate]
    notes: tuple[str, ...]

    def figures(self, name: str) -> dict[str, float]:
        """Every metric of one run on the shared pictures."""
        return {metric: figure(self.rows[name], self.unseen, METRICS[metric]) for metric in METRICS}

    def per_species(self) -> pd.DataFrame:
        """`run`, `species`, `images`, `accuracy`, `loss`, `confirmed_leak`: accuracy and loss of unseen pictures."""
        found = []
        for name, rows in self.rows.items():
            unseen = rows[self.unseen].groupby("species").agg(accuracy=("right", "mean"), loss=("loss", "mean"))
            every = rows.groupby("species").agg(images=("right", "size"), confirmed_leak=("is_confirmed_leak", "mean"))
            found.append(every.join(unseen).reset_index().assign(run=name))
        return pd.concat(found)[["run", "species", "images", "accuracy", "loss", "confirmed_leak"]]

    def plain(self) -> dict[str, Any]:
        """All of it in numbers, texts, lists and dicts."""
        counts = {name: rows["verdict"].value_counts().to_dict() for name, rows in self.rows.items()}
        return {
            "images": len(self.unseen),
            "unseen": int(self.unseen.sum()),
            "runs": [{"run": name, **self.figures(name), "verdicts": counts[name]} for name in self.names],
            "differences": {
                name: {
                    one.metric: asdict(one) | {"beyond_chance": one.beyond_chance, "verdict": one.verdict}
                    for one in found
                }
                for name, found in self.differences.items()
            },
            "per_species": self.per_species().to_dict("records"),
            "changes": {name: dict(lists) for name, lists in self.changes.items()},
            "leaks": {name: asdict(one) for name, one in self.leaks.items()},
            "notes": list(self.notes),
        }


def figures_of(run: Run, thresholds: Thresholds = Thresholds()) -> dict[str, float]:
    """Every metric of one run, and `not_assessable` as a share of all its pictures; NaN where nothing was measured."""
    rows = read(run, thresholds)
    unseen = ~rows["in_training"].fillna(True).astype(bool)
    found = {name: figure(rows, unseen, metric) for name, metric in METRICS.items()}
    return found | {"not_assessable": float((rows["verdict"] == "not_assessable").mean())}


def compare_runs(runs: Sequence[Run], thresholds: Thresholds = Thresholds()) -> Comparison:
    """Hold every run against the first, on the pictures that all of them audited, of classes that all of them know.

    Raises RunError for fewer than two runs, a run without an audit, or runs that share no picture or class.
    """
    if len(runs) < 2:
        raise RunError("Name two runs or more to compare.")
    names = _names(runs)
    tables = {name: read(run, thresholds) for name, run in zip(names, runs, strict=True)}
    shared = sorted(set.intersection(*(set(table.index) for table in tables.values())))
    if not shared:
        raise RunError(
            f"Runs {', '.join(names)} share no image. Compare runs of one data set; pictures are matched by file name."
        )
    held = {name: table.loc[shared] for name, table in tables.items()}
    held, notes = _of_shared_classes(held, runs)
    first = held[names[0]]
    unseen = ~pd.concat([rows["in_training"].fillna(True).astype(bool) for rows in held.values()], axis=1).any(axis=1)
    notes += _notes(held, tables, unseen)
    later = {name: held[name] for name in names[1:]}
    told = {name: differences(first, rows, unseen) for name, rows in later.items()}
    return Comparison(
        names,
        held,
        unseen,
        told,
        {name: _changes(first, rows, unseen) for name, rows in later.items()},
        {name: _fate(found, thresholds) for name, found in told.items()},
        tuple(notes),
    )


def _fate(found: Sequence[Difference], thresholds: Thresholds) -> Fate:
    leaks = next(one for one in found if one.metric == "confirmed_leak")
    counts = [round(share * leaks.images) if leaks.images >= 2 else 0 for share in (leaks.before, leaks.after)]
    return fate(leaks.images, counts[0], counts[1], leaks.p < LEVEL and counts[1] < counts[0], thresholds)


def _names(runs: Sequence[Run]) -> tuple[str, ...]:
    """The runs' names; a second one of the same name is told apart by a number."""
    found: list[str] = []
    for run in runs:
        again = [name for name in found if name == run.name or name.startswith(f"{run.name} (")]
        found.append(f"{run.name} ({len(again) + 1})" if again else run.name)
    return tuple(found)


def _of_shared_classes(held: dict[str, pd.DataFrame], runs: Sequence[Run]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    lists = [set(run.manifest.classes) for run in runs]
    shared = set.intersection(*lists)
    if all(shared == names for names in lists):
        return held, []
    if not shared:
        raise RunError("These runs have no class in common, so there is nothing to compare them by.")
    known = np.logical_and.reduce([rows["species"].isin(shared).to_numpy() for rows in held.values()])
    if not known.any():
        raise RunError("No shared picture shows a class that all of these runs know.")
    every = set.union(*lists)
    note = f"The runs know different classes: compared on the {len(shared)} of {len(every)} that all know."
    return {name: rows[known] for name, rows in held.items()}, [note]


def _notes(
    held: Mapping[str, pd.DataFrame], tables: Mapping[str, pd.DataFrame], unseen: "pd.Series[bool]"
) -> list[str]:
    most = max(len(table) for table in tables.values())
    found = []
    if len(unseen) < most:
        found.append(f"{len(unseen):,} of {most:,} pictures are shared; the others are left out.")
    if not unseen.any():
        found.append("Every shared picture was trained on by one of the networks, so accuracy cannot be compared.")
    elif not unseen.all():
        found.append(
            f"Accuracy, loss and unseen water are told on {int(unseen.sum()):,} of {len(unseen):,} shared pictures: "
            "those that none of the networks was trained on."
        )
    first, *others = held.values()
    differ = np.logical_or.reduce([(rows["species"] != first["species"]).to_numpy() for rows in others])
    if differ.any():
        found.append(f"{int(differ.sum()):,} pictures have another label in another run; each is judged by its own.")
    if any(rows["swap_correct"].isna().all() for rows in held.values()):
        found.append("Accuracy on unseen water was not measured in every run: audit the others anew.")
    return found


def _changes(before: pd.DataFrame, after: pd.DataFrame, unseen: "pd.Series[bool]") -> dict[str, list[str]]:
    """Right and wrong count on unseen pictures; a picture got worse that became wrong or came under suspicion."""
    gained = ((after["right"] > before["right"]) & unseen).to_numpy()
    lost = ((after["right"] < before["right"]) & unseen).to_numpy()
    was, became = (rows["verdict"].isin(SUSPECT_VERDICTS).to_numpy() for rows in (before, after))
    judged = ((before["verdict"] != "not_assessable") & (after["verdict"] != "not_assessable")).to_numpy()
    freed, caught = was & ~became & judged, ~was & became & judged
    changed = (before["verdict"] != after["verdict"]).to_numpy()
    better, worse = (gained | freed) & ~lost & ~caught, (lost | caught) & ~gained & ~freed
    masks = (gained, lost, changed, better, worse)
    return {name: before.index[mask].tolist() for name, mask in zip(CHANGES, masks, strict=True)}
