"""A linear probe: a linear head over a body that stays as it is (Alain & Bengio 2016, arXiv 1610.01644)."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.preprocessing import StandardScaler
from torch import nn

from whalecam import geometry, network
from whalecam.arrays import ByteArray
from whalecam.classifier.fitting import Augment, Change, Fit, Watch
from whalecam.config import TrainOptions
from whalecam.dataset import read_sample
from whalecam.network import Body, Network

BATCH = 64
INVERSE_PENALTY = 0.1
"""C of scikit-learn's LogisticRegression, on standardised features."""
DRAWN = 4
"""How often each training image is changed, where it is changed by chance."""
UNSEEN = 10.0
"""Logits by which a class without a training image lies below the least probable other, before any image is seen."""
Values = NDArray[np.float64]


def probe(
    rows: pd.DataFrame,
    is_valid: NDArray[np.bool_],
    body: Body,
    options: TrainOptions,
    watch: Watch,
    augment: Augment | None = None,
) -> Fit:
    """Fit a logistic regression on the pooled activations of the training images and of their mirror images.

    The body sees each image twice, once per version, so this takes seconds where a training takes minutes. Same
    arguments and result as `fitting.fit`; of the options only `size`, `resize`, `seed` and `device` count.
    """
    started, classes = time.perf_counter(), tuple(sorted(set(rows["species"])))
    pixels = _inputs(rows, options)
    device = network.pick_device(options.device)
    model = Network(
        body.features.eval().to(device, memory_format=torch.channels_last),  # type: ignore[call-overload]
        network.probe_head(body.channels, len(classes)).eval().to(device),
        body.arch,
        classes,
        options.size,
        options.resize,
        body.mean,
        body.std,
        head_kind="probe",
    )
    change = augment(rows[~is_valid]) if augment is not None else None
    versions = _versions(pixels[~is_valid], rows.loc[~is_valid, "image"].tolist(), change, options.seed)
    watch.begin(1)
    steps = len(versions) + int(is_valid.sum())
    features = _pooled(model, versions, watch, 0, steps)
    unseen = _pooled(model, pixels[is_valid], watch, len(versions), steps)
    codes = np.searchsorted(classes, rows["species"].to_numpy(str))
    labels = np.tile(codes[~is_valid], len(versions) // max(1, int((~is_valid).sum())))
    _fill(model.head, features, labels, len(classes))
    scores = {part: _probabilities(model.head, values) for part, values in (("train", features), ("valid", unseen))}
    every = list(range(len(classes)))
    truth = codes[is_valid]
    watch.note(
        {
            "epoch": 0,
            "train_loss": float(log_loss(labels, scores["train"], labels=every)),
            "valid_loss": float(log_loss(truth, scores["valid"], labels=every)),
            "accuracy": float((scores["valid"].argmax(axis=1) == truth).mean()),
            "seconds": time.perf_counter() - started,
        }
    )
    return Fit(model.to(torch.device("cpu")), scores["valid"], watch.epochs)


def _inputs(rows: pd.DataFrame, options: TrainOptions) -> ByteArray:
    """Network inputs of all rows, (N, S, S, 3)."""
    need = geometry.needed(options.size)
    samples = (read_sample(Path(path), name, need) for path, name in zip(rows["path"], rows["image"], strict=True))
    return np.stack([geometry.to_input(sample.pixels, options.size, options.resize) for sample in samples])


def _versions(pixels: ByteArray, names: list[str], change: Change | None, seed: int) -> ByteArray:
    """The training images, changed by chance where there is a change, and the mirror images of all of them."""
    rng = np.random.default_rng(seed)
    drawn = [pixels]
    if change is not None:
        pairs = list(zip(names, pixels, strict=True))
        drawn = [np.stack([change(name, image, rng) for name, image in pairs]) for _ in range(DRAWN)]
    return np.concatenate([*drawn, *(images[:, :, ::-1] for images in drawn)])


def _pooled(model: Network, pixels: ByteArray, watch: Watch, done: int, of: int) -> Values:
    """Averages of the activations over all positions, (N, K)."""
    parts = []
    for start in range(0, len(pixels), BATCH):
        activations = model.look(np.ascontiguousarray(pixels[start : start + BATCH]))
        parts.append(activations.mean(dim=(2, 3)).double().cpu().numpy())
        watch.step(done + min(start + BATCH, len(pixels)), of)
    return np.concatenate(parts)


def _fill(head: nn.Module, features: Values, labels: NDArray[np.int64], classes: int) -> None:
    """Fit the regression and write it into a `probe_head`."""
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(scaler.transform(features), labels)
    weights, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn has one row for two classes
        weights, bias = np.concatenate([-weights, weights]) / 2, np.array([-bias[0], bias[0]]) / 2
    every, intercepts = np.zeros((classes, features.shape[1])), np.full(classes, bias.min() - UNSEEN)
    every[regression.classes_], intercepts[regression.classes_] = weights, bias
    norm, linear = head[2], head[4]  # type: ignore[index]
    with torch.no_grad():
        norm.running_mean.copy_(torch.from_numpy(scaler.mean_))
        norm.running_var.copy_(torch.from_numpy(scaler.var_))
        # So divided by the deviation itself, without the epsilon, which would flatten weak features.
        norm.weight.copy_(torch.from_numpy(np.sqrt(scaler.var_ + norm.eps) / scaler.scale_))
        linear.weight.copy_(torch.from_numpy(every))
        linear.bias.copy_(torch.from_numpy(intercepts))


def _probabilities(head: nn.Module, features: Values) -> Values:
    with torch.no_grad():
        logits = head(torch.from_numpy(features).float()[:, :, None, None].to(next(head.parameters()).device))
    return np.asarray(logits.double().softmax(dim=1).cpu().numpy(), np.float64)
