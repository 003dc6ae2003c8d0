"""The verbs of WhaleCAM for Python: the same as those of the command line, with the same options and defaults."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from whalecam import data as dataset
from whalecam import remedies
from whalecam.analysis import findings
from whalecam.analysis.compare import Comparison, compare_runs
from whalecam.analysis.findings import Finding
from whalecam.analysis.findings.measuring import measured
from whalecam.arrays import ByteArray, Report, silent
from whalecam.audit import run_audit
from whalecam.audit.fold_job import Engine
from whalecam.audit.run_audit import LOCAL, AuditSummary
from whalecam.config import CSV, IN_MEMORY, AuditOptions, Columns, MaskOptions, Thresholds, TrainOptions
from whalecam.data import Dataset, geometry, unpacking
from whalecam.data.groups import INDIVIDUAL, candidate
from whalecam.data.split_file import read_split
from whalecam.data.unpacking import Unpacked
from whalecam.errors import DatasetError, ModelError
from whalecam.explain import cam, masks
from whalecam.network import Network, Predict, black_box, load_checkpoint, training
from whalecam.network.bodies import IMAGENET, Stats
from whalecam.network.exactness import exactness
from whalecam.network.heads import OWN
from whalecam.network.modules import cut
from whalecam.network.preparation import resize_text
from whalecam.network.training import adopt
from whalecam.output.csv import MergeReport, split_table
from whalecam.output.interchange.transfer import export_run, import_file
from whalecam.output.report import write_report
from whalecam.store.open_table import open_table
from whalecam.store.run import DatasetRecord, create_run, words_for
from whalecam.store.run import Run as StoredRun
from whalecam.store.run import open_run as open_stored
from whalecam.store.table import Totals

BATCH, SIDE = 32, 224
PathLike = str | Path
Options = TypeVar("Options", TrainOptions, AuditOptions, MaskOptions)


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

        Raises ModelError for weights that are NaN or infinite, DatasetError for a training image that `data` does not
        name and for what is no noun, RunError where the folder is something else.
        """
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

        Raises RunError where nothing is audited yet.
        """
        return open_table(self, thresholds).all_rows()

    def summary(self, thresholds: Thresholds = Thresholds()) -> Totals:
        """Counts and rates of the whole run, as the Overview page shows them.

        Returns: `images`, `assessable`, `suspects`, `confirmed`, `hidden`, `background`, `reviewed` and `flagged`
        (counts), `accuracy` and `background_only_accuracy` (shares of the held-out images), `loss` (nats), `bg_gap` and
        others. Raises RunError where nothing is audited yet.
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

        Returns: what became of each of them. Raises ReviewError where the file holds no verdict.
        """
        return import_file(self, Path(path), reviewer)

    def report(self, path: PathLike, *, cases: int = 24, thresholds: Thresholds = Thresholds()) -> Path:
        """Write one self-contained HTML page. Returns its path; raises RunError where nothing is audited yet."""
        return write_report(self, run_audit.open_data(self), Path(path), cases, thresholds)

    def split(self) -> pd.DataFrame:
        """Which images its networks were trained and validated on, as a file that `split_file` of `train` takes.

        Returns: one row per usable image of its classes: `image`, `fold` (the network that validates it; empty for
        none) and `part` (`train`, `valid`, `test`). Raises RunError for a network that was trained elsewhere.
        """
        return split_table(self, run_audit.open_data(self))


@dataclass(frozen=True, kw_only=True)
class Cams:
    """Class activation maps of all classes.

    Attributes:
        maps: (N, C, h, w) float32, logits: how much each position adds to each class's logit; signed.
        bias: (N, C) float32, logits: what no position adds.
        logits: (N, C) float32, as the network gives them.
        completeness_error: (N,) float32, logits: `max_c |Σ_ij maps + bias − logits|`.
        exactness: `exact`, `exact_here` (piecewise linear) or `approximate`.
    """

    maps: NDArray[np.float32]
    bias: NDArray[np.float32]
    logits: NDArray[np.float32]
    completeness_error: NDArray[np.float32]
    exactness: str


class HasPandas(Protocol):
    """A table that can become one of pandas, such as one of polars or pyarrow."""

    def to_pandas(self) -> pd.DataFrame: ...


def open_dataset(
    csv: "PathLike | pd.DataFrame | HasPandas",
    images: PathLike | None = None,
    *,
    image_column: str = Columns.image,
    label_column: str = Columns.label,
    group_column: str = Columns.group,
    group: str = "",
) -> Dataset:
    """Read a table and join it with the files of a folder by name.

    Args:
        csv: a file with a table (docs/data.md), a folder of class folders, or a table of pandas, polars or pyarrow.
        images: the folder of the images; None for class folders, and for a look at the table only.
        group: what `train` and `check` keep together in a split: `folder`, `source`, `photographer`, `camera`, `day`,
            `place` or a column of the table (docs/data.md); empty: the individual, which is the `group_column`.

    Returns: the data set; `problems` lists every unusable row, `notes` states how rows and files were joined.
    Raises DatasetError for a file that is no such table, for a column or a group that is missing, and for a missing
    folder.
    """
    columns = Columns(image_column, label_column, group_column)
    folder = Path(images) if images is not None else None
    if isinstance(csv, str | Path):
        data = dataset.open_dataset(Path(csv), folder, columns)
    else:
        data = dataset.of_frame(csv if isinstance(csv, pd.DataFrame) else csv.to_pandas(), folder, columns)
    if group:
        candidate(data, group)
    return replace(data, group=group)


def unpack(files: Sequence[PathLike], out: PathLike, *, report: Report = silent) -> Unpacked:
    """Write the images inside Parquet files, as of Hugging Face, to `out/images`, and a table to `out/table.csv`.

    Args:
        files: the parts of one data set, in their order.
        out: a new or empty folder, or that of an earlier call, which then goes on.

    Returns: where both lie, for `open_dataset`, and counts. Raises DatasetError for files that are no Parquet or
    contain no images, for parts with other columns than the first, and for a folder that contains something else.
    """
    return unpacking.unpack([Path(file) for file in files], Path(out), report)


def check(
    data: Dataset,
    *,
    boxes: Sequence[PathLike] = (),
    masks_folder: PathLike | None = None,
    subject: str | None = None,
    background: str | None = None,
    group: str = "",
    report: Report = silent,
    **options: Any,
) -> list[Finding]:
    """What is wrong with a data set, worst first; no network is needed. Reads every image, if there is a folder.

    Args:
        subject, background: nouns for what the images show and before what, as in `car` and `road`; None: `object` and
            `background`.
        group: what stays together where findings test out-of-fold, as in `open_dataset`; empty: the data set's own.
        options: further fields of `MaskOptions`, such as `box_orientation="upright"`.

    Raises TypeError for an option that there is not, DatasetError for a group that is missing, for boxes and masks that
    cannot be read, join no image or would be read wrongly, and for what is no noun.
    """
    words = data.words(subject or "", background or "")
    named = {"masks": masks_folder, "boxes": tuple(boxes)}
    joined = masks.joined(data, masks.opened(_options(MaskOptions(), {**named, **options})), report).sources
    if wanted := group or data.group:
        candidate(data, wanted)
    data, properties = measured(data, joined, report=report)
    return findings.find(findings.Evidence(data, joined.boxes, properties, run_words=words, group=wanted))


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

    Raises TypeError for an option that there is not, DatasetError for a group or a split file that cannot be used,
    ModelError where there is too little to train on or pretrained weights cannot be had, RunError where the folder is
    something else.
    """
    chosen = _options(TrainOptions(group=data.group), options)
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
        engine: who does the work: this machine, or `ray_runner.OnRay`.
        options: fields of `AuditOptions`, such as `masks="masks/"`.

    Raises TypeError for an option that there is not, RunError for an untrained run and for another model than the
    run's, DatasetError for masks or boxes that join no image or would be read wrongly.
    """
    chosen = _options(AuditOptions(), options)
    if subject or background:
        words = run.words
        run.update(words=replace(words, subject=subject or words.subject, background=background or words.background))
    network = model or (run.model if isinstance(run, Run) else None)
    return run_audit.run_audit(run, data or run_audit.open_data(run), chosen, report, engine, network)


def open_run(path: PathLike) -> Run:
    """Open a run folder. Raises RunError where there is none, or where it cannot be read."""
    stored = open_stored(Path(path))
    return Run(stored.path, stored.manifest)


def compare(*runs: StoredRun) -> Comparison:
    """Compare runs with the first of them, on the images they share. Raises RunError where they cannot be compared."""
    return compare_runs(list(runs))


def open_model(
    model: nn.Module | PathLike | None = None,
    *,
    predict: Predict | None = None,
    classes: Sequence[str],
    arch: str | None = None,
    size: int | None = None,
    mean: Stats | None = None,
    std: Stats | None = None,
    resize: str | None = None,
    crop_share: float | None = None,
    interpolation: str | None = None,
) -> Network:
    """A network that was trained elsewhere: for `explain`, and for `Run.from_model`, which makes it a run to audit.

    Args:
        model: a module in memory, which is copied, cut in two and stays as it is; or the path of a checkpoint, of a
            folder with one, or of an ONNX file.
        predict: instead of a model, a function of images: uint8 (N, size, size, 3), RGB → probabilities (N, C). It has
            no maps; the background test needs none.
        classes: in the order of its outputs.
        arch: of a checkpoint, a name of torchvision or timm; None: as the file says.
        size: side of its input, px. Needed for a module; None: as the file or timm says, else 224.
        mean, std: of its input's channels, RGB in [0, 1]; None: as the file says, else ImageNet's. A function gets
            plain pixels.
        resize: how an image becomes a square: `squish`, `crop` or `pad`; None: as the file or timm says, else `squish`.
        crop_share: of the sides of what `resize` shows, in (0, 1]; None: as the file or timm says, else 1.
        interpolation: `bilinear`, `bicubic` or another of Pillow's; None: as the file or timm says, else `bilinear`.

    Raises TypeError for a model and a function together, and for what it would not use; ModelError where the network
    cannot be read, cut or called, or has another number of outputs than classes.
    """
    if (model is None) == (predict is None):
        raise TypeError("open_model takes either a model, or a function as predict=…")
    names = tuple(classes)
    if predict is not None:
        if arch or mean or std:
            raise TypeError("A function gets plain pixels: arch, mean and std are not used. Leave them out.")
        return black_box(predict, names, size or SIDE, resize_text(resize, crop_share, interpolation))
    if isinstance(model, nn.Module):
        if arch or size is None:
            raise TypeError("A module needs size=…, the side of its input in px, and no arch.")
        how = resize_text(resize, crop_share, interpolation)
        return _of_module(model, names, size, how, mean or IMAGENET[0], std or IMAGENET[1])
    return load_checkpoint(
        Path(str(model)).expanduser(),
        names,
        arch=arch,
        size=size,
        resize=resize,
        crop_share=crop_share,
        interpolation=interpolation,
        mean=mean,
        std=std,
    ).network


def _of_module(module: nn.Module, classes: tuple[str, ...], size: int, resize: str, mean: Stats, std: Stats) -> Network:
    parts = cut(module, size)
    frame = (type(module).__name__, classes, size, resize, mean, std, OWN, IN_MEMORY, len(classes))
    network = Network(parts.features, parts.head, *frame)
    with torch.no_grad():
        outputs = parts.head(network.look(np.zeros((1, size, size, 3), np.uint8))).shape[1]
    if outputs != len(classes):
        raise ModelError(f"{network.arch} has {outputs} outputs, but {len(classes)} classes are named.")
    return network


def explain(model: nn.Module | Network, images: "torch.Tensor | Sequence[PathLike | ByteArray]") -> Cams:
    """Class activation maps of all classes that add up to the logits.

    Args:
        model: a module, or what `open_model` returns.
        images: for a module, its input as a tensor (N, 3, S, S); else paths of image files, or uint8 RGB (H, W, 3).

    Raises ModelError where the module cannot be cut before its pooling, DatasetError for a file that cannot be read,
    TypeError for images of the other kind, ValueError without images.
    """
    if isinstance(model, Network) and not isinstance(images, torch.Tensor):
        inputs = [_input(model, image) for image in images]
        batches = [model.batch(np.stack(inputs[at : at + BATCH])) for at in range(0, len(inputs), BATCH)]
        features, head = model.features, model.head
    elif isinstance(model, nn.Module) and isinstance(images, torch.Tensor):
        batches = [images[at : at + BATCH] for at in range(0, len(images), BATCH)]
        parts = cut(model, int(images.shape[-1]))
        features, head = parts.features, parts.head
    else:
        wanted = "a tensor (N, 3, S, S)" if isinstance(model, nn.Module) else "paths or uint8 arrays"
        raise TypeError(f"The images of a {type(model).__name__} are {wanted}, not a {type(images).__name__}.")
    if not batches:
        raise ValueError("There are no images to explain.")
    with torch.no_grad():
        activations = [features(batch) for batch in batches]
    return _joined([cam.explain(head, part) for part in activations], exactness(head))


def _input(network: Network, image: PathLike | ByteArray) -> ByteArray:
    if isinstance(image, str | Path):
        image = dataset.read_sample(Path(image), str(image)).pixels
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
        raise DatasetError(f"An image is uint8 RGB (H, W, 3), not {pixels.dtype} {pixels.shape}.")
    return geometry.to_input(pixels, network.size, network.resize)


def _joined(parts: Sequence[cam.Evidence], exactness: str) -> Cams:
    arrays = {
        name: torch.cat([getattr(part, name) for part in parts]).detach().float().cpu().numpy()
        for name in ("maps", "bias", "logits", "completeness_error")
    }
    return Cams(**arrays, exactness=exactness)


def _options(default: Options, given: Mapping[str, Any]) -> Options:
    """The default options with some of their fields changed; paths become absolute texts."""
    known = [field.name for field in fields(default)]
    if unknown := sorted(set(given) - set(known)):
        raise TypeError(f"There is no option '{unknown[0]}'. There are: {', '.join(known)}.")
    changed = dict(given)
    if changed.get("masks") is not None:
        changed["masks"] = str(Path(changed["masks"]).resolve())
    if changed.get("split_file") is not None:
        changed["split_file"] = str(Path(changed["split_file"]).resolve())
    if boxes := changed.get("boxes"):
        several = [boxes] if isinstance(boxes, str | Path) else boxes
        changed["boxes"] = tuple(str(Path(path).resolve()) for path in several)
    return replace(default, **changed)
