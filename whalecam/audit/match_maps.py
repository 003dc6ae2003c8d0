"""What each of two images contributes to their similarity: scenes, masks and maps of matches."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from whalecam.arrays import Mask
from whalecam.assessment.retrieval import Vectors
from whalecam.audit.match_lookup import MatchImages, sample_of
from whalecam.data import geometry
from whalecam.explain import match, score
from whalecam.explain.background_test import Scene, scene_of
from whalecam.explain.cam import Evidence, stored
from whalecam.explain.masks import MaskMethod
from whalecam.network.embedding import EmbeddingNetwork
from whalecam.store.matches import Pair

KEPT = 512
"""Images whose scenes and vectors stay in memory."""


@dataclass(frozen=True)
class Look:
    """One image: its size upright in pixels, its scene and its mask's weights, and its placed vector; None without."""

    width: int = 0
    height: int = 0
    scene: Scene | None = None
    weights: score.LeakWeights | None = None
    evidence: Evidence | None = None


class Looks:
    """Scenes, mask weights and placed vectors of images, the last few of them kept."""

    def __init__(self, images: MatchImages, encoder: EmbeddingNetwork, find: MaskMethod) -> None:
        self.images, self.encoder, self.find = images, encoder, find
        self._kept: OrderedDict[int, Look] = OrderedDict()

    def __call__(self, at: int) -> Look:
        if at not in self._kept:
            self._kept[at] = self._look(at)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[at]

    def _look(self, at: int) -> Look:
        encoder = self.encoder
        sample = sample_of(self.images.rows, at, encoder)
        if sample is None:
            return Look()
        height, width = sample.shape
        pixels = geometry.to_input(sample.pixels, encoder.size, encoder.resize)
        evidence = None
        if encoder.has_positions:
            evidence = match.placed(encoder.head, encoder.look(pixels[None]))
        mask: Mask | None = self.find(sample)
        if mask is None:
            return Look(width, height, evidence=evidence)
        weights = None
        if evidence is not None:
            values, seen = geometry.mask_to_input(mask.values, encoder.size, encoder.resize)
            weights = score.weigh(values, seen, tuple(evidence.maps.shape[2:]))
        scene = scene_of(sample, mask, encoder.size, encoder.resize)
        return Look(width, height, scene, weights, evidence)


def pair_of(looks: Looks, vectors: Vectors, at: int, place: int, *, rank: int) -> Pair:
    """The row of a query and one of its candidates, with the maps of their similarity where the network has positions.

    Args:
        at, place: of the query and of the candidate among the images.
        rank: of the candidate, from 1.
    """
    images = looks.images
    row: Pair = {
        "query": images.name(at),
        "rank": rank,
        "candidate": images.name(place),
        "individual": images.individual[place],
        "similarity": float(vectors[at] @ vectors[place]),
        "same_encounter": images.share_encounter(at, place),
    }
    own, other = looks(at), looks(place)
    row |= {"query_width": own.width, "query_height": own.height}
    row |= {"candidate_width": other.width, "candidate_height": other.height}
    first, second = own.evidence, other.evidence
    if first is None or second is None:
        return row
    mine, theirs = match.paired_maps(first, second.logits), match.paired_maps(second, first.logits)
    error = float(torch.maximum(mine.completeness_error, theirs.completeness_error)[0, 0])
    row |= {"completeness_error": error, "map_height": mine.maps.shape[2], "map_width": mine.maps.shape[3]}
    for side, maps, weights in (("query", mine.maps, own.weights), ("candidate", theirs.maps, other.weights)):
        row |= _side(side, maps[0, 0].float().cpu().numpy(), weights)
    return row


def _side(side: str, values: NDArray[np.float32], weights: score.LeakWeights | None) -> Pair:
    """The map of one of the two images, and its share and attention on the background; None without a mask."""
    scores = None if weights is None else score.score(values, weights)
    share, attention = (np.nan, np.nan) if scores is None else (scores.background_share, scores.attention_score)
    known = {"share": share, "attention": attention}
    row = {f"{side}_{name}": None if np.isnan(value) else float(value) for name, value in known.items()}
    return cast(Pair, row | {f"{side}_map": stored(values).tobytes()})
