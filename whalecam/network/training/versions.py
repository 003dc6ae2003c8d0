"""What a last layer takes of images as they are and of the same on other images' backgrounds."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from whalecam.arrays import ByteArray, Progress, Report, typed_records
from whalecam.data import ImageRow, geometry, read_sample
from whalecam.network import Network
from whalecam.network.beside import side_by_side
from whalecam.network.training.regression import Values

BATCH = 64
BACKGROUNDS = 2
"""Other backgrounds that each training image is put on, beside its own: more change little (benchmarks.last_layer)."""


class Exchanger(Protocol):
    """Puts an image on other images' backgrounds."""

    def on_others(
        self, image: str, pixels: ByteArray, count: int, rng: np.random.Generator
    ) -> list[tuple[ByteArray, str]]:
        """Up to `count` versions of a network input uint8 (S, S, 3), and the label of each one's background."""


class AsTheyAre:
    """Puts no image on another background."""

    def on_others(
        self, image: str, pixels: ByteArray, count: int, rng: np.random.Generator
    ) -> list[tuple[ByteArray, str]]:
        """Nothing."""
        return []


class Backgrounds(Protocol):
    """Makes an `Exchanger` from the rows that a network was trained on and from no others."""

    @property
    def facts(self) -> Mapping[str, object]:
        """What it did, for the metrics."""

    def __call__(self, training: pd.DataFrame, /) -> Exchanger: ...


@dataclass(frozen=True)
class Versions:
    """Images on their own and on other backgrounds.

    Attributes:
        features: (V, J), what the last layer takes.
        images, labels, backgrounds: (V,) the name and the label of the image, and the label of the background it is on.
        is_own: (V,) whether it is the image as it is.
    """

    features: Values
    images: NDArray[np.str_]
    labels: NDArray[np.str_]
    backgrounds: NDArray[np.str_]
    is_own: NDArray[np.bool_]

    def share(self) -> Values:
        """(V,) how much each version counts, 1 on average, so that each pair of label and background counts alike."""
        pairs = pd.DataFrame({"label": self.labels, "background": self.backgrounds})
        share = 1 / pairs.groupby(["label", "background"])["label"].transform("size").to_numpy(np.float64)
        return np.asarray(share / share.mean())


def versions_of(
    model: Network,
    layer: Callable[[Tensor], Tensor],
    rows: pd.DataFrame,
    exchanger: Exchanger,
    *,
    rng: np.random.Generator,
    count: int,
    report: Report,
) -> Versions:
    """Each image as it is and on other backgrounds, there mirrored by chance. A batch of images is kept at once.

    Args:
        layer: activations (N, K, h, w) → what the last layer takes of them, (N, J).
        rows: `image`, `path`, `label`.
        count: other backgrounds for each image.
    """
    about = list[tuple[str, str, str, bool]]()

    def drawn() -> Iterator[list[ByteArray]]:
        for batch, inputs in inputs_of(model, rows, "fitting the last layer", report):
            some: list[ByteArray] = []
            for row, pixels in zip(batch, inputs, strict=True):
                image, label = row["image"], row["label"]
                others = exchanger.on_others(image, pixels, count, rng)
                some += [pixels, *(_mirrored(version, rng) for version, _ in others)]
                about.extend([(image, label, label, True), *((image, label, other, False) for _, other in others)])
            yield from (some[first : first + BATCH] for first in range(0, len(some), BATCH))

    features = [layer(activations).double().cpu().numpy() for activations in looked(model, drawn())]
    images, labels, backgrounds, is_own = (np.array(column) for column in zip(*about, strict=True))
    return Versions(np.concatenate(features), images, labels, backgrounds, is_own)


def looked(model: Network, batches: Iterable[Sequence[ByteArray]]) -> Iterator[Tensor]:
    """The activations (N, K, h, w) of each batch of inputs, in their order; on a CPU of several at once."""

    def look(batch: Sequence[ByteArray]) -> Tensor:
        return model.look(np.stack(batch))

    return side_by_side(look, batches) if model.device.type == "cpu" else map(look, batches)


def inputs_of(
    model: Network, rows: pd.DataFrame, stage: str, report: Report
) -> Iterator[tuple[list[ImageRow], list[ByteArray]]]:
    """Rows and their network inputs, a batch at a time."""
    need = geometry.needed(model.size)
    for start in range(0, len(rows), BATCH):
        report(Progress(stage, start, len(rows)))
        batch = typed_records(rows.iloc[start : start + BATCH], ImageRow)
        samples = (read_sample(Path(row["path"]), row["image"], need) for row in batch)
        yield batch, [geometry.to_input(sample.pixels, model.size, model.resize) for sample in samples]


def _mirrored(pixels: ByteArray, rng: np.random.Generator) -> ByteArray:
    return np.ascontiguousarray(pixels[:, ::-1]) if rng.random() < 0.5 else pixels
