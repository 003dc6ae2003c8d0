"""A batch of images in, a batch of table rows out: one callable for the local loop and for a cluster."""

import math
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from whalecam import data
from whalecam.arrays import ByteArray, Mask, Sample, records
from whalecam.config import Assessable, Thresholds
from whalecam.data import geometry
from whalecam.errors import DatasetError
from whalecam.explain import background_test, cam, masks, occlusion, propagation, render, score
from whalecam.explain.high_norm import high_norm_share
from whalecam.network import Network, pick_device
from whalecam.network.exactness import NONE
from whalecam.network.tokens import with_patches

PORTION = 48_000_000
"""Pixels that are held at once while a batch is explained, give or take one image."""
NOT_FINITE = "the network gives no usable numbers for it (NaN, infinite, or beyond 65,504 logits)"
"""The reason of a row without scores: what a network says in such numbers can be neither drawn nor judged."""
NO_MAP = "no map: where the network looks was not measured"
"""The reason why attention cannot be assessed of a network that gives no maps, or of an audit that wants none."""
OCCLUSION, PROPAGATION = "occlusion", "propagation"
PROPAGATED = 8
"""Images at a time whose layers are kept for the backward passes."""
SHOWN = 0.05
"""Below this mean drop there is nothing to show of the background test."""
Agreement = tuple[bytes, float]
"""The bits of a mask, and how far the mask network agrees with it, as of `masks.agreement`."""


@dataclass(frozen=True)
class Explained:
    """One image: its row for the table and its thumbnail (WebP or JPEG), None where it could not be read."""

    row: dict[str, Any]
    thumb: bytes | None


@dataclass(frozen=True)
class Facts:
    """What a network says of one image.

    Attributes:
        logits: (C,).
        maps: (C, h, w), logits, with their completeness error, or None where none is drawn.
        pooled: activations (K,), averaged over their positions, or None where there are none.
        norms: (h, w), of the patches' tokens behind the last layer, or None for a network without.
    """

    logits: NDArray[Any]
    maps: NDArray[Any] | None = None
    completeness_error: float | None = None
    pooled: NDArray[Any] | None = None
    norms: NDArray[Any] | None = None

    @property
    def is_finite(self) -> bool:
        drawn = np.zeros(1) if self.maps is None else self.maps
        return cam.is_finite(self.logits, drawn, self.completeness_error or 0.0)


Loaded = list[tuple[dict[str, Any], Sample | None]]
Looked = list[tuple[dict[str, Any], Sample | None, Facts | None]]


