"""A batch of images in, a batch of table rows out: one callable for the local loop and for a cluster."""

import math
from collections.abc import Iterator, Set
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from whalecam import data
from whalecam.arrays import Mask, Sample, records
from whalecam.config import Assessable, Thresholds
from whalecam.data import geometry
from whalecam.errors import DatasetError
from whalecam.explain import background_test, cam, masks, render, score
from whalecam.network import Network, pick_device

PORTION = 48_000_000
"""Pixels that are held at once while a batch is explained, give or take one image."""
NOT_FINITE = "the network gives no usable numbers for it (NaN, infinite, or beyond 65,504 logits)"
"""The reason of a row without scores: what a network says in such numbers can be neither drawn nor judged."""
SHOWN = 0.05
"""Below this mean drop there is nothing to show of the background test."""


@dataclass(frozen=True)
class Explained:
    """One image: its row for the table and its thumbnail (WebP or JPEG), None where it could not be read."""

    row: dict[str, Any]
    thumb: bytes | None


Facts = tuple[NDArray[Any], NDArray[Any], float, NDArray[Any]]
"""Logits (C,), evidence maps (C, h, w), completeness_error and pooled activations (K,) of one image."""
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
    """

    def __init__(
        self,
        network: Network,
        sources: masks.MaskSources,
        fallback: str = "net",
        training: Set[str] = frozenset(),
        thresholds: Thresholds = Thresholds(),
        device: str = "auto",
        mapper: Network | None = None,
        tester: background_test.BackgroundTest | None = None,
        probes: Set[str] | None = None,
        fold: int = 0,
    ) -> None:
        self.device = pick_device(device)
        self.network, self.mapper = network, mapper or network
        self.need = geometry.needed(max(self.network.size, self.mapper.size))
        network.to(self.device)
        self.mapper.to(self.device)
        self.sources, self.fallback, self.training, self.thresholds = sources, fallback, training, thresholds
        self.tester, self.probes, self.fold = tester, probes, fold

    def __call__(self, batch: pd.DataFrame) -> list[Explained]:
        """`batch` has the columns of `Dataset.table`; one result per row, in order. Never raises for a bad image."""
        return [item for loaded in self._portions(batch) for item in self.tell(self.look(loaded))]

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

    def tell(self, looked: Looked) -> list[Explained]:
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
        found, pooled = self._explain(self.mapper, samples)
        judged, pooled = (found, pooled) if self.mapper is self.network else self._explain(self.network, samples)
        tensors = (judged.logits, found.maps, found.completeness_error, pooled)
        logits, maps, completeness_error, vectors = (t.float().cpu().numpy() for t in tensors)
        return list(zip(logits, maps, completeness_error.tolist(), vectors, strict=True))

    def _explain(self, network: Network, samples: list[Sample]) -> tuple[cam.Evidence, torch.Tensor]:
        inputs = np.stack([geometry.to_input(sample.pixels, network.size, network.resize) for sample in samples])
        with torch.no_grad():
            activations = network.features(network.batch(inputs).to(self.device))
            pooled = activations.mean(dim=(2, 3))  # before the head, whose first layer may work in place
        return cam.explain(network.head, activations), pooled

    def _row(
        self, row: dict[str, Any], sample: Sample, facts: Facts
    ) -> tuple[Explained, background_test.Question | None]:
        """The row of one sample without what the background test adds, and what that test is asked about it."""
        logits, maps, completeness_error, pooled = facts
        thumb = sample.encoded or render.thumbnail(sample.pixels)
        if not cam.is_finite(logits, maps, completeness_error):
            return Explained(row | {"reason": NOT_FINITE}, thumb), None
        height, width = sample.shape
        classes = self.network.classes
        row |= {"width": width, "height": height, "completeness_error": completeness_error, "logits": logits.tolist()}
        row |= {"map_height": maps.shape[1], "map_width": maps.shape[2], "maps": cam.stored(maps).tobytes()}
        vector = cam.stored(pooled)
        row["embedding"] = vector.tobytes() if np.isfinite(vector).all() else None
        row |= outcome(logits, classes, row["label"])
        mask = masks.find_mask(sample, self.sources, self.fallback)
        row |= self._leak(sample, mask, maps, int(logits.argmax()), row["label"])
        question = None
        if self.tester is not None and mask is not None and self._is_wanted(row):
            # Computed where it costs little beside the rest: the mask network takes as long as the pass for the map.
            row["mask_agreement"] = masks.agreement(sample, mask)
            scene = background_test.scene_of(sample, mask, self.network.size, self.network.resize)
            question = background_test.Question(row["image"], scene, int(logits.argmax()))
        return Explained({name: _null(value) for name, value in row.items()}, thumb), question

    def _is_wanted(self, row: dict[str, Any]) -> bool:
        """Cells bound what a map can be held to; an exchange of the water takes only an animal and some water."""
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
        """The edit to look at: of the property that carries the drop, else of the whole water."""
        example = effect.examples.get(effect.carrier, effect.examples.get(background_test.WHOLE))
        if example is None or effect.swap < SHOWN:
            return {}
        upright = geometry.from_input(example.pixels, row["width"], row["height"], self.network.resize)
        facts = {"reliance_before": effect.before, "reliance_after": example.after, "reliance_donor": example.donor}
        return facts | {"reliance_image": render.thumbnail(upright)}

    def _leak(self, sample: Sample, mask: Mask | None, maps: NDArray[Any], top: int, label: str) -> dict[str, Any]:
        """Scores of one sample under its mask: the predicted class and the labelled one, on the relative map."""
        fin = masks.fin_region(sample, self.sources)
        relative = score.contrast(maps, "relative", top)
        facts: dict[str, Any] = {
            "reason": masks.UNFOUND[self.fallback],
            "attention_score": None,
            "peak": float(relative.max()),
        }
        if fin is not None:
            region, _ = geometry.mask_to_input(fin, self.mapper.size, self.mapper.resize)
            facts["fin_share"] = score.region_share(relative, region)
        if mask is None:
            return facts
        values, seen = geometry.mask_to_input(mask.values, self.mapper.size, self.mapper.resize)
        weights = score.weigh(values, seen, maps.shape[1:])
        found = score.score(relative, weights)
        facts |= {
            "mask_source": mask.source,
            "mask_confidence": mask.confidence,
            "mask_area": float(weights.area),
            "mask_bits": render.pack_mask(mask.values),
        }
        facts |= {
            "background_share": found.background_share,
            "floor": found.floor,
            "chance": found.chance,
            "attention_score": found.attention_score,
        }
        facts["reason"] = found.reason or ""
        if label in self.network.classes:
            own = score.score(score.contrast(maps, "relative", self.network.classes.index(label)), weights)
            facts |= {"background_share_label": own.background_share, "attention_score_label": own.attention_score}
        return facts


def outcome(logits: NDArray[Any], classes: tuple[str, ...], label: str) -> dict[str, Any]:
    """Prediction, its probability, the label's probability and the cross-entropy loss (nats) of one image."""
    scores = np.asarray(logits, np.float64)
    log_p = scores - scores.max()
    log_p -= np.log(np.exp(log_p).sum())
    found: dict[str, Any] = {"predicted": classes[int(log_p.argmax())], "confidence": float(np.exp(log_p.max()))}
    if label in classes:
        own = float(log_p[classes.index(label)])
        found |= {"p_label": float(np.exp(own)), "loss": -own}
    return found


def _null(value: Any) -> Any:
    """The table says null, not NaN, where there is no figure."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
