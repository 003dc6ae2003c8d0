"""Train a classifier through fastai. The only module that knows fastai."""

import importlib.metadata
import math
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.vision.all import (
    Callback,
    CategoryBlock,
    ColReader,
    CrossEntropyLossFlat,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    Learner,
    Normalize,
    PILImage,
    accuracy,
    apply_init,
    aug_transforms,
    create_head,
    params,
    set_seed,
)
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from whalecam import evidence, folds, geometry, network
from whalecam.arrays import Progress, Report, silent
from whalecam.config import TrainOptions
from whalecam.dataset import Dataset, read_sample
from whalecam.errors import ModelError
from whalecam.network import Body, Network, load_state
from whalecam.run import Run, open_run

__all__ = ["adopt", "load_state", "train"]

CACHE_BYTES = 1_500_000_000
LEAST_STEPS = 8
LEAST_BATCH = 8
LIBRARIES = ("whalecam", "torch", "torchvision", "fastai", "timm", "numpy", "pandas")


def train(data: Dataset, run: Run, options: TrainOptions, report: Report = silent) -> dict[str, Any]:
    """Train on the usable rows of `data` and write checkpoint, metrics and manifest to `run`, in this order.

    The recipe is the seed's, through fastai: `fine_tune(epochs, lr)` with `aug_transforms`, on a linear head so that
    maps are exact. Nothing is written before the training has ended; a KeyboardInterrupt passes through.

    Returns: the metrics that stand in `metrics.json`. Raises ModelError where there is too little to train on.
    """
    set_seed(options.seed, reproducible=True)
    rows, dropped = _usable(data, options.min_per_class)
    is_valid = folds.split_rows(
        rows["individual_id"].tolist(), rows["species"].tolist(), options.split, options.valid_share, options.seed
    )
    body = network.build_body(options.arch, options.pretrained)
    if options.body_from:
        body = _body_of(open_run(Path(options.body_from)))
    loaders = _loaders(rows, is_valid, body, options)
    learner = _learner(loaders, body, options)
    watch = _Watch(report, options.epochs)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(options.epochs, options.lr, cbs=[watch])
    classes = tuple(str(name) for name in loaders.vocab)
    model = _network(learner, body, classes, options)
    metrics = _metrics(learner, classes) | {
        "epochs": watch.epochs,
        "n_train": int((~is_valid).sum()),
        "n_valid": int(is_valid.sum()),
        "split": options.split,
        "shared_individuals": folds.shared_individuals(rows["individual_id"].tolist(), is_valid),
        "arch": body.arch,
        "note": body.note,
        "dropped_classes": dropped,
    }
    digest = run.save_checkpoint(0, model.tensors(), rows.loc[~is_valid, "image"])
    store(run, model, metrics, digest, asdict(options))
    return metrics


def adopt(run: Run, model: Network) -> None:
    """Put a network that was trained elsewhere into a run; it is taken to have seen none of the run's pictures."""
    digest = run.save_checkpoint(0, model.tensors(), ())
    store(
        run,
        model,
        {"arch": model.arch, "note": "Loaded, not trained here: what it was trained on is not known."},
        digest,
        {},
    )


def store(run: Run, model: Network, metrics: dict[str, Any], digest: str, options: dict[str, Any]) -> None:
    """Write metrics and, last, the manifest."""
    run.save_metrics(metrics)
    run.update(
        classes=model.classes,
        network=model.spec(),
        train=options,
        licence=evidence.licence(model.head),
        model_sha256=digest,
        versions={name: importlib.metadata.version(name) for name in LIBRARIES if _installed(name)},
    )


class _Watch(Callback):  # type: ignore[misc]
    """Reports every batch and keeps the epoch table. fine_tune fits twice: one frozen epoch, then the rest."""

    order = 60  # behind the Recorder, whose figures are read

    def __init__(self, report: Report, epochs: int) -> None:
        self.tell, self.total_epochs = report, epochs + 1
        self.epochs: list[dict[str, float]] = []
        self.step_count = 0

    def before_epoch(self) -> None:
        self.started = time.perf_counter()

    def after_batch(self) -> None:
        if self.training:
            self.step_count += 1
            self._say({"train_loss": float(self.smooth_loss)})

    def after_epoch(self) -> None:
        train_loss, valid_loss, right = (float(value) for value in self.recorder.log[1:4])
        row = {"epoch": len(self.epochs), "train_loss": train_loss, "valid_loss": valid_loss, "accuracy": right}
        self.epochs.append(row | {"seconds": time.perf_counter() - self.started})
        self._say(row)

    def _say(self, values: dict[str, float]) -> None:
        total = self.total_epochs * len(self.dls.train)
        shown = {name: value for name, value in values.items() if math.isfinite(value)}
        self.tell(Progress("training", self.step_count, total, shown))


