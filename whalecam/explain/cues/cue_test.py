"""The cue test: each image with one of its properties, or one patch of it, changed, and the network asked again."""

import functools
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.data import geometry
from whalecam.explain import cam, occlusion, propagation, score
from whalecam.explain.cues import ImageProperty, Seen, Values, patches
from whalecam.network import Network

Vector = NDArray[np.float32]
Chances = NDArray[np.float64]
PEER, LOAN = 1, 2
"""Places of the values in a loan, behind the host's own."""
BATCH = 64
FIRST_OTHER, FIRST_OWN, MORE_OTHER = 2, 1, 2
"""Donors of other labels and of the predicted one, and those that follow where the first ones moved the prediction."""
HOSTS = 16
"""Images to which those of one class lend their values, at most."""
SETTLED = 0.1
"""A mean drop below this after the first donors ends the question."""
PLACEBOS = 2
CROP = 12
"""Side in pixels of what a patch looks like where there are no activations."""
RIM = 0.02
"""How far around an object nothing is erased, in shares of the input's side."""


@dataclass(frozen=True)
class ValueDonor:
    """An image whose values others take.

    Attributes:
        unit: one code for all images of a group.
        seen: gives the image itself, to which others lend their values; None where it cannot be read any more.
    """

    image: str
    label: str
    unit: int
    values: Mapping[str, Values]
    seen: Callable[[], Seen | None]


@dataclass(frozen=True)
class CueQuestion:
    """One image to be tested: its name, how it looks, the class predicted, as its place, and the code of its group."""

    image: str
    seen: Seen
    predicted: int
    unit: int


@dataclass(frozen=True)
class Exchange:
    """One property exchanged: probabilities of the predicted class.

    Attributes:
        null: after the null edit, towards the image's own value.
        own, other: towards values of images of the predicted label, and of other labels; their first donors alone.
        own_units, other_units: the donors of these.
        more: towards values of further images of other labels, where the first ones moved the prediction.
        is_loan: whether the image's value was lent to images of other labels instead, as the image itself cannot be
            edited back. All are then probabilities of *not* being the predicted class, of these images: `null` the mean
            after their null edits, `other` and `more` with the value lent, `own` with the value of an image of their
            own label; each less what its own null edit differs from the mean. The donors of `other` are the image.
    """

    null: float
    own: tuple[float, ...]
    other: tuple[float, ...]
    own_units: tuple[int, ...]
    other_units: tuple[int, ...]
    more: tuple[float, ...] = ()
    is_loan: bool = False

    @property
    def drop(self) -> float:
        """From the null edit to other labels' values, in the mean over all donors; in [-1, 1]."""
        return self.null - float(np.mean([*self.other, *self.more]))


@dataclass(frozen=True)
class Patch:
    """One patch erased: where it is, how it looks to the network, and the probabilities of the predicted class.

    Attributes:
        region: (h, w), its cells on the grid of the map.
        share: of the positive evidence of the whole map, in [0, 1].
        look: what the network saw there, (K,), of any length.
        erased: probability with the patch erased.
        placebo: probability with the same area erased elsewhere, for each place; empty where there is none.
    """

    region: patches.Region
    share: float
    look: Vector
    erased: float
    placebo: tuple[float, ...]


@dataclass(frozen=True)
class CueAnswers:
    """What came of one image, by property: its value exchanged for those of others, and lent to others.

    `before` is the untouched image's probability of the predicted class.
    """

    before: float
    exchanges: Mapping[str, Exchange]
    loans: Mapping[str, Exchange]
    patch: Patch | None


@dataclass(frozen=True)
class _Request:
    """An image to be changed: its place among the questions, and what makes the network's input."""

    at: int
    make: Callable[[], ByteArray]


@dataclass(frozen=True)
class _Loan:
    """A value lent to one host, an image of another label.

    Attributes:
        values: the host's own, the one of an image of the host's label, and the one lent.
        unit: of the image of the host's label.
    """

    host: Seen
    values: tuple[Values, Values, Values]
    unit: int


@dataclass(frozen=True)
class _Place:
    """A patch before it is erased; `near` is the object with its rim and all padding, in pixels, (S, S)."""

    region: patches.Region
    share: float
    look: Vector
    elsewhere: list[patches.Region]
    near: patches.Region


