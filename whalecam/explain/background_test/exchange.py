"""The background test: keep the object, exchange the background, and ask the network again, in rounds."""

import hashlib
import threading
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.config import OTHER
from whalecam.explain.background_test.backgrounds import Scene, Water
from whalecam.explain.background_test.edits import EDITS, SINGLE, TOGETHER
from whalecam.network import Network

Values = NDArray[np.float64]
BATCH = 64
UNTOUCHED, FILLED, WHOLE = "untouched", "filled", "swap"
"""The image itself, the same with its subject filled in, and the exchange of the whole background."""
SETTLED = 0.1
"""A mean drop below this after the first round cannot become a listed image's: the second round is saved."""
EXPLAINED = 0.4
"""From this mean drop on it is asked which property of the background carries it."""
EXPLAINING = 2
"""Donors that lend each property."""
ALIKE = 1e-5
"""Of examples whose drops differ from the mean by as much, up to rounding, the first is shown: two always do."""
CARRIED = 0.5
"""A property carries the drop where it makes this share of it alone."""


@dataclass(frozen=True)
class Donor:
    """An image that lends its background: `label` as in the CSV, `group` of images that are alike, "" for none.

    Images of one group have the same `unit`, all others one of their own.
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
class Question:
    """One image to be tested: its name, its pixels with their mask, and the class predicted, as its place."""

    image: str
    scene: Scene
    predicted: int


@dataclass(frozen=True)
class Example:
    """One edit that people can look at: its pixels (S, S, 3), whose background it took, the probability after it."""

    pixels: ByteArray
    donor: str
    after: float


@dataclass(frozen=True)
class Exchanged:
    """Probabilities of the predicted class on exchanged backgrounds of one side, and each donor's unit."""

    probabilities: tuple[float, ...] = ()
    units: tuple[int, ...] = ()


NOTHING = Exchanged()


@dataclass(frozen=True)
class Effect:
    """How far a prediction drops when its background changes; probabilities of the predicted class, in [-1, 1].

    Attributes:
        drops: for each property that was asked about, `p(y|x) − mean p(y|x with the property of other labels' water)`;
            empty where the exchange of the whole background hardly moves the prediction.
        swap: `p(y|x) − mean p(y|x on other-label water)`, over all donors.
        gap: `mean p(y|x on same-label water) − mean p(y|x on other-label water)`: the BG-gap of Xiao et al. 2020, over
            the donors of the first round alone. Who is asked about again depends on the answers, so only the first
            ones are a fair sample.
        before: `p(y|x)` of the untouched image.
        examples: for each edit one to look at: its drop is the nearest to the mean; empty without donors.
        background_only_p: `p(y)` with the subject filled in; `background_only_predicted` the class predicted there.
        swapped: for each donor of the first round: its label, and the class predicted on its background.
        own: the exchange of the whole background with that of images of the predicted label.
        other: the same with that of images of other labels.
    """

    drops: Mapping[str, float]
    swap: float
    gap: float
    before: float
    examples: Mapping[str, Example]
    background_only_p: float
    background_only_predicted: int
    swapped: Sequence[tuple[str, int]] = ()
    own: Exchanged = NOTHING
    other: Exchanged = NOTHING

    @property
    def carrier(self) -> str:
        """The property that carries the drop: a single one, else several together, else OTHER; "" if not asked."""
        if not self.drops:
            return ""
        single = max(SINGLE, key=lambda name: self.drops[name])
        for name in (single, TOGETHER):
            if self.drops.get(name, 0.0) >= CARRIED * self.swap:
                return name
        return OTHER

    def kept(self, label: str, place: int) -> float:
        """Share of the donors of other labels on whose background class `place` is predicted; NaN for none.

        That is the accuracy, of one image, on kinds of background which its label does not come with.
        """
        right = [predicted == place for donor, predicted in self.swapped if donor != label]
        return sum(right) / len(right) if right else float("nan")


@dataclass(frozen=True)
class _Answer:
    """What the network said to one edit: the edited pixels, and the probabilities of all classes, (C,)."""

    edit: str
    donor: Donor | None
    pixels: ByteArray
    probabilities: Values


