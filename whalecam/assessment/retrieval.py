"""Which individuals a query is most similar to, and how often the right one is first. Pure numpy.

An individual is as similar to a query as its most similar image. Similarities are computed in blocks of queries, so the
memory does not grow with their number.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whalecam.stats import Interval

Codes = NDArray[np.int64]
Vectors = NDArray[np.float32]
BLOCK_VALUES = 1 << 24
"""Similarities that are kept at once: 64 MB of float32."""
TOP = 5
NONE = np.float32(-np.inf)


@dataclass(frozen=True)
class Gallery:
    """Images to compare with, in the order of their individuals.

    Attributes:
        order: (G,) the place of each image in what it was made from.
        vectors: (G, D) float32 of length 1.
        individual, encounter: (G,) codes; −1 for an unknown one, which is shared with no other image.
        starts: (I,) where each individual begins.
        people: (I,) their codes.
    """

    order: Codes
    vectors: Vectors
    individual: Codes
    encounter: Codes
    starts: Codes
    people: Codes


@dataclass(frozen=True)
class Candidates:
    """The most similar individuals of each query, each by its most similar image; best first.

    Attributes:
        image: (Q, top) place of the image; −1 where there are fewer individuals.
        individual: (Q, top) codes.
        similarity: (Q, top) in [-1, 1]; −inf where there is none.
    """

    image: Codes
    individual: Codes
    similarity: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Ranks:
    """Where the right individual of each query stands.

    Attributes:
        rank: (Q,) from 1; 0 where the gallery has no image of it. Equal similarities count against it.
        own: (Q,) similarity of the right individual; −inf without.
        best: (Q,) similarity of the most similar individual.
        other: (Q,) similarity of the most similar wrong individual.
    """

    rank: Codes
    own: NDArray[np.float32]
    best: NDArray[np.float32]
    other: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """How often the right individual is found, over the queries that can be: top-1, top-5 and mAP@5, in [0, 1]."""

    queries: int
    top1: Interval
    top5: Interval
    map5: Interval


@dataclass(frozen=True, kw_only=True)
class EncounterLeak:
    """How much of the accuracy comes from images of the query's own encounter.

    Attributes:
        random: of all queries that have another image of their individual, as a random split would have it.
        with_encounter: of the queries that have one in another encounter too, with the whole gallery.
        without_encounter: of the same queries, without the gallery images of the query's encounter.
        placebo: of the same queries, without as many other images of the gallery, drawn by chance among those of the
            query's individual where it has them: what a smaller gallery costs.
    """

    random: Accuracy
    with_encounter: Accuracy
    without_encounter: Accuracy
    placebo: Accuracy

    @property
    def drop(self) -> float:
        """Top-1 that the gallery images of the same encounter account for, in [-1, 1]."""
        return self.placebo.top1.value - self.without_encounter.top1.value


def unit(vectors: NDArray[np.floating]) -> Vectors:
    """Vectors of length 1, float32; a vector without a length stays 0."""
    values = np.asarray(vectors, np.float32)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, length, out=np.zeros_like(values), where=length > 0))


def gallery_of(vectors: Vectors, individual: Codes, encounter: Codes | None = None) -> Gallery:
    """Sort images by individual. `individual` and `encounter` are codes; −1 stands for an unknown one."""
    when = np.full(len(individual), -1) if encounter is None else np.asarray(encounter)
    who = _own_where_unknown(np.asarray(individual, np.int64))
    order = np.argsort(who, kind="stable")
    people, starts = np.unique(who[order], return_index=True)
    return Gallery(order, unit(vectors)[order], who[order], np.asarray(when, np.int64)[order], starts, people)


def candidates(gallery: Gallery, queries: Vectors, top: int = TOP, leave_out: Codes | None = None) -> Candidates:
    """The `top` most similar individuals of each query, exactly.

    Args:
        queries: (Q, D) of length 1.
        leave_out: (Q,) place of an image that is not compared with the query, such as the query itself; −1 for none.
    """
    top = min(top, len(gallery.people))
    blocks = []
    for rows in _blocks(len(queries), len(gallery.order)):
        values = queries[rows] @ gallery.vectors.T
        if leave_out is not None:
            _drop(values, _places(gallery)[leave_out[rows]], leave_out[rows] >= 0)
        best = np.maximum.reduceat(values, gallery.starts, axis=1)
        chosen = np.argpartition(-best, top - 1, axis=1)[:, :top]
        mine = np.take_along_axis(best, chosen, axis=1)
        order = np.lexsort((chosen, -mine), axis=1)
        chosen, mine = (np.take_along_axis(each, order, axis=1) for each in (chosen, mine))
        blocks.append((_images(gallery, values, chosen, mine), gallery.people[chosen], mine))
    image, individual, similarity = (np.concatenate(each) for each in zip(*blocks, strict=True))
    return Candidates(image, individual, similarity)


def ranks(
    gallery: Gallery,
    queries: Vectors,
    individual: Codes,
    *,
    leave_out: Codes | None = None,
    encounter: Codes | None = None,
    without: list[Codes] | None = None,
) -> Ranks:
    """The rank of each query's own individual, exactly and without a list of candidates.

    Args:
        individual: (Q,) codes as in the gallery.
        leave_out: as in `candidates`.
        encounter: (Q,): gallery images of the query's encounter are not compared with it; −1 for an unknown one.
        without: for each query the places of further images that are not.
    """
    place, parts = _places(gallery), []
    of_encounter = _by_code(gallery.encounter) if encounter is not None else {}
    column = np.searchsorted(gallery.people, individual)
    column = np.where(gallery.people[np.minimum(column, len(gallery.people) - 1)] == individual, column, -1)
    for rows in _blocks(len(queries), len(gallery.order)):
        values = queries[rows] @ gallery.vectors.T
        if leave_out is not None:
            _drop(values, place[leave_out[rows]], leave_out[rows] >= 0)
        for at, row in enumerate(range(rows.start, rows.stop)):
            if encounter is not None and encounter[row] >= 0:
                values[at, of_encounter.get(int(encounter[row]), [])] = NONE
            if without is not None:
                values[at, place[without[row]]] = NONE
        parts.append(_ranked(np.maximum.reduceat(values, gallery.starts, axis=1), column[rows]))
    rank, own, best, other = (np.concatenate(each) for each in zip(*parts, strict=True))
    return Ranks(rank=rank, own=own, best=best, other=other)


def accuracy(rank: Codes, chosen: NDArray[np.bool_] | None = None) -> Accuracy:
    """Top-1, top-5 and mAP@5 over the queries whose individual has a rank, or over those of them that are chosen.

    mAP@5 is that of the Happywhale competition: 1 / rank where the rank is at most 5, else 0; its mean. Intervals are
    those of Wald on the mean, 95 %.
    """
    some = (rank > 0) if chosen is None else (rank > 0) & chosen
    mine = rank[some].astype(np.float64)
    scores = [mine == 1, mine <= TOP, np.where(mine <= TOP, 1 / np.maximum(mine, 1), 0)]
    top1, top5, map5 = (_mean(np.asarray(score, np.float64)) for score in scores)
    return Accuracy(queries=len(mine), top1=top1, top5=top5, map5=map5)


def encounter_leak(
    vectors: Vectors,
    individual: Codes,
    encounter: Codes,
    *,
    chosen: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> EncounterLeak:
    """What the images of the same encounter do to the accuracy, each image looked up among all others.

    Args:
        chosen: (N,) the images that are looked up; None: all.
    """
    gallery, queries = gallery_of(vectors, individual, encounter), unit(vectors)
    who, themselves = _own_where_unknown(individual), np.arange(len(individual))
    everything = ranks(gallery, queries, who, leave_out=themselves)
    apart = ranks(gallery, queries, who, leave_out=themselves, encounter=encounter)
    looked_up = np.ones(len(who), bool) if chosen is None else chosen
    both = (everything.rank > 0) & (apart.rank > 0) & looked_up
    without = _placebos(who, encounter, np.random.default_rng(seed))
    placebo = ranks(gallery, queries, who, leave_out=themselves, without=without)
    return EncounterLeak(
        random=accuracy(everything.rank, looked_up),
        with_encounter=accuracy(everything.rank, both),
        without_encounter=accuracy(apart.rank, both),
        placebo=accuracy(placebo.rank, both),
    )


def same_pair(first: Codes, second: Codes) -> NDArray[np.bool_]:
    """Whether two codes are the same and known."""
    return np.asarray((first == second) & (first >= 0))


def new_individual(known: NDArray[np.float32], new: NDArray[np.float32]) -> float:
    """How well the similarity of the best candidate tells known individuals from new ones: the AUROC, in [0, 1].

    Args:
        known, new: `Ranks.best` of queries whose individual is in the gallery and of those whose individual is not.

    Returns: NaN where one side is empty.
    """
    if not len(known) or not len(new):
        return float("nan")
    ordered = np.sort(new)
    below, upto = np.searchsorted(ordered, known, "left"), np.searchsorted(ordered, known, "right")
    return float((below + upto).mean() / (2 * len(new)))


def _own_where_unknown(codes: Codes) -> Codes:
    """Codes, with one of its own below −1 for each unknown one."""
    return np.where(codes >= 0, codes, -2 - np.arange(len(codes)))


def _blocks(queries: int, images: int) -> Iterator[slice]:
    size = max(1, BLOCK_VALUES // max(1, images))
    for start in range(0, queries, size):
        yield slice(start, min(start + size, queries))


def _places(gallery: Gallery) -> Codes:
    """Where each image stands in the gallery."""
    place = np.empty(len(gallery.order), np.int64)
    place[gallery.order] = np.arange(len(gallery.order))
    return place


def _drop(values: NDArray[np.float32], place: Codes, which: NDArray[np.bool_]) -> None:
    rows = np.flatnonzero(which)
    values[rows, place[rows]] = NONE


def _images(gallery: Gallery, values: NDArray[np.float32], chosen: Codes, best: NDArray[np.float32]) -> Codes:
    """The most similar image of each chosen individual."""
    ends = np.append(gallery.starts[1:], len(gallery.order))
    image = np.full(chosen.shape, -1, np.int64)
    for row, column in np.argwhere(np.isfinite(best)).tolist():
        start, end = gallery.starts[chosen[row, column]], ends[chosen[row, column]]
        image[row, column] = gallery.order[start + int(values[row, start:end].argmax())]
    return image


def _ranked(
    best: NDArray[np.float32], column: Codes
) -> tuple[Codes, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Rank, own, best and best other similarity of a block, from the similarities of all individuals."""
    rows = np.arange(len(best))
    own = np.where(column >= 0, best[rows, column], NONE)
    highest = best.max(axis=1)
    is_known = np.isfinite(own)
    rank = np.where(is_known, (best >= own[:, None]).sum(axis=1), 0)
    best[rows[column >= 0], column[column >= 0]] = NONE
    return rank.astype(np.int64), own, highest, best.max(axis=1)