def _usable(data: Dataset, least: int) -> tuple[pd.DataFrame, list[str]]:
    """Rows that can be trained on, and the classes that were too small."""
    good = data.good()
    good = good[good["path"] != ""].drop_duplicates("image").reset_index(drop=True)
    sizes = good["species"].value_counts()
    dropped = sorted(sizes[sizes < least].index)
    rows = good[~good["species"].isin(dropped)].reset_index(drop=True)
    if rows["species"].nunique() < 2 or len(rows) < 4:
        raise ModelError(
            f"{len(rows)} readable pictures of {rows['species'].nunique()} classes are too few to train on: "
            f"two classes with {max(least, 2)} pictures each are the least. Check the rows on the Dataset page."
        )
    return rows, dropped


def _loaders(rows: pd.DataFrame, is_valid: Any, body: Body, options: TrainOptions) -> Any:
    """fastai's loaders over network inputs made by the audit's own geometry, so that both see the same pixels."""
    read = _Reader(options, len(rows))
    n_train = int((~is_valid).sum())
    # Steps enough to learn from a small set, but never batches so small that BatchNorm's statistics are noise.
    batch = max(2, min(options.batch, n_train, max(LEAST_BATCH, n_train // LEAST_STEPS)))
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=sorted(set(rows["species"])))),
        get_x=read,
        get_y=ColReader("species"),
        splitter=IndexSplitter(np.flatnonzero(is_valid).tolist()),
        batch_tfms=[
            *aug_transforms(size=options.size),
            Normalize.from_stats(body.mean, body.std, cuda=False),
        ],
    )
    device = network.pick_device(options.device)
    return block.dataloaders(rows, bs=batch, num_workers=0 if read.caches else 2, device=device)


class _Reader:
    """Row → picture at the network's size; kept in memory where the whole set fits."""

    def __init__(self, options: TrainOptions, pictures: int) -> None:
        self.options = options
        self.caches = pictures * options.size**2 * 3 <= CACHE_BYTES
        self.held: dict[str, Any] = {}

    def __call__(self, row: Any) -> PILImage:
        pixels = self.held.get(row["image"])
        if pixels is None:
            sample = read_sample(Path(row["path"]), row["image"])
            pixels = geometry.to_input(sample.pixels, self.options.size, self.options.resize)
            if self.caches:
                self.held[row["image"]] = pixels
        return PILImage.create(pixels)


def _learner(loaders: DataLoaders, body: Body, options: TrainOptions) -> Learner:
    head = create_head(body.channels, len(loaders.vocab), lin_ftrs=[], concat_pool=False, ps=0.25)
    apply_init(head, torch.nn.init.kaiming_normal_)
    model = torch.nn.Sequential(body.features, head)
    learner = Learner(
        loaders, model, CrossEntropyLossFlat(), metrics=accuracy, splitter=lambda m: [params(m[0]), params(m[1])]
    )
    learner.model.to(loaders.device)
    return learner


def _network(learner: Learner, body: Body, classes: tuple[str, ...], options: TrainOptions) -> Network:
    """The trained weights in a network of our own, on the CPU, in eval mode."""
    head = network.linear_head(body.channels, len(classes))
    head.load_state_dict(learner.model[1].state_dict())
    model = Network(
        learner.model[0].eval(), head.eval(), body.arch, classes, options.size, options.resize, body.mean, body.std
    )
    return model.to(torch.device("cpu"))


def _metrics(learner: Learner, classes: Sequence[str]) -> dict[str, Any]:
    """Accuracy, balanced accuracy, loss and confusion on the validation part."""
    with learner.no_bar(), learner.no_logging():
        scores, labels = learner.get_preds()
    predicted, wanted = scores.argmax(1).numpy(), labels.numpy()
    loss = -torch.log(scores[torch.arange(len(scores)), labels].clamp_min(1e-12)).mean()
    return {
        "accuracy": float((predicted == wanted).mean()),
        "balanced_accuracy": float(balanced_accuracy_score(wanted, predicted)),
        "valid_loss": float(loss),
        "confusion": confusion_matrix(wanted, predicted, labels=range(len(classes))).tolist(),
    }


def _body_of(run: Run) -> Body:
    """The body of another run's network, to start from."""
    model = network.from_spec(run.manifest.network, run.load_checkpoint(0)) if run.trained else None
    if model is None:
        raise ModelError(f"Run '{run.name}' has no trained network to start from. Train it first.")
    channels = model.head[2].num_features // (2 if model.head_kind == "fastai" else 1)  # type: ignore[index]
    return Body(
        model.features, channels, model.arch, model.mean, model.std, f"Started from the body of run {run.name}."
    )


def _installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
