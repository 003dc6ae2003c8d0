"""One image of an audited run under another mask: its row is made anew, all others stay as they are."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from whalecam.arrays import Progress, Report, silent
from whalecam.audit import fold_job, run_audit
from whalecam.audit.refusal import as_audited
from whalecam.config import AuditOptions
from whalecam.data import Dataset, read_shape
from whalecam.errors import DatasetError, RunError
from whalecam.explain.masks import MaskSources
from whalecam.explain.masks.corrected import mask_png, read_subject
from whalecam.network import Network
from whalecam.store import corrected
from whalecam.store.reviews.review import signed
from whalecam.store.run import Run
from whalecam.store.schema import MASKED, SCHEMA
from whalecam.text import number

MOST_APART = 0.02
"""How far the probability of the predicted class may be from the audit's, which rounding explains."""
STAGE = "measuring under the mask"


@dataclass(frozen=True)
class Remasked:
    """What came of a corrected mask, of an undo or a redo: the scores before and after; None where not measured.

    `changed` is False where there was nothing to undo or redo.
    """

    image: str
    changed: bool = True
    mask_source: str | None = None
    background_share: tuple[float | None, float | None] = (None, None)
    attention_score: tuple[float | None, float | None] = (None, None)
    reliance_swap: tuple[float | None, float | None] = (None, None)


def remask(
    run: Run,
    data: Dataset,
    image: str,
    mask: Path,
    *,
    reviewer: str,
    report: Report = silent,
    model: Network | None = None,
    mask_orientation: str = "auto",
    mask_class: str = "",
) -> Remasked:
    """Put a mask that a person drew in the place of an image's own, and measure the image under it.

    The row is what an audit of the run with this mask would write: by the network of the image's fold, with the
    donors that the corrected masks of the run leave. Other images' rows stay, also of those to which this one lends
    its background; an audit from the start brings them up to date.

    Args:
        data: the run's own data set.
        mask: a file as in a folder of masks.
        reviewer: who drew it.
        model: the run's network itself, where only the process that made the run has it.

    Raises RunError for an image without a row or that was not predicted, while an audit goes on, and where the network
    or the image is another than in the audit; DatasetError for a mask that cannot be used; ReviewError without a name.
    """
    signed(reviewer)
    with run.correcting():
        before = _predicted_row(run, image)
        rows = _rows_of(data, image)
        shape = read_shape(Path(rows["path"].iloc[0]))
        subject = read_subject(mask, shape, mask_orientation, mask_class)
        png = mask_png(subject, shape.orientation)
        waiting = corrected.drawn_path(run, image)
        with corrected.written(run, image):
            corrected.write_mask(waiting, png)
        try:
            after = _measured(run, data, rows, before, {image: waiting}, report, model)
        finally:
            waiting.unlink(missing_ok=True)
        corrected.correct(run, image, reviewer=reviewer, mask=png, after=after)
        if mask.parent.resolve() == waiting.parent:
            mask.unlink(missing_ok=True)  # it was drawn on a page and waited here
    return _summary(image, before, after)


def step(
    run: Run,
    data: Dataset,
    image: str,
    *,
    reviewer: str,
    name: str,
    report: Report = silent,
    model: Network | None = None,
) -> Remasked:
    """Take the newest corrected mask of an image back (`undo`), or let it count again (`redo`).

    The row before comes back as it was. Where the run was audited again since, the row is measured anew.

    Raises as `remask`.
    """
    signed(reviewer)
    with run.correcting():
        before = _predicted_row(run, image)
        try:
            if corrected.step(run, image, reviewer, name) is None:
                return Remasked(image, changed=False)
        except corrected.StaleRowError:
            corrected.note(run, image, reviewer, name)
            corrected.put_mask(run, image)
            after = _measured(run, data, _rows_of(data, image), before, {}, report, model)
            corrected.put_row(run, image, after)
    return _summary(image, before, corrected.masked(run.row_of(image)))


