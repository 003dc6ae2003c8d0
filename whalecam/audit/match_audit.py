"""Make and test the matches of individuals of a run: vectors, candidates, maps, exchanges. Resumable."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from whalecam import network as networks
from whalecam.arrays import Mask, Progress, Report, Sample, silent
from whalecam.assessment import retrieval
from whalecam.assessment.retrieval import Accuracy, Codes, Gallery, Vectors
from whalecam.audit.run_audit import joined_sources
from whalecam.config import MASK_OPTIONS, POOLINGS, AuditOptions, MatchOptions
from whalecam.data import Dataset, geometry, read_sample
from whalecam.data.encounters import TRAIN, encounter_split, encounters_of
from whalecam.data.folds import groups_of
from whalecam.errors import DatasetError, RunError
from whalecam.explain import match, score
from whalecam.explain.background_test import Donor, Scene, scene_of
from whalecam.explain.background_test.match_exchange import (
    Lookup,
    MatchEffect,
    MatchQuestion,
    MatchTest,
    fitted_sharpness,
    own_donors,
)
from whalecam.explain.cam import Evidence, stored
from whalecam.explain.masks import MaskMethod, find_mask
from whalecam.network import embedding
from whalecam.network.embedding import EmbeddingNetwork
from whalecam.store.matches import MatchRecord, MatchTables, Pair, Query, Reached
from whalecam.store.run import MATCH_IMAGES, MATCH_PAIRS, MATCH_QUERIES, Run

POOL, MOST_AREA, LEAST_AREA = 96, 0.7, 0.002
KEPT, PART_QUERIES, SAMPLE = 512, 16, 1000
NO_MASK, TOO_MUCH = "no mask of the query or of its match", "too little background to exchange"
NO_OTHER = "no other image to compare with"


@dataclass(frozen=True)
class MatchSummary:
    """What a call did: queries in the table, those new in this call, forward passes of the background test."""

    queries: int
    new: int
    passes: int
    restarted: bool
    record: MatchRecord


@dataclass(frozen=True)
class _Set:
    """The images that can be looked up.

    Attributes:
        rows: of the data set, one for each image.
        individual, encounter: names, "" where unknown; `who` and `when` their codes, −1 where unknown.
        part: of the split after a fit, else "".
        encounter_words: what an encounter is.
    """

    rows: pd.DataFrame
    individual: list[str]
    encounter: list[str]
    who: Codes
    when: Codes
    part: list[str]
    encounter_words: str
    notes: tuple[str, ...] = ()


def audit_matches(
    run: Run,
    data: Dataset,
    options: MatchOptions,
    report: Report = silent,
    *,
    model: EmbeddingNetwork | None = None,
) -> MatchSummary:
    """Look every image up among all others, and test up to `options.limit` of the matches by their backgrounds.

    Args:
        model: the embedding network itself, instead of the one that `options.network` names.

    What was made with other options or another network is dropped first. Raises DatasetError without two individuals,
    for an unknown encounter and for masks that cannot be used, ModelError for a network without vectors, RunError for
    an option out of its range.
    """
    _check(options)
    if not {field: getattr(options, field) for field in ("masks", "boxes") if getattr(options, field)}:
        audit = AuditOptions.stored(run.manifest.audit)
        options = replace(options, **{name: getattr(audit, name) for name in MASK_OPTIONS})
    images = _images(data, options)
    find = partial(
        find_mask,
        sources=joined_sources(data, AuditOptions(**{name: getattr(options, name) for name in MASK_OPTIONS})).sources,
        fallback=options.mask_method,
    )
    base = model or _network(run, options)
    base.to(networks.pick_device(options.device))
    tables, settings = MatchTables(run), _settings(run, data, options, base)
    record = tables.record
    restarted = record is not None and record.settings != settings
    if record is None or restarted:
        run.clear_matches()
    encoder, images, vectors, record = _encoded(run, tables, images, base, options, settings, report)
    new, passes = _test(tables, images, vectors, encoder, find, options, report)
    return MatchSummary(len(tables.queries_done()), new, passes, restarted, record)


def _check(options: MatchOptions) -> None:
    if options.pooling not in POOLINGS or options.candidates < 1 or options.limit < 0 or options.donors < 1:
        raise RunError(f"--pooling takes {', '.join(POOLINGS)}; --candidates and --donors one or more.")


def _images(data: Dataset, options: MatchOptions) -> _Set:
    """Images with a file. Without a named encounter it is the day, where that is known."""
    notes: list[str] = []
    names = options.encounter or ("day",)
    try:
        encounters = encounters_of(data, names)
    except DatasetError:
        if options.encounter:
            raise
        encounters = [""] * len(data.table)
        notes.append(
            "What an encounter is is not known, so neither its leak nor its background can be measured: name a column "
            "of days, places or cameras with --encounter."
        )
    table = data.table.assign(encounter=encounters)
    rows = table[(table["status"] == "ok") & (table["path"] != "")].drop_duplicates("image").reset_index(drop=True)
    individual, when = rows["group"].tolist(), rows["encounter"].tolist()
    known = sorted({name for name in individual if name})
    if len(known) < 2:
        raise DatasetError(
            f"{data.csv.name} names {len(known)} individuals in the column '{data.columns.group}', and two are needed. "
            "Name the column of individuals when the run is made: --group-column."
        )
    words = " and ".join(names) if any(when) else "unknown"
    return _Set(rows, individual, when, _codes(individual), _codes(when), [""] * len(rows), words, tuple(notes))


def _codes(names: Sequence[str]) -> Codes:
    """A number for each name, −1 for ""."""
    return np.where(np.array([name != "" for name in names], bool), groups_of(names), -1)


def _network(run: Run, options: MatchOptions) -> EmbeddingNetwork:
    if not options.network:
        if not run.trained:
            raise RunError(
                f"Run '{run.name}' has no network. Train one, or name an architecture or a checkpoint with --network."
            )
        base = networks.from_spec(run.manifest.network, run.load_checkpoint())
    elif Path(options.network).expanduser().exists():
        base = networks.load_checkpoint(Path(options.network).expanduser(), default_size=options.size).network
    else:
        base = embedding.of_body(options.network, options.size)
    return embedding.of_network(base, options.pooling)


def _settings(run: Run, data: Dataset, options: MatchOptions, base: EmbeddingNetwork) -> str:
    """What must stay the same for rows to stand in one table."""
    free = replace(options, limit=0, batch=0, device="")
    return f"{asdict(free)} {data.fingerprint} {run.manifest.model_sha256} {base.arch} {base.size} {base.resize}"


def _encoded(
    run: Run,
    tables: MatchTables,
    images: _Set,
    base: EmbeddingNetwork,
    options: MatchOptions,
    settings: str,
    report: Report,
) -> tuple[EmbeddingNetwork, _Set, Vectors, MatchRecord]:
    """The network whose vectors are compared, the images that it could read, and their vectors."""
    record = tables.record
    if record is not None:
        rows = tables.read(MATCH_IMAGES).drop(columns="vector")
        images = _some(images, images.rows["image"].isin(rows["image"]).to_numpy(bool), rows["part"].tolist())
        return _rebuilt(tables, base, options), images, tables.vectors(), record
    features, readable = _features(base, images.rows, options, report)
    images = _some(images, readable)
    encoder, vectors = base, features
    if options.fit:
        encoder, vectors, images = _fitted(base, features, images, options, report)
        tables.write_network(embedding.projection_tensors(encoder))
    vectors = retrieval.unit(vectors)
    lines = zip(images.rows["image"], images.individual, images.encounter, images.part, vectors, strict=True)
    rows_ = [
        {"image": image, "individual": who, "encounter": when, "part": part, "vector": vector.astype("<f4").tobytes()}
        for image, who, when, part, vector in lines
    ]
    tables.add(MATCH_IMAGES, rows_)  # type: ignore[arg-type]
    made = _record(images, vectors, features, encoder, options, settings)
    tables.write_record(made)
    return encoder, images, vectors, made


def _rebuilt(tables: MatchTables, base: EmbeddingNetwork, options: MatchOptions) -> EmbeddingNetwork:
    return embedding.with_projection(base, tables.network()) if options.fit else base


def _some(images: _Set, chosen: NDArray[np.bool_], part: list[str] | None = None) -> _Set:
    at = np.flatnonzero(chosen)
    return _Set(
        images.rows.iloc[at].reset_index(drop=True),
        [images.individual[row] for row in at],
        [images.encounter[row] for row in at],
        images.who[at],
        images.when[at],
        part if part is not None else [images.part[row] for row in at],
        images.encounter_words,
        images.notes,
    )


def _features(
    base: EmbeddingNetwork, rows: pd.DataFrame, options: MatchOptions, report: Report
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Vectors of the images that can be read, and which those are."""
    parts, readable = [], np.zeros(len(rows), bool)
    for start in range(0, len(rows), options.batch):
        report(Progress("encoding images", start, len(rows)))
        inputs = []
        for at in range(start, min(start + options.batch, len(rows))):
            if (sample := _sample(rows, at, base)) is not None:
                inputs.append(geometry.to_input(sample.pixels, base.size, base.resize))
                readable[at] = True
        if inputs:
            parts.append(base.vectors(np.stack(inputs)).float().cpu().numpy())
    if not parts:
        raise DatasetError("None of the images can be read, so nothing can be compared.")
    report(Progress("encoding images", len(rows), len(rows)))
    return np.concatenate(parts), readable


