"""Whether matches rest on the background: the rows of queries, from their candidates and exchanged backgrounds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from whalecam.arrays import Progress, Report
from whalecam.assessment import retrieval
from whalecam.assessment.retrieval import Gallery, Vectors
from whalecam.audit.match_lookup import MatchImages, own_codes
from whalecam.audit.match_maps import Looks, pair_of
from whalecam.config import MatchOptions
from whalecam.data.encounters import TRAIN
from whalecam.explain.background_test import Donor
from whalecam.explain.background_test.match_exchange import (
    Lookup,
    MatchEffect,
    MatchQuestion,
    MatchTest,
    fitted_sharpness,
    own_donors,
)
from whalecam.explain.masks import MaskMethod
from whalecam.network.embedding import EmbeddingNetwork
from whalecam.store.matches import MatchTables, Pair, Query
from whalecam.store.run import MATCH_PAIRS, MATCH_QUERIES

POOL, MOST_AREA, LEAST_AREA = 96, 0.7, 0.002
PART_QUERIES, SAMPLE = 16, 1000
NO_MASK, TOO_MUCH = "no mask of the query or of its match", "too little background to exchange"
NO_OTHER = "no other image to compare with"


def audit_queries(
    tables: MatchTables,
    images: MatchImages,
    vectors: Vectors,
    encoder: EmbeddingNetwork,
    *,
    find: MaskMethod,
    options: MatchOptions,
    report: Report,
) -> tuple[int, int]:
    """Candidates, maps and exchanges of the queries that have no row yet: how many those are, and forward passes."""
    rng = np.random.default_rng(options.seed)
    part = np.array(images.part)
    # Drawn in one order whatever the limit, so that a larger one goes on where a smaller one ended.
    order = rng.permutation(np.flatnonzero(part != TRAIN))[: options.limit]
    done, names = tables.queries_done(), images.rows["image"].tolist()
    todo = [int(at) for at in order if names[at] not in done]
    if not todo:
        return 0, 0
    gallery = retrieval.gallery_of(vectors, images.who, images.when)
    sample = rng.permutation(len(vectors))[:SAMPLE]
    sharpness = fitted_sharpness(
        retrieval.gallery_of(vectors[sample], images.who[sample]),
        vectors[sample],
        np.where(part[sample] == TRAIN, -1, images.who[sample]),  # what was learned is too similar
    )
    looks = Looks(images, encoder, find)
    individual_of = dict(zip(names, images.individual, strict=True))
    tester = MatchTest(encoder, Lookup(gallery, sharpness), _pool(looks, report), individual_of, options.donors)
    maker = _Maker(gallery, vectors, looks, tester, options.candidates)
    for number, some in enumerate(_portions(todo)):
        report(Progress("testing matches", number * PART_QUERIES, len(todo)))
        made = [maker(at) for at in some]
        tables.add(MATCH_PAIRS, [pair for _, pairs in made for pair in pairs])
        tables.add(MATCH_QUERIES, [query for query, _ in made])
    report(Progress("testing matches", len(todo), len(todo)))
    return len(todo), tester.passes


def _portions(todo: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(todo), PART_QUERIES):
        yield todo[start : start + PART_QUERIES]


def _pool(looks: Looks, report: Report) -> list[Donor]:
    """Images of as many encounters as possible that lend their backgrounds; the same in every run."""
    images = looks.images
    order = np.random.default_rng(0).permutation(len(images.rows))
    seen: dict[str, int] = {}
    turns = []
    for at in order.tolist():
        key = images.encounter[at] or f"\0{at}"
        seen[key] = seen.get(key, 0) + 1
        turns.append((seen[key], at))
    pool: list[Donor] = []
    for _, at in sorted(turns, key=lambda turn: turn[0]):
        if len(pool) == POOL:
            break
        report(Progress("looking for backgrounds", len(pool), POOL))
        if (donor := _donor(looks, at)) is not None:
            pool.append(donor)
    return pool


def _donor(looks: Looks, at: int) -> Donor | None:
    images, scene = looks.images, looks(at).scene
    if scene is None or scene.mask.mean() > MOST_AREA:
        return None
    return Donor(images.name(at), images.encounter[at], scene.lend(), images.encounter[at])


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one query."""

    gallery: Gallery
    vectors: Vectors
    looks: Looks
    tester: MatchTest
    top: int

    def __call__(self, at: int) -> tuple[Query, list[Pair]]:
        listed = retrieval.candidates(self.gallery, self.vectors[at : at + 1], self.top, np.array([at]))
        places = [int(place) for place in listed.image[0] if place >= 0]
        images = self.looks.images
        if not places:
            return {"query": images.name(at), "individual": images.individual[at], "reason": NO_OTHER}, []
        pairs = [pair_of(self.looks, self.vectors, at, place, rank=rank) for rank, place in enumerate(places, 1)]
        return self._query(at, places[0], float(listed.similarity[0, 0])), pairs

    def _query(self, at: int, place: int, similarity: float) -> Query:
        images = self.looks.images
        query, matched = images.individual[at], images.individual[place]
        row: Query = {
            "query": images.name(at),
            "individual": query,
            "encounter": images.encounter[at],
            "matched": matched,
            "candidate": images.name(place),
            "similarity": similarity,
            "is_right": query == matched if query and matched else None,
            "same_encounter": images.share_encounter(at, place),
            "reason": "",
        }
        scene, candidate_scene = self.looks(at).scene, self.looks(place).scene
        if scene is None or candidate_scene is None:
            return row | {"reason": NO_MASK}
        if not all(LEAST_AREA < each.mask.mean() <= 0.9 for each in (scene, candidate_scene)):
            return row | {"reason": TOO_MUCH}
        question = MatchQuestion(
            image=row["query"],
            encounter=images.encounter[at],
            place=at,
            column=int(np.searchsorted(self.gallery.people, own_codes(images.who)[place])),
            candidate=place,
            scene=scene,
            candidate_scene=candidate_scene,
            mates=self._mates(at),
            individuals=frozenset({query, matched}),
        )
        effect = self.tester([question])[0]
        return row | _answers(effect) | {"background_finds": images.share_encounter(at, effect.background_nearest)}

    def _mates(self, at: int) -> list[Donor]:
        """Images of the query's own encounter, as many as lend it their background."""
        encounters = self.looks.images.encounter
        if not (encounter := encounters[at]):
            return []
        others = [place for place, name in enumerate(encounters) if name == encounter and place != at]
        donors = (_donor(self.looks, place) for place in others[: own_donors(self.tester.donors)])
        return [donor for donor in donors if donor is not None]


def _answers(effect: MatchEffect) -> Query:
    """What came of one match's test, as the table has it."""

    def known(value: float) -> float | None:
        return None if np.isnan(value) else value

    return {
        "similarity": effect.similarity,
        "query_exchanged": known(effect.query_exchanged),
        "match_exchanged": known(effect.match_exchanged),
        "both_exchanged": known(effect.both_exchanged),
        "background_only": effect.background_only,
        "rank_exchanged": known(effect.rank_exchanged),
        "before": effect.before if effect.other.probabilities else None,
        "own": list(effect.own.probabilities),
        "own_donors": list(effect.own.units),
        "other": list(effect.other.probabilities),
        "other_donors": list(effect.other.units),
    }
