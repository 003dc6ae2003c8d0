"""Two or more runs on the images they share."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from whalecam import leak
from whalecam.config import Thresholds
from whalecam.errors import RunError
from whalecam.reviews import Journal
from whalecam.run import Run
from whalecam.table import Table

SCORES = ["image", "species", "predicted", "loss", "excess", "verdict", "in_training"]


def compare_runs(runs: Sequence[Run], thresholds: Thresholds = Thresholds()) -> dict[str, Any]:
    """Metrics and verdict shares of each run, and what changed per image from the first run to each other.

    Returns: `images` shared, `runs` (one dict each: accuracy, balanced_accuracy, loss, mean excess, verdict counts) and
    `changes` (per later run: images that got right, got wrong, or changed verdict). Raises RunError without any.
    """
    tables = [_rows(run, thresholds) for run in runs]
    shared = sorted(set.intersection(*(set(table.index) for table in tables)))
    if not shared:
        raise RunError(f"Runs {', '.join(run.name for run in runs)} share no image. Compare runs of one data set.")
    held = [table.loc[shared] for table in tables]
    changes = {run.name: _changes(held[0], later) for run, later in zip(runs[1:], held[1:], strict=True)}
    facts = [{"run": run.name, **_facts(table)} for run, table in zip(runs, held, strict=True)]
    return {"images": len(shared), "runs": facts, "changes": changes}


def _rows(run: Run, thresholds: Thresholds) -> pd.DataFrame:
    table = Table(run.parts(), leak.verdicts, thresholds, Journal.of(run).latest())
    rows = table.all_rows()[SCORES].set_index("image")
    return rows.assign(correct=rows["species"] == rows["predicted"])


def _facts(rows: pd.DataFrame) -> dict[str, Any]:
    judged = rows[rows["loss"].notna()]
    return {
        "accuracy": float(judged["correct"].mean()),
        "balanced_accuracy": float(judged.groupby("species")["correct"].mean().mean()),
        "loss": float(judged["loss"].mean()),
        "excess": float(rows["excess"].mean()),
        "verdicts": rows["verdict"].value_counts().to_dict(),
    }


def _changes(before: pd.DataFrame, after: pd.DataFrame) -> dict[str, list[str]]:
    return {
        "became_right": before.index[~before["correct"] & after["correct"]].tolist(),
        "became_wrong": before.index[before["correct"] & ~after["correct"]].tolist(),
        "changed_verdict": before.index[before["verdict"] != after["verdict"]].tolist(),
    }
