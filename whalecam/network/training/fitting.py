"""One network through fastai: loaders, learner, progress. The only module that imports fastai."""

import time
from collections.abc import Mapping
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
    MaskBlock,
    Normalize,
    PILImage,
    Resize,
    ResizeMethod,
    accuracy,
    apply_init,
    aug_transforms,
    create_head,
    params,
)
from numpy.typing import NDArray

from whalecam import network
from whalecam.arrays import ByteArray
from whalecam.config import ARCFACE, TrainOptions
from whalecam.data import geometry, read_sample
from whalecam.network import Body, Network
from whalecam.network.heads import HEADS, arcface_kind
from whalecam.network.training.arcface import ArcFaceOptions, margin_logits
from whalecam.network.training.fitted import LEAST_BATCH, Augment, Change, Fit, Watch, seed_all
from whalecam.network.training.restriction import penalty

CACHE_BYTES = 1_500_000_000
SEED_SIDE = 224
LEAST_STEPS = 8


def fit(
    rows: pd.DataFrame,
    is_valid: NDArray[np.bool_],
    body: Body,
    options: TrainOptions,
    *,
    watch: Watch,
    augment: Augment | None = None,
    regions: Mapping[str, ByteArray] | None = None,
    weight: float = 0.0,
) -> Fit:
    """Train on the rows that are not for validation: the seed's `fine_tune(epochs, lr)` with `aug_transforms`.

    The head is linear, so that maps are exact. `augment` changes the training images, never those for validation.

    Args:
        regions: by image where evidence may lie, uint8 (S, S), 255 inside; None: anywhere.
        weight: of the share of evidence off the region (`restriction.penalty`) in the loss.
    """
    change = augment(rows[~is_valid]) if augment is not None else None
    seed_all(options.seed)
    loaders = _loaders(rows, is_valid, body, options, change, regions)
    learner = _learner(loaders, body, options)
    if options.loss == ARCFACE:
        learner.add_cb(_Margin())
    if regions is not None:
        learner.add_cb(_Restricted(weight))
    reporter = _Reporter(watch, options.epochs + 1)
    with learner.no_bar(), learner.no_logging():
        learner.fine_tune(options.epochs, options.lr, cbs=[reporter])
        scores, _ = learner.get_preds()
    classes = tuple(str(name) for name in loaders.vocab)
    return Fit(_network(learner, body, classes, options), np.asarray(scores.double().numpy()), watch.epochs)


class _Reporter(Callback):  # type: ignore[misc]
    """Reports to a `Watch` every batch and epoch. fine_tune fits twice: one frozen epoch, then the rest."""

    order = 60  # behind the Recorder, whose figures are read

    def __init__(self, watch: Watch, epochs: int) -> None:
        self.watch, self.total_epochs, self.step_count = watch, epochs, 0
        watch.begin()

    def before_epoch(self) -> None:
        self.started = time.perf_counter()

    def after_batch(self) -> None:
        if self.training:
            self.step_count += 1
            self._say({"train_loss": float(self.smooth_loss)})

    def after_epoch(self) -> None:
        train_loss, valid_loss, right = (float(value) for value in self.recorder.log[1:4])
        row = {"epoch": len(self.watch.epochs), "train_loss": train_loss, "valid_loss": valid_loss, "accuracy": right}
        self.watch.note(row | {"seconds": time.perf_counter() - self.started})
        self._say(row)

    def _say(self, values: dict[str, float]) -> None:
        self.watch.step(self.step_count, self.total_epochs * len(self.dls.train), values)


class _Margin(Callback):  # type: ignore[misc]
    """Descends ArcFace's loss, with its margin; noted is the cross-entropy without it, as of held-out images."""

    order = -6  # before a penalty is added

    def after_loss(self) -> None:
        if self.training:
            logits, labels = (value.as_subclass(torch.Tensor) for value in (self.pred, self.yb[0]))
            scale = self.model[1][-1].scale
            logits = margin_logits(logits / scale, labels, ArcFaceOptions.margin, scale)
            self.learn.loss_grad = torch.nn.functional.cross_entropy(logits, labels)


