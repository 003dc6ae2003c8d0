"""The last linear layer of a network fitted again, its body as it is (Kirichenko et al. 2023, arXiv 2204.02937).

There the groups of label and background come from people. Here each training image is put on backgrounds of other
images, so its group is known without any.
"""

import copy
import functools
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from sklearn.metrics import log_loss
from torch import Tensor, nn

from whalecam.arrays import ByteArray, Progress, Report, records, silent
from whalecam.data import geometry, read_sample
from whalecam.errors import ModelError
from whalecam.network import Network
from whalecam.network.training.fitting import Fit
from whalecam.network.training.regression import Values, regress

BATCH = 64
BACKGROUNDS = 4
"""Other backgrounds that each training image is put on, beside its own."""
ROUNDING = 1e-4


class Exchanger(Protocol):
    """Puts an image on other images' backgrounds."""

    def on_others(
        self, image: str, pixels: ByteArray, count: int, rng: np.random.Generator
    ) -> list[tuple[ByteArray, str]]:
        """Up to `count` versions of a network input uint8 (S, S, 3), and the label of each one's background."""


class Backgrounds(Protocol):
    """Makes an `Exchanger` from the rows that a network was trained on and from no others."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What it did, for the metrics."""

    def __call__(self, training: pd.DataFrame, /) -> Exchanger: ...


@dataclass(frozen=True)
class LastLayer:
    """A head that ends in a linear layer.

    Attributes:
        name: of the linear layer among the head's modules.
        norm: the name of the batch norm whose output the layer takes; "" where another does.
        inputs: activations (N, K, h, w) → what the linear layer takes of them, (N, J), by the weights before it as
            they were at first.
    """

    head: nn.Module
    name: str
    norm: str
    inputs: Callable[[Tensor], Tensor]

    def replace(self, weights: Values, bias: Values) -> None:
        """Set the layer's weights (C, J) and bias (C,).

        A layer without a bias takes it from the batch norm before it. Raises ModelError where it has neither, or where
        no shift of the norm gives this bias.
        """
        linear = cast("nn.Linear", self.head.get_submodule(self.name))
        with torch.no_grad():
            if linear.bias is not None:
                linear.bias.copy_(torch.from_numpy(bias))
            else:
                self._shift(weights, bias)
            linear.weight.copy_(torch.from_numpy(weights))

    def _shift(self, weights: Values, bias: Values) -> None:
        norm = self.head.get_submodule(self.norm) if self.norm else None
        shift, *_ = np.linalg.lstsq(weights, bias, rcond=None)
        rest = float(np.abs(weights @ shift - bias).max())
        if not isinstance(norm, nn.BatchNorm1d) or rest > ROUNDING * max(1.0, float(np.abs(bias).max())):
            raise ModelError(
                "The last layer of this network has no bias, and nothing before it can take one over, so it cannot be "
                "fitted again. Train the network anew with another remedy."
            )
        norm.bias.add_(torch.from_numpy(shift).to(norm.bias.dtype))


def last_layer(model: Network) -> LastLayer:
    """The linear layer in which a network ends. Raises ModelError where it ends in anything else."""
    if model.is_opaque or not model.has_positions:
        raise ModelError(f"The network ({model.arch}) shows no layers, so its last one cannot be fitted again.")
    # A copy is hooked: the network itself may be in use elsewhere meanwhile.
    head, steps = copy.deepcopy(model.head), list[_Step]()
    for name, layer in head.named_modules():
        if isinstance(layer, nn.Linear | nn.BatchNorm1d):
            layer.register_forward_hook(functools.partial(_note, steps, name))

    def inputs(activations: Tensor) -> Tensor:
        steps.clear()
        with torch.no_grad():
            head(activations)
        return steps[-1].before

    noise = np.random.default_rng(0).integers(0, 256, (2, model.size, model.size, 3))
    with torch.no_grad():
        logits = head(model.look(noise.astype(np.uint8)))
    linear = steps[-1] if steps else None
    is_linear = linear is not None and isinstance(head.get_submodule(linear.name), nn.Linear)
    if linear is None or not is_linear or not torch.equal(linear.after, logits):
        raise ModelError(
            f"The network ({model.arch}) does not end in a linear layer, so its last layer cannot be fitted again. "
            "Train it anew with another remedy."
        )
    preceding = steps[-2] if len(steps) > 1 else None
    is_norm = preceding is not None and isinstance(head.get_submodule(preceding.name), nn.BatchNorm1d)
    is_next = preceding is not None and is_norm and torch.equal(preceding.after, linear.before)
    norm = preceding.name if preceding is not None and is_next else ""
    return LastLayer(model.head, linear.name, norm, inputs)


@dataclass(frozen=True)
class _Step:
    """What a layer received and gave."""

    name: str
    before: Tensor
    after: Tensor