Edit = tuple[Seen, Values]
"""An image, and the value to which one of its properties is edited."""
Drawn = tuple[list[ValueDonor], list[ValueDonor]]
"""Donors of other labels, and of the predicted one."""


@dataclass
class CueTest:
    """Asks one network about images of which one property or one patch was changed.

    Attributes:
        network: in eval mode, on its device.
        properties: by name, as `image_properties()` gives them.
        donors: images whose values others take, of every label.
        maps: how maps are drawn: `auto` by the network's positions, else by `occlusion`; by `propagation` through all
            layers of `mapper`; `none` for no patches.
        mapper: the network that propagated maps are drawn of.
        passes: forward passes so far, without those of occlusion maps.
    """

    network: Network
    properties: Mapping[str, ImageProperty]
    donors: Sequence[ValueDonor]
    maps: str = "auto"
    mapper: Network | None = None
    passes: int = field(default=0, init=False)

    def __call__(self, questions: Sequence[CueQuestion]) -> list[CueAnswers]:
        """Answer all questions together, in their order."""
        inputs = [self._input(each.seen.pixels) for each in questions]
        before = self._after(
            [_Request(at, functools.partial(inputs.__getitem__, at)) for at in range(len(questions))], questions
        )
        erased = self._patches(questions, inputs)
        kinds = self.properties.items()
        exchanges = {name: self._exchanged(name, questions) for name, kind in kinds if kind.is_exchangeable}
        loans = {name: self._loan_exchanges(name, questions) for name, kind in kinds if kind.is_lendable}
        return [
            CueAnswers(before[at], _of_image(exchanges, at), _of_image(loans, at), erased[at])
            for at in range(len(questions))
        ]

    def _input(self, pixels: ByteArray) -> ByteArray:
        return geometry.to_input(pixels, self.network.size, self.network.resize)

    def _after(self, requests: Sequence[_Request], questions: Sequence[CueQuestion]) -> list[float]:
        """The probability of each request's predicted class."""
        answers: list[float] = []
        for start in range(0, len(requests), BATCH):
            part = requests[start : start + BATCH]
            activations = self.network.look(np.stack([request.make() for request in part]))
            with torch.no_grad():
                probabilities = self.network.head(activations).double().softmax(1).cpu().numpy()
            answers += [
                float(row[questions[request.at].predicted]) for request, row in zip(part, probabilities, strict=True)
            ]
        self.passes += len(requests)
        return answers

    def _exchanged(self, name: str, questions: Sequence[CueQuestion]) -> dict[int, Exchange]:
        """The exchange of one property, by the place of the image; for those that have it, and donors on both sides."""
        own_values = {at: self.properties[name].measure(each.seen) for at, each in enumerate(questions)}
        values = {at: value for at, value in own_values.items() if value is not None}
        drawn = {at: self._drawn(name, questions[at]) for at in values}
        usable = {at: pair for at, pair in drawn.items() if all(pair)}
        null = self._at_values(name, questions, {at: [values[at]] for at in usable})
        other = self._at_values(
            name, questions, {at: _values(name, pair[0][:FIRST_OTHER]) for at, pair in usable.items()}
        )
        own = self._at_values(name, questions, {at: _values(name, pair[1]) for at, pair in usable.items()})
        exchanges = {at: _exchange(null[at], own[at], other[at], usable[at]) for at in usable}
        later = {
            at: _values(name, usable[at][0][FIRST_OTHER:]) for at, each in exchanges.items() if each.drop >= SETTLED
        }
        for at, more in self._at_values(name, questions, later).items():
            exchanges[at] = replace(exchanges[at], more=more)
        return exchanges

    def _loan_exchanges(self, name: str, questions: Sequence[CueQuestion]) -> dict[int, Exchange]:
        """What the values of the images give to images of other labels, by the place of the image."""
        loans = {at: its_loans for at, each in enumerate(questions) if (its_loans := self._loans(name, each))}
        first = self._at_loans(name, {at: its_loans[:FIRST_OTHER] for at, its_loans in loans.items()}, questions)
        exchanges = {at: _loan_exchange(first[at], its_loans, questions[at].unit) for at, its_loans in loans.items()}
        later = {at: loans[at][FIRST_OTHER:] for at, each in exchanges.items() if each.drop >= SETTLED}
        for at, chances in self._at_loans(name, later, questions).items():
            exchanges[at] = replace(exchanges[at], more=_from_null(exchanges[at].null, chances, LOAN))
        return exchanges

    def _loans(self, name: str, each: CueQuestion) -> list[_Loan]:
        """Up to FIRST_OTHER + MORE_OTHER loans of one image's value; the same for the same name in every run."""
        value, rng, loans = self.properties[name].measure(each.seen), _chance(f"{name} {each.image}"), list[_Loan]()
        if value is None:
            return loans
        able = self._able(name)
        hosts = _hosts(able, self.network.classes[each.predicted])
        for at in rng.permutation(len(hosts)).tolist():
            host = hosts[at]
            peers = [donor for donor in able if donor.label == host.label and donor is not host]
            if peers and host.image != each.image and (seen := host.seen()) is not None:
                peer = peers[int(rng.integers(len(peers)))]
                loans.append(_Loan(seen, (host.values[name], peer.values[name], value), peer.unit))
            if len(loans) == FIRST_OTHER + MORE_OTHER:
                break
        return loans

    def _able(self, name: str) -> list[ValueDonor]:
        return [donor for donor in self.donors if name in donor.values]

    def _at_loans(
        self, name: str, wanted: Mapping[int, Sequence[_Loan]], questions: Sequence[CueQuestion]
    ) -> dict[int, Chances]:
        """For each image and loan the probabilities of the image's class on the host at its three values, (L, 3)."""
        edits = {at: [(loan.host, value) for loan in loans for value in loan.values] for at, loans in wanted.items()}
        answers = self._at_edits(name, questions, edits)
        return {at: np.reshape(each, (len(wanted[at]), -1)) for at, each in answers.items() if each}

    def _at_values(
        self, name: str, questions: Sequence[CueQuestion], wanted: Mapping[int, Sequence[Values]]
    ) -> dict[int, tuple[float, ...]]:
        """For each image the probabilities with its property at each of some values."""
        edits = {at: [(questions[at].seen, value) for value in values] for at, values in wanted.items()}
        return self._at_edits(name, questions, edits)

    def _at_edits(
        self, name: str, questions: Sequence[CueQuestion], wanted: Mapping[int, Sequence[Edit]]
    ) -> dict[int, tuple[float, ...]]:
        """For each image the probabilities of its class on each of some images, edited to a value."""
        requests = [
            _Request(at, functools.partial(self._edited, name, seen, value))
            for at, edits in wanted.items()
            for seen, value in edits
        ]
        answers = iter(self._after(requests, questions))
        return {at: tuple(itertools.islice(answers, len(edits))) for at, edits in wanted.items()}

    def _edited(self, name: str, seen: Seen, value: Values) -> ByteArray:
        return self._input(self.properties[name].edit(seen, value))

    def _drawn(self, name: str, each: CueQuestion) -> Drawn:
        """Donors for one image; the same for the same name in every run."""
        label, rng = self.network.classes[each.predicted], _chance(f"{name} {each.image}")
        able = [donor for donor in self._able(name) if donor.image != each.image]
        other = [donor for donor in able if donor.label != label]
        own = [donor for donor in able if donor.label == label]
        others = [other[at] for at in rng.permutation(len(other))[: FIRST_OTHER + MORE_OTHER]]
        return others, [own[at] for at in rng.permutation(len(own))[:FIRST_OWN]]

    def _patches(self, questions: Sequence[CueQuestion], inputs: Sequence[ByteArray]) -> list[Patch | None]:
        """The strongest patch of each image, erased; None where its map has no evidence beside the object."""
        if self.maps == "none":
            return [None] * len(questions)
        places = [self._strongest(each, shown) for each, shown in zip(questions, inputs, strict=True)]
        requests = [
            _Request(at, functools.partial(patches.erased, inputs[at], self._pixels(region), place.near))
            for at, place in enumerate(places)
            if place is not None
            for region in (place.region, *place.elsewhere)
        ]
        answers = iter(self._after(requests, questions))
        return [None if place is None else _patch(place, answers) for place in places]

    def _pixels(self, region: patches.Region) -> patches.Region:
        return patches.pixels_of(region, self.network.size)

    def _strongest(self, each: CueQuestion, shown: ByteArray) -> _Place | None:
        evidence, activations = self._evidence(shown, each.predicted)
        mask = np.zeros(each.seen.pixels.shape[:2], np.float32) if each.seen.mask is None else each.seen.mask
        values, seen = geometry.mask_to_input(mask, self.network.size, self.network.resize)
        background = score.weigh(values, seen, evidence.shape).background
        region = patches.strongest(evidence, background)
        if region is None:
            return None
        weights = np.maximum(evidence, 0) * region
        look = _crop(shown, self._pixels(region)) if activations is None else _mean(activations, weights)
        elsewhere = patches.placebos(region, background, PLACEBOS, _chance(each.image))
        reach = 2 * max(1, round(RIM * self.network.size)) + 1
        near = cv2.dilate((values > 0.5).astype(np.uint8), np.ones((reach, reach), np.uint8)) > 0
        share = float(weights.sum() / np.maximum(evidence, 0).sum())
        return _Place(region, share, look, elsewhere, near if seen is None else near | (seen < 0.5))

    def _evidence(self, shown: ByteArray, predicted: int) -> tuple[patches.Grid, Vector | None]:
        """The relative map of the predicted class, (h, w), and the activations (K, h, w) where there are any."""
        if self.maps == "occlusion" or not self.network.has_positions:
            maps = occlusion.explain(self.network, shown[None]).maps[0].numpy()
            return score.contrast(maps, "relative", predicted), None
        if self.maps == "propagation" and self.mapper is not None:
            maps = propagation.explain(self.mapper, self.mapper.batch(shown[None])).maps[0].cpu().numpy()
            return score.contrast(maps, "relative", predicted), None
        activations = self.network.look(shown[None])
        maps = cam.explain(self.network.head, activations).maps[0].detach().double().cpu().numpy()
        return score.contrast(maps, "relative", predicted), activations[0].float().cpu().numpy()


