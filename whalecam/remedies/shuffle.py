"""Exchange backgrounds between labels while training, so that the background tells nothing of the label."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whalecam import data
from whalecam.arrays import ByteArray, Progress, Report, records, silent
from whalecam.data import geometry
from whalecam.errors import DatasetError
from whalecam.explain import background_test
from whalecam.explain.background_test.donors import MOST_AREA
from whalecam.explain.masks import MaskMethod
from whalecam.network.beside import side_by_side
from whalecam.remedies.kinds import inside

LEAST_OWN = 0.25
"""The least share of draws in which an image keeps its own background: the network is judged on images as they are."""
LENDERS = 48
"""Images of a label that lend their background, at most; it bounds memory and the time for filling subjects in."""
MOST_ANIMAL, LEAST_ANIMAL = 0.9, 0.001


@dataclass(frozen=True)
class _Met:
    """What is known of an image: its `keep` as of an `Exchange`, and its background, where it was asked for and is fit.

    Both are None where no subject was found.
    """

    keep: ByteArray | None = None
    filled: ByteArray | None = None
    is_complete: bool = False


class Shuffle:
    """What `classifier.train` asks for the change of its training images; masks are found once and kept.

    Args:
        find: the best mask of an image, or None; it may be asked by several threads at once.
        size, resize: of the network's input.
        seed: of the choice of lenders.
    """

    def __init__(self, find: MaskMethod, size: int, resize: str, seed: int = 0, report: Report = silent) -> None:
        self.find, self.size, self.resize, self.seed, self.report = find, size, resize, seed, report
        self._met: dict[str, _Met] = {}

    @property
    def facts(self) -> Mapping[str, object]:
        """How many of the images met so far have a mask, without which an image keeps its background."""
        return {"pictures": len(self._met), "with_mask": sum(met.keep is not None for met in self._met.values())}

    def __call__(self, training: pd.DataFrame) -> "Exchange":
        """The change of one network's training images; only they lend. Columns: `image`, `species`, `path`."""
        rng = np.random.default_rng(self.seed)
        shuffled = training.iloc[rng.permutation(len(training))]
        rows = records(shuffled)
        self._meet_all(rows, (shuffled.groupby("label").cumcount() < LENDERS).tolist())
        donated: dict[str, list[ByteArray]] = {}
        for row in rows:
            waters = donated.setdefault(row["label"], [])
            if len(waters) < LENDERS and (filled := self._meet(row, True).filled) is not None:
                waters.append(filled)
        labels = {row["image"]: row["label"] for row in rows}
        keeps = {image: keep for image in labels if (keep := self._met[image].keep) is not None}
        return Exchange(keeps, labels, {label: fills for label, fills in donated.items() if fills})

    def _meet_all(self, rows: Sequence[Mapping[str, Any]], wanted: Sequence[bool]) -> None:
        """Meet all images, side by side; `wanted` are those that are sure to be asked for their background."""
        met = side_by_side(lambda pair: self._meet(*pair), zip(rows, wanted, strict=True))
        for done, _ in enumerate(met):
            self.report(Progress("looking for backgrounds", done, len(rows)))

    def _meet(self, row: Mapping[str, Any], wanted: bool) -> _Met:
        """Keep an image's mask and, where that is wanted and fit to be lent, its background, the subject filled in."""
        met = self._met.get(row["image"])
        if met is None or (wanted and not met.is_complete):
            met = self._met[row["image"]] = self._seen(row, wanted)
        return met

    def _seen(self, row: Mapping[str, Any], wanted: bool) -> _Met:
        try:
            sample = data.read_sample(Path(row["path"]), row["image"], geometry.needed(self.size))
        except DatasetError:
            return _Met(is_complete=True)
        mask = self.find(sample)
        if mask is None:
            return _Met(is_complete=True)
        scene = background_test.scene_of(sample, mask, self.size, self.resize)
        area, keep = float(scene.mask.mean()), None
        if LEAST_ANIMAL <= area <= MOST_ANIMAL:
            keep = np.asarray(np.rint(255 * inside(scene.mask)), np.uint8)
        return _Met(keep, scene.filled if wanted and area <= MOST_AREA else None, wanted)


class Exchange:
    """One image at a time: with probability `share` it gets the background of an image of another label.

    The share is `1 − 1/C` for C labels that lend, at most 1 − LEAST_OWN, and the same for every label; the other label
    is drawn evenly, then one of its images. So each label stands on each label's background equally often (with up
    to four labels; with more its own background comes a little more often), and whether an image was edited tells
    nothing either.
    """

    def __init__(
        self, keeps: Mapping[str, ByteArray], labels: Mapping[str, str], donated: Mapping[str, Sequence[ByteArray]]
    ) -> None:
        self.keeps, self.labels, self.donated = keeps, labels, donated
        self.share = min(1 - LEAST_OWN, 1 - 1 / max(1, len(donated)))

    def __call__(self, image: str, pixels: ByteArray, rng: np.random.Generator) -> ByteArray:
        """Input pixels, uint8 (S, S, 3) → the same subject on another background; unchanged without a mask.

        Composed as `keep · pixels + (1 − keep) · water`, the soft edge of `keep` inside the subject's outline.
        """
        keep = self.keeps.get(image)
        others = [label for label in self.donated if label != self.labels.get(image)]
        if keep is None or not others or rng.random() >= self.share:
            return pixels
        return self._on(others[int(rng.integers(len(others)))], pixels, keep, rng)

    def on_others(
        self, image: str, pixels: ByteArray, count: int, rng: np.random.Generator
    ) -> list[tuple[ByteArray, str]]:
        """The same object on `count` backgrounds, and the label of each: labels in turn, its own among them.

        Empty where the object was not found, and where no image lends its background.
        """
        keep, labels = self.keeps.get(image), list(self.donated)
        if keep is None or not labels:
            return []
        drawn = [labels[at] for at in np.resize(rng.permutation(len(labels)), count).tolist()]
        return [(self._on(label, pixels, keep, rng), label) for label in drawn]

    def _on(self, label: str, pixels: ByteArray, keep: ByteArray, rng: np.random.Generator) -> ByteArray:
        waters = self.donated[label]
        return laid(pixels, keep, waters[int(rng.integers(len(waters)))])


def laid(pixels: ByteArray, keep: ByteArray, water: ByteArray) -> ByteArray:
    """`pixels` where `keep` (S, S) is 255, `water` where it is 0, mixed between; uint8 (S, S, 3)."""
    weight: NDArray[np.uint16] = keep[..., None].astype(np.uint16)
    mixed = weight * pixels + (255 - weight) * water
    return np.asarray((mixed + 127) // 255, np.uint8)
