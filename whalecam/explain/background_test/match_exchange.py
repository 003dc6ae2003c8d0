"""The background test of a match: exchange the background of either image, and look the individual up again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whalecam.arrays import ByteArray
from whalecam.assessment.retrieval import Gallery, unit
from whalecam.explain.background_test.backgrounds import Scene, Water
from whalecam.explain.background_test.edits import swap
from whalecam.explain.background_test.exchange import BATCH, Donor, Exchanged
from whalecam.network.embedding import EmbeddingNetwork

Values = NDArray[np.float64]
SHARPNESS = 20.0
SHARPNESSES = tuple(float(value) for value in np.geomspace(2, 100, 18))
LEAST_DONORS = 2


@dataclass(frozen=True)
class Lookup:
    """Turns vectors into probabilities of individuals: softmax over `sharpness` × the similarity of each individual."""

    gallery: Gallery
    sharpness: float = SHARPNESS

    def similarities(self, vectors: NDArray[np.float32], leave_out: int) -> Values:
        """Of each vector with each individual of the gallery, (Q, I), without one image of it."""
        values = vectors @ self.gallery.vectors.T
        values[:, self.gallery.order == leave_out] = -np.inf
        return np.maximum.reduceat(values, self.gallery.starts, axis=1).astype(np.float64)

    def nearest(self, vector: NDArray[np.float32], leave_out: int) -> int:
        """Place of the image that is most similar to a vector, without one image."""
        values = self.gallery.vectors @ vector
        values[self.gallery.order == leave_out] = -np.inf
        return int(self.gallery.order[int(values.argmax())])

    def probabilities(self, vectors: NDArray[np.float32], leave_out: int) -> Values:
        """(Q, I) in [0, 1], rows adding up to 1; columns are `gallery.people`."""
        return _softmax(self.sharpness * self.similarities(vectors, leave_out))


def fitted_sharpness(gallery: Gallery, vectors: NDArray[np.float32], individual: NDArray[np.int64]) -> float:
    """The sharpness out of SHARPNESSES under which each image's own individual is most probable, itself left out.

    Args:
        vectors: (G, D) of length 1, of all images in their own order; a sample of a thousand is enough.

    Returns: SHARPNESS where no individual has two images.
    """
    lookup, losses = Lookup(gallery), []
    for row in range(len(vectors)):
        similar = lookup.similarities(vectors[row : row + 1], row)[0]
        own = int(np.searchsorted(gallery.people, individual[row]))
        if individual[row] >= 0 and np.isfinite(similar[own]):
            losses.append([-np.log(max(_softmax(value * similar[None])[0, own], 1e-300)) for value in SHARPNESSES])
    return SHARPNESSES[int(np.mean(losses, axis=0).argmin())] if losses else SHARPNESS


@dataclass(frozen=True, kw_only=True)
class MatchQuestion:
    """A query with the individual that it was matched to, and the image of it that it was matched by.

    Attributes:
        image, encounter: of the query; an unknown encounter is "".
        place: of the query among the images of the gallery, which it is not compared with.
        column: of the matched individual in `gallery.people`.
        candidate: place of the matched image.
        scene, candidate_scene: both with their masks.
        mates: images of the query's own encounter that lend it their background.
        individuals: whose background does not count as foreign: those of the query and of the match.
    """

    image: str
    encounter: str
    place: int
    column: int
    candidate: int
    scene: Scene
    candidate_scene: Scene
    mates: Sequence[Donor] = ()
    individuals: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class MatchEffect:
    """What becomes of a match when backgrounds change. Similarities are cosines, probabilities those of a `Lookup`.

    Attributes:
        before: probability of the matched individual, in [0, 1].
        own: its probabilities where the query takes other backgrounds of its own encounter, and its own rearranged: the
            placebo, which costs what the editing costs.
        other: its probabilities where the query takes backgrounds of other encounters.
        similarity: of the two images.
        query_exchanged, match_exchanged: mean similarity where that image alone takes a foreign background.
        both_exchanged: mean similarity where both take the same foreign background.
        background_only: similarity of the two images with their subjects filled in.
        background_nearest: place of the image that is most similar to the query with its subject filled in.
        rank_exchanged: median rank of the matched individual where the query takes a foreign background; 1 before.
    """

    before: float
    own: Exchanged
    other: Exchanged
    similarity: float
    query_exchanged: float
    match_exchanged: float
    both_exchanged: float
    background_only: float
    rank_exchanged: float
    background_nearest: int


@dataclass
class _Case:
    """A question under way: its donors, and the vectors of each edited image by what was done to it."""

    question: MatchQuestion
    own: list[Donor]
    other: list[Donor]
    vectors: dict[str, NDArray[np.float32]] = field(default_factory=dict)


class MatchTest:
    """Asks an embedding network about matches whose backgrounds were changed.

    Args:
        lookup: the gallery as it is; the images of it stay as they are.
        pool: images that may lend their background: `label` is the encounter, "" where it is unknown, and `group` the
            encounter too, so that donors of one encounter count as one. A query takes those of other encounters alone.
        individual_of: the individual of each image of the pool, by name.
        donors: how many of other encounters lend their background to a query.
    """

    def __init__(
        self,
        network: EmbeddingNetwork,
        lookup: Lookup,
        pool: Sequence[Donor],
        individual_of: Mapping[str, str],
        donors: int = 6,
    ) -> None:
        self.network, self.lookup, self.donors = network, lookup, donors
        self.pool, self.individual_of = list(pool), individual_of
        self.own_donors = own_donors(donors)
        self.passes = 0
        """Forward passes so far."""

    def __call__(self, questions: Sequence[MatchQuestion]) -> list[MatchEffect]:
        """Answer each question; without foreign donors its means are NaN."""
        return [self._effect(self._seen(question)) for question in questions]

    def donors_of(self, question: MatchQuestion) -> tuple[list[Donor], list[Donor]]:
        """Donors of the query's own encounter, its own background rearranged last, and of others; always the same."""
        rng = np.random.default_rng(np.frombuffer(question.image.encode(), np.uint8))
        others, barred = [donor for donor in self.pool if donor.image != question.image], question.individuals - {""}
        elsewhere = [donor for donor in others if donor.label != question.encounter or not donor.label]
        foreign = [donor for donor in elsewhere if self.individual_of.get(donor.image, "") not in barred]
        water = question.scene.lend()
        itself = [
            Donor(question.image, question.encounter, each, f"own of {question.image}") for each in rearranged(water)
        ]
        return [*question.mates[: self.own_donors - 1], *itself], [
            foreign[at] for at in rng.permutation(len(foreign))[: self.donors]
        ]

    def _seen(self, question: MatchQuestion) -> _Case:
        """All edited versions of both images through the network, together, so that all are rounded alike."""
        own, other = self.donors_of(question)
        case = _Case(question, own, other)
        query, match, few = question.scene, question.candidate_scene, other[: -(-len(other) // 2)]
        wanted: dict[str, list[ByteArray]] = {
            "query": [query.pixels],
            "match": [match.pixels],
            "query filled": [query.filled],
            "match filled": [match.filled],
            "own": [swap(query, donor.water) for donor in own],
            "other": [swap(query, donor.water) for donor in other],
            "match other": [swap(match, donor.water) for donor in few],
        }
        pixels = [image for images in wanted.values() for image in images]
        parts = [np.stack(pixels[at : at + BATCH]) for at in range(0, len(pixels), BATCH)]
        vectors = unit(np.concatenate([self.network.vectors(part).float().cpu().numpy() for part in parts]))
        self.passes += len(pixels)
        ends = np.cumsum([len(images) for images in wanted.values()])
        case.vectors = dict(zip(wanted, np.split(vectors, ends[:-1]), strict=True))
        return case

    def _effect(self, case: _Case) -> MatchEffect:
        question, seen = case.question, case.vectors
        column, few = question.column, seen["match other"]
        probabilities = {
            name: self.lookup.probabilities(seen[name], question.place)[:, column] for name in ("query", "own", "other")
        }
        similar = self.lookup.similarities(seen["other"], question.place)
        ranks = (similar >= similar[:, column][:, None]).sum(axis=1)
        return MatchEffect(
            before=float(probabilities["query"][0]),
            own=Exchanged(tuple(probabilities["own"].tolist()), tuple(donor.unit for donor in case.own)),
            other=Exchanged(tuple(probabilities["other"].tolist()), tuple(donor.unit for donor in case.other)),
            similarity=float(seen["query"][0] @ seen["match"][0]),
            query_exchanged=_mean(seen["other"] @ seen["match"][0]),
            match_exchanged=_mean(few @ seen["query"][0]),
            both_exchanged=_mean((seen["other"][: len(few)] * few).sum(axis=1)),
            background_only=float(seen["query filled"][0] @ seen["match filled"][0]),
            rank_exchanged=float(np.median(ranks)) if len(ranks) else float("nan"),
            background_nearest=self.lookup.nearest(seen["query filled"][0], question.place),
        )


def own_donors(donors: int) -> int:
    """How many images of its own encounter a query counts among, itself too, where it takes `donors` of others."""
    return max(LEAST_DONORS, -(-donors // 3))


def rearranged(water: Water) -> list[Water]:
    """A background with the same contents at other places: mirrored, and either half beside its mirror image.

    None has a seam: each is cut out of the background continued by its mirror image.
    """
    width = water.filled.shape[1]
    continued = np.concatenate([water.filled, water.filled[:, ::-1]], axis=1)
    starts = (width, width // 2, width + (width + 1) // 2)
    parts = (np.roll(continued, -start, axis=1)[:, :width] for start in starts)
    return [Water(water.mean, water.strengths, np.ascontiguousarray(part)) for part in parts]


def _mean(values: NDArray[np.float32]) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _softmax(logits: Values) -> Values:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))