def _of_image(by_property: Mapping[str, Mapping[int, Exchange]], at: int) -> dict[str, Exchange]:
    return {name: each[at] for name, each in by_property.items() if at in each}


def _values(name: str, donors: Sequence[ValueDonor]) -> list[Values]:
    return [donor.values[name] for donor in donors]


def _exchange(null: tuple[float, ...], own: tuple[float, ...], other: tuple[float, ...], donors: Drawn) -> Exchange:
    units = [tuple(donor.unit for donor in side) for side in donors]
    return Exchange(null[0], own, other, own_units=units[1], other_units=units[0][: len(other)])


def _hosts(able: Sequence[ValueDonor], label: str) -> list[ValueDonor]:
    """The images of other labels to which those of a class may lend: few, so that they can stay in memory."""
    foreign, rng = [donor for donor in able if donor.label != label], _chance(label)
    return [foreign[at] for at in rng.permutation(len(foreign))[:HOSTS]]


def _loan_exchange(chances: Chances, loans: Sequence[_Loan], unit: int) -> Exchange:
    """Args: chances: of the first loans, as `_at_loans` gives them; unit: of the image whose value was lent."""
    null, count = float(1 - chances[:, 0].mean()), len(chances)
    own_units = tuple(loan.unit for loan in loans[:count])
    own, other = _from_null(null, chances, PEER), _from_null(null, chances, LOAN)
    return Exchange(null, own, other, own_units=own_units, other_units=(unit,) * count, is_loan=True)


def _from_null(null: float, chances: Chances, value: int) -> tuple[float, ...]:
    """`null` less what the class gained on each host at one of its values."""
    return tuple((null - (chances[:, value] - chances[:, 0])).tolist())


def _patch(place: _Place, answers: Iterator[float]) -> Patch:
    """Takes the next answers: the patch itself, then its placebos."""
    erased = next(answers)
    return Patch(place.region, place.share, place.look, erased, tuple(itertools.islice(answers, len(place.elsewhere))))


def _mean(activations: Vector, weights: patches.Grid) -> Vector:
    return np.asarray((activations * weights).sum((1, 2)) / weights.sum(), np.float32)


def _crop(shown: ByteArray, patch: patches.Region) -> Vector:
    """What a patch looks like without a network's activations: its pixels, small and of mean 0 and deviation 1."""
    rows, columns = np.nonzero(patch)
    cut = shown[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    small = cv2.resize(cut, (CROP, CROP), interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray((small - small.mean()) / max(float(small.std()), 1e-3), np.float32).ravel()


def _chance(name: str) -> np.random.Generator:
    """The same for the same name in every run."""
    return np.random.default_rng(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little"))