def _sample(rows: pd.DataFrame, at: int, base: EmbeddingNetwork) -> Sample | None:
    try:
        return read_sample(Path(str(rows["path"].iat[at])), str(rows["image"].iat[at]), geometry.needed(base.size))
    except DatasetError:
        return None


def _fitted(
    base: EmbeddingNetwork, features: NDArray[np.float32], images: _Set, options: MatchOptions, report: Report
) -> tuple[EmbeddingNetwork, Vectors, _Set]:
    """A projection that is fitted on one part of the encounters."""
    part = encounter_split(images.individual, images.encounter, "open", share=options.share, seed=options.seed).part
    training = (part == TRAIN) & (images.who >= 0)
    encoder = _projected(base, features[training], images.who[training], options, report)
    return encoder, _through(encoder, features), replace(images, part=part.tolist())


def _projected(
    base: EmbeddingNetwork, features: NDArray[np.float32], who: Codes, options: MatchOptions, report: Report
) -> EmbeddingNetwork:
    individuals = np.unique(who, return_inverse=True)[1].astype(np.int64)
    from whalecam.network.training.arcface import ArcFaceOptions, fit_arcface

    chosen = ArcFaceOptions(length=options.length, centres=options.centres, seed=options.seed)
    return embedding.projected(base, fit_arcface(features, individuals, chosen, report).projection)


