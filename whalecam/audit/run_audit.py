"""Explain what a run does not hold yet. Resumable: every few seconds of work become one Parquet part."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from whalecam.arrays import Progress, Report, silent
from whalecam.audit import fold_job, refusal
from whalecam.audit.known import NOTHING, Known
from whalecam.audit.token_places import check_places
from whalecam.config import BACKGROUND_TESTS, MAPS, NO_MAPS, AuditOptions, Columns, MaskOptions
from whalecam.data import OK, Dataset, open_dataset, with_merges
from whalecam.data.columns import no_groups
from whalecam.errors import DatasetError, RunError
from whalecam.explain import masks, occlusion
from whalecam.explain.masks import Joined, MaskSources, mask_methods
from whalecam.network import Network
from whalecam.network.runtime import TORCH
from whalecam.store.corrected import corrected_masks
from whalecam.store.join_record import JoinRecord
from whalecam.store.run import Run

log = logging.getLogger(__name__)
LOCAL = fold_job.Local()
RELIANCE = "whole backgrounds, in rounds"
"""How reliance is tested, to be changed with it. Audits from before it was noted exchanged single properties as well.
"""
READING = "large JPEGs reduced, deep greys on their own scale"
"""How images are read, to be changed with it. Audits from before it was noted read all of them at full size."""


@dataclass(frozen=True)
class AuditSummary:
    """What an audit did: rows in the table, rows new in this call, whether it had to start anew.

    `passes` counts the forward passes of this call: one an image for its map, the rest for the background test.
    `joins` says of masks and of boxes, where given, what is used and what is not (`masks.join.Join`); `mask_sources`
    counts the table's rows by where their mask comes from.
    """

    images: int
    new: int
    restarted: bool
    refused_boxes: tuple[str, ...] = ()
    note: str = ""
    passes: int = 0
    joins: Mapping[str, JoinRecord] = field(default_factory=dict)
    mask_sources: Mapping[str, int] = field(default_factory=dict)


def run_audit(
    run: Run,
    data: Dataset,
    options: AuditOptions,
    report: Report = silent,
    *,
    engine: fold_job.Engine = LOCAL,
    model: Network | None = None,
    known: Known = NOTHING,
) -> AuditSummary:
    """Fill or complete the table of `run` with the images of `data`.

    Rows made with other masks or another network, or of images read in another way, are dropped first, so that a
    table never mixes two audits; where nothing is left to do, the way of reading makes no difference and they stay.
    Args:
        model: the run's network itself, where only the process that made the run has it.
        known: of these images, by audits with the same options.

    Raises RunError for an untrained run and for another model than its own, DatasetError for missing mask folders or
    broken box files, and for masks or boxes that join no image or would be read wrongly (`masks.joined`), before
    anything is computed.
    """
    if not run.trained:
        raise RunError(
            f"Run '{run.name}' has no trained network. Train it first: whalecam train CSV IMAGES --run {run.path}"
        )
    if options.mask_method not in mask_methods():
        raise DatasetError(f"No mask method '{options.mask_method}'. There are: {', '.join(mask_methods())}.")
    if options.background_test not in BACKGROUND_TESTS or options.donors < 1:
        raise RunError(f"--background-test takes {', '.join(BACKGROUND_TESTS)}, and --donors one or more.")
    if options.maps not in MAPS:
        raise RunError(f"No maps by '{options.maps}'. There are: {', '.join(MAPS)}.")
    if model is not None:
        check_same(run, model)
    with run.auditing():
        return _audited(run, data, options, report, engine, model, known)


def _audited(
    run: Run,
    data: Dataset,
    options: AuditOptions,
    report: Report,
    engine: fold_job.Engine,
    model: Network | None,
    known: Known,
) -> AuditSummary:
    joined = known.joined or joined_sources(data, options, report, run=run)
    sources, joins = joined.sources, masks.records_of(joined.joins)
    settings = _settings(run, options)
    # Whatever is wrong with a network must show before rows are forgotten.
    # Workers on other machines need not have the library that is the fastest here.
    runtime = options.runtime if isinstance(engine, fold_job.Local) else TORCH
    networks = [fold_job.prepared(run, fold, data, options, given=model, runtime=runtime) for fold in range(run.folds)]
    networks = refusal.drawn(run, data, networks)
    # An earlier version drew maps that are refused today; a table has them for all images or for none.
    is_alike = run.has_maps == (networks[0].exactness != NO_MAPS)
    restarted = bool(run.parts()) and not (is_alike and _goes_on(run, data, options, settings, engine))
    if restarted:
        run.clear_audit()
    if restarted or not run.parts():
        run.update(audit=settings, exactness=networks[0].exactness)
    run.save_row_counts({"rows": len(data.table), "images": int(data.table["image"].nunique())})
    if joins != run.manifest.joins:
        run.update(joins=joins)
    new, passes = _explain(run, data, sources, networks, options, report, engine, known)
    refused = () if sources.box_table is None else sources.box_table.refused
    return AuditSummary(
        len(engine.audited(run)), new, restarted, refused, networks[0].note, passes, joins, run.mask_sources()
    )


def check_same(run: Run, model: Network) -> None:
    """Raise RunError for another network than the run was made with: by its weights, or a black box by its answers."""
    stored, given = run.load_checkpoint(), model.tensors()
    # A single number is stored as an array of one.
    alike = set(stored) == set(given) and all(
        np.array_equal(stored[name].ravel(), given[name].ravel()) for name in stored
    )
    if not alike or tuple(model.classes) != run.manifest.classes:
        raise RunError(
            f"The model is another than run '{run.name}' was made with. Make a run of its own: Run.from_model(…)."
        )


def mask_sources(options: AuditOptions) -> MaskSources:
    """Open what an audit takes its masks from."""
    sources = masks.opened(options)
    boxes = sources.boxes
    if boxes is not None and options.box_kind != "body" and set(boxes["kind"]) == {"body"}:
        boxes = boxes.assign(kind=options.box_kind)
    return replace(sources, boxes=boxes)


def joined_sources(data: Dataset, options: AuditOptions, report: Report = silent, *, run: Run | None = None) -> Joined:
    """`mask_sources` joined with a data set.

    Args:
        run: whose corrected masks come before all others, where the data set is its own.

    Raises DatasetError as `masks.joined`.
    """
    sources = mask_sources(options)
    if run is not None and data.csv.resolve() == Path(run.manifest.dataset.csv).resolve():
        sources = replace(sources, corrected=corrected_masks(run))
    return masks.joined(data, sources, report)


def open_data(run: Run, csv: Path | None = None, images: Path | None = None) -> Dataset:
    """The run's own data set, or another one to audit with its network, under the run's labels map.

    A group column that is not in the table any more is logged; the data set has no groups then.
    """
    record = run.manifest.dataset
    folder, columns = images or (Path(record.images) if record.images else None), Columns(**record.columns)
    data = with_merges(open_dataset(csv or Path(record.csv), folder, columns, needs_group=False), record.merges)
    if (note := no_groups(data.csv.name, columns.group)) in data.reading:
        log.warning(note)
    return data


def _settings(run: Run, options: AuditOptions) -> dict[str, Any]:
    """What must stay the same between two calls for their rows to stand in one table."""
    default = AuditOptions
    free = replace(options, limit=None, batch=default.batch, device=default.device, runtime=default.runtime)
    fixed = {"model_sha256": run.manifest.model_sha256, "reading": READING, "reliance": RELIANCE}
    return {**asdict(free), "boxes": list(options.boxes), **fixed}


def _goes_on(run: Run, data: Dataset, options: AuditOptions, settings: dict[str, Any], engine: fold_job.Engine) -> bool:
    """Whether the rows that the run holds can stay with those that this call would add."""
    # Audits from before the later options read as their defaults do.
    before = {**vars(MaskOptions()), "maps": AuditOptions.maps, "runtime": AuditOptions.runtime, **run.manifest.audit}
    before["box_orientation"] = before["box_orientation"] or MaskOptions.box_orientation
    if before == settings:
        return True
    same = {**before, "reading": READING, "reliance": RELIANCE} == settings
    return same and _left(_wanted(data, options), run, engine).empty


def _wanted(data: Dataset, options: AuditOptions) -> pd.DataFrame:
    """The rows of the data set that an audit is about, each image once: its usable row, if it has one."""
    usable_first = data.table.assign(_bad=data.table["status"] != OK).sort_values("_bad", kind="stable")
    rows = data.table.loc[usable_first.drop_duplicates("image").index.sort_values()]
    return rows.head(options.limit) if options.limit else rows


def _left(rows: pd.DataFrame, run: Run, engine: fold_job.Engine) -> pd.DataFrame:
    """Those of the rows that are not explained yet."""
    return rows[~rows["image"].isin(engine.audited(run))]


def _explain(
    run: Run,
    data: Dataset,
    sources: MaskSources,
    networks: Sequence[fold_job.Networks],
    options: AuditOptions,
    report: Report,
    engine: fold_job.Engine,
    known: Known,
) -> tuple[int, int]:
    """Explain what has no row yet, one fold's network after the other; how many rows, and forward passes."""
    rows, donors = _wanted(data, options), known.donors
    todo = _left(rows, run, engine)
    done = len(rows) - len(todo)
    if donors is None and len(todo):
        donors = fold_job.donors_of(run, data, sources, options, report=report)
    if len(todo):
        check_places(run, data, sources, options, network=networks[0].predictor, donors=donors)
    probes = fold_job.probes_of(data, options)
    fold_of = held_out_folds(run, todo["image"].tolist())
    passes = len(todo) * (1 + occlusion.PASSES * (options.maps == "occlusion"))
    for fold in sorted(set(fold_of)):
        training = frozenset(run.training_images(fold))
        mine = todo[[number == fold for number in fold_of]]
        batches = [mine.iloc[start : start + options.batch] for start in range(0, len(mine), options.batch)]
        report(Progress("audit", done, len(rows)))
        todo_here = fold_job.Work(networks[fold], sources, options, training, donors, probes, fold, known.agreements)
        for stored, test_passes in engine(run, todo_here, batches):
            done, passes = done + stored, passes + test_passes
            report(Progress("audit", done, len(rows)))
    report(Progress("audit", len(rows), len(rows)))
    return len(todo), passes


def held_out_folds(run: Run, images: Sequence[str]) -> list[int]:
    """For each image the first fold whose network was not trained on it; 0 where all were."""
    seen = [run.training_images(fold) for fold in range(run.folds)]
    return [next((fold for fold, names in enumerate(seen) if image not in names), 0) for image in images]
