"""Whether the tokens of a transformer stand for their places: what changes where the background is exchanged."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whalecam.arrays import FloatArray
from whalecam.explain.background_test.backgrounds import Scene, Water
from whalecam.explain.background_test.edits import swap
from whalecam.explain.score import weigh
from whalecam.network import Network
from whalecam.network.tokens import with_patches
from whalecam.store.token_places import Places

ANIMAL = 0.5
"""Share of background in a cell below which it counts as animal."""


def places(
    network: Network, scenes: Sequence[Scene], waters: Sequence[Water], seen: Sequence[FloatArray | None]
) -> Places | None:
    """Exchange the background of each scene for the water beside it, and compare the tokens; None without any.

    Args:
        network: whose features have tokens (`tokens.has_patches`).
        seen: (S, S) in [0, 1], 0 where an input shows padding, whose tokens do not count; None: all is image.
    """
    given = zip(scenes, waters, seen, strict=True)
    rows = [row for image in given if (row := _changes_of(network, *image)) is not None]
    if not rows:
        return None
    correlation, animal, background = np.median(np.asarray(rows), axis=0).tolist()
    return Places(correlation=correlation, on_animal=animal, on_background=background, images=len(rows))


def moved(tokens: FloatArray, after: FloatArray) -> NDArray[np.float64]:
    """How far each token moves, as a share of its norm: (D, h, w) twice → (h, w), ≥ 0."""
    before = np.asarray(tokens, np.float64)
    lengths = np.linalg.norm(before, axis=0)
    return np.asarray(np.linalg.norm(np.asarray(after) - before, axis=0) / np.maximum(lengths, 1e-12))


def _changes_of(
    network: Network, scene: Scene, water: Water, seen: FloatArray | None
) -> tuple[float, float, float] | None:
    """Correlation and both changes of one image; None where it has not both, animal and background."""
    inputs = np.stack([scene.pixels, swap(scene, water)])
    with torch.no_grad():
        patches = with_patches(network.features, network.batch(inputs))[1]
    if patches is None:
        return None
    tokens: NDArray[Any] = patches.float().cpu().numpy()
    changes = moved(tokens[0], tokens[1])
    weights = weigh(scene.mask, seen, changes.shape)
    is_image = weights.total > weights.total.max() / 2
    changes, background = changes[is_image], weights.background[is_image]
    is_animal = background < ANIMAL
    if is_animal.all() or not is_animal.any() or changes.std() == 0:
        return None
    correlation = float(np.corrcoef(changes, background)[0, 1])
    return correlation, float(np.median(changes[is_animal])), float(np.median(changes[~is_animal]))
