"""Explain what a run does not hold yet. Resumable: every few seconds of work become one Parquet part."""

import functools
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from whalecam import dataset, network, pipeline, swap
from whalecam.arrays import Progress, Report, silent
from whalecam.config import NEEDS_CHOICES, NEEDS_SAMPLE, AuditOptions, Columns
from whalecam.dataset import Dataset
from whalecam.errors import DatasetError, RunError
from whalecam.explainer import Explained, Explainer
from whalecam.masks import MASK_METHODS, MaskSources, find_mask
from whalecam.network import Network
from whalecam.resolution import TOLERATED_DROP, TOLERATED_ROUNDING, at_map_size, rounding
from whalecam.run import Run

PART_ROWS, PART_SECONDS = 512, 10.0
"""How much work a crash can cost."""


@dataclass(frozen=True)
class AuditSummary:
    """What an audit did: rows in the table, rows new in this call, whether it had to start anew.

    `passes` counts the forward passes of this call: one a picture for its map, the rest for the second witness.
    """

    images: int
    new: int
    restarted: bool
    refused_boxes: tuple[str, ...] = ()
    note: str = ""
    passes: int = 0


def run_audit(run: Run, data: Dataset, options: AuditOptions, report: Report = silent) -> AuditSummary:
    """Fill or complete the table of `run` with the pictures of `data`.

    Rows made with other masks or another network are dropped first, so that a table never mixes two audits.
    Raises RunError for an untrained run, DatasetError for missing mask folders or broken box files.
    """
    if not run.trained:
        raise RunError(
            f"Run '{run.name}' has no trained network. Train it first: whalecam train CSV IMAGES --run {run.path}"
        )
    sources = mask_sources(options)
    if options.mask_method not in MASK_METHODS:
        raise DatasetError(f"No mask method '{options.mask_method}'. There are: {', '.join(MASK_METHODS)}.")
    if options.needs not in NEEDS_CHOICES or options.donors < 1:
        raise RunError(f"The second witness takes --needs {', '.join(NEEDS_CHOICES)} and one donor or more.")
    if sources.folder is not None and data.images is not None and sources.folder.samefile(data.images):
        raise DatasetError(
            f"Images and masks are both in {sources.folder}, where a picture may pass for its own mask. "
            "Put the masks into a folder of their own."
        )
    settings = _settings(run, options)
    # Whatever is wrong with a network must show before rows are forgotten.
    networks = [_networks(run, fold, data, options) for fold in range(run.folds)]
    restarted = bool(run.parts()) and dict(run.manifest.audit) != settings
    if restarted:
        run.clear_audit()
    run.update(audit=settings)
    new, passes = _explain(run, data, sources, networks, options, report)
    refused = () if sources.boxes is None else tuple(sources.boxes.attrs.get("refused", ()))
    return AuditSummary(len(run.audited()), new, restarted, refused, networks[0].said, passes)


def mask_sources(options: AuditOptions) -> MaskSources:
    """Open what an audit takes its masks from."""
    folder = Path(options.masks) if options.masks else None
    if folder and not folder.is_dir():
        raise DatasetError(f"There is no mask folder {folder}. Give a folder of PNG masks named like the pictures.")
    boxes = dataset.read_boxes([Path(path) for path in options.boxes]) if options.boxes else None
    if boxes is not None and options.box_kind != "body" and set(boxes["kind"]) == {"body"}:
        refused = boxes.attrs.get("refused", [])
        boxes = boxes.assign(kind=options.box_kind)
        boxes.attrs["refused"] = refused
    return MaskSources(folder, boxes)


def stored_options(run: Run) -> AuditOptions:
    """The options of the run's last audit; the defaults before the first."""
    return AuditOptions.stored(run.manifest.audit)


def open_data(run: Run, csv: Path | None = None, images: Path | None = None) -> Dataset:
    """The run's own data set, or another one to audit with its network."""
    record = run.manifest.dataset
    folder = images or (Path(record.images) if record.images else None)
    return dataset.open_dataset(csv or Path(record.csv), folder, Columns(**record.columns))


@dataclass(frozen=True)
class _Networks:
    """One fold's network in its roles: it `judges`, `draws` the maps, is `asked` about other waters; `said` of them."""

    judges: Network
    draws: Network
    asked: Network
    said: str


def _networks(run: Run, fold: int, data: Dataset, options: AuditOptions) -> _Networks:
    """One fold's network prepared for all it has to do, with what precision and another size cost, in words."""
    model = network.from_spec(run.manifest.network, run.load_checkpoint(fold))
    device = network.pick_device(options.device)
    model.to(device)
    judge, mapper, said = _sized(model, run, fold, data, options)
    wanted = options.precision == "auto" and network.fast_halves(device)
    apart = rounding(mapper, network.quick(mapper), data) if wanted else float("inf")
    halves = apart <= TOLERATED_ROUNDING
    if halves:
        said = f"Maps in bfloat16 differ from float32 by {apart:.1%} of their largest value at most. {said}".strip()
    draws = network.quick(mapper, halves)
    # A change of probability is measured in one arithmetic, so what bfloat16 adds to both sides falls away.
    asked = network.quick(model, wanted)
    return _Networks(draws if judge is mapper else network.quick(judge, halves), draws, asked, said)


