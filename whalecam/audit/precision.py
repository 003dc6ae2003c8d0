"""What maps cost in accuracy: on a finer grid than the training size gives, and in quicker arithmetic."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from whalecam import network
from whalecam.arrays import ByteArray, records
from whalecam.config import SIDES
from whalecam.data import Dataset, geometry, read_sample
from whalecam.errors import DatasetError, ModelError
from whalecam.explain import cam
from whalecam.network import Network
from whalecam.network.layout import check_size
from whalecam.store.run import Run

SAMPLE, BATCH = 512, 32
TOLERATED_DROP = 0.02
TOLERATED_ROUNDING = 0.03
"""Of the largest value of a map; beyond it maps and predictions are computed in float32."""


def at_map_size(model: Network, run: Run, data: Dataset, size: int, *, fold: int = 0) -> tuple[Network, float]:
    """A network for maps at `size` pixels, its BatchNorm statistics estimated on the run's training images.

    Returns: the network, and how far its accuracy falls behind the one at the training size, in [-1, 1], on up to 512
    images that were not in training (on training images where there are no others).
    Raises ModelError for a size out of range, and where no training image can be read.
    """
    if not SIDES[0] <= size <= SIDES[1]:
        raise ModelError(f"Maps at {size} pixels: choose a size from {SIDES[0]} to {SIDES[1]}.")
    if model.is_opaque:
        raise ModelError(
            f"Maps at {size} pixels: {model.arch} takes images of {model.size} px alone. Leave --size out."
        )
    check_size(model.features, model.arch, size)
    good = _known(model, data)
    seen = good["image"].isin(run.training_images(fold))
    if not seen.any():
        raise ModelError(f"Maps at {size} pixels need the training images of run '{run.name}'; none is in this data.")
    known, others = _some(good[seen]), _some(good[~seen] if (~seen).any() else good[seen])
    larger = network.at_size(model, size, (inputs for inputs, _ in _batches(known, model, size)))
    return larger, _accuracy(model, others) - _accuracy(larger, others)


def check_answers(model: Network, data: Dataset, name: str) -> None:
    """Raise ModelError where a network gives finite logits and maps for none of the readable images, 512 at most.

    One image is enough to pass: single ones that it cannot judge become rows with a reason.
    """
    good = data.good()
    good, tried = _some(good[good["path"] != ""]), 0
    for inputs, _ in _batches(good, model, model.size, batch=1):
        if _is_usable(model, inputs):
            return
        tried += 1
    if tried:
        raise ModelError(
            f"The network of {name} gives no usable numbers for any image (NaN, infinite, or beyond 65,504 logits; "
            f"{tried:,} asked), so there is nothing to audit. Load weights that work, or train again with a lower "
            "learning rate."
        )


def _is_usable(model: Network, inputs: ByteArray) -> bool:
    """Whether the logits of one image are finite, and its map where the network has positions."""
    if not model.has_positions:
        with torch.no_grad():
            return bool(torch.isfinite(model.head(model.look(inputs))).all())
    drawn = cam.explain(model.head, model.look(inputs))
    logits, maps = (numbers.float().cpu().numpy() for numbers in (drawn.logits, drawn.maps))
    return cam.is_finite(logits, maps, float(drawn.completeness_error))


def rounding(exact: Network, quick: Network, data: Dataset) -> float:
    """How far the quick network's maps lie from the exact one's: the largest difference over the largest value, ≥ 0.

    On up to 32 images of known labels; 0 where none can be read.
    """
    inputs = some_inputs(exact, _known(exact, data))
    if inputs is None:
        return 0.0
    with torch.no_grad():
        maps, quick_maps = (
            cam.explain(model.head, model.features(model.batch(inputs))).maps for model in (exact, quick)
        )
    return float((maps - quick_maps).abs().max() / maps.abs().max().clamp_min(1e-12))


def some_inputs(model: Network, rows: pd.DataFrame) -> ByteArray | None:
    """Network inputs (N, S, S, 3) of up to 32 of the rows, drawn by chance; None where none can be read."""
    drawn = rows.sample(min(len(rows), BATCH), random_state=0)
    return next((inputs for inputs, _ in _batches(drawn, model, model.size)), None)


def _known(model: Network, data: Dataset) -> pd.DataFrame:
    """The images of labels that the network has learnt, each once."""
    good = data.good().drop_duplicates("image")
    return good[good["label"].isin(model.classes) & (good["path"] != "")]


def _some(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sample(min(len(rows), SAMPLE), random_state=0)


def _batches(
    rows: pd.DataFrame, model: Network, size: int, batch: int = BATCH
) -> Iterator[tuple[ByteArray, list[str]]]:
    """Network inputs (N, size, size, 3) and labels of the images that can be read."""
    for start in range(0, len(rows), batch):
        inputs, labels = [], []
        for row in records(rows.iloc[start : start + batch]):
            try:
                pixels = read_sample(row["path"], row["image"], geometry.needed(size)).pixels
            except DatasetError:
                continue
            inputs.append(geometry.to_input(pixels, size, model.resize))
            labels.append(row["label"])
        if inputs:
            yield np.stack(inputs), labels


def _accuracy(model: Network, rows: pd.DataFrame) -> float:
    right: list[bool] = []
    for inputs, labels in _batches(rows, model, model.size):
        with torch.no_grad():
            top = model.head(model.features(model.batch(inputs))).argmax(1).tolist()
        right += [model.classes[at] == label for at, label in zip(top, labels, strict=True)]
    return float(np.mean(right)) if right else float("nan")
