"""Maps of a network that has no positions: parts of the image are covered, one at a time (Zeiler & Fergus 2014)."""

import numpy as np
import torch
from torch import Tensor

from whalecam.arrays import ByteArray
from whalecam.explain.cam import Evidence
from whalecam.network import Network

CELLS = 7
"""Rows and columns of the map, each cell of which costs a forward pass."""
PASSES = CELLS**2 + 1
"""Forward passes an image beside its own: one for each cell, one with all of it covered."""
BATCH = 64


def explain(network: Network, inputs: ByteArray) -> Evidence:
    """How far each class's logit drops when a cell of the image is covered by the image's mean color.

    `E_c[i, j] = z_c(x) − z_c(x with cell (i, j) covered)`, for all classes from the same passes; `bias` is what the
    network gives to the image covered as a whole. Cells act together in a network, so the sum leaves a rest, which is
    `completeness_error`: such a map is `approximate`.

    Args:
        network: in eval mode; PASSES + 1 forward passes are made for each image.
        inputs: uint8 (N, S, S, 3), RGB, at the network's input side.

    Returns: maps (N, C, CELLS, CELLS) and the others as `Evidence` has them, float64 on the CPU.
    """
    return _joined([_explained(network, image) for image in inputs])


def covered(image: ByteArray) -> ByteArray:
    """The image, then the image with one cell covered each, row by row, then covered as a whole; (PASSES + 1, …)."""
    side = len(image)
    edges = np.linspace(0, side, CELLS + 1).round().astype(int)
    mean = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
    variants = np.repeat(image[None], PASSES + 1, axis=0)
    for at in range(CELLS**2):
        row, column = divmod(at, CELLS)
        variants[at + 1, edges[row] : edges[row + 1], edges[column] : edges[column + 1]] = mean
    variants[-1] = mean
    return variants


def _explained(network: Network, image: ByteArray) -> Evidence:
    variants = covered(image)
    with torch.no_grad():
        parts = [
            network.head(network.features(network.batch(variants[start : start + BATCH]))).double().cpu()
            for start in range(0, len(variants), BATCH)
        ]
    logits = torch.cat(parts)
    maps = (logits[:1] - logits[1:-1]).T.reshape(1, -1, CELLS, CELLS)
    rest = maps.sum(dim=(2, 3)) + logits[-1:] - logits[:1]
    return Evidence(maps, logits[-1:], logits[:1], rest.abs().amax(dim=1))


def _joined(parts: list[Evidence]) -> Evidence:
    def whole(name: str) -> Tensor:
        return torch.cat([getattr(part, name) for part in parts])

    return Evidence(whole("maps"), whole("bias"), whole("logits"), whole("completeness_error"))
