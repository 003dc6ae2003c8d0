"""How well whole exchanged backgrounds tell a relying decision from a sound one, on kinds of leak not chosen on.

usage: python -m benchmarks.reliance DATA [--kind NAME]... [--seed 0]... [--half 0|1]... [--keep FOLDER]
           [--body NAME] [--tuned] [--size 128] [--images 400] [--epochs 8] [--published] [--scenery land|air]

DATA: photos/ and masks/ with masks.csv. For each kind of `demo.backgrounds.KINDS`, ten cut-out animals are pasted on
backgrounds whose side tells the label in 97 % of the images (leaking), and on any side (clean); one network is trained
on each, a linear head over a frozen body or both together (--tuned), and both predict the leaking images that neither
was trained on. The backgrounds are those of the photographs, water, or with --scenery drawn ones of land or of air. The
truth, per image and network: the probability of the prediction falls by more than 0.5 when this very background takes
its other side.

`reliance_probability` is a logistic regression on what `assessment.reliance` measures, fitted on all other kinds; so
every row is about a kind that the method was not fitted on. Halves of the animals are never mixed. With --published,
the weights of `assessment.reliance`, fitted on frozen bodies, are used instead: do they hold for other networks?
"""

import argparse
import csv
import itertools
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.learners import Learner, Setting, learner_of
from benchmarks.scenery import SCENERIES
from whalecam.assessment.reliance import WEIGHTS, Exchanges, class_tests, expected_drops, p_values, q_values
from whalecam.demo.backgrounds import KINDS
from whalecam.explain.background_test import EDITS, WHOLE, Scene
from whalecam.store.table import wilson