def _by_code(codes: Codes) -> dict[int, Codes]:
    """The places of each known code."""
    order = np.argsort(codes, kind="stable")
    known, starts = np.unique(codes[order], return_index=True)
    parts = np.split(order, starts[1:])
    return {int(code): part for code, part in zip(known, parts, strict=True) if code >= 0}


def _placebos(individual: Codes, encounter: Codes, rng: np.random.Generator) -> list[Codes]:
    """For each image as many others as its encounter has, of its own individual in other encounters where possible.

    One image of the individual is left in another encounter, so that the query can be found; what is missing is drawn
    from all other encounters.
    """
    of_person, of_encounter = _by_code(individual - individual.min()), _by_code(encounter)
    shift, everyone = individual.min(), np.arange(len(individual))
    chosen = []
    for row in range(len(individual)):
        if encounter[row] < 0:
            chosen.append(np.empty(0, np.int64))
            continue
        around = of_encounter[int(encounter[row])]
        mine = of_person[int(individual[row] - shift)]
        alike = int((individual[around] == individual[row]).sum()) - 1
        elsewhere = mine[encounter[mine] != encounter[row]]
        own = rng.permutation(elsewhere)[: max(0, min(alike, len(elsewhere) - 1))]
        rest = rng.choice(everyone, min(len(around) - 1 - len(own), len(everyone)), replace=False)
        chosen.append(np.concatenate([own, rest[individual[rest] != individual[row]]]))
    return chosen


def _mean(values: NDArray[np.float64]) -> Interval:
    if not len(values):
        return Interval(float("nan"), float("nan"), float("nan"))
    mean, reach = float(values.mean()), 1.96 * float(values.std() / np.sqrt(len(values)))
    return Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach))
