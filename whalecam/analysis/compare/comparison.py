"""What a comparison of runs holds: figures with what is chance, what changed per image, and figures per species."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from whalecam.analysis.compare.difference import Difference, Marks
from whalecam.analysis.compare.leak_outcome import Fate
from whalecam.analysis.compare.metrics import METRICS, figure
from whalecam.words import Words


@dataclass(frozen=True)
class Comparison:
    """The first run against each other one.

    Attributes:
        names: of the runs, the first being what the others are held against; unlike each other.
        rows: by run, one row per shared image (see `table.values`), all in the same order, by name.
        unseen: (N,) whether no network was trained on the image.
        differences: by later run, one per metric.
        marks: by later run, which images `became_right became_wrong changed_assessment got_better got_worse`.
        leaks: by later run, what became of the first run's confirmed leaks.
        notes: what a reader must know, in words.
        words: of the first run.
    """

    names: tuple[str, ...]
    rows: Mapping[str, pd.DataFrame]
    unseen: Marks
    differences: Mapping[str, tuple[Difference, ...]]
    marks: Mapping[str, Mapping[str, Marks]]
    leaks: Mapping[str, Fate]
    notes: tuple[str, ...]
    words: Words = Words()

    def changed(self, later: str, kind: str, most: int | None = None) -> list[str]:
        """The images that changed from the first run to a later one, by name; the first `most` of them."""
        at = np.flatnonzero(self.marks[later][kind])[:most]
        return self.rows[later].index[at].tolist()

    @cached_property
    def counts(self) -> dict[str, dict[str, int]]:
        """By later run and kind of change, the number of images."""
        return {name: {kind: int(mask.sum()) for kind, mask in kinds.items()} for name, kinds in self.marks.items()}

    def metrics(self, name: str) -> dict[str, float]:
        """Every metric of one run on the shared images."""
        return {metric: figure(self.rows[name], self.unseen, METRICS[metric]) for metric in METRICS}

    @cached_property
    def per_label(self) -> pd.DataFrame:
        """`run`, `species`, `images`, `accuracy`, `loss`, `confirmed_leak`: accuracy and loss of unseen images."""
        parts = []
        for name, rows in self.rows.items():
            values = {"confirmed_leak": METRICS["confirmed_leak"].values(rows)}
            values |= {
                metric: np.where(self.unseen, METRICS[metric].values(rows), np.nan) for metric in ("accuracy", "loss")
            }
            of = pd.DataFrame(values, rows.index).groupby(rows["label"], observed=True)
            parts.append(of.mean().assign(images=of.size(), run=name).reset_index())
        every = pd.concat(parts).astype({"label": "str"})
        return every[["run", "label", "images", "accuracy", "loss", "confirmed_leak"]]

    def plain(self) -> dict[str, object]:
        """All of it in numbers, texts, lists and dicts, for JSON."""
        counts = {name: rows["assessment"].astype("str").value_counts().to_dict() for name, rows in self.rows.items()}
        return {
            "images": len(self.unseen),
            "unseen": int(self.unseen.sum()),
            "runs": [{"run": name, **self.metrics(name), "verdicts": counts[name]} for name in self.names],
            "differences": {
                name: {
                    difference.metric: asdict(difference)
                    | {"beyond_chance": difference.beyond_chance, "verdict": difference.verdict}
                    for difference in differences
                }
                for name, differences in self.differences.items()
            },
            "per_label": self.per_label.to_dict("records"),
            "changes": {name: {kind: self.changed(name, kind) for kind in kinds} for name, kinds in self.marks.items()},
            "leaks": {name: asdict(outcome) for name, outcome in self.leaks.items()},
            "notes": list(self.notes),
        }