def _sized(model: Network, run: Run, fold: int, data: Dataset, options: AuditOptions) -> tuple[Network, Network, str]:
    if options.size in (None, model.size):
        return model, model, ""
    larger, drop = at_map_size(model, run, data, int(options.size or 0), fold)
    said = f"Maps at {larger.size} px: accuracy differs by {-drop * 100:+.1f} points from {model.size} px, "
    said += "at which predictions and loss are taken."
    return model, larger, said + (" Do not trust them: train at this size." if drop > TOLERATED_DROP else "")


def _donors(
    run: Run, data: Dataset, sources: MaskSources, options: AuditOptions, report: Report
) -> list[swap.Donor] | None:
    """The pictures that lend their water, None where no second witness is wanted."""
    if options.needs == "none":
        return None
    find = functools.partial(find_mask, sources=sources, fallback=options.mask_method)
    size, resize = int(run.manifest.network["size"]), str(run.manifest.network["resize"])
    return swap.gather(data, run.manifest.classes, find, size, resize, report)


def _probes(data: Dataset, options: AuditOptions) -> frozenset[str] | None:
    """The pictures that the second witness sees beyond the suspects; None: every one."""
    names = data.good()["image"].drop_duplicates()
    if options.needs == "all" or len(names) <= NEEDS_SAMPLE:
        return None
    return frozenset(names.sample(NEEDS_SAMPLE, random_state=0))


def _settings(run: Run, options: AuditOptions) -> dict[str, Any]:
    """What must stay the same between two calls for their rows to stand in one table."""
    free = replace(options, limit=None, batch=AuditOptions.batch, device=AuditOptions.device)
    return {**asdict(free), "boxes": list(options.boxes), "model_sha256": run.manifest.model_sha256}


def _explain(
    run: Run,
    data: Dataset,
    sources: MaskSources,
    networks: Sequence[_Networks],
    options: AuditOptions,
    report: Report,
) -> tuple[int, int]:
    """Explain what has no row yet, one fold's network after the other; how many rows, and forward passes."""
    rows = data.table.drop_duplicates("image")
    rows = rows.head(options.limit) if options.limit else rows
    todo = rows[~rows["image"].isin(run.audited())]
    done = len(rows) - len(todo)
    donors = _donors(run, data, sources, options, report) if len(todo) else None
    fold_of, passes = judges(run, todo["image"].tolist()), len(todo)
    for fold in sorted(set(fold_of)):
        roles = networks[fold]
        witness = None if donors is None else swap.Witness(roles.asked, donors, options.donors)
        explainer = Explainer(
            roles.judges,
            sources,
            options.mask_method,
            run.training_images(fold),
            device=options.device,
            mapper=roles.draws,
            witness=witness,
            probes=_probes(data, options),
            fold=fold,
        )
        mine = todo[[one == fold for one in fold_of]]
        batches = [mine.iloc[start : start + options.batch] for start in range(0, len(mine), options.batch)]
        report(Progress("audit", done, len(rows)))
        with _Parts(run) as parts:
            for told in pipeline.explained(explainer, batches):
                parts.add(told)
                done += len(told)
                report(Progress("audit", done, len(rows)))
        passes += witness.spent if witness else 0
    report(Progress("audit", len(rows), len(rows)))
    return len(todo), passes


def judges(run: Run, images: Sequence[str]) -> list[int]:
    """For each image the first fold whose network was not trained on it; 0 where all were."""
    seen = [run.training_images(fold) for fold in range(run.folds)]
    return [next((fold for fold, names in enumerate(seen) if image not in names), 0) for image in images]


class _Parts:
    """Rows on their way into the run: one part for some hundred rows or some seconds of work, whichever ends first."""

    def __init__(self, run: Run) -> None:
        self.run, self.rows, self.since = run, list[dict[str, Any]](), time.monotonic()

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self._write()

    def add(self, explained: Sequence[Explained]) -> None:
        for item in explained:
            if item.thumb is not None:
                self.run.save_thumb(item.row["image"], item.thumb)
        self.rows += [item.row for item in explained]
        if len(self.rows) >= PART_ROWS or time.monotonic() - self.since >= PART_SECONDS:
            self._write()

    def _write(self) -> None:
        if self.rows:
            self.run.write_part(self.rows)
        self.rows, self.since = [], time.monotonic()