Values = NDArray[np.float64]
Pixels = NDArray[np.uint8]
ANIMALS, PREDICTED, DONORS = 10, 160, 4
SCENES = 40
"""Drawn backgrounds of a set; of photographs there are as many as animals."""
LEAK, FALL, LEVEL, RELIES, LEARNED = 0.97, 0.5, 0.05, 0.025, 0.8
NETWORKS = ("leaking", "clean")
WATER = "water"


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What is drawn: a kind of leak in a scenery, on one half of the animals of DATA."""

    data: Path
    kind: str
    seed: int = 0
    half: int = 0
    scenery: str = WATER

    def name(self, setting: Setting) -> str:
        """Of the file in which the rows of networks of this setting are kept."""
        where = "" if self.scenery == WATER else f"{self.scenery}-"
        return f"{where}{self.kind}-{self.seed}-{self.half}-{setting.name}.csv"


@dataclass(frozen=True)
class Drawn:
    """Images of one kind, each (S, S, 3), their masks (S, S), labels and animals (N,)."""

    leaking: list[Pixels]
    clean: list[Pixels]
    flipped: list[Pixels]
    masks: list[NDArray[np.float32]]
    labels: NDArray[np.int64]
    animals: NDArray[np.int64]


def cutouts(data: Path) -> list[tuple[Pixels, NDArray[np.bool_]]]:
    """Photographs of animals that are neither tiny nor large, with their masks, by name."""
    usable = {}
    for row in csv.DictReader((data / "masks.csv").open(encoding="utf-8")):
        if row["object"] == "cetacean" and 0.05 < float(row["area_fraction"]) < 0.6:
            pixels = np.asarray(Image.open(data / "photos" / row["image"]).convert("RGB"))
            mask = np.asarray(Image.open(data / "masks" / row["mask"]).convert("L")) > 127
            if mask.shape == pixels.shape[:2]:
                usable[row["image"]] = pixels, mask
    return [usable[name] for name in sorted(usable)]


def empty(pixels: Pixels, mask: NDArray[np.bool_], size: int) -> Pixels:
    """A photograph without its animal, (size, size, 3)."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8))
    filled = cv2.inpaint(pixels, near * 255, 5, cv2.INPAINT_TELEA)
    return np.asarray(cv2.resize(filled, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def pasted(
    cutout: tuple[Pixels, NDArray[np.bool_]], background: Pixels, rng: np.random.Generator, smaller: float = 1.0
) -> tuple[Pixels, NDArray[np.float32]]:
    """The animal anywhere, of any size, either way round; and its mask. `smaller` times that size, its middle stays."""
    size = len(background)
    ys, xs = np.nonzero(cutout[1])
    box = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
    cut = cutout[0][box], cutout[1][box].astype(np.float32)
    scale = rng.uniform(0.35, 0.8) * size / max(cut[1].shape)
    whole_shape = [max(8, int(side * scale)) for side in cut[1].shape]
    shape = [max(4, int(side * smaller)) for side in whole_shape[::-1]]
    pixels, mask = (np.asarray(cv2.resize(part, shape, interpolation=cv2.INTER_AREA)) for part in cut)
    if rng.random() < 0.5:
        pixels, mask = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    corner = [int(rng.integers(0, size - side + 1)) for side in whole_shape]
    y, x = (at + (full - side) // 2 for at, full, side in zip(corner, whole_shape, mask.shape, strict=True))
    drawn, whole = background.astype(np.float32), np.zeros((size, size), np.float32)
    place = slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1])
    soft = cv2.GaussianBlur(mask, (0, 0), 1)[..., None]
    drawn[place] = soft * pixels + (1 - soft) * drawn[place]
    whole[place] = mask
    return drawn.astype(np.uint8), whole


def placed(
    cutout: tuple[Pixels, NDArray[np.bool_]], photograph: Pixels, kind: str, side: int, *, state: int
) -> tuple[Pixels, NDArray[np.float32]]:
    """The animal on one side of a kind of background, and its mask; by one `state` it is where it is on the other."""
    background = KINDS[kind](photograph, side, np.random.default_rng(state))
    return pasted(cutout, background, np.random.default_rng([state, 1]))


def draw(plant: Plant, images: int, size: int = 128) -> Drawn:
    """The leaking set, its clean twin and its counterfactual; of each image, all else is the same in the three."""
    rng = np.random.default_rng([plant.seed, plant.half, sorted(KINDS).index(plant.kind)])
    known = cutouts(plant.data)[plant.half :: 2]
    chosen = [known[at] for at in rng.permutation(len(known))[:ANIMALS]]
    if plant.scenery == WATER:
        backgrounds = [empty(pixels, mask, size) for pixels, mask in chosen]
    else:
        backgrounds = [SCENERIES[plant.scenery](rng, size) for _ in range(SCENES)]
    sets: dict[str, list[Pixels]] = {"leaking": [], "clean": [], "flipped": []}
    masks, animals = [], rng.integers(ANIMALS, size=images)
    for animal in animals.tolist():
        own = animal % 2 if rng.random() < LEAK else 1 - animal % 2
        sides = {"leaking": own, "clean": int(rng.integers(2)), "flipped": 1 - own}
        photograph, state = backgrounds[int(rng.integers(len(backgrounds)))], int(rng.integers(1 << 31))
        for name, side in sides.items():
            image, mask = placed(chosen[animal], photograph, plant.kind, side, state=state)
            sets[name].append(image)
        masks.append(mask)
    return Drawn(**sets, masks=masks, labels=animals % 2, animals=animals)


def measured(plant: Plant, learner: Learner, count: int = DONORS) -> pd.DataFrame:
    """A row per image and network: what was measured of it, its `fall`, and how often the network is right.

    Args:
        count: donors of each label.
    """
    setting, rng = learner.setting, np.random.default_rng([plant.seed, plant.half, 7])
    drawn = draw(plant, setting.images + PREDICTED, setting.size)
    donors = np.array([_donors(drawn.labels, image, rng, count) for image in range(setting.images, len(drawn.labels))])
    exchanged = learner.prepare(_exchanged(drawn, donors))
    unseen = {name: learner.prepare(getattr(drawn, name)[setting.images :]) for name in (*NETWORKS, "flipped")}
    rows = []
    for network in NETWORKS:
        images = learner.prepare(getattr(drawn, network)[: setting.images])
        predict = learner.train(images, drawn.labels[: setting.images], plant.seed)
        predictions = {name: predict(prepared) for name, prepared in unseen.items()}
        after = predict(exchanged).reshape(PREDICTED, 2, count, 2)
        rows.append(_rows(predictions, after, donors, drawn, network))
    columns = {name: getattr(setting, name) for name in ("body", "tuned", "size")}
    columns |= {name: getattr(plant, name) for name in ("kind", "seed", "half", "scenery")}
    return pd.concat(rows).assign(**columns)


def _exchanged(drawn: Drawn, donors: NDArray[np.int64]) -> list[Pixels]:
    """The last images on the backgrounds of their `donors`, (N, 2, K), in the order of these."""
    scenes = [Scene(image, mask) for image, mask in zip(drawn.leaking, drawn.masks, strict=True)]
    pairs = zip(scenes[-len(donors) :], donors.reshape(len(donors), -1).tolist(), strict=True)
    return [EDITS[WHOLE](scene, scenes[donor].lend()) for scene, row in pairs for donor in row]


def _donors(labels: NDArray[np.int64], image: int, rng: np.random.Generator, count: int) -> list[list[int]]:
    """For one image `count` others of each label, (2, count)."""
    others = rng.permutation(len(labels))
    return [[int(at) for at in others if labels[at] == label and at != image][:count] for label in (0, 1)]


def _rows(
    predictions: Mapping[str, Values], exchanged: Values, donors: NDArray[np.int64], drawn: Drawn, network: str
) -> pd.DataFrame:
    predicted, each = predictions["leaking"].argmax(axis=1), np.arange(PREDICTED)
    before = predictions["leaking"][each, predicted]
    on_donors = exchanged[each, :, :, predicted]
    exchanges = Exchanges(
        predicted=predicted.astype(np.int64),
        before=before,
        own=on_donors[each, predicted],
        other=on_donors[each, 1 - predicted],
        own_unit=donors[each, predicted],
        other_unit=donors[each, 1 - predicted],
    )
    labels = drawn.labels[-PREDICTED:]
    return pd.DataFrame(
        {
            "network": network,
            "fall": before - predictions["flipped"][each, predicted],
            "placebo": exchanges.placebo,
            **tested(exchanges),
            "p_value": p_values(exchanges),
            "accuracy": float((predictions["clean"].argmax(axis=1) == labels).mean()),
            "label": labels,
            "predicted": predicted,
            "before": before,
            **_single(exchanges),
        }
    )


def tested(exchanges: Exchanges) -> dict[str, Any]:
    """What an image is assessed by, as columns: its drop, the one to be expected, gap and p-value of its class."""
    tests, codes = class_tests(exchanges, draws=999), exchanges.predicted.tolist()
    return {
        "drop": exchanges.drop,
        "expected": expected_drops(exchanges, tests),
        "gap": [tests[code].gap for code in codes],
        "class_p": [tests[code].p_value for code in codes],
    }


def _single(exchanges: Exchanges) -> dict[str, NDArray[Any]]:
    """The probability on each donor's background, and the donors, as columns `own_0` … and `own_unit_0` …"""
    names = ("own", "other", "own_unit", "other_unit")
    return {
        f"{name}_{donor}": getattr(exchanges, name)[:, donor]
        for name in names
        for donor in range(exchanges.own.shape[1])
    }


def crossfitted(rows: pd.DataFrame, known: pd.DataFrame | None = None) -> Values:
    """For each row the probability from a regression on all other kinds and the other half of the animals, if any.

    Args:
        known: the rows that are fitted on; None: `rows` themselves.
    """
    known, probability = rows if known is None else known, np.full(len(rows), np.nan)
    several = known["half"].nunique() > 1
    for (kind, half), part in rows.reset_index(drop=True).groupby(["kind", "half"]):
        others = (known["kind"] != kind).to_numpy() & ((known["half"] != half).to_numpy() | (not several))
        model = fitted(known[others])
        probability[part.index] = model.predict_proba(features(part))[:, 1]
    return probability


def published(rows: pd.DataFrame) -> Values:
    """For each row the probability by the published weights."""
    weights = np.array([WEIGHTS.drop, WEIGHTS.expected])
    return np.asarray(expit(WEIGHTS.intercept + features(rows) @ weights), np.float64)


def fitted(rows: pd.DataFrame) -> LogisticRegression:
    return LogisticRegression(C=10, max_iter=2000).fit(features(rows), rows["fall"] > FALL)


def features(rows: pd.DataFrame) -> Values:
    """What `reliance.Weights` weigh: the drop that was measured, and the one to be expected, (N, 2)."""
    return rows[["drop", "expected"]].to_numpy(np.float64)


def metrics_of(rows: pd.DataFrame) -> dict[str, float]:
    """AUROC of the probability and of its parts; what is listed at 5 %, within classes that rely beyond chance."""
    truth, probability = rows["fall"].to_numpy() > FALL, rows["probability"].to_numpy()
    listed = listed_of(rows)
    clean = rows["network"].to_numpy() == "clean"
    return {
        "clean twin is right": float(rows["accuracy"].to_numpy()[clean].mean()),
        "fall": float(truth[~clean].mean()),
        "AUROC drop": float(roc_auc_score(truth, rows["drop"])),
        "AUROC probability": float(roc_auc_score(truth, probability)),
        "calibration error": calibration_error(truth, probability),
        "listed": float(listed.sum()),
        "false of them": float((~truth[listed]).mean()) if listed.any() else 0.0,
        "recall": float(listed[truth].mean()),
        "clean twin's listed": float(listed[clean].mean()),
    }


def listed_of(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """What is listed at 5 %, network by network, (N,)."""
    listed = np.zeros(len(rows), bool)
    for _, part in rows.reset_index(drop=True).groupby(["kind", "network", "seed", "half"]):
        some = part[part["class_p"] <= RELIES]
        listed[some.index] = q_values(some["probability"].to_numpy()) <= LEVEL
    return listed


def binned(probability: Values, bins: int = 10) -> list[NDArray[np.bool_]]:
    """Which rows lie in each of the equal bins that hold any."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    return [place == number for number in np.unique(place)]


def calibration_error(truth: NDArray[np.bool_], probability: Values, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015) over equal bins, in [0, 1]."""
    parts = binned(probability, bins)
    return float(sum(abs(truth[part].mean() - probability[part].mean()) * part.mean() for part in parts))


def report(rows: pd.DataFrame, by_published: bool = False) -> str:
    """The table per kind, in Markdown, and what holds over all of them."""
    rows = rows.reset_index(drop=True)
    rows = rows.assign(probability=published(rows) if by_published else crossfitted(rows))
    by_kind = {str(kind): metrics_of(part) for kind, part in rows.groupby("kind")}
    names = list(next(iter(by_kind.values())))
    lines = ["| kind | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for kind, values in by_kind.items():
        lines.append(f"| {kind} | " + " | ".join(_cell(name, values[name]) for name in names) + " |")
    if unlearned := [kind for kind, values in by_kind.items() if values["clean twin is right"] < LEARNED]:
        lines += ["", f"Not learned, the clean twin is right on less than {LEARNED:.0%}: {', '.join(unlearned)}."]
    return "\n".join([*lines, "", json.dumps(_overall(rows))])


def _overall(rows: pd.DataFrame) -> dict[str, Any]:
    """What holds over all kinds, and intercept and weights of a regression on these rows, where it can be fitted."""
    truth, listed = rows["fall"].to_numpy() > FALL, listed_of(rows)
    false, model = int((~truth[listed]).sum()), fitted(rows) if 0 < truth.mean() < 1 else None
    return {
        "calibration error": round(calibration_error(truth, rows["probability"].to_numpy()), 3),
        "listed": int(listed.sum()),
        "false of them": [round(share, 3) for share in wilson(false, int(listed.sum()))] if listed.any() else [],
        "recall": round(float(listed[truth].mean()), 3) if truth.any() else None,
        "weights": [round(float(weight), 2) for weight in (model.intercept_[0], *model.coef_[0])]
        if model is not None
        else [],
    }


def _cell(name: str, value: float) -> str:
    if name == "listed":
        return f"{value:.0f}"
    return f"{value:.3f}" if name.startswith(("AUROC", "calibration")) else f"{value:.0%}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--half", action="append", type=int, choices=(0, 1))
    parser.add_argument("--scenery", default=WATER, choices=(WATER, *SCENERIES), help="What the backgrounds show.")
    parser.add_argument("--keep", type=Path, help="Where rows are kept as CSV; what is there is not measured again.")
    parser.add_argument("--published", action="store_true", help="Use the published weights, fitted on frozen bodies.")
    setting = Setting()
    parser.add_argument("--body", default=setting.body, help="Architecture; random weights where none are installed.")
    parser.add_argument("--tuned", action="store_true", help="Train the body with the head.")
    parser.add_argument("--size", type=int, default=setting.size, help="Side of the images, px.")
    parser.add_argument("--images", type=int, default=setting.images, help="How many each network is trained on.")
    parser.add_argument("--epochs", type=int, default=setting.epochs, help="Of --tuned.")
    return parser


def kept(file: Path | None, measure: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """The rows of a file; where there is none they are measured and written."""
    if file is not None and file.is_file():
        return pd.read_csv(file)
    rows = measure()
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        rows.to_csv(file, index=False)
    return rows


def main() -> None:
    parser = _parser()
    given: Any = parser.parse_args()
    kinds = sorted(set(given.kind or KINDS))
    if len(kinds) < 2 and not given.published:
        parser.error("name two kinds or more: each is assessed by a method fitted on the others")
    setting = Setting(**{field.name: getattr(given, field.name) for field in fields(Setting)})
    learner, rows = learner_of(setting), []
    for seed, half, kind in itertools.product(given.seed or [0], given.half or [0], kinds):
        plant = Plant(data=given.data, kind=kind, seed=seed, half=half, scenery=given.scenery)
        file = given.keep / plant.name(setting) if given.keep else None
        rows.append(kept(file, partial(measured, plant, learner)))
        right = rows[-1].groupby("network")["accuracy"].first()
        print(f"{kind}: on unseen clean images {right.map('{:.0%}'.format).to_dict()} are right", file=sys.stderr)
    print(report(pd.concat(rows, ignore_index=True), given.published))


if __name__ == "__main__":
    main()
