"""The last linear layer of a network fitted again, its body as it is (Kirichenko et al. 2023, arXiv 2204.02937).

There the groups of label and background come from people. Here each training image is put on backgrounds of other
images, so its group is known without any.
"""

import copy
import functools
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, cast

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.arrays import Report, silent
from whalecam.errors import ModelError
from whalecam.network import Network, quick
from whalecam.network.training.fitted import Fit
from whalecam.network.training.regression import Values, load_ahead, log_loss, regress
from whalecam.network.training.versions import (
    BACKGROUNDS,
    AsTheyAre,
    Backgrounds,
    Versions,
    inputs_of,
    looked,
    versions_of,
)

ROUNDING = 1e-4
UNMASKED = (
    "No training image could be put on the background of another label: too few of them have a mask. Give masks or "
    "boxes, or look at the masks on the Heatmaps page."
)


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

    @property
    def affine(self) -> tuple[Values, Values]:
        """The layer's weights (C, J) and bias (C,), which is 0 where it has none."""
        linear = cast("nn.Linear", self.head.get_submodule(self.name))
        weights = linear.weight.detach().double().cpu().numpy()
        return weights, np.zeros(len(weights)) if linear.bias is None else linear.bias.detach().double().cpu().numpy()

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
                "fitted again. Train the network again with another remedy."
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
            "Train it again with another remedy."
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


class LayerChange(Protocol):
    """What becomes of a network's last layer."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What it did, for the metrics."""

    def note(self, source: str) -> str:
        """What was done to the network of a run of this name, as a sentence."""

    def __call__(self, model: Network, versions: Versions) -> float:
        """Change the last layer of `model`, in place; return its loss on the images as they are, in nats."""


@dataclass(frozen=True)
class FitAgain:
    """The last layer is fitted again, so that every pair of label and background counts alike."""

    backgrounds: Backgrounds

    def __post_init__(self) -> None:
        load_ahead()

    @property
    def facts(self) -> Mapping[str, object]:
        """How many images could be put on other backgrounds."""
        return self.backgrounds.facts

    def note(self, source: str) -> str:
        """What was done, as a sentence."""
        return f"The last layer of run {source} fitted again; the body as it was."

    def __call__(self, model: Network, versions: Versions) -> float:
        """`fit_versions`."""
        return fit_versions(model, versions)


def refit(
    model: Network,
    rows: pd.DataFrame,
    is_valid: NDArray[np.bool_],
    backgrounds: Backgrounds | None,
    *,
    change: LayerChange,
    seed: int,
    report: Report = silent,
) -> Fit:
    """`change` by some rows, measured on the others, `is_valid` (N,); result as of `fitting.fit`."""
    started, held_out = time.perf_counter(), rows[is_valid]
    quicker = quick(model, halves=False)  # with the same head, which `change` changes in place
    train_loss = change(model, layer_versions(quicker, rows[~is_valid], backgrounds, seed=seed, report=report))
    probabilities = _probabilities(quicker, held_out, report)
    truth = _codes(model, held_out["label"].to_numpy(str))
    epoch = {
        "epoch": 0,
        "train_loss": train_loss,
        "valid_loss": log_loss(truth, probabilities),
        "accuracy": float((probabilities.argmax(axis=1) == truth).mean()),
        "seconds": time.perf_counter() - started,
    }
    return Fit(model, probabilities, [epoch])


def layer_versions(
    model: Network,
    training: pd.DataFrame,
    backgrounds: Backgrounds | None,
    *,
    seed: int,
    count: int = BACKGROUNDS,
    report: Report = silent,
) -> Versions:
    """What the last layer of `model` takes of images as they are, and on other backgrounds where there are any.

    Args:
        training: `image`, `path`, `label`; labels are classes of the network.
        count: other backgrounds for each image.

    Raises ModelError as `last_layer`.
    """
    layer, exchanger = last_layer(model), AsTheyAre() if backgrounds is None else backgrounds(training)
    rng = np.random.default_rng(seed)
    return versions_of(model, layer.inputs, training, exchanger, rng=rng, count=count, report=report)


def fit_last_layer(
    model: Network, training: pd.DataFrame, backgrounds: Backgrounds, *, seed: int, report: Report = silent
) -> float:
    """`fit_versions` by training images on their own and on other backgrounds; see `layer_versions`."""
    return fit_versions(model, layer_versions(model, training, backgrounds, seed=seed, report=report))


def fit_versions(model: Network, versions: Versions) -> float:
    """Fit the last layer of `model`, in place.

    Every pair of label and background counts alike, so neither the background nor having been edited tells the label.

    Returns: the loss on the images as they are, in nats. Raises ModelError as `last_layer`, and where no image could be
    put on the background of another label.
    """
    if (versions.labels == versions.backgrounds).all():
        raise ModelError(UNMASKED)
    codes = _codes(model, versions.labels)
    weights, bias = regress(versions.features, codes, len(model.classes), versions.share()).folded()
    last_layer(model).replace(weights, bias)
    return loss_of(model, versions, weights, bias)


def loss_of(model: Network, versions: Versions, weights: Values, bias: Values) -> float:
    """The loss of a last layer with weights (C, J) and bias (C,) on the images as they are, in nats."""
    own = versions.is_own
    logits = torch.from_numpy(versions.features[own] @ weights.T + bias)
    return log_loss(_codes(model, versions.labels[own]), logits.softmax(dim=1).numpy())


def _codes(model: Network, labels: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.array([model.classes.index(label) for label in labels.tolist()], np.int64)


def _probabilities(model: Network, rows: pd.DataFrame, report: Report) -> Values:
    """What the network predicts for images as they are, (N, C)."""
    batches = (inputs for _, inputs in inputs_of(model, rows, "measuring the last layer", report))
    with torch.no_grad():
        logits = [model.head(activations).double() for activations in looked(model, batches)]
    return np.asarray(torch.cat(logits).softmax(dim=1).cpu().numpy())
