"""What a loaded network is: its maps, their exactness, and the check of the cut on test images."""

from pathlib import Path

import numpy as np
import torch

from whalecam.arrays import ByteArray
from whalecam.errors import ModelError
from whalecam.explain import cam
from whalecam.network import Loaded, Network, check_finite
from whalecam.network.exactness import exactness
from whalecam.store.checkpoint_record import CheckpointRecord, Given, stamp_of

TEST_IMAGES = 2


def inspect(loaded: Loaded, path: Path, given: Given, labels: tuple[str, ...] = ()) -> CheckpointRecord:
    """Recognize what a checkpoint contains, without an image of any data set.

    Args:
        path: of the checkpoint.
        given: what was stated about it.
        labels: of the data set that it is meant for.

    Raises ModelError for weights that are NaN or infinite, and for a network that gives another number of logits than
    it has classes.
    """
    network = loaded.network
    check_finite(network, path.name)
    positions, unexplained = _maps_of(network)
    return CheckpointRecord(
        checkpoint=str(path.resolve()),
        stamp=stamp_of(path),
        given=given,
        arch=network.arch,
        classes=network.classes,
        size=network.size,
        resize=network.resize,
        mean=tuple(float(value) for value in network.mean),
        std=tuple(float(value) for value in network.std),
        exactness=exactness(network.head),
        positions=positions,
        unexplained=unexplained,
        was_cut=bool(network.way) and network.has_positions,
        notes=loaded.notes,
        labels=labels,
    )


def _maps_of(network: Network) -> tuple[tuple[int, int] | None, float | None]:
    """Rows and columns of its maps, and the share of the largest logit that they leave unexplained; None without."""
    activations = network.look(_test_images(network.size))
    with torch.no_grad():
        outputs = network.head(activations).shape[-1]
    if outputs != len(network.classes):
        raise ModelError(
            f"The network tells {outputs} classes apart, but {len(network.classes)} are named. "
            "Name its classes in order."
        )
    if not network.has_positions:
        return None, None
    evidence = cam.explain(network.head, activations)
    rows, columns = evidence.maps.shape[-2:]
    return (int(rows), int(columns)), cam.rest_percent(evidence) / 100


def _test_images(size: int) -> ByteArray:
    """Noise, the same every time."""
    return np.random.default_rng(0).integers(0, 256, (TEST_IMAGES, size, size, 3), np.uint8)