def _predicted_row(run: Run, image: str) -> pa.Table:
    row = run.row_of(image)
    if not row["predicted"][0].is_valid:
        raise RunError(f"'{image}' has no prediction to measure under a mask: {row['reason'][0].as_py()}.")
    return row


def _rows_of(data: Dataset, image: str) -> pd.DataFrame:
    good = data.good()
    rows = good[(good["image"] == image) & (good["path"] != "")].head(1)
    if rows.empty:
        raise DatasetError(f"'{image}' has no readable file in {data.images} any more. Put it back, or audit again.")
    return rows


def _measured(
    run: Run,
    data: Dataset,
    rows: pd.DataFrame,
    before: pa.Table,
    masks: Mapping[str, Path],
    report: Report,
    model: Network | None,
) -> pa.Table:
    """One row with the columns MASKED, as an audit with these masks beside the corrected ones of the run writes it."""
    options = AuditOptions.stored(run.manifest.audit)
    report(Progress("opening the network", 0, 1))
    networks = fold_job.prepared(run, before["fold"][0].as_py(), data, options, given=_given(run, model))
    networks = as_audited(run, networks)
    sources = run_audit.joined_sources(data, options, report, run=run).sources
    sources = replace(sources, corrected={**sources.corrected, **masks})
    row = _explained(run, data, rows, networks, sources, options, report, before["fold"][0].as_py())
    _check_alike(run, before, row)
    return pa.Table.from_pylist([row], schema=SCHEMA).select(list(MASKED))


def _given(run: Run, model: Network | None) -> Network | None:
    if model is not None:
        run_audit.check_same(run, model)
    elif not run.can_measure:
        raise RunError(
            f"The network of run '{run.name}' is a function or module in the memory of the process that made the run, "
            "so no row can be measured again here. Correct the mask from Python: whalecam.remask(run, …, model=…)."
        )
    return model


def _explained(
    run: Run,
    data: Dataset,
    rows: pd.DataFrame,
    networks: fold_job.Networks,
    sources: MaskSources,
    options: AuditOptions,
    report: Report,
    fold: int,
) -> dict[str, Any]:
    donors = fold_job.donors_of(run, data, sources, options, report=report)
    report(Progress(STAGE, 0, 1))
    probes = fold_job.probes_of(data, options)
    work = fold_job.Work(networks, sources, options, frozenset(), donors, probes, fold)
    (explained,) = work.explainer()(rows)
    report(Progress(STAGE, 1, 1))
    return explained.row


def _check_alike(run: Run, before: pa.Table, row: Mapping[str, Any]) -> None:
    """Raise RunError where the network says something else of the image than in the audit."""
    old, new = before["logits"][0].as_py(), row.get("logits")
    same_size = (before["width"][0].as_py(), before["height"][0].as_py()) == (row.get("width"), row.get("height"))
    apart = np.abs(_softmax(old) - _softmax(new)).max() if old and new and len(old) == len(new) else 1.0
    if not same_size or apart > MOST_APART:
        raise RunError(
            f"The network says something else of '{row['image']}' than in the audit of run '{run.name}' (a probability "
            f"differs by {number(apart)}): the image or the network was changed since. Audit the run again, then "
            "correct the mask."
        )


def _softmax(logits: list[float]) -> NDArray[np.float64]:
    values = np.exp(np.asarray(logits, np.float64) - max(logits))
    return np.asarray(values / values.sum())


def _summary(image: str, before: pa.Table, after: pa.Table) -> Remasked:
    def pair(name: str) -> tuple[float | None, float | None]:
        return before[name][0].as_py(), after[name][0].as_py()

    return Remasked(
        image,
        mask_source=after["mask_source"][0].as_py(),
        background_share=pair("background_share"),
        attention_score=pair("attention_score"),
        reliance_swap=pair("reliance_swap"),
    )