def _through(encoder: EmbeddingNetwork, features: NDArray[np.float32]) -> Vectors:
    projection = encoder.head[-1]  # type: ignore[index]
    with torch.no_grad():
        return np.asarray(projection(torch.from_numpy(features)).numpy(), np.float32)


def _record(
    images: _Set,
    vectors: Vectors,
    features: NDArray[np.float32],
    encoder: EmbeddingNetwork,
    options: MatchOptions,
    settings: str,
) -> MatchRecord:
    part = np.array(images.part)
    looked_up = (part != TRAIN) & (images.who >= 0)
    leak = retrieval.encounter_leak(vectors, images.who, images.when, chosen=looked_up, seed=options.seed)
    random = leak.random
    if options.fit:
        random = _random_split(features, images, encoder, options)
    ranks = retrieval.ranks(
        retrieval.gallery_of(vectors, images.who, images.when),
        vectors,
        _own(images.who),
        leave_out=np.arange(len(vectors)),
        encounter=images.when,
    )
    known, new = looked_up & (ranks.rank > 0), looked_up & (ranks.rank == 0)
    auroc = retrieval.new_individual(ranks.best[known], ranks.best[new])
    return MatchRecord(
        network=encoder.arch + (", ArcFace projection" if encoder.projected else ""),
        resize=encoder.resize,
        encounter=images.encounter_words,
        settings=settings,
        images=len(vectors),
        individuals=len(np.unique(images.who[images.who >= 0])),
        encounters=len(np.unique(images.when[images.when >= 0])),
        random=_reached(random),
        with_encounter=_reached(leak.with_encounter),
        without_encounter=_reached(leak.without_encounter),
        placebo=_reached(leak.placebo),
        new_individual=None if np.isnan(auroc) else auroc,
        notes=images.notes,
    )


def _own(who: Codes) -> Codes:
    """Codes as a gallery has them, unknown ones shared with nobody."""
    return np.where(who >= 0, who, -2 - np.arange(len(who)))


def _random_split(
    features: NDArray[np.float32], images: _Set, encoder: EmbeddingNetwork, options: MatchOptions
) -> Accuracy:
    """What a projection reaches on images that a random split holds out, those of its encounters in training."""
    chosen = np.random.default_rng(options.seed).random(len(features)) < options.share
    training = ~chosen & (images.who >= 0)
    base = replace(encoder, head=encoder.head[0], projected=0)  # type: ignore[index]
    vectors = retrieval.unit(
        _through(_projected(base, features[training], images.who[training], options, silent), features)
    )
    ranks = retrieval.ranks(
        retrieval.gallery_of(vectors, images.who), vectors, _own(images.who), leave_out=np.arange(len(vectors))
    )
    return retrieval.accuracy(ranks.rank, chosen & (images.who >= 0))


def _reached(accuracy: Accuracy) -> Reached:
    values = (accuracy.top1.value, accuracy.top5.value, accuracy.map5.value)
    top1, top5, map5 = (None if np.isnan(value) else value for value in values)
    return Reached(queries=accuracy.queries, top1=top1, top5=top5, map5=map5)


@dataclass(frozen=True)
class _Look:
    """One image: its size upright in pixels, its scene and its mask's weights, and its placed vector; None without."""

    width: int = 0
    height: int = 0
    scene: Scene | None = None
    weights: score.LeakWeights | None = None
    evidence: Evidence | None = None


class _Looks:
    """Scenes, mask weights and placed vectors of images, the last few of them kept."""

    def __init__(self, images: _Set, encoder: EmbeddingNetwork, find: MaskMethod) -> None:
        self.images, self.encoder, self.find = images, encoder, find
        self._kept: OrderedDict[int, _Look] = OrderedDict()

    def __call__(self, at: int) -> _Look:
        if at not in self._kept:
            self._kept[at] = self._look(at)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[at]

    def _look(self, at: int) -> _Look:
        encoder = self.encoder
        sample = _sample(self.images.rows, at, encoder)
        if sample is None:
            return _Look()
        height, width = sample.shape
        pixels = geometry.to_input(sample.pixels, encoder.size, encoder.resize)
        evidence = None
        if encoder.has_positions:
            evidence = match.placed(encoder.head, encoder.look(pixels[None]))
        mask: Mask | None = self.find(sample)
        if mask is None:
            return _Look(width, height, evidence=evidence)
        weights = None
        if evidence is not None:
            values, seen = geometry.mask_to_input(mask.values, encoder.size, encoder.resize)
            weights = score.weigh(values, seen, tuple(evidence.maps.shape[2:]))
        scene = scene_of(sample, mask, encoder.size, encoder.resize)
        return _Look(width, height, scene, weights, evidence)


def _test(
    tables: MatchTables,
    images: _Set,
    vectors: Vectors,
    encoder: EmbeddingNetwork,
    find: MaskMethod,
    options: MatchOptions,
    report: Report,
) -> tuple[int, int]:
    """Candidates, maps and exchanges of the queries that have no row yet; how many, and forward passes."""
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
        retrieval.gallery_of(vectors[sample], images.who[sample]), vectors[sample], images.who[sample]
    )
    looks = _Looks(images, encoder, find)
    individual_of = dict(zip(names, images.individual, strict=True))
    tester = MatchTest(encoder, Lookup(gallery, sharpness), _pool(images, looks, report), individual_of, options.donors)
    maker = _Maker(images, gallery, vectors, looks, tester, options.candidates)
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


def _pool(images: _Set, looks: _Looks, report: Report) -> list[Donor]:
    """Images of as many encounters as possible that lend their backgrounds; the same in every run."""
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
        if (donor := _donor(images, looks, at)) is not None:
            pool.append(donor)
    return pool