class Explainer:
    """Explains images with one network and one set of mask sources.

    Args:
        network: the cut network, in eval mode.
        sources: where masks come from.
        fallback: the mask method for images without a given mask or box.
        training: names of the images the network was trained on.
        thresholds: from whose `attention_score` on an image is a suspect, which is always tested.
        tester: puts the object on other backgrounds and predicts again; None: nothing is tested.
        probes: images that are tested in any case; None: all. Suspects always are.
        mapper: the network that draws the maps where it is not `network` itself, such as one for larger inputs.
        fold: number of the network, as it stands in the rows.
        maps: out of `config.MAPS`.
        agreements: by image what is known already of its mask.
    """

    def __init__(
        self,
        network: Network,
        sources: masks.MaskSources,
        fallback: str = "net",
        *,
        training: Set[str] = frozenset(),
        thresholds: Thresholds = Thresholds(),
        device: str = "auto",
        mapper: Network | None = None,
        tester: background_test.BackgroundTest | None = None,
        probes: Set[str] | None = None,
        fold: int = 0,
        maps: str = "auto",
        agreements: Mapping[str, Agreement] | None = None,
    ) -> None:
        self.device = pick_device(device)
        self.network, self.mapper = network, mapper or network
        self.need = geometry.needed(max(self.network.size, self.mapper.size))
        network.to(self.device)
        self.mapper.to(self.device)
        self.sources, self.fallback, self.training, self.thresholds = sources, fallback, training, thresholds
        self.tester, self.probes, self.fold, self.agreements = tester, probes, fold, agreements or {}
        self.maps = drawn_maps(maps, self.mapper)

    def __call__(self, batch: pd.DataFrame) -> list[Explained]:
        """`batch` has the columns of `Dataset.table`; one result per row, in order. Never raises for a bad image."""
        return [item for loaded in self._portions(batch) for item in self.measure(self.look(loaded))]

    def _portions(self, batch: pd.DataFrame) -> Iterator[Loaded]:
        """The batch's images, no more at once than PORTION: a batch of a camera's own would be gigabytes."""
        loaded: Loaded = []
        pixels = 0
        for row in records(batch):
            loaded.append(self._read(row))
            sample = loaded[-1][1]
            pixels += sample.pixels.size // 3 if sample else 0
            if pixels >= PORTION:
                yield loaded
                loaded, pixels = [], 0
        if loaded:
            yield loaded

    def read(self, batch: pd.DataFrame) -> Loaded:
        """The first of three steps, which may overlap with those of other batches: files → images."""
        return [self._read(row) for row in records(batch)]

    def look(self, loaded: Loaded) -> Looked:
        """The second: images → logits, evidence maps and completeness errors."""
        good = [sample for _, sample in loaded if sample is not None]
        facts = iter(self._look(good) if good else [])
        return [(row, sample, None if sample is None else next(facts)) for row, sample in loaded]

    def measure(self, looked: Looked) -> list[Explained]:
        """The third: masks, scores, background test and thumbnails."""
        rows = [
            (Explained(row, None), None) if sample is None or facts is None else self._row(row, sample, facts)
            for row, sample, facts in looked
        ]
        self._test([(explained.row, question) for explained, question in rows if question is not None])
        return [explained for explained, _ in rows]

    def _read(self, record: dict[str, Any]) -> tuple[dict[str, Any], Sample | None]:
        row = {name: record[name] for name in ("image", "label", "group")}
        row |= {"fold": self.fold, "in_training": record["image"] in self.training}
        if record["status"] != data.OK:
            return row | {"reason": record["status"]}, None
        try:
            return row, data.read_sample(record["path"], record["image"], self.need)
        except DatasetError as error:
            return row | {"reason": str(error)}, None

    def _look(self, samples: list[Sample]) -> list[Facts]:
        if self.maps == NONE:
            return self._predictions(samples)
        if self.maps == PROPAGATION:
            return self._propagated(samples)
        drawn, pooled, lengths = self._explain(self.mapper, samples)
        predicted = drawn
        if self.mapper is not self.network:
            predicted, pooled, _ = self._explain(self.network, samples)
        tensors = (predicted.logits, drawn.maps, drawn.completeness_error)
        logits, maps, errors = (values.float().cpu().numpy() for values in tensors)
        vectors, norms = (_each(values, len(samples)) for values in (pooled, lengths))
        return [Facts(*facts) for facts in zip(logits, maps, errors.tolist(), vectors, norms, strict=True)]

    def _predictions(self, samples: list[Sample]) -> list[Facts]:
        """Logits alone, and pooled activations where the network has positions."""
        logits, pooled = self._logits(self.network, self._inputs(self.network, samples))
        values = logits.float().cpu().numpy()
        if pooled is None:
            return [Facts(row) for row in values]
        return [Facts(row, pooled=vector) for row, vector in zip(values, pooled.float().cpu().numpy(), strict=True)]

    def _propagated(self, samples: list[Sample]) -> list[Facts]:
        """Maps through all layers of the mapper, a few images at a time, beside the predictions of the network."""
        logits, pooled = self._logits(self.network, self._inputs(self.network, samples))
        inputs, rows = self._inputs(self.mapper, samples), list(logits.float().cpu().numpy())
        parts = [inputs[start : start + PROPAGATED] for start in range(0, len(inputs), PROPAGATED)]
        drawn = [propagation.explain(self.mapper, self.mapper.batch(part).to(self.device)) for part in parts]
        maps = [values for part in drawn for values in part.maps.float().cpu().numpy()]
        errors = [error for part in drawn for error in part.completeness_error.tolist()]
        return [Facts(*facts) for facts in zip(rows, maps, errors, _each(pooled, len(samples)), strict=True)]

    def _inputs(self, network: Network, samples: list[Sample]) -> ByteArray:
        return np.stack([geometry.to_input(sample.pixels, network.size, network.resize) for sample in samples])

    def _logits(self, network: Network, inputs: ByteArray) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits (N, C), and activations averaged over their positions (N, K), None where there are none."""
        with torch.no_grad():
            activations = network.features(network.batch(inputs).to(self.device))
            # Before the head, whose first layer may work in place.
            pooled = activations.mean(dim=(2, 3)) if network.has_positions else None
            return network.head(activations), pooled

    def _explain(
        self, network: Network, samples: list[Sample]
    ) -> tuple[cam.Evidence, torch.Tensor | None, torch.Tensor | None]:
        """Maps, pooled activations (N, K) and norms of the patches' tokens (N, h, w), None where there are none."""
        inputs = self._inputs(network, samples)
        if self.maps == OCCLUSION:
            pooled = self._logits(network, inputs)[1] if network.has_positions else None
            return occlusion.explain(network, inputs), pooled, None
        with torch.no_grad():
            activations, patches = with_patches(network.features, network.batch(inputs).to(self.device))
            # Before the head, whose first layer may work in place.
            pooled, norms = activations.mean(dim=(2, 3)), None if patches is None else patches.norm(dim=1)
        return cam.explain(network.head, activations), pooled, norms

    def _row(
        self, row: dict[str, Any], sample: Sample, facts: Facts
    ) -> tuple[Explained, background_test.Question | None]:
        """The row of one sample without what the background test adds, and what that test is asked about it."""
        logits = facts.logits
        thumb = sample.encoded or render.thumbnail(sample.pixels)
        if not facts.is_finite:
            return Explained(row | {"reason": NOT_FINITE}, thumb), None
        height, width = sample.shape
        row |= {"width": width, "height": height, "logits": logits.tolist(), **_stored(facts)}
        row |= _outcome(logits, self.network.classes, row["label"])
        mask = masks.find_mask(sample, self.sources, self.fallback)
        row |= self._leak(sample, mask, facts, int(logits.argmax()), row["label"])
        question = None
        if self.tester is not None and mask is not None and self._is_wanted(row):
            # Computed where it costs little beside the rest: the mask network takes as long as the pass for the map.
            bits, known = self.agreements.get(row["image"], (b"", 0.0))
            row["mask_agreement"] = known if bits == row["mask_bits"] else masks.agreement(sample, mask)
            scene = background_test.scene_of(sample, mask, self.network.size, self.network.resize)
            question = background_test.Question(row["image"], scene, int(logits.argmax()))
        return Explained({name: _null(value) for name, value in row.items()}, thumb), question

    def _is_wanted(self, row: dict[str, Any]) -> bool:
        """Cells bound what a map can be held to; an exchange takes only a subject and some background."""
        if not 0 < (row.get("mask_area") or 0) <= Assessable().max_area:
            return False
        suspect = (row["attention_score"] or 0) >= self.thresholds.attention
        return self.probes is None or row["image"] in self.probes or suspect

    def _test(self, questions: list[tuple[dict[str, Any], background_test.Question]]) -> None:
        """Ask all questions of a batch together, and put what came of each into its row."""
        if self.tester is None or not questions:
            return
        answers = self.tester([question for _, question in questions])
        for (row, _), effect in zip(questions, answers, strict=True):
            if effect is not None:
                row |= {name: _null(value) for name, value in self._reliance(row, effect).items()}

    def _reliance(self, row: dict[str, Any], effect: background_test.Effect) -> dict[str, Any]:
        """What came of one image's test, as the table has it."""
        facts: dict[str, Any] = {f"reliance_{name}": value for name, value in effect.drops.items()}
        facts |= {"reliance": max(effect.drops.values(), default=None), "reliance_on": effect.carrier or None}
        facts |= {"reliance_swap": effect.swap, "bg_gap": effect.gap}
        for side, exchanged in (("own", effect.own), ("other", effect.other)):
            facts[f"exchange_{side}"] = list(exchanged.probabilities)
            facts[f"exchange_{side}_donors"] = list(exchanged.units)
        facts |= {
            "background_only_p": effect.background_only_p,
            "background_only_predicted": self.network.classes[effect.background_only_predicted],
        }
        if row["label"] in self.network.classes:
            facts["swapped_accuracy"] = effect.kept(row["label"], self.network.classes.index(row["label"]))
        return facts | self._example(row, effect)

    def _example(self, row: dict[str, Any], effect: background_test.Effect) -> dict[str, Any]:
        """The edit to look at: of the property that carries the drop, else of the whole background."""
        example = effect.examples.get(effect.carrier, effect.examples.get(background_test.WHOLE))
        if example is None or effect.swap < SHOWN:
            return {}
        upright = geometry.from_input(example.pixels, row["width"], row["height"], self.network.resize)
        facts = {"reliance_before": effect.before, "reliance_after": example.after, "reliance_donor": example.donor}
        return facts | {"reliance_image": render.thumbnail(upright)}

    def _leak(self, sample: Sample, mask: Mask | None, facts: Facts, top: int, label: str) -> dict[str, Any]:
        """The mask of one sample, and what its map scores under it."""
        row: dict[str, Any] = {"reason": masks.UNFOUND.get(self.fallback, "no subject"), "attention_score": None}
        maps = facts.maps
        if maps is not None:
            row |= self._peaks(sample, score.contrast(maps, "relative", top))
        if mask is None:
            return row | _bookkeeping(facts, top, None)
        values, seen = geometry.mask_to_input(mask.values, self.mapper.size, self.mapper.resize)
        weights = score.weigh(values, seen, maps.shape[1:] if maps is not None else (1, 1))
        row |= {
            "mask_source": mask.source,
            "mask_confidence": mask.confidence,
            "mask_area": float(weights.area),
            "mask_bits": render.pack_mask(mask.values),
            **_bookkeeping(facts, top, weights),
        }
        return row | ({"reason": NO_MAP} if maps is None else self._scores(maps, weights, top, label))

    def _peaks(self, sample: Sample, relative: NDArray[Any]) -> dict[str, Any]:
        """The largest value of a map, and its share in the fin where a box states the fin."""
        peaks = {"peak": float(relative.max())}
        fin = masks.fin_region(sample, self.sources)
        if fin is not None:
            region, _ = geometry.mask_to_input(fin, self.mapper.size, self.mapper.resize)
            peaks["fin_share"] = score.region_share(relative, region)
        return peaks

    def _scores(self, maps: NDArray[Any], weights: score.LeakWeights, top: int, label: str) -> dict[str, Any]:
        """Scores of the predicted class and of the labelled one, on the relative map."""
        scores = score.score(score.contrast(maps, "relative", top), weights)
        row = {
            "background_share": scores.background_share,
            "floor": scores.floor,
            "chance": scores.chance,
            "attention_score": scores.attention_score,
            "reason": scores.reason or "",
        }
        if label in self.network.classes:
            own = score.score(score.contrast(maps, "relative", self.network.classes.index(label)), weights)
            row |= {"background_share_label": own.background_share, "attention_score_label": own.attention_score}
        return row