class _Restricted(Callback):  # type: ignore[misc]
    """Adds the penalty for evidence off a region, the second input, to the loss that is descended; noted is the first.

    The activations are those that the head was just given.
    """

    order = -5  # before anything else looks at the batch

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self.activations: tuple[torch.Tensor, ...] = ()

    def before_fit(self) -> None:
        self.hook = self.model[1].register_forward_pre_hook(self._keep)

    def after_fit(self) -> None:
        self.hook.remove()
        self.activations = ()

    def before_batch(self) -> None:
        self.inside = self.xb[1]
        self.learn.xb = self.xb[:1]

    def after_loss(self) -> None:
        if self.training:
            given = (*self.activations, self.yb[0], self.inside)
            activations, labels, inside = (value.as_subclass(torch.Tensor) for value in given)
            off = penalty(self.model[1], activations, labels, inside)
            self.learn.loss_grad = self.loss_grad + self.weight * off

    def _keep(self, _: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        self.activations = given


def _loaders(
    rows: pd.DataFrame,
    is_valid: Any,
    body: Body,
    options: TrainOptions,
    change: Change | None,
    regions: Mapping[str, ByteArray] | None,
) -> Any:
    """fastai's loaders over network inputs made by the audit's own geometry, so that both see the same pixels.

    With `regions` they have a second input, which is turned and flipped with the first.
    """
    read = _Reader(options, len(rows), change, frozenset(rows.loc[~is_valid, "image"]))
    seed = options.recipe == "notebook"
    n_train = int((~is_valid).sum())
    # Steps enough to learn from a small set, but never batches so small that BatchNorm's statistics are noise.
    batch = max(2, min(options.batch, n_train, max(LEAST_BATCH, n_train // LEAST_STEPS)))
    images: Any = ColReader("path") if seed else read
    inputs = (ImageBlock,) if regions is None else (ImageBlock, MaskBlock)
    block = DataBlock(
        blocks=(*inputs, CategoryBlock(vocab=sorted(set(rows["label"])))),
        n_inp=len(inputs),
        get_x=images if regions is None else [images, _RegionReader(regions, options.size)],
        get_y=ColReader("label"),
        splitter=IndexSplitter(np.flatnonzero(is_valid).tolist()),
        item_tfms=Resize(SEED_SIDE, ResizeMethod.Squish) if seed else None,
        batch_tfms=[
            *aug_transforms(size=options.size),
            Normalize.from_stats(body.mean, body.std, cuda=False),
        ],
    )
    device = network.pick_device(options.device)
    return block.dataloaders(rows, bs=batch, num_workers=0 if read.caches and not seed else 2, device=device)


class _Reader:
    """Row → image at the network's size; kept in memory where the whole set fits, changed after that."""

    def __init__(self, options: TrainOptions, images: int, change: Change | None, training: frozenset[str]) -> None:
        self.options, self.change, self.training = options, change, training
        self.caches = images * options.size**2 * 3 <= CACHE_BYTES
        self.cache: dict[str, Any] = {}

    def __call__(self, row: Any) -> PILImage:
        pixels = self.cache.get(row["image"])
        if pixels is None:
            sample = read_sample(Path(row["path"]), row["image"], geometry.needed(self.options.size))
            pixels = geometry.to_input(sample.pixels, self.options.size, self.options.resize)
            if self.caches:
                self.cache[row["image"]] = pixels
        if self.change is not None and row["image"] in self.training:
            # torch's chance is seeded once a training, and anew each epoch in a loader's worker processes.
            rng = np.random.default_rng(int(torch.randint(2**62, ())))
            pixels = self.change(row["image"], pixels, rng)
        return PILImage.create(pixels)


class _RegionReader:
    """Row → its region, uint8 (S, S); everything where it has none."""

    def __init__(self, regions: Mapping[str, ByteArray], size: int) -> None:
        self.regions, self.everything = regions, np.full((size, size), 255, np.uint8)

    def __call__(self, row: Any) -> ByteArray:
        return self.regions.get(row["image"], self.everything)


class _Model(torch.nn.Sequential):
    """Body and head. The body trains in bfloat16 where `halves` and the CPU is faster at it; judged in float32."""

    halves = True

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        halved = self.halves and self.training and network.fast_halves(inputs.device)
        if self.halves:
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=halved):
            activations = self[0](inputs)
        logits: torch.Tensor = self[1](activations.float())
        return logits


def _learner(loaders: DataLoaders, body: Body, options: TrainOptions) -> Learner:
    model = _Model(body.features, _head(body.channels, len(loaders.vocab), options))
    model.halves = options.recipe == "fast"
    if model.halves:
        model.to(memory_format=torch.channels_last)
    learner = Learner(
        loaders, model, CrossEntropyLossFlat(), metrics=accuracy, splitter=lambda m: [params(m[0]), params(m[1])]
    )
    learner.model.to(loaders.device)
    return learner


def _head(channels: int, classes: int, options: TrainOptions) -> torch.nn.Module:
    if options.loss == ARCFACE:
        return HEADS[_kind(options)](channels, classes)
    head: torch.nn.Module = create_head(channels, classes, lin_ftrs=[], concat_pool=False, ps=0.25)
    apply_init(head, torch.nn.init.kaiming_normal_)
    return head


def _kind(options: TrainOptions) -> str:
    """The name of the trained head among HEADS."""
    return arcface_kind(options.centres) if options.loss == ARCFACE else "linear"


def _network(learner: Learner, body: Body, classes: tuple[str, ...], options: TrainOptions) -> Network:
    """The trained weights in a network of our own, on the CPU, in eval mode."""
    kind = _kind(options)
    head = HEADS[kind](body.channels, len(classes))
    head.load_state_dict(learner.model[1].state_dict())
    model = Network(
        learner.model[0].eval(),
        head.eval(),
        body.arch,
        classes,
        options.size,
        options.resize,
        body.mean,
        body.std,
        kind,
        way=body.way,
        whole_classes=body.whole_classes,
    )
    return model.to(torch.device("cpu"))
