"""The subject as a small network of ours sees it; its weights come with WhaleCAM."""

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray, Mask, Sample
from whalecam.explain.masks.sources import MaskMethod, MaskSources

if TYPE_CHECKING:
    from whalecam.network.segmenter import Segmenter

WEIGHTS = Path(__file__).with_name("net.safetensors")
SIZE = 128
LEAST_CONFIDENCE = 0.65
"""Below it the mask is worse than none; docs/method/mask-net.md shows what it was chosen on."""
LEAST_AREA = 0.0004
TIGHT = 0.4
"""Added to the logits: the pseudo-masks it learnt from are drawn a little tight (docs/method/mask-net.md)."""
CLOSER_BELOW, CLOSER_ROOM, CLOSER_WEIGHT, CLOSER_DETAIL = 0.45, 1.8, 0.75, 1.25
Field = NDArray[np.float32]
Box = tuple[int, int, int, int]


def net_method(sources: MaskSources) -> MaskMethod:
    """What the mask network draws, with how sure it is; None where it sees no subject or is not sure."""
    del sources
    return net


def net(sample: Sample) -> Mask | None:
    """A soft mask at the size of the image; None where the network is less sure than LEAST_CONFIDENCE."""
    drawn = drawing(sample.pixels)
    confidence = sureness(drawn)
    if confidence < LEAST_CONFIDENCE or (drawn > 0.5).mean() < LEAST_AREA:
        return None
    return Mask(drawn, confidence, "net")


def drawing(pixels: ByteArray) -> Field:
    """What the network draws, sure or not, float32 (H, W) in [0, 1].

    A small subject in an image with more pixels than the network takes is looked at a second time, closer.
    """
    drawn = outline(pixels)
    box = closer(drawn)
    if box is not None:
        rows, columns = slice(box[0], box[1]), slice(box[2], box[3])
        near = outline(np.ascontiguousarray(pixels[rows, columns]))
        drawn[rows, columns] = CLOSER_WEIGHT * near + (1 - CLOSER_WEIGHT) * drawn[rows, columns]
    return drawn


def outline(pixels: ByteArray) -> Field:
    """How probably each pixel of an image uint8 (H, W, 3) is subject, float32 (H, W) in [0, 1]."""
    import cv2
    import torch

    from whalecam.network.segmenter import normalised

    height, width = pixels.shape[:2]
    shrinks = max(height, width) > SIZE
    squeezed = cv2.resize(pixels, (SIZE, SIZE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    with torch.inference_mode():
        inputs = normalised(torch.tensor(squeezed[None])).contiguous(memory_format=torch.channels_last)
        p = (_network()(inputs)[0] + TIGHT).sigmoid().numpy()
    return np.asarray(cv2.resize(p, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def closer(drawn: Field) -> Box | None:
    """The part (top, bottom, left, right) of a drawing that deserves a closer look; None where none does."""
    height, width = drawn.shape
    mass = drawn.astype(np.float64) ** 2
    if mass.sum() < 1 or min(height, width) < SIZE:
        return None
    (top, bottom), (left, right) = _span(mass.sum(1)), _span(mass.sum(0))
    extent = max(bottom - top, right - left)
    half = extent * CLOSER_ROOM / 2
    if extent > CLOSER_BELOW or max(height, width) / SIZE < CLOSER_DETAIL:
        return None
    y, x = (float(np.clip((low + high) / 2, half, 1 - half)) for low, high in ((top, bottom), (left, right)))
    box = (int((y - half) * height), int(np.ceil((y + half) * height)))
    return (max(0, box[0]), box[1], max(0, int((x - half) * width)), int(np.ceil((x + half) * width)))


def sureness(drawn: Field) -> float:
    """Σ p² / Σ p, in [0, 1]: the mean probability of what was drawn, as weighted by itself; 0 for a blank drawing."""
    mass = float(drawn.sum(dtype=np.float64))
    return float((drawn.astype(np.float64) ** 2).sum()) / mass if mass > 1e-3 else 0.0


def _span(mass: NDArray[np.float64]) -> tuple[float, float]:
    """Where the middle 96 % of a mass along one side lies, as shares of the side."""
    share = np.cumsum(mass) / mass.sum()
    return np.searchsorted(share, 0.02) / len(mass), min(1.0, (np.searchsorted(share, 0.98) + 1) / len(mass))


@functools.cache
def _network() -> "Segmenter":
    from whalecam.network.segmenter import Segmenter

    return Segmenter.load(WEIGHTS).folded()
