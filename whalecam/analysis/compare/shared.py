"""The images that all of some runs tell of: their rows side by side, and what a reader must know of the others."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam.errors import RunError
from whalecam.store.run import Run

LOOKED_AT = 50
"""Parts of an audit, of some hundred rows each, that a quick look reads."""
Rows = Mapping[str, pd.DataFrame]
"""By run, see `table.values`."""
BY_RELIANCE = {
    "confirmed_leak": "background_reliance",
    "hidden_reliance": "background_reliance",
    "cosmetic": "clean",
    "suspect": "not_tested",
}
"""Assessments that attention takes part in → what they are without it."""


def seem_comparable(run: Run, other: Run) -> bool:
    """Whether two audited runs share images, as far as a quick look shows: by their data sets, else by some names."""
    mine, others = run.manifest.dataset, other.manifest.dataset
    if mine.fingerprint == others.fingerprint or mine.csv == others.csv:
        return True
    return not run.some_audited(LOOKED_AT).isdisjoint(other.some_audited(LOOKED_AT))


def parent_of(run: Run) -> str:
    """The `model_sha256` of the run whose last layer this one changed; empty where there is none."""
    return str(run.metrics().get("remedy", {}).get("parent_sha256") or "")


def earlier_first(run: Run, other: Run) -> tuple[Run, Run]:
    """Two runs in the order of a change: the parent of a changed one first, else the one that was made first.

    Of two that were made in the same second, `other`.
    """
    model, other_model = run.manifest.model_sha256, other.manifest.model_sha256
    if model and model == parent_of(other):
        return run, other
    if (other_model and other_model == parent_of(run)) or run.manifest.created >= other.manifest.created:
        return other, run
    return run, other


def shared(tables: Rows, classes: Sequence[Iterable[str]]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The rows of the images that all runs audited, of classes that all of them know, under one index; and notes.

    Args:
        classes: of each run.

    Raises RunError where no image or class is shared.
    """
    first, *others = (rows.index for rows in tables.values())
    names = first
    for other in others:
        names = names if names.equals(other) else names[names.isin(other)]
    if names.empty:
        raise RunError(
            f"Runs {', '.join(tables)} share no image. Compare runs of one data set; images are matched by file name."
        )
    rows_by_run = _with_shared_codes({name: _among(rows, names) for name, rows in tables.items()})
    return _of_shared_classes(rows_by_run, classes)


def notes(rows_by_run: Rows, most: int, unseen: NDArray[np.bool_]) -> list[str]:
    """What a reader must know, in words.

    Args:
        rows_by_run: the shared rows.
        most: how many images the largest of the runs has.
        unseen: (N,) whether no network was trained on the image.
    """
    texts = []
    counted = unseen & np.logical_and.reduce([rows["right"].notna().to_numpy() for rows in rows_by_run.values()])
    if len(unseen) < most:
        texts.append(f"{len(unseen):,} of {most:,} images are shared; the others are left out.")
    if not unseen.any():
        texts.append("Every shared image was trained on by one of the networks, so accuracy cannot be compared.")
    elif not unseen.all():
        texts.append(
            f"Accuracy, loss and accuracy on swapped backgrounds count {int(counted.sum()):,} of {len(unseen):,} "
            "shared images: those that can be read and that none of the networks was trained on."
        )
    first, *others = rows_by_run.values()
    differ = np.logical_or.reduce([(rows["label"] != first["label"]).to_numpy() for rows in others])
    if differ.any():
        texts.append(f"{int(differ.sum()):,} images have another label in another run; each run counts its own.")
    if any(rows["swapped_accuracy"].isna().all() for rows in rows_by_run.values()):
        texts.append("Accuracy on swapped backgrounds was not measured in every run: audit the others anew.")
    return texts


def on_reliance_alone(rows_by_run: Rows) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The rows compared by reliance alone where a run has no attention score at all; and a note that says so.

    An image that relies on its background is then `background_reliance` in every run, whatever its attention.
    """
    blind = [name for name, rows in rows_by_run.items() if rows["attention_score"].isna().all()]
    if not blind:
        return dict(rows_by_run), []
    reduced = {
        name: rows.assign(attention_score=np.nan, assessment=rows["assessment"].astype(object).replace(BY_RELIANCE))
        for name, rows in rows_by_run.items()
    }
    if len(blind) == len(rows_by_run):
        return reduced, ["Where the networks look was not measured, so the runs are compared by reliance alone."]
    return reduced, [
        f"Where the network looks was not measured in {', '.join(blind)}, so all runs are compared by reliance alone: "
        "what relies on the background counts as background reliance in each of them."
    ]


def _among(rows: pd.DataFrame, names: "pd.Index[str]") -> pd.DataFrame:
    """The rows of these names; both stand in the order of names, so no row is looked up."""
    kept = rows if len(rows) == len(names) else rows[rows.index.isin(names)]
    return kept.set_axis(names, axis=0)


def _with_shared_codes(rows_by_run: Rows) -> dict[str, pd.DataFrame]:
    """The same label under the same code in every run: only then can labels of two runs be compared."""
    labels = sorted(set().union(*(rows["label"].cat.categories for rows in rows_by_run.values())))
    return {name: rows.assign(label=rows["label"].cat.set_categories(labels)) for name, rows in rows_by_run.items()}


def _of_shared_classes(
    rows_by_run: dict[str, pd.DataFrame], classes: Sequence[Iterable[str]]
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    lists = [set(names) for names in classes]
    common = set.intersection(*lists)
    if all(common == names for names in lists):
        return rows_by_run, []
    if not common:
        raise RunError("These runs have no class in common, so there is nothing to compare them by.")
    known = np.logical_and.reduce([rows["label"].isin(common).to_numpy() for rows in rows_by_run.values()])
    if not known.any():
        raise RunError("No shared image shows a class that all of these runs know.")
    every = set.union(*lists)
    note = f"The runs know different classes: compared on the {len(common)} of {len(every)} that all know."
    index = next(iter(rows_by_run.values())).index[known]
    return {name: rows[known].set_axis(index, axis=0) for name, rows in rows_by_run.items()}, [note]
