"""How much of what tells classes apart has a place in an image's maps. Pure numpy."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from whalecam.text import percent

LEAST_DRAWN = 0.1
"""Median share below which an audit draws no maps: they would show something else than what the network decides by."""


def placed_share(maps: NDArray[np.float32], logits: NDArray[np.float64]) -> float:
    """The share of the differences between logits that the sums of the maps explain; NaN where all logits are equal.

    `⟨m, z⟩ / ⟨z, z⟩` with m the sum of each class's map and z its logit, each less its mean over the classes. 1: all
    that tells the classes apart lies somewhere in the image. It may be negative or above 1 where what has no place, as
    biases or the MLPs of a transformer, works against what has.

    Args:
        maps: (C, h, w), logits.
        logits: (C,).
    """
    placed = maps.sum(axis=(1, 2), dtype=np.float64)
    placed, wanted = placed - placed.mean(), logits - logits.mean()
    return float(placed @ wanted / (wanted @ wanted)) if wanted.any() else float("nan")


def median_share(pairs: Iterable[tuple[NDArray[np.float32], NDArray[np.float64]]]) -> tuple[float, int] | None:
    """The median placed share of images' maps and logits, and of how many it is; None where none has one."""
    finite = [share for maps, logits in pairs if np.isfinite(share := placed_share(maps, logits))]
    return (float(np.median(finite)), len(finite)) if finite else None


def refusal(share: float) -> str:
    """Why an audit draws none of the maps that place this share, and what draws others."""
    return (
        f"The network's own maps would account for {percent(max(share, 0))} of the differences between the classes' "
        f"logits; an audit draws none that account for less than {percent(LEAST_DRAWN)}. Maps through all of its "
        "layers may account for more: `whalecam audit RUN --maps propagation`, or `--maps occlusion`."
    )