def _note(steps: list[_Step], name: str, _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    steps.append(_Step(name, inputs[0], output))


def refit(
    model: Network,
    rows: pd.DataFrame,
    is_valid: NDArray[np.bool_],
    backgrounds: Backgrounds,
    seed: int,
    report: Report = silent,
) -> Fit:
    """`fit_last_layer` on some rows, measured on the others, `is_valid` (N,); result as of `fitting.fit`."""
    started, held_out = time.perf_counter(), rows[is_valid]
    train_loss = fit_last_layer(model, rows[~is_valid], backgrounds, seed, report)
    probabilities = _probabilities(model, held_out, report)
    truth = _codes(model, held_out["label"].to_numpy(str))
    epoch = {
        "epoch": 0,
        "train_loss": train_loss,
        "valid_loss": float(log_loss(truth, probabilities, labels=range(len(model.classes)))),
        "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        "seconds": time.perf_counter() - started,
    }
    return Fit(model, probabilities, [epoch])


def fit_last_layer(
    model: Network, training: pd.DataFrame, backgrounds: Backgrounds, seed: int, report: Report = silent
) -> float:
    """Fit the last layer of `model`, in place, on images and on the same on other backgrounds.

    Every pair of label and background counts alike, so neither the background nor having been edited tells the label.

    Args:
        training: `image`, `path`, `label`; labels are classes of the network.

    Returns: the loss on the images as they are, in nats. Raises ModelError as `last_layer`, and where no image could be
    put on the background of another label.
    """
    layer = last_layer(model)
    versions = _versions(model, layer, training, backgrounds(training), np.random.default_rng(seed), report)
    if (versions.labels == versions.backgrounds).all():
        raise ModelError(
            "No training image could be put on the background of another label: too few of them have a mask. Give "
            "masks or boxes, or look at the masks on the Heatmaps page."
        )
    codes = _codes(model, versions.labels)
    weights, bias = regress(versions.features, codes, len(model.classes), versions.share()).folded()
    layer.replace(weights, bias)
    own = versions.is_own
    trained = softmax(versions.features[own] @ weights.T + bias, axis=1)
    return float(log_loss(codes[own], trained, labels=range(len(model.classes))))


def _codes(model: Network, labels: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.array([model.classes.index(label) for label in labels.tolist()], np.int64)


@dataclass(frozen=True)
class _Versions:
    """Images on their own and on other backgrounds.

    Attributes:
        features: (V, J), what the last layer takes.
        labels, backgrounds: (V,) the label of the image and that of the background it is on.
        is_own: (V,) whether it is the image as it is.
    """

    features: Values
    labels: NDArray[np.str_]
    backgrounds: NDArray[np.str_]
    is_own: NDArray[np.bool_]

    def share(self) -> Values:
        """(V,) how much each version counts, 1 on average, so that each pair of label and background counts alike."""
        pairs = pd.DataFrame({"label": self.labels, "background": self.backgrounds})
        share = 1 / pairs.groupby(["label", "background"])["label"].transform("size").to_numpy(np.float64)
        return np.asarray(share / share.mean())


def _versions(
    model: Network, layer: LastLayer, rows: pd.DataFrame, exchanger: Exchanger, rng: np.random.Generator, report: Report
) -> _Versions:
    """Each image as it is and on other backgrounds, there mirrored by chance. A batch of images is kept at once."""
    features, about = list[Values](), list[tuple[str, str, bool]]()
    for batch, inputs in _inputs(model, rows, "fitting the last layer", report):
        drawn: list[ByteArray] = []
        for row, pixels in zip(batch, inputs, strict=True):
            others = exchanger.on_others(row["image"], pixels, BACKGROUNDS, rng)
            drawn += [pixels, *(_mirrored(version, rng) for version, _ in others)]
            about += [(row["label"], row["label"], True), *((row["label"], label, False) for _, label in others)]
        for first in range(0, len(drawn), BATCH):
            activations = model.look(np.stack(drawn[first : first + BATCH]))
            features.append(layer.inputs(activations).double().cpu().numpy())
    labels, backgrounds, is_own = (np.array(column) for column in zip(*about, strict=True))
    return _Versions(np.concatenate(features), labels, backgrounds, is_own)


def _probabilities(model: Network, rows: pd.DataFrame, report: Report) -> Values:
    """What the network predicts for images as they are, (N, C)."""
    parts = []
    for _, inputs in _inputs(model, rows, "measuring the last layer", report):
        with torch.no_grad():
            parts.append(model.head(model.look(np.stack(inputs))).double().softmax(dim=1).cpu().numpy())
    return np.concatenate(parts)


def _inputs(
    model: Network, rows: pd.DataFrame, stage: str, report: Report
) -> Iterator[tuple[list[dict[str, Any]], list[ByteArray]]]:
    """Rows and their network inputs, a batch at a time."""
    need = geometry.needed(model.size)
    for start in range(0, len(rows), BATCH):
        report(Progress(stage, start, len(rows)))
        batch = list(records(rows.iloc[start : start + BATCH]))
        samples = (read_sample(Path(row["path"]), row["image"], need) for row in batch)
        yield batch, [geometry.to_input(sample.pixels, model.size, model.resize) for sample in samples]


def _mirrored(pixels: ByteArray, rng: np.random.Generator) -> ByteArray:
    return np.ascontiguousarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels
