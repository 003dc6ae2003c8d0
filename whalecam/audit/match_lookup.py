"""Which images of a run can be looked up, by which vectors, and how often the right individual comes first."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from whalecam.arrays import Progress, Report, Sample, silent
from whalecam.assessment import retrieval
from whalecam.assessment.retrieval import Accuracy, Codes, Vectors
from whalecam.config import MatchOptions
from whalecam.data import Dataset, geometry, read_sample
from whalecam.data.encounters import QUERY, TRAIN, encounter_split, encounters_of
from whalecam.data.folds import groups_of
from whalecam.data.groups import DAY
from whalecam.errors import DatasetError
from whalecam.network import embedding
from whalecam.network.embedding import EmbeddingNetwork
from whalecam.store.matches import ImageVector, MatchRecord, MatchTables, Reached
from whalecam.store.run import MATCH_IMAGES


@dataclass(frozen=True)
class MatchImages:
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

    def name(self, at: int) -> str:
        """Of the image at a place, as in the CSV."""
        return str(self.rows["image"].iat[at])

    def share_encounter(self, at: int, place: int) -> bool | None:
        """Whether two images are of one encounter; None where one of theirs is unknown."""
        first, second = self.encounter[at], self.encounter[place]
        return first == second if first and second else None

    def trained_on(self, names: Collection[str]) -> "MatchImages":
        """The same; those with these names are candidates, and are not looked up."""
        is_seen = self.rows["image"].isin(names).to_numpy(bool)
        if not is_seen.any():
            return self
        note = (
            f"The network learned the individuals from {int(is_seen.sum()):,} of these images, which are candidates "
            "and are not looked up themselves."
        )
        return replace(self, part=np.where(is_seen, TRAIN, QUERY).tolist(), notes=(*self.notes, note))


def images_of(data: Dataset, options: MatchOptions) -> MatchImages:
    """Images with a file. Without a named encounter it is the day, where that is known.

    Raises DatasetError for an unknown encounter, and without two individuals.
    """
    notes: list[str] = []
    names = options.encounter or (DAY,)
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
    return MatchImages(rows, individual, when, _codes(individual), _codes(when), [""] * len(rows), words, tuple(notes))


def _codes(names: Sequence[str]) -> Codes:
    """A number for each name, −1 for ""."""
    return np.where(np.array([name != "" for name in names], bool), groups_of(names), -1)


def encoded(
    tables: MatchTables,
    images: MatchImages,
    base: EmbeddingNetwork,
    options: MatchOptions,
    *,
    settings: str,
    report: Report,
) -> tuple[EmbeddingNetwork, MatchImages, Vectors, MatchRecord]:
    """The network whose vectors are compared, the images that it could read, their vectors, and how lookups went.

    Args:
        settings: what these vectors must not be mixed with others of, as the record notes it.

    What the tables have already is read from there. Raises DatasetError where no image can be read.
    """
    record = tables.record
    if record is not None:
        rows = tables.read(MATCH_IMAGES).drop(columns="vector")
        images = _some(images, images.rows["image"].isin(rows["image"]).to_numpy(bool), rows["part"].tolist())
        return _rebuilt(tables, base, options), images, tables.vectors(), record
    features, readable = _features(base, images.rows, options, report)
    images = _some(images, readable)
    encoder, vectors = base, features
    if options.fit:
        encoder, vectors, images = _fitted(base, features, images, options, report=report)
        tables.write_network(embedding.projection_tensors(encoder))
    vectors = retrieval.unit(vectors)
    lines = zip(images.rows["image"], images.individual, images.encounter, images.part, vectors, strict=True)
    vectors_of_images: list[ImageVector] = [
        {"image": image, "individual": who, "encounter": when, "part": part, "vector": vector.astype("<f4").tobytes()}
        for image, who, when, part, vector in lines
    ]
    tables.add(MATCH_IMAGES, vectors_of_images)
    made = _record(images, vectors, features, encoder, options=options, settings=settings)
    tables.write_record(made)
    return encoder, images, vectors, made


def _rebuilt(tables: MatchTables, base: EmbeddingNetwork, options: MatchOptions) -> EmbeddingNetwork:
    return embedding.with_projection(base, tables.network()) if options.fit else base


def _some(images: MatchImages, chosen: NDArray[np.bool_], part: list[str] | None = None) -> MatchImages:
    at = np.flatnonzero(chosen)
    return MatchImages(
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
            if (sample := sample_of(rows, at, base)) is not None:
                inputs.append(geometry.to_input(sample.pixels, base.size, base.resize))
                readable[at] = True
        if inputs:
            parts.append(base.vectors(np.stack(inputs)).float().cpu().numpy())
    if not parts:
        raise DatasetError("None of the images can be read, so nothing can be compared.")
    report(Progress("encoding images", len(rows), len(rows)))
    return np.concatenate(parts), readable


def sample_of(rows: pd.DataFrame, at: int, base: EmbeddingNetwork) -> Sample | None:
    """The image of a row, as large as the network needs it; None where it cannot be read."""
    try:
        return read_sample(Path(str(rows["path"].iat[at])), str(rows["image"].iat[at]), geometry.needed(base.size))
    except DatasetError:
        return None


def _fitted(
    base: EmbeddingNetwork, features: NDArray[np.float32], images: MatchImages, options: MatchOptions, *, report: Report
) -> tuple[EmbeddingNetwork, Vectors, MatchImages]:
    """A projection that is fitted on one part of the encounters."""
    part = encounter_split(images.individual, images.encounter, "open", share=options.share, seed=options.seed).part
    training = (part == TRAIN) & (images.who >= 0)
    encoder = _projected(base, features[training], images.who[training], options, report=report)
    return encoder, _through(encoder, features), replace(images, part=part.tolist())


def _projected(
    base: EmbeddingNetwork, features: NDArray[np.float32], who: Codes, options: MatchOptions, *, report: Report
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
    images: MatchImages,
    vectors: Vectors,
    features: NDArray[np.float32],
    encoder: EmbeddingNetwork,
    *,
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
        own_codes(images.who),
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


def own_codes(who: Codes) -> Codes:
    """Codes as a gallery has them, unknown ones shared with nobody."""
    return np.where(who >= 0, who, -2 - np.arange(len(who)))


def _random_split(
    features: NDArray[np.float32], images: MatchImages, encoder: EmbeddingNetwork, options: MatchOptions
) -> Accuracy:
    """What a projection reaches on images that a random split holds out, those of its encounters in training."""
    chosen = np.random.default_rng(options.seed).random(len(features)) < options.share
    training = ~chosen & (images.who >= 0)
    base = replace(encoder, head=encoder.head[0], projected=0)  # type: ignore[index]
    vectors = retrieval.unit(
        _through(_projected(base, features[training], images.who[training], options, report=silent), features)
    )
    ranks = retrieval.ranks(
        retrieval.gallery_of(vectors, images.who), vectors, own_codes(images.who), leave_out=np.arange(len(vectors))
    )
    return retrieval.accuracy(ranks.rank, chosen & (images.who >= 0))


def _reached(accuracy: Accuracy) -> Reached:
    values = (accuracy.top1.value, accuracy.top5.value, accuracy.map5.value)
    top1, top5, map5 = (None if np.isnan(value) else value for value in values)
    return Reached(queries=accuracy.queries, top1=top1, top5=top5, map5=map5)
