"""A linear probe: a linear head over a body that stays as it is (Alain & Bengio 2016, arXiv 1610.01644)."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from whalecam import network
from whalecam.arrays import records
from whalecam.config import TrainOptions
from whalecam.data import geometry, read_sample
from whalecam.network import Body, Network
from whalecam.network.training.fitted import Augment, Change, Fit, Watch
from whalecam.network.training.regression import Values, log_loss, regress

BATCH = 64
DRAWN = 4
"""How often each training image is changed, where it is changed by chance."""


def probe(
    rows: pd.DataFrame,
    is_valid: NDArray[np.bool_],
    body: Body,
    options: TrainOptions,
    *,
    watch: Watch,
    augment: Augment | None = None,
) -> Fit:
    """Fit a logistic regression on the pooled activations of the training images and of their mirror images.

    The body sees each image twice, once per version, so this takes seconds where a training takes minutes. Same
    arguments and result as `fitting.fit`; of the options only `size`, `resize`, `seed` and `device` count.
    """
    started, classes = time.perf_counter(), tuple(sorted(set(rows["label"])))
    model = _untrained(body, classes, options)
    training, validation = rows[~is_valid], rows[is_valid]
    change = augment(training) if augment is not None else None
    drawn = 1 if change is None else DRAWN
    watch.begin()
    seen = _Seen(watch, 2 * drawn * len(training) + len(validation))
    rng = np.random.default_rng(options.seed)
    versions = [_pooled(model, training, options, seen, change, rng, mirrored=True) for _ in range(drawn)]
    features = np.concatenate([plain for plain, _ in versions] + [mirrored for _, mirrored in versions])
    unseen, _ = _pooled(model, validation, options, seen)
    codes = np.searchsorted(classes, rows["label"].to_numpy(str))
    labels = np.tile(codes[~is_valid], 2 * drawn)
    _fill(model.head, features, labels, len(classes))
    scores = {part: _probabilities(model.head, values) for part, values in (("train", features), ("valid", unseen))}
    truth = codes[is_valid]
    watch.note(
        {
            "epoch": 0,
            "train_loss": log_loss(labels, scores["train"]),
            "valid_loss": log_loss(truth, scores["valid"]),
            "accuracy": float((scores["valid"].argmax(axis=1) == truth).mean()),
            "seconds": time.perf_counter() - started,
        }
    )
    return Fit(model.to(torch.device("cpu")), scores["valid"], watch.epochs)


def _untrained(body: Body, classes: tuple[str, ...], options: TrainOptions) -> Network:
    """The body as it is, with a head that is still to be filled."""
    device = network.pick_device(options.device)
    features = body.features.eval().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    head = network.probe_head(body.channels, len(classes)).eval().to(device)
    size, resize = options.size, options.resize
    frame = (body.arch, classes, size, resize, body.mean, body.std)
    return Network(features, head, *frame, head_kind="probe", way=body.way, whole_classes=body.whole_classes)


class _Seen:
    """Counts images for the progress."""

    def __init__(self, watch: Watch, of: int) -> None:
        self.watch, self.of, self.done = watch, of, 0

    def __call__(self, images: int) -> None:
        self.done += images
        self.watch.step(self.done, self.of)


def _pooled(
    model: Network,
    rows: pd.DataFrame,
    options: TrainOptions,
    seen: _Seen,
    change: Change | None = None,
    rng: np.random.Generator | None = None,
    *,
    mirrored: bool = False,
) -> tuple[Values, Values]:
    """Averages of the activations over all positions, (N, K), and those of the mirror images where they are wanted.

    A batch of images is held at once, however many there are.
    """
    parts: tuple[list[Values], list[Values]] = [], []
    need = geometry.needed(options.size)
    for start in range(0, len(rows), BATCH):
        images = []
        for row in records(rows.iloc[start : start + BATCH]):
            pixels = read_sample(Path(row["path"]), row["image"], need).pixels
            pixels = geometry.to_input(pixels, options.size, options.resize)
            images.append(pixels if change is None or rng is None else change(row["image"], pixels, rng))
        batch = np.stack(images)
        for values, side in zip(parts, (batch, batch[:, :, ::-1]) if mirrored else (batch,), strict=False):
            activations = model.look(np.ascontiguousarray(side))
            values.append(activations.mean(dim=(2, 3)).double().cpu().numpy())
            seen(len(batch))
    plain, other = (np.concatenate(values) if values else np.empty((0, 0)) for values in parts)
    return plain, other


def _fill(head: nn.Module, features: Values, labels: NDArray[np.int64], classes: int) -> None:
    """Fit the regression and write it into a `probe_head`."""
    fitted = regress(features, labels, classes)
    norm, linear = head[2], head[4]  # type: ignore[index]
    variance = features.var(axis=0)
    with torch.no_grad():
        norm.running_mean.copy_(torch.from_numpy(fitted.mean))
        norm.running_var.copy_(torch.from_numpy(variance))
        # So divided by the deviation itself, without the epsilon, which would flatten weak features.
        norm.weight.copy_(torch.from_numpy(np.sqrt(variance + norm.eps) / fitted.deviation))
        linear.weight.copy_(torch.from_numpy(fitted.weights))
        linear.bias.copy_(torch.from_numpy(fitted.bias))


def _probabilities(head: nn.Module, features: Values) -> Values:
    with torch.no_grad():
        logits = head(torch.from_numpy(features).float()[:, :, None, None].to(next(head.parameters()).device))
    return np.asarray(logits.double().softmax(dim=1).cpu().numpy(), np.float64)
