"""Runs: train, audit, open, compare. What only a training or a report needs is imported there: audits start sooner."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam import data as dataset
from whalecam.analysis.compare import Comparison, compare_runs
from whalecam.analysis.cues import CueFinding, cue_findings
from whalecam.analysis.patterns.slices import Slice, slices, unseen
from whalecam.api.options import PathLike, with_options
from whalecam.arrays import Report, silent
from whalecam.audit import remask as remasking
from whalecam.audit import run_audit
from whalecam.audit.fold_job import Engine
from whalecam.audit.remask import Remasked
from whalecam.audit.run_audit import LOCAL, AuditSummary
from whalecam.audit.run_cues import run_cues
from whalecam.config import CSV, CUES_PER_CLASS, AuditOptions, Thresholds, TrainOptions
from whalecam.data import Dataset
from whalecam.data.groups import INDIVIDUAL, candidate
from whalecam.data.split_file import read_split
from whalecam.errors import DatasetError
from whalecam.network import Network
from whalecam.output.csv import MergeReport, split_table
from whalecam.output.interchange.transfer import export_run, import_file
from whalecam.store.cue_rows import cue_rows
from whalecam.store.manifest import DatasetRecord
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Added, Review, sign
from whalecam.store.run import Run as StoredRun
from whalecam.store.run import create_run
from whalecam.store.run import open_run as open_stored
from whalecam.store.run_words import words_for
from whalecam.store.table import Totals


class Run(StoredRun):
    """A run folder: one row per image in its table, the network that predicted, and people's verdicts.

    Attributes:
        model: the network in memory that the run was made from, None where it was opened.
    """

    model: Network | None = None

    @classmethod
    def from_model(
        cls,
        model: Network,
        data: Dataset,
        path: PathLike,
        *,
        training: Collection[str] = (),
        notes: Sequence[str] = (),
        subject: str | None = None,
        background: str | None = None,
    ) -> "Run":
        """Write the run folder `path` for a network that was trained elsewhere, to be audited on `data`.

        Args:
            model: what `open_model` returns. A function or a module in memory is not kept in the folder: where such a
                run is opened again, `audit` takes it as `model`.
            training: names of the images in `data` that it was trained on, as far as that is known.
            notes: what else the run is to report of it.
            subject, background: nouns for what the images show and before what, as in `car` and `road`, for pages,
                report and command line; None: as the run has them, else `object` and `background`.

        Returns: the run, which knows the network in memory. Raises ModelError for weights that are NaN or infinite,
        DatasetError for a training image that `data` does not name and for what is no noun, RunError where the folder
        is something else.
        """
        from whalecam.network.training import adopt

        if unknown := sorted(set(training) - set(data.table["image"])):
            raise DatasetError(f"The training image '{unknown[0]}' is none of the data set's {len(data.table):,} rows.")
        words = words_for(Path(path), data, subject, background)
        stored = create_run(Path(path), DatasetRecord.of(data), words)
        adopt(stored, model, notes, training)
        run = cls(stored.path, stored.manifest)
        run.model = model
        return run

    def to_pandas(self, thresholds: Thresholds = Thresholds()) -> pd.DataFrame:
        """The table without its maps, one row per image by name, with assessments at these thresholds.

        Returns: the columns that docs/concepts.md explains, in their units; NaN or None where a value is unknown.
        Raises RunError where nothing is audited yet.
        """
        return open_table(self, thresholds).all_rows()

    def summary(self, thresholds: Thresholds = Thresholds()) -> Totals:
        """Counts and rates of the whole run, as the Overview page shows them.

        Returns: `images`, `assessable`, `suspects`, `confirmed`, `hidden`, `background`, `reviewed` and `flagged`
        (counts), `accuracy` and `background_only_accuracy` (shares of the held-out images, in [0, 1]), `loss` (nats),
        `bg_gap` (how much more probable the prediction is on its own label's backgrounds than on those of other labels,
        in [-1, 1]; Xiao et al. 2020) and others. Raises RunError where nothing is audited yet.
        """
        return open_table(self, thresholds).overview()

    def export(
        self,
        path: PathLike,
        *,
        to: str = CSV,
        only: str = "flagged",
        thresholds: Thresholds = Thresholds(),
        labels_map: Mapping[str, str] | None = None,
    ) -> Path:
        """Write verdicts and scores, for another tool with boxes and masks.

        Args:
            path: the file; a folder for a format of several files.
            to: `csv` (docs/csv.md), or another tool's format: `fiftyone`, `label-studio`, `cvat`, `coco`, `camtrap-dp`,
                `huggingface` (docs/review.md), or one that another package offers.
            only: which rows: `flagged`, `reviewed`, `suspects` or `all`.
            labels_map: labels to rename in what is written, old → new.

        Returns: the file or folder. Raises ReviewError for another format or choice, and where it cannot be written.
        """
        return export_run(self, Path(path), to=to, only=only, thresholds=thresholds, merges=labels_map).path

    def import_verdicts(self, path: PathLike, *, reviewer: str = "") -> MergeReport:
        """Merge the verdicts of a file that `export` wrote and people or tools changed; the newest counts.

        Args:
            reviewer: who gave the verdicts for which the file of another tool names nobody.

        Returns: what became of each of them. Raises ReviewError where the file has no verdict.
        """
        return import_file(self, Path(path), reviewer)

    def review(
        self,
        images: Sequence[str],
        verdict: str,
        *,
        reviewer: str,
        reason: str = "",
        note: str = "",
        suggested_label: str = "",
        thresholds: Thresholds = Thresholds(),
    ) -> Added:
        """Sign a verdict for images, as the pages and `whalecam review` do.

        Args:
            images: names as in the table.
            verdict: `flag`, `keep` or `unsure`.
            reviewer: who signs.
            reason, note, suggested_label: empty: those that the same reviewer gave before stay.
            thresholds: noted beside the verdict.

        Returns: `images` that were signed, and those that stand so already (`unchanged`), for which nothing is written.
        Raises ReviewError for an image without a row, another verdict and a blank reviewer.
        """
        given = Review("", verdict, reviewer, reason=reason, note=note, suggested_label=suggested_label)
        return sign(self, images, given, thresholds)

    def slices(self) -> list[Slice]:
        """Where its networks fail: like images of one label with more mistakes than on the label's others.

        Among images that no network was trained on, grouped by Ward's tree over what the network saw of them.

        Returns: the largest gap first: `label`, `images` (mistakes first), `mistakes`, `others`, `other_mistakes`
        (counts) and `p_value`, which accounts for all groups (max-T, Westfall and Young 1993) and labels (Holm); below
        0.05.
        """
        return slices(*unseen(self))

    def report(self, path: PathLike, *, cases: int = 24, thresholds: Thresholds = Thresholds()) -> Path:
        """Write one self-contained HTML page.

        Args:
            cases: how many images it shows, flagged ones first, then suspects, each by evidence; 0 or more.

        Returns: the path of the page. Raises RunError where nothing is audited yet.
        """
        from whalecam.output.report import write_report

        return write_report(self, run_audit.open_data(self), Path(path), cases=cases, thresholds=thresholds)

    def split(self) -> pd.DataFrame:
        """Which images its networks were trained and validated on, as a file that `split_file` of `train` takes.

        Returns: one row per usable image of its classes: `image`, `fold` (the network that validates it; empty for
        none) and `part` (`train`, `valid`, `test`). Raises RunError for a network that was trained elsewhere.
        """
        return split_table(self, run_audit.open_data(self))


def train(
    data: Dataset,
    path: PathLike,
    *,
    subject: str | None = None,
    background: str | None = None,
    report: Report = silent,
    **options: Any,
) -> Run:
    """Train one network, or one for each fold, and write the run folder `path`.

    Args:
        subject, background: as in `Run.from_model`.
        options: fields of `TrainOptions`, such as `folds=3` or `arch="resnet18"`.

    Returns: the run. Raises TypeError for an unknown option, DatasetError for a group or a split file that cannot be
    used, ModelError where there is too little to train on or pretrained weights cannot be had, RunError where the
    folder is something else.
    """
    from whalecam import remedies
    from whalecam.network import training

    chosen = with_options(TrainOptions(group=data.group), options)
    training.check_start(chosen)
    words = words_for(Path(path), data, subject, background)
    if chosen.group:
        name = INDIVIDUAL if chosen.group == data.columns.group else candidate(data, chosen.group).name
        chosen = replace(chosen, group=name)
    if chosen.split_file:
        read_split(Path(chosen.split_file), data)
    if data.csv == dataset.IN_MEMORY and chosen.group in {"image", "label", "group"} & set(data.others):
        raise DatasetError(f"The run's table has a column '{chosen.group}' of its own. Give yours another name.")
    inspected = dataset.inspect_images(data, report)
    run = create_run(Path(path), DatasetRecord.of(data), words)
    if data.csv == dataset.IN_MEMORY:
        inspected = dataset.write_table(inspected, run.own_table)
        run.update(dataset=DatasetRecord.of(inspected))
    remedies.train(inspected, run, chosen, report)
    return open_run(path)


def audit(
    run: StoredRun,
    data: Dataset | None = None,
    *,
    model: Network | None = None,
    subject: str | None = None,
    background: str | None = None,
    report: Report = silent,
    engine: Engine = LOCAL,
    **options: Any,
) -> AuditSummary:
    """Fill or complete the table of a run: maps, scores and the background test of every image. Resumable.

    Args:
        data: another data set than the run's own.
        model: the network itself, where it was in memory when the run was made (`Run.from_model`) and the run was
            opened again since.
        subject, background: other nouns for the run than it has.
        engine: who does the work: this machine, or a Ray cluster by `whalecam.audit.engines.ray.OnRay`.
        options: fields of `AuditOptions`, such as `masks="masks/"`.

    Returns: counts: `images` in the table, `new` ones of this call, forward `passes`; whether it was `restarted`,
    because masks, network or reading had changed; what of masks and boxes is used (`joins`), and where the masks come
    from (`mask_sources`). Raises TypeError for an unknown option, RunError for an untrained run and for another model
    than the run's, DatasetError for masks or boxes that join no image or would be read wrongly.
    """
    chosen = with_options(AuditOptions(), options)
    if subject or background:
        words = run.words
        run.update(words=replace(words, subject=subject or words.subject, background=background or words.background))
    network = model or (run.model if isinstance(run, Run) else None)
    images = data or run_audit.open_data(run)
    return run_audit.run_audit(run, images, chosen, report, engine=engine, model=network)


def remask(
    run: StoredRun,
    image: str,
    mask: PathLike,
    *,
    reviewer: str,
    model: Network | None = None,
    mask_class: str = "",
    mask_orientation: str = "auto",
    report: Report = silent,
) -> Remasked:
    """Correct the mask of one image: it is measured again under yours, and all other rows stay.

    Args:
        image: its name in the table.
        mask: a file as in a folder of masks, white on the subject. A copy goes to `run.corrected_masks`, a folder that
            `masks=` of `audit` takes, and counts in every later audit of this run.
        reviewer: who drew it, for the journal.
        model: the network itself, where it was in memory when the run was made.
        mask_class, mask_orientation: as in `AuditOptions`.

    Returns: the scores before and after. Raises RunError for an image without a prediction, while an audit goes on, and
    where network or image are not those of the audit; DatasetError for a mask that cannot be used; ReviewError without
    a reviewer.
    """
    network = model or (run.model if isinstance(run, Run) else None)
    words = {"mask_class": mask_class, "mask_orientation": mask_orientation}
    data = run_audit.open_data(run)
    return remasking.remask(run, data, image, Path(mask), reviewer=reviewer, report=report, model=network, **words)


def step_mask(
    run: StoredRun,
    image: str,
    name: str,
    *,
    reviewer: str,
    model: Network | None = None,
    report: Report = silent,
) -> Remasked:
    """Take the newest corrected mask of an image back (`undo`), or let it count again (`redo`).

    Args:
        image: its name in the table.
        name: `undo` or `redo`.
        reviewer: who does it, for the journal.
        model: the network itself, where it was in memory when the run was made.

    The row before comes back exactly. Where the run was audited again since, it is measured anew.

    Returns: the scores before and after; `changed` is False where there was nothing to do. Raises as `remask`.
    """
    network = model or (run.model if isinstance(run, Run) else None)
    return remasking.step(
        run, run_audit.open_data(run), image, reviewer=reviewer, name=name, report=report, model=network
    )


def cues(
    run: StoredRun, *, per_class: int = CUES_PER_CLASS, restart: bool = False, report: Report = silent
) -> list[CueFinding]:
    """Test an audited run for cues beyond the background's looks. Resumable, class by class.

    One property of each image (sharpness, JPEG quality, exposure, white balance, scale and place of the object, border)
    takes the value of other images, or the patch beside the object that speaks most for the prediction is erased, each
    against a placebo.

    Args:
        per_class: images of each predicted class that are tested, at most.
        restart: whether classes that were tested before are tested anew.

    Returns: the cues that are beyond chance and material, by class, the costliest first: `cue`, `place`, `images` that
    rely on it, `drop` and `placebo` (of probability, in [-1, 1]), `cost` (the mean over all tested images of the class)
    and `p_value`, corrected by Holm. Raises RunError where nothing is audited, DatasetError as `audit`.
    """
    run_cues(run, per_class, report, restart=restart)
    return cue_findings(cue_rows(run))


def open_run(path: PathLike) -> Run:
    """Open a run folder. Raises RunError where there is none, or where it cannot be read."""
    stored = open_stored(Path(path))
    return Run(stored.path, stored.manifest)


def compare(*runs: StoredRun) -> Comparison:
    """Compare runs with the first of them, on the images they share.

    Returns: by run after the first, `differences`: one for each metric, with its 95 % paired bootstrap interval and p:
    of McNemar's exact test (1947) for accuracy, else of Fisher's paired randomization (1935) over individuals, beside
    it after Holm's correction over all metrics; `marks`: which images changed; `leaks`: what became of the first run's
    confirmed leaks. Raises RunError where they cannot be compared.
    """
    return compare_runs(list(runs))
