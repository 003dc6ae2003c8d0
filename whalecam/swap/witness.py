"""The second witness: keep the animal, change one property of the water, and ask the network again."""

import hashlib
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.network import Network
from whalecam.swap.edits import EDITS, PROPERTIES
from whalecam.swap.water import Scene, Water

BATCH = 64
QUARTILES = (0.25, 0.75)


@dataclass(frozen=True)
class Donor:
    """A picture that lends its water: `label` as in the CSV, `group` of pictures that are alike, "" for none.

    Pictures of one group have the same `unit`, all others one of their own.
    """

    image: str
    label: str
    water: Water
    group: str = ""

    @property
    def unit(self) -> int:
        """A code in [0, 2³²), the same in every run."""
        return zlib.crc32(f"group {self.group}".encode() if self.group else f"image {self.image}".encode())


@dataclass(frozen=True)
class Example:
    """One edit that people can look at: its pixels (S, S, 3), whose water it took, the probability after it."""

    pixels: ByteArray
    donor: str
    after: float


@dataclass(frozen=True)
class Exchanged:
    """Probabilities of the predicted class on exchanged waters of one side, and each donor's unit."""

    probabilities: tuple[float, ...] = ()
    units: tuple[int, ...] = ()


NOTHING = Exchanged()


@dataclass(frozen=True)
class Needs:
    """How far a prediction falls when its water changes; probabilities of the predicted class, in [-1, 1].

    Attributes:
        falls: for each property the upper quartile, over all donors, of `p(y|x) − p(y|x with the donor's property)`,
            less the lower one where it is above 0: a fall that nearly every water causes is the editing's own doing.
        swap: `p(y|x) − mean p(y|x on other-label water)`.
        gap: `mean p(y|x on same-label water) − mean p(y|x on other-label water)`: the BG-gap of Xiao et al. 2020.
        before: `p(y|x)` of the untouched picture.
        examples: for each property the edit whose fall is nearest to the upper quartile; empty without donors.
        water_only: `p(y)` with the animal filled in; `water_predicted` the class predicted there.
    """

    falls: Mapping[str, float]
    swap: float
    gap: float
    before: float
    examples: Mapping[str, Example]
    water_only: float
    water_predicted: int
    swapped: Sequence[tuple[str, int]] = ()
    """For each donor of the exchange of the whole water: its label, and the class predicted on it."""
    own: Exchanged = NOTHING
    """The exchange of the whole water with that of pictures of the predicted label."""
    other: Exchanged = NOTHING
    """The same with that of pictures of other labels."""

    def kept(self, label: str, place: int) -> float:
        """Share of the donor waters from labels other than `label` on which class `place` is predicted; NaN for none.

        That is the accuracy, of one picture, on kinds of water which its label does not come with.
        """
        told = [predicted == place for donor, predicted in self.swapped if donor != label]
        return sum(told) / len(told) if told else float("nan")


class Witness:
    """Asks one network about pictures whose water was changed.

    Args:
        network: in eval mode, on its device.
        pool: pictures that may lend their water, of every label.
        donors: how many of other labels, and how many of the predicted one, each property is taken from.
    """

    def __init__(self, network: Network, pool: Sequence[Donor], donors: int = 4) -> None:
        self.network, self.donors = network, donors
        self.pool = list(pool)
        self._counting = threading.Lock()
        self.spent = 0
        """Forward passes so far, of all threads that ask."""

    @property
    def passes(self) -> int:
        """Forward passes a picture costs, at most."""
        return len(EDITS) * 2 * self.donors + 2

    def __call__(self, image: str, scene: Scene, predicted: int) -> Needs | None:
        """Ask about one picture; `predicted` is the class judged. None where an answer is NaN: nothing is measured."""
        others, same = self.donors_of(image, self.network.classes[predicted])
        lent = others + same
        edited = [edit(scene, donor.water) for edit in EDITS.values() for donor in lent]
        # The untouched picture goes along, so that all are rounded alike and only the edit makes a difference.
        every = self._probabilities([*edited, scene.pixels, scene.filled])
        if not np.isfinite(every).all():
            return None
        after, before = every[:-2, predicted].reshape(len(EDITS), len(lent)), every[-2, predicted]
        falls = dict(zip(EDITS, before - after, strict=True))
        scores = {name: apart_of(falls[name], bool(same)) for name in PROPERTIES}
        examples = {}
        for place, name in enumerate(EDITS):
            if lent and name in scores:
                at = int(np.abs(falls[name] - np.quantile(falls[name], QUARTILES[1])).argmin())
                examples[name] = Example(edited[place * len(lent) + at], lent[at].image, float(after[place, at]))
        swap_at = list(EDITS).index("swap")
        swapped, on_it = falls["swap"], after[swap_at]
        apart = float(swapped[: len(others)].mean()) if others else np.nan
        alike = float(swapped[len(others) :].mean()) if same else np.nan
        own, other = _exchanged(on_it[len(others) :], same), _exchanged(on_it[: len(others)], others)
        water = every[-1]
        on_swapped = every[swap_at * len(lent) :][: len(lent)].argmax(axis=1)
        told = tuple((donor.label, int(one)) for donor, one in zip(lent, on_swapped, strict=True))
        return Needs(
            scores,
            apart,
            apart - alike,
            float(before),
            examples,
            float(water[predicted]),
            int(water.argmax()),
            told,
            own,
            other,
        )

    def donors_of(self, image: str, label: str) -> tuple[list[Donor], list[Donor]]:
        """The donors for one picture, of other labels and of this one; the same for the same name in every run."""
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(image.encode()).digest()[:8], "little"))
        others = [donor for donor in self.pool if donor.label != label and donor.image != image]
        same = [donor for donor in self.pool if donor.label == label and donor.image != image]
        return _drawn(others, self.donors, rng), _drawn(same, self.donors, rng)

    def _probabilities(self, inputs: Sequence[ByteArray]) -> NDArray[np.float64]:
        found = []
        with self._counting:
            self.spent += len(inputs)
        for start in range(0, len(inputs), BATCH):
            with torch.no_grad():
                activations = self.network.features(self.network.batch(np.stack(inputs[start : start + BATCH])))
                found.append(self.network.head(activations).double().softmax(1).cpu().numpy())
        return np.concatenate(found)


def apart_of(falls: NDArray[np.float64], has_same: bool) -> float:
    """Upper quartile less the positive part of the lower one, in [-1, 1]; NaN for no falls.

    Without donors of the predicted label (`has_same`) there is nothing to tell the editing's share by.
    """
    if not len(falls):
        return float("nan")
    low, high = np.quantile(falls, QUARTILES)
    return float(high - (max(0.0, low) if has_same else 0.0))


def _exchanged(probabilities: NDArray[np.float64], donors: Sequence[Donor]) -> Exchanged:
    return Exchanged(tuple(probabilities.tolist()), tuple(donor.unit for donor in donors))


def _drawn(donors: list[Donor], count: int, rng: np.random.Generator) -> list[Donor]:
    """Some of the donors, without repetition."""
    chosen = rng.permutation(len(donors))[:count]
    return [donors[at] for at in chosen]