def _donor(images: _Set, looks: _Looks, at: int) -> Donor | None:
    scene = looks(at).scene
    if scene is None or scene.mask.mean() > MOST_AREA:
        return None
    return Donor(str(images.rows["image"].iat[at]), images.encounter[at], scene.lend(), images.encounter[at])


@dataclass(frozen=True)
class _Maker:
    """Makes the rows of one query."""

    images: _Set
    gallery: Gallery
    vectors: Vectors
    looks: _Looks
    tester: MatchTest
    top: int

    def __call__(self, at: int) -> tuple[Query, list[Pair]]:
        listed = retrieval.candidates(self.gallery, self.vectors[at : at + 1], self.top, np.array([at]))
        places = [int(place) for place in listed.image[0] if place >= 0]
        name = str(self.images.rows["image"].iat[at])
        if not places:
            return {"query": name, "individual": self.images.individual[at], "reason": NO_OTHER}, []
        pairs = [self._pair(at, place, rank) for rank, place in enumerate(places, 1)]
        return self._query(at, places[0], float(listed.similarity[0, 0])), pairs

    def _pair(self, at: int, place: int, rank: int) -> Pair:
        images = self.images
        row: Pair = {
            "query": str(images.rows["image"].iat[at]),
            "rank": rank,
            "candidate": str(images.rows["image"].iat[place]),
            "individual": images.individual[place],
            "similarity": float(self.vectors[at] @ self.vectors[place]),
            "same_encounter": self._same(at, place),
        }
        own, other = self.looks(at), self.looks(place)
        row |= {"query_width": own.width, "query_height": own.height}
        row |= {"candidate_width": other.width, "candidate_height": other.height}
        first, second = own.evidence, other.evidence
        if first is None or second is None:
            return row
        mine, theirs = match.paired_maps(first, second.logits), match.paired_maps(second, first.logits)
        error = float(torch.maximum(mine.completeness_error, theirs.completeness_error)[0, 0])
        row |= {"completeness_error": error, "map_height": mine.maps.shape[2], "map_width": mine.maps.shape[3]}
        for side, maps, weights in (("query", mine.maps, own.weights), ("candidate", theirs.maps, other.weights)):
            values = maps[0, 0].float().cpu().numpy()
            row[f"{side}_map"] = stored(values).tobytes()  # type: ignore[literal-required]
            scores = None if weights is None else score.score(values, weights)
            for what, value in (
                ("share", np.nan if scores is None else scores.background_share),
                ("attention", np.nan if scores is None else scores.attention_score),
            ):
                row[f"{side}_{what}"] = None if np.isnan(value) else float(value)  # type: ignore[literal-required]
        return row

    def _query(self, at: int, place: int, similarity: float) -> Query:
        images = self.images
        query, matched = images.individual[at], images.individual[place]
        row: Query = {
            "query": str(images.rows["image"].iat[at]),
            "individual": query,
            "encounter": images.encounter[at],
            "matched": matched,
            "candidate": str(images.rows["image"].iat[place]),
            "similarity": similarity,
            "is_right": query == matched if query and matched else None,
            "same_encounter": self._same(at, place),
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
            column=int(np.searchsorted(self.gallery.people, _own(images.who)[place])),
            candidate=place,
            scene=scene,
            candidate_scene=candidate_scene,
            mates=self._mates(at),
            individuals=frozenset({query, matched}),
        )
        effect = self.tester([question])[0]
        return row | _answers(effect) | {"background_finds": self._same(at, effect.background_nearest)}

    def _same(self, at: int, place: int) -> bool | None:
        first, second = self.images.encounter[at], self.images.encounter[place]
        return first == second if first and second else None

    def _mates(self, at: int) -> list[Donor]:
        """Images of the query's own encounter, as many as lend it their background."""
        if not (encounter := self.images.encounter[at]):
            return []
        others = [place for place, name in enumerate(self.images.encounter) if name == encounter and place != at]
        donors = (_donor(self.images, self.looks, place) for place in others[: own_donors(self.tester.donors)])
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
