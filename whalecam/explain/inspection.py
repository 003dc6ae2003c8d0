"""What a loaded network is: its maps, their exactness, and the check of the cut on test images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from whalecam.arrays import ByteArray
from whalecam.config import TrainOptions
from whalecam.errors import ModelError
from whalecam.explain import cam
from whalecam.network import Loaded, Network, check_finite, load_checkpoint
from whalecam.network.checkpoints import class_names_of
from whalecam.network.exactness import exactness
from whalecam.store.checkpoint_record import CheckpointRecord, Given, stamp_of

TEST_IMAGES = 2


def inspect(
    checkpoint: str | Path,
    *,
    labels: Sequence[str] = (),
    classes: str | Sequence[str] | None = None,
    arch: str | None = None,
    size: int | None = None,
    resize: str | None = None,
) -> CheckpointRecord:
    """What a checkpoint or ONNX file contains: architecture, classes, preprocessing, maps. No image is predicted.

    Args:
        checkpoint: the file, or the folder of one with its `config.json`.
        labels: of the data set that it is meant for, as `Dataset.classes()` returns them; they name the classes where
            nothing else does.
        classes: in the order of its outputs: names, or a text of names separated by commas, or the path of a text or
            JSON file with them; None: as the file says.
        arch: a name of torchvision or timm; None: as the file says, else `resnet18`.
        size: side of its input, px; None: as the file or timm says, else 128.
        resize: how an image becomes a square: `squish`, `crop` or `pad`; None: as the file says, else `squish`.

    Returns: the record, whose `sentences` state all of it in words. `exactness` is that of its maps, `positions` their
    rows and columns (None where there are no maps), and `unexplained` the share in [0, 1] of the largest logit that
    they leave open on test images.

    Raises ModelError where there is no such file, where the file cannot be read, for weights that are NaN or infinite,
    and for a network that gives another number of logits than it has classes.
    """
    path = Path(checkpoint).expanduser()
    if not path.exists():
        raise ModelError(f"There is no file {checkpoint}. Give the path of a checkpoint on this machine.")
    names = class_names_of(classes) if isinstance(classes, str) else tuple(classes or ())
    stated = classes if isinstance(classes, str) else ", ".join(names)
    loaded = load_checkpoint(
        path,
        names or None,
        otherwise=tuple(labels),
        arch=arch,
        size=size,
        default_size=TrainOptions.size,
        resize=resize,
    )
    given = Given(arch=arch, size=size, resize=resize, classes=stated or None)
    return record_of(loaded, path, given, tuple(labels))


def record_of(loaded: Loaded, path: Path, given: Given, labels: tuple[str, ...] = ()) -> CheckpointRecord:
    """What a loaded checkpoint contains; arguments, result and errors as of `inspect`."""
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
