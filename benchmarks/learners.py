"""The networks that the benchmark of reliance measures: a linear head over a frozen body, or both trained together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from whalecam.config import FINE_ARCH
from whalecam.network.averaged_bodies import trainable_body
from whalecam.network.bodies import Body
from whalecam.network.pretrained import INSTALLED

Values = NDArray[np.float64]
Pixels = NDArray[np.uint8]
Predictor = Callable[[NDArray[Any]], Values]
"""Prepared images → probabilities of both labels, (N, 2)."""
BATCH, TRAINING_BATCH = 64, 32
LEARNING_RATE, WEIGHT_DECAY = 2e-3, 0.05


@dataclass(frozen=True, kw_only=True)
class Setting:
    """Which networks are measured.

    Attributes:
        body: any name that `build_body` takes. Pretrained where its weights come with the install, random otherwise.
        tuned: whether the body is trained with the head, for `epochs`.
        size: side of the images, px.
        images: how many each network is trained on.
    """

    body: str = FINE_ARCH
    tuned: bool = False
    size: int = 128
    images: int = 400
    epochs: int = 8

    @property
    def name(self) -> str:
        """All of it, as part of a file's name."""
        return f"{self.body}-{f'tuned{self.epochs}' if self.tuned else 'frozen'}-{self.size}px-{self.images}images"


class Learner(Protocol):
    """Trains networks of one setting; what can be computed once for all of them, `prepare` computes."""

    setting: Setting

    def prepare(self, images: Sequence[Pixels]) -> NDArray[Any]: ...

    def train(self, prepared: NDArray[Any], labels: NDArray[np.int64], seed: int) -> Predictor: ...


def learner_of(setting: Setting) -> Learner:
    return Tuned(setting) if setting.tuned else Frozen(setting)


def body_of(setting: Setting) -> Body:
    return trainable_body(setting.body, setting.body in INSTALLED, setting.size)


def inputs_of(images: NDArray[np.uint8], body: Body) -> Tensor:
    """uint8 RGB (N, S, S, 3) → what a body takes, (N, 3, S, S)."""
    mean, std = np.array(body.mean, np.float32), np.array(body.std, np.float32)
    normalized = torch.from_numpy((images.astype(np.float32) / 255 - mean) / std).permute(0, 3, 1, 2)
    return normalized.contiguous(memory_format=torch.channels_last)


def pooled(activations: Tensor) -> Tensor:
    """Averages and maxima over the positions, (N, 2 C)."""
    return torch.cat([activations.mean((2, 3)), activations.amax((2, 3))], 1)


class Frozen:
    """Linear heads over one body that stays as it is; images are prepared to its pooled activations, (N, 2 C)."""

    def __init__(self, setting: Setting) -> None:
        torch.manual_seed(0)
        self.setting, self.body = setting, body_of(setting)
        self.features = self.body.features.eval().to(memory_format=torch.channels_last)

    def prepare(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        with torch.no_grad():
            return np.concatenate([pooled(self.features(inputs_of(np.stack(x), self.body))).numpy() for x in batches])

    def train(self, prepared: NDArray[np.float32], labels: NDArray[np.int64], seed: int) -> Predictor:
        head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)).fit(prepared, labels)
        return lambda features: np.asarray(head.predict_proba(features), np.float64)


class Tuned:
    """Networks whose body and head are trained together; images are prepared to one array, (N, S, S, 3)."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting

    def prepare(self, images: Sequence[Pixels]) -> Pixels:
        return np.stack(images)

    def train(self, prepared: Pixels, labels: NDArray[np.int64], seed: int) -> Predictor:
        """AdamW on one cycle of the learning rate (Smith 2018), images mirrored at random; the same for one seed."""
        torch.manual_seed(seed)
        body, rng = body_of(self.setting), np.random.default_rng(seed)
        network = nn.Sequential(body.features, _Pooling(), nn.BatchNorm1d(2 * body.channels))
        network = network.append(nn.Linear(2 * body.channels, 2)).to(memory_format=torch.channels_last)
        fit(network, prepared, labels, epochs=self.setting.epochs, rng=rng, inputs=partial(inputs_of, body=body))
        return lambda images: _predicted(network, body, images)


class _Pooling(nn.Module):
    def forward(self, activations: Tensor) -> Tensor:
        return pooled(activations)


def fit(
    network: nn.Module,
    images: Pixels,
    labels: NDArray[np.int64],
    *,
    epochs: int,
    rng: np.random.Generator,
    inputs: Callable[[Pixels], Tensor],
) -> None:
    """Train all of a network: AdamW on one cycle of the learning rate (Smith 2018), images mirrored at random.

    Args:
        inputs: images, uint8 (N, S, S, 3) → what the network takes.
    """
    steps = max(1, len(images) // TRAINING_BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=epochs * steps)
    network.train()
    for _ in range(epochs):
        for batch in np.array_split(rng.permutation(len(images)), steps):
            optimizer.zero_grad()
            logits = network(inputs(mirrored(images[batch], rng)))
            loss = nn.functional.cross_entropy(logits, torch.from_numpy(labels[batch]))
            torch.autograd.backward(loss)
            optimizer.step()
            cycle.step()
    # Running means and variances lag behind the weights after so few steps.
    update_bn((inputs(part) for part in np.array_split(images, steps)), network)


def mirrored(images: Pixels, rng: np.random.Generator) -> Pixels:
    """About half of the images, chosen at random, with left and right exchanged."""
    is_mirrored = rng.random(len(images)) < 0.5
    return np.where(is_mirrored[:, None, None, None], images[:, :, ::-1], images)


def _predicted(network: nn.Module, body: Body, images: Pixels) -> Values:
    network.eval()
    with torch.no_grad():
        batches = (images[start : start + BATCH] for start in range(0, len(images), BATCH))
        logits = torch.cat([network(inputs_of(batch, body)) for batch in batches])
    return np.asarray(logits.softmax(1).numpy(), np.float64)
