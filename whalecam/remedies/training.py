"""Train with a remedy: on a mended data set, or with images that change while training."""

import functools
import shutil
import tempfile
from pathlib import Path

import pandas as pd

from whalecam.arrays import Report, silent
from whalecam.config import BACKGROUND, HEAD, RESTRICT, TRAIN_REMEDIES, MaskOptions, TrainOptions, parts_of
from whalecam.data import Dataset, open_dataset
from whalecam.errors import DatasetError
from whalecam.explain import masks
from whalecam.explain.masks import Joined, MaskMethod, MaskSources
from whalecam.network import training
from whalecam.network.training import Cue, FitAgain, LayerChange, RemoveCue
from whalecam.remedies.export_dataset import mend
from whalecam.remedies.menu import AUGMENTS
from whalecam.remedies.restrict import Restrict, check_restriction
from whalecam.remedies.shuffle import Shuffle
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run


def train(data: Dataset, run: Run, options: TrainOptions, report: Report = silent) -> None:
    """`network.training.train` under `options.remedy`; the metrics are in the run.

    `shuffle` changes the training images anew every epoch; `restrict` leaves them as they are and adds to the loss what
    evidence lies off the subject. `crop` and `neutral` write a mended data set to `mended/` in the run folder, which
    becomes the run's data set: it is trained on, audited and shown in its place.

    Raises DatasetError for another remedy and for masks or boxes that cannot be read; else as `classifier.train`, and
    what `classifier.check_start` refuses before any image is changed.
    """
    name = options.remedy
    if name not in TRAIN_REMEDIES:
        raise DatasetError(f"No remedy '{name}' for training. There are: {', '.join(TRAIN_REMEDIES)}.")
    check_restriction(options)
    training.check_start(options)
    if name == "none":
        training.train(data, run, options, report)
        return
    joined = joined_sources(data, options, report)
    find = functools.partial(masks.find_mask, sources=joined.sources)
    run.stage(joins=masks.records_of(joined.joins))
    if name == RESTRICT:
        shuffle = Shuffle(find, options.size, options.resize, report=report)
        restriction = Restrict(joined.sources, shuffle, options, report)
        training.train(data, run, options, report, restriction=restriction)
    elif name in AUGMENTS:
        augment = AUGMENTS[name](find, options.size, options.resize, options.seed, report)
        training.train(data, run, options, report, augment=augment)
    else:
        _on_mended(data, run, options, find, report)


def refit(
    data: Dataset,
    run: Run,
    source: Run,
    options: TrainOptions,
    *,
    report: Report = silent,
    cue: Cue | None = None,
    where: MaskOptions | None = None,
) -> None:
    """The remedy that `options.remedy` ends in, `head` or `project`: a run's last layers changed, written to `run`.

    Args:
        cue: what `project` removes; None: the background.
        where: other masks than those of `options`.

    Raises DatasetError for masks or boxes that cannot be read, ModelError as `training.change_last_layers`.
    """
    exchange, cue = None, cue or Cue(name=BACKGROUND)
    remedy = parts_of(options.remedy)[-1]
    if remedy == HEAD or cue.carriers is None:
        joined = joined_sources(data, where or options, report)
        run.stage(joins=masks.records_of(joined.joins))
        exchange = backgrounds(joined.sources, source, report)
    change = RemoveCue(cue) if exchange is None else layer_change(remedy, exchange, cue)
    training.change_last_layers(data, run, source, options=options, change=change, backgrounds=exchange, report=report)


def layer_change(remedy: str, exchange: Shuffle, cue: Cue) -> LayerChange:
    """What a remedy out of LAYER_REMEDIES does to a last layer."""
    return FitAgain(exchange) if remedy == HEAD else RemoveCue(cue)


def backgrounds(sources: MaskSources, source: Run, report: Report = silent) -> Shuffle:
    """What puts the images of a run on each other's backgrounds, as inputs of its network."""
    size, resize = int(source.manifest.network["size"]), str(source.manifest.network["resize"])
    return Shuffle(functools.partial(masks.find_mask, sources=sources), size, resize, report=report)


def finder(data: Dataset, options: TrainOptions) -> MaskMethod:
    """The best mask of an image: given, boxes, else by the mask network. Raises DatasetError as `masks.joined`."""
    return functools.partial(masks.find_mask, sources=joined_sources(data, options).sources)


def joined_sources(data: Dataset, options: MaskOptions, report: Report = silent) -> Joined:
    """The masks and boxes of a training joined with its data set. Raises DatasetError as `masks.joined`."""
    return masks.joined(data, masks.opened(options), report)


def _on_mended(data: Dataset, run: Run, options: TrainOptions, find: MaskMethod, report: Report) -> None:
    """Train on the mended data set, which becomes the run's own; an earlier one is replaced when training has ended."""
    home = run.remedied
    if data.csv.resolve().is_relative_to(home.resolve()):
        raise DatasetError(f"{data.csv} was written by an earlier remedy of this run. Name the data set it came from.")
    with tempfile.TemporaryDirectory(prefix="mending-", dir=run.path) as aside:
        mended = Path(aside) / home.name
        none = pd.DataFrame(columns=["image"])
        mend(data, find, none, remedy=options.remedy, out=mended, provenance={"run": run.name}, report=report)
        remedied = open_dataset(mended / "train.csv", mended / "images", data.columns)
        training.train(remedied, run, options, report, source=data)
        shutil.rmtree(home, ignore_errors=True)
        mended.rename(home)
    record = DatasetRecord(str(home / "train.csv"), str(home / "images"), vars(data.columns), remedied.fingerprint)
    run.update(dataset=record)