@dataclass
class _Case:
    """A question under way: its donors, of other labels and of the predicted one, and the answers so far, in order."""

    question: Question
    others: list[Donor]
    same: list[Donor]
    answers: list[_Answer] = field(default_factory=list)

    def of(self, edit: str, donors: Sequence[Donor | None]) -> list[_Answer]:
        """The answers to one edit with any of these donors."""
        images = {donor and donor.image for donor in donors}
        return [each for each in self.answers if each.edit == edit and (each.donor and each.donor.image) in images]

    def after(self, edit: str, donors: Sequence[Donor | None]) -> Values:
        """The probabilities of the predicted class in these answers, (n,)."""
        return np.array([answer.probabilities[self.question.predicted] for answer in self.of(edit, donors)], np.float64)

    @property
    def before(self) -> float:
        return float(self.after(UNTOUCHED, [None])[0])

    def drop(self, edit: str = WHOLE) -> float:
        """From the untouched image to the background of other labels, in the mean; NaN without donors."""
        return self.before - _mean(self.after(edit, self.others))

    def effect(self) -> Effect | None:
        if not all(np.isfinite(answer.probabilities).all() for answer in self.answers):
            return None
        edits = [name for name in EDITS if self.of(name, self.others)]
        first_others, first_same = _first(self.others), _first(self.same)
        (filled,) = self.of(FILLED, [None])
        return Effect(
            {name: self.drop(name) for name in edits if name != WHOLE},
            self.drop(),
            _mean(self.after(WHOLE, first_same)) - _mean(self.after(WHOLE, first_others)),
            self.before,
            {name: self._example(name) for name in edits},
            float(filled.probabilities[self.question.predicted]),
            int(filled.probabilities.argmax()),
            tuple(
                (answer.donor.label, int(answer.probabilities.argmax()))
                for answer in self.of(WHOLE, [*first_others, *first_same])
                if answer.donor
            ),
            self._exchanged(self.same),
            self._exchanged(self.others),
        )

    def _example(self, edit: str) -> Example:
        answers, after = self.of(edit, self.others), self.after(edit, self.others)
        apart = np.abs(after - after.mean())
        at = int((apart <= apart.min() + ALIKE).argmax())
        donor = answers[at].donor
        return Example(answers[at].pixels, donor.image if donor else "", float(after[at]))

    def _exchanged(self, donors: Sequence[Donor]) -> Exchanged:
        units = tuple(answer.donor.unit for answer in self.of(WHOLE, donors) if answer.donor)
        return Exchanged(tuple(self.after(WHOLE, donors).tolist()), units)


class BackgroundTest:
    """Asks one network about images whose background was changed.

    In the first round each image takes the whole background of half of its donors. Where the prediction drops, the
    others follow; where it drops far, single properties of the background are exchanged, to say which of them carries
    the drop.

    Args:
        network: in eval mode, on its device.
        pool: images that may lend their background, of every label.
        donors: how many of other labels lend their whole background; a third as many of the predicted label do.
    """

    def __init__(self, network: Network, pool: Sequence[Donor], donors: int = 6) -> None:
        self.network, self.donors, self.own_donors = network, donors, -(-donors // 3)
        self.pool = list(pool)
        self._counting = threading.Lock()
        self.passes = 0
        """Forward passes so far, of all threads that ask."""

    def __call__(self, questions: Sequence[Question]) -> list[Effect | None]:
        """Answer all questions together; None where an answer is NaN or infinite: nothing is measured there."""
        labels = [self.network.classes[question.predicted] for question in questions]
        cases = [
            _Case(question, *self.donors_of(question.image, label))
            for question, label in zip(questions, labels, strict=True)
        ]
        # The untouched image goes along, so that all are rounded alike and only the edit makes a difference.
        self._ask([(case, edit, None) for case in cases for edit in (UNTOUCHED, FILLED)])
        self._ask([(case, WHOLE, donor) for case in cases for donor in (*_first(case.others), *_first(case.same))])
        moved = [case for case in cases if case.drop() >= SETTLED]
        self._ask([(case, WHOLE, donor) for case in moved for donor in (*_second(case.others), *_second(case.same))])
        self._explain([case for case in moved if case.drop() >= EXPLAINED])
        return [case.effect() for case in cases]

    def _explain(self, cases: Sequence[_Case]) -> None:
        """Exchange single properties, and all of them together where none of them carries the drop."""
        self._ask([(case, edit, donor) for case in cases for edit in SINGLE for donor in case.others[:EXPLAINING]])
        left = [case for case in cases if max(map(case.drop, SINGLE)) < CARRIED * case.drop()]
        self._ask([(case, TOGETHER, donor) for case in left for donor in case.others[:EXPLAINING]])

    def donors_of(self, image: str, label: str) -> tuple[list[Donor], list[Donor]]:
        """The donors for one image, of other labels and of this one; the same for the same name in every run."""
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(image.encode()).digest()[:8], "little"))
        others = [donor for donor in self.pool if donor.label != label and donor.image != image]
        same = [donor for donor in self.pool if donor.label == label and donor.image != image]
        return _drawn(others, self.donors, rng), _drawn(same, self.own_donors, rng)

    def _ask(self, requests: Sequence[tuple[_Case, str, Donor | None]]) -> None:
        """Edit and ask, and leave each answer with its case."""
        edited = [_edited(case.question.scene, edit, donor) for case, edit, donor in requests]
        with self._counting:
            self.passes += len(edited)
        for start in range(0, len(edited), BATCH):
            pixels = edited[start : start + BATCH]
            with torch.no_grad():
                activations = self.network.features(self.network.batch(np.stack(pixels)))
                probabilities = self.network.head(activations).double().softmax(1).cpu().numpy()
            for (case, edit, donor), shown, row in zip(requests[start:], pixels, probabilities, strict=False):
                case.answers.append(_Answer(edit, donor, shown, row))


def _edited(scene: Scene, edit: str, donor: Donor | None) -> ByteArray:
    if donor is not None:
        return EDITS[edit](scene, donor.water)
    return scene.filled if edit == FILLED else scene.pixels


def _first(donors: Sequence[Donor]) -> Sequence[Donor]:
    """Those of the first round: half of them, the larger one."""
    return donors[: -(-len(donors) // 2)]


def _second(donors: Sequence[Donor]) -> Sequence[Donor]:
    return donors[-(-len(donors) // 2) :]


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _drawn(donors: list[Donor], count: int, rng: np.random.Generator) -> list[Donor]:
    """Some of the donors, without repetition."""
    chosen = rng.permutation(len(donors))[:count]
    return [donors[at] for at in chosen]
