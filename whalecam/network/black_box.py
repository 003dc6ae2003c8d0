"""A function of images as a network: nothing is known of it but its probabilities."""

import threading
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from whalecam.arrays import ByteArray
from whalecam.config import BLACK_BOX
from whalecam.errors import ModelError
from whalecam.network.cut import Network
from whalecam.network.heads import OWN
from whalecam.network.opaque import Opaque, Pixels

Predict = Callable[[ByteArray], ArrayLike]
"""Images uint8 (N, S, S, 3), RGB → probabilities (N, C), each row adding up to 1."""
IMAGES, DECIMALS = 4, 4
"""Test images, and decimals of the probabilities by which a function is recognized."""
STEADY, TOTAL = 1e-4, 1e-3
"""How far the answers to one image may differ, and a row of probabilities from a total of 1."""
LEAST = 1e-30
"""Below it the logarithm of a probability is cut off, so that a logit stays finite in float32."""
TURN = threading.Lock()
"""A function that others wrote is called by one thread at a time, for it need not be safe for several."""


class Predictor(Opaque):
    """A function of images as a head: inputs (N, 3, S, S) in [0, 1] → log-probabilities (N, C), float64.

    Args:
        answers: (IMAGES, C), its probabilities for the test images, rounded: by them a run recognizes the function.
    """

    answers: Tensor

    def __init__(self, predict: Predict, classes: int, answers: NDArray[np.float32]) -> None:
        super().__init__()
        self.predict, self.classes = predict, classes
        self.register_buffer("answers", torch.from_numpy(answers))

    def forward(self, images: Tensor) -> Tensor:
        pixels = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).cpu().numpy()
        probabilities = probabilities_of(self.predict, np.ascontiguousarray(pixels), self.classes)
        return torch.from_numpy(np.log(np.maximum(probabilities, LEAST))).to(images.device)


def black_box(predict: Predict, classes: Sequence[str], size: int, resize: str) -> Network:
    """A function of images as a network without positions, tried on test images.

    Raises ModelError where the function fails, returns no probabilities of these classes, or answers otherwise when it
    is asked about one image at a time: a network in training mode does.
    """
    images = np.random.default_rng(0).integers(0, 256, (IMAGES, size, size, 3), np.uint8)
    answers = probabilities_of(predict, images, len(classes))
    again = np.concatenate([probabilities_of(predict, image[None], len(classes)) for image in images])
    if (apart := float(np.abs(answers - again).max())) > STEADY:
        raise ModelError(
            f"predict gives other probabilities (by {apart:.2g}) for the same images one at a time, so no change could "
            "be attributed to a background. Put the network in evaluation mode."
        )
    head = Predictor(predict, len(classes), answers.round(DECIMALS).astype(np.float32)).eval()
    frame = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), OWN, BLACK_BOX, len(classes))
    return Network(Pixels(), head, BLACK_BOX, tuple(classes), size, resize, *frame)


def answers_of(function: Predict, images: ByteArray, name: str) -> NDArray[np.float64]:
    """What a function that others wrote gives for images, as numbers of any shape.

    Args:
        name: what the function is called in messages.

    Raises ModelError where it fails, or gives what are no numbers.
    """
    try:
        with TURN:
            given = function(images)
        return np.asarray(given.detach().cpu() if isinstance(given, Tensor) else given, np.float64)
    except Exception as error:  # It is anybody's code.
        reason = f"{type(error).__name__}: {error}"
        raise ModelError(f"{name} fails on uint8 images of shape {images.shape}: {reason}") from error


def probabilities_of(predict: Predict, images: ByteArray, classes: int) -> NDArray[np.float64]:
    """What a function gives for images, (N, classes) float64. NaN stays NaN.

    Raises ModelError where it fails, or gives another shape, or rows that do not add up to 1.
    """
    values = answers_of(predict, images, "predict")
    if values.shape != (len(images), classes):
        raise ModelError(
            f"predict gives {values.shape} for {len(images)} images; {(len(images), classes)} is needed: one "
            "probability for each class, in the order of the classes."
        )
    finite = values[np.isfinite(values).all(axis=1)]
    if len(finite) and ((finite < -TOTAL).any() or np.abs(finite.sum(axis=1) - 1).max() > TOTAL):
        raise ModelError(
            "predict gives rows that are not probabilities: they must be 0 or more and add up to 1. Apply softmax to "
            "logits; several labels at a time cannot be audited."
        )
    return values