def drawn_maps(wanted: str, network: Network) -> str:
    """How maps are drawn of a network: by its positions (`auto`), by OCCLUSION, or NONE where it has no positions."""
    return NONE if wanted == "auto" and not network.has_positions else wanted


def _bookkeeping(facts: Facts, top: int, weights: score.LeakWeights | None) -> dict[str, Any]:
    """How much of the evidence lies in tokens of high norm on the background; nothing where no norms are known."""
    if facts.maps is None or facts.norms is None:
        return {}
    background = None if weights is None else weights.background
    return {"high_norm_share": high_norm_share(score.contrast(facts.maps, "relative", top), facts.norms, background)}


def _each(values: torch.Tensor | None, images: int) -> list[Any]:
    """One array for each image, or None for each."""
    return [None] * images if values is None else list(values.float().cpu().numpy())


def _stored(facts: Facts) -> dict[str, Any]:
    """Maps and vector as the table has them; nothing where there is none, or where a vector overflows float16."""
    row: dict[str, Any] = {"completeness_error": facts.completeness_error}
    if facts.maps is not None:
        row |= {"map_height": facts.maps.shape[1], "map_width": facts.maps.shape[2]}
        row["maps"] = cam.stored(facts.maps).tobytes()
    vector = cam.stored(np.full(1, np.nan) if facts.pooled is None else facts.pooled)
    return row | {"embedding": vector.tobytes() if np.isfinite(vector).all() else None}


def _outcome(logits: NDArray[Any], classes: tuple[str, ...], label: str) -> dict[str, Any]:
    """Prediction, its probability, the label's probability and the cross-entropy loss (nats) of one image."""
    scores = np.asarray(logits, np.float64)
    log_p = scores - scores.max()
    log_p -= np.log(np.exp(log_p).sum())
    facts: dict[str, Any] = {"predicted": classes[int(log_p.argmax())], "confidence": float(np.exp(log_p.max()))}
    if label in classes:
        own = float(log_p[classes.index(label)])
        facts |= {"p_label": float(np.exp(own)), "loss": -own}
    return facts


def _null(value: Any) -> Any:
    """The table says null, not NaN, where there is no figure."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
