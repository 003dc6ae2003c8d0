"""Train with a remedy: on a mended data set, or with pictures that change while training."""

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from whalecam import classifier, dataset, masks
from whalecam.arrays import Report, silent
from whalecam.config import TRAIN_REMEDIES, TrainOptions
from whalecam.dataset import Dataset
from whalecam.errors import DatasetError
from whalecam.masks import MaskMethod
from whalecam.remedies.mending import mend
from whalecam.remedies.menu import AUGMENTS
from whalecam.run import DatasetRecord, Run

MENDED = "mended"


def train(data: Dataset, run: Run, options: TrainOptions, report: Report = silent) -> dict[str, Any]:
    """`classifier.train` under `options.remedy`.

    `shuffle` changes the training pictures anew every epoch. `crop` and `neutral` write a mended data set to `mended/`
    in the run folder, which becomes the run's data set: it is trained on, audited and shown in its place.

    Raises DatasetError for another remedy and for masks or boxes that cannot be read; else as `classifier.train`, and
    what `classifier.check_start` refuses before any image is changed.
    """
    name = options.remedy
    if name not in TRAIN_REMEDIES:
        raise DatasetError(f"No remedy '{name}' for training. There are: {', '.join(TRAIN_REMEDIES)}.")
    classifier.check_start(options)
    if name == "none":
        return classifier.train(data, run, options, report)
    find = finder(options.masks, options.boxes)
    if name in AUGMENTS:
        augment = AUGMENTS[name](find, options.size, options.resize, options.seed, report)
        return classifier.train(data, run, options, report, augment)
    return _on_mended(data, run, options, find, report)


def finder(folder: str | None, boxes: tuple[str, ...], fallback: str = "net") -> MaskMethod:
    """The best mask of a picture: given, boxes, else by `fallback`. Raises DatasetError for what cannot be read."""
    return functools.partial(masks.find_mask, sources=masks.opened(folder, boxes), fallback=fallback)


def _on_mended(data: Dataset, run: Run, options: TrainOptions, find: MaskMethod, report: Report) -> dict[str, Any]:
    """Train on the mended data set, which becomes the run's own; an earlier one is replaced when training has ended."""
    home = run.path / MENDED
    if data.csv.resolve().is_relative_to(home.resolve()):
        raise DatasetError(f"{data.csv} was written by an earlier remedy of this run. Name the data set it came from.")
    with tempfile.TemporaryDirectory(prefix="mending-", dir=run.path) as aside:
        mended = Path(aside) / MENDED
        none = pd.DataFrame(columns=["image"])
        mend(data, find, none, options.remedy, mended, {"run": run.name}, report)
        found = dataset.open_dataset(mended / "train.csv", mended / "images", data.columns)
        metrics = classifier.train(found, run, options, report)
        shutil.rmtree(home, ignore_errors=True)
        mended.rename(home)
    record = DatasetRecord(str(home / "train.csv"), str(home / "images"), vars(data.columns), found.fingerprint)
    run.update(dataset=record)
    return metrics
