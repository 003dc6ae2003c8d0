"""How well whole exchanged backgrounds tell a relying decision from a sound one, on kinds of leak not chosen on.

usage: python -m benchmarks.reliance DATA [--kind NAME]... [--seed 0]... [--half 0|1]... [--needs] [--keep FOLDER]

DATA: photos/ and masks/ with masks.csv. For each kind of `demo.backgrounds.KINDS`, ten cut-out animals are pasted on
backgrounds whose side tells the label in 97 % of the images (leaking), and on any side (clean); one head is trained on
each over a frozen body, and both predict the leaking images that neither was trained on. The truth, per image and
network: the probability of the prediction falls by more than 0.5 when this very background takes its other side.

`reliance_probability` is a logistic regression on what `whalecam.reliance` measures, fitted on all other kinds; so
every row is about a kind that the method was not fitted on. Halves of the animals are never mixed. With --needs, the
score that decides at present is measured beside it, on the same donors: four times the work.
"""

import argparse
import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from whalecam import leak
from whalecam.demo.backgrounds import KINDS
from whalecam.network.bodies import build_body
from whalecam.reliance import Exchanges, class_tests, p_values, q_values
from whalecam.swap import EDITS, PROPERTIES, Scene, apart_of
from whalecam.table import wilson

Values = NDArray[np.float64]
Pixels = NDArray[np.uint8]
SIZE, ANIMALS, TRAINED, JUDGED, DONORS = 128, 10, 400, 160, 4
LEAK, FALL, LEVEL, RELIES = 0.97, 0.5, 0.05, 0.025
BATCH = 64
FEATURES = ("drop", "placebo", "gap")
NETWORKS = ("leaking", "clean")


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


def empty(pixels: Pixels, mask: NDArray[np.bool_]) -> Pixels:
    """A photograph without its animal, (S, S, 3)."""
    near = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8))
    filled = cv2.inpaint(pixels, near * 255, 5, cv2.INPAINT_TELEA)
    return np.asarray(cv2.resize(filled, (SIZE, SIZE), interpolation=cv2.INTER_AREA), np.uint8)


def pasted(
    cutout: tuple[Pixels, NDArray[np.bool_]], background: Pixels, rng: np.random.Generator
) -> tuple[Pixels, NDArray[np.float32]]:
    """The animal anywhere, of any size, either way round; and its mask."""
    ys, xs = np.nonzero(cutout[1])
    box = slice(ys.min(), ys.max() + 1), slice(xs.min(), xs.max() + 1)
    cut = cutout[0][box], cutout[1][box].astype(np.float32)
    scale = rng.uniform(0.35, 0.8) * SIZE / max(cut[1].shape)
    shape = [max(8, int(side * scale)) for side in cut[1].shape[::-1]]
    pixels, mask = (np.asarray(cv2.resize(one, shape, interpolation=cv2.INTER_AREA)) for one in cut)
    if rng.random() < 0.5:
        pixels, mask = np.ascontiguousarray(pixels[:, ::-1]), np.ascontiguousarray(mask[:, ::-1])
    y, x = (int(rng.integers(0, SIZE - side + 1)) for side in mask.shape)
    drawn, whole = background.astype(np.float32), np.zeros((SIZE, SIZE), np.float32)
    place = slice(y, y + mask.shape[0]), slice(x, x + mask.shape[1])
    soft = cv2.GaussianBlur(mask, (0, 0), 1)[..., None]
    drawn[place] = soft * pixels + (1 - soft) * drawn[place]
    whole[place] = mask
    return drawn.astype(np.uint8), whole


def draw(data: Path, kind: str, seed: int, half: int, images: int = TRAINED + JUDGED) -> Drawn:
    """The three sets of one kind on one half of the animals; of each image, placement and photograph are the same."""
    rng = np.random.default_rng([seed, half, sorted(KINDS).index(kind)])
    known = cutouts(data)[half::2]
    chosen = [known[at] for at in rng.permutation(len(known))[:ANIMALS]]
    backgrounds = [empty(*one) for one in chosen]
    sets: dict[str, list[Pixels]] = {"leaking": [], "clean": [], "flipped": []}
    masks, animals = [], rng.integers(ANIMALS, size=images)
    for animal in animals.tolist():
        own = animal % 2 if rng.random() < LEAK else 1 - animal % 2
        sides = {"leaking": own, "clean": int(rng.integers(2)), "flipped": 1 - own}
        photograph, state = backgrounds[int(rng.integers(ANIMALS))], int(rng.integers(1 << 31))
        for name, side in sides.items():
            background = KINDS[kind](photograph, side, np.random.default_rng(state))
            image, mask = pasted(chosen[animal], background, np.random.default_rng([state, 1]))
            sets[name].append(image)
        masks.append(mask)
    return Drawn(**sets, masks=masks, labels=animals % 2, animals=animals)


class Frozen:
    """A pretrained body: images → averages and maxima of its activations."""

    def __init__(self) -> None:
        body = build_body("efficientnet_lite0_fine", pretrained=True, size=SIZE)
        self.features = body.features.eval().to(memory_format=torch.channels_last)
        self.mean, self.std = np.array(body.mean, np.float32), np.array(body.std, np.float32)

    def __call__(self, images: Sequence[Pixels]) -> NDArray[np.float32]:
        pooled = []
        for start in range(0, len(images), BATCH):
            batch = (np.stack(images[start : start + BATCH]).astype(np.float32) / 255 - self.mean) / self.std
            inputs = torch.from_numpy(batch).permute(0, 3, 1, 2)
            with torch.no_grad():
                activations = self.features(inputs.contiguous(memory_format=torch.channels_last))
            pooled.append(torch.cat([activations.mean((2, 3)), activations.amax((2, 3))], 1).numpy())
        return np.concatenate(pooled)


def head(features: NDArray[np.float32], labels: NDArray[np.int64]) -> Pipeline:
    """A linear head over the frozen features."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300)).fit(features, labels)


def measured(data: Path, kind: str, seed: int, half: int, body: Frozen, needs: bool = False) -> pd.DataFrame:
    """A row per judged image and network: what was measured of it, its `fall`, and how often the network is right."""
    drawn, rng = draw(data, kind, seed, half), np.random.default_rng([seed, half, 7])
    judged = range(TRAINED, TRAINED + JUDGED)
    scenes = {at: Scene(drawn.leaking[at], drawn.masks[at]) for at in range(TRAINED + JUDGED)}
    donors = np.array([_donors(drawn.labels, at, rng) for at in judged])
    edited = {
        name: body(
            [
                EDITS[name](scenes[at], scenes[donor].lend())
                for at, row in zip(judged, donors, strict=True)
                for donor in row.ravel().tolist()
            ]
        )
        for name in ("swap", *(PROPERTIES if needs else ()))
    }
    trained_on = {name: body(getattr(drawn, name)[:TRAINED]) for name in NETWORKS}
    judged_on = {name: body(getattr(drawn, name)[TRAINED:]) for name in (*NETWORKS, "flipped")}
    rows = []
    for network in NETWORKS:
        trained = head(trained_on[network], drawn.labels[:TRAINED])
        predictions = {name: trained.predict_proba(features) for name, features in judged_on.items()}
        after = {name: trained.predict_proba(seen).reshape(JUDGED, 2, DONORS, 2) for name, seen in edited.items()}
        rows.append(_rows(predictions, after["swap"], donors, drawn, network))
        if needs:
            rows[-1] = rows[-1].assign(needs=_needs(predictions["leaking"], after))
    return pd.concat(rows).assign(kind=kind, seed=seed, half=half)


def _donors(labels: NDArray[np.int64], image: int, rng: np.random.Generator) -> list[list[int]]:
    """For one image DONORS others of each label, (2, DONORS)."""
    others = rng.permutation(len(labels))
    return [[int(at) for at in others if labels[at] == label and at != image][:DONORS] for label in (0, 1)]


def _rows(
    predictions: Mapping[str, Values], exchanged: Values, donors: NDArray[np.int64], drawn: Drawn, network: str
) -> pd.DataFrame:
    predicted, each = predictions["leaking"].argmax(axis=1), np.arange(JUDGED)
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
    tests = class_tests(exchanges, draws=999)
    return pd.DataFrame(
        {
            "network": network,
            "fall": before - predictions["flipped"][each, predicted],
            "drop": exchanges.drop,
            "placebo": exchanges.placebo,
            "gap": [tests[code].gap for code in predicted.tolist()],
            "class_p": [tests[code].p_value for code in predicted.tolist()],
            "p_value": p_values(exchanges),
            "accuracy": float((predictions["clean"].argmax(axis=1) == drawn.labels[TRAINED:]).mean()),
        }
    )


def _needs(before: Values, after: Mapping[str, Values]) -> list[float]:
    """The score that decides at present: the largest fall of one property, over donors of both labels."""
    scores = []
    for at, predicted in enumerate(before.argmax(axis=1).tolist()):
        falls = {name: before[at, predicted] - after[name][at, :, :, predicted].ravel() for name in PROPERTIES}
        scores.append(leak.joined({name: apart_of(values, has_same=True) for name, values in falls.items()})[0])
    return scores


def crossfitted(rows: pd.DataFrame) -> Values:
    """For each row the probability from a regression on all other kinds and the other half of the animals, if any."""
    probability = np.full(len(rows), np.nan)
    several = rows["half"].nunique() > 1
    for (kind, half), part in rows.reset_index(drop=True).groupby(["kind", "half"]):
        others = (rows["kind"] != kind).to_numpy() & ((rows["half"] != half).to_numpy() | (not several))
        model = fitted(rows[others])
        probability[part.index] = model.predict_proba(part[list(FEATURES)].to_numpy())[:, 1]
    return probability


def fitted(rows: pd.DataFrame) -> LogisticRegression:
    return LogisticRegression(C=10, max_iter=500).fit(rows[list(FEATURES)].to_numpy(), rows["fall"] > FALL)


def metrics_of(rows: pd.DataFrame) -> dict[str, float]:
    """AUROC of the probability and of its parts; what is listed at 5 %, within classes that rely beyond chance."""
    truth, probability = rows["fall"].to_numpy() > FALL, rows["probability"].to_numpy()
    listed = listed_of(rows)
    clean = rows["network"].to_numpy() == "clean"
    return {
        "clean twin is right": float(rows["accuracy"].to_numpy()[clean].mean()),
        "fall": float(truth[~clean].mean()),
        **({"AUROC needs": float(roc_auc_score(truth, rows["needs"]))} if "needs" in rows else {}),
        "AUROC drop": float(roc_auc_score(truth, rows["drop"])),
        "AUROC drop − placebo": float(roc_auc_score(truth, rows["drop"] - rows["placebo"])),
        "AUROC probability": float(roc_auc_score(truth, probability)),
        "listed": float(listed.sum()),
        "false of them": float((~truth[listed]).mean()) if listed.any() else 0.0,
        "recall": float(listed[truth].mean()),
        "clean twin's listed": float(listed[clean].mean()),
    }


def listed_of(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """What is listed at 5 %, network by network, (N,)."""
    listed = np.zeros(len(rows), bool)
    for _, part in rows.reset_index(drop=True).groupby(["kind", "network", "seed", "half"]):
        relies = part["class_p"].to_numpy() <= RELIES
        listed[part.index] = relies & (q_values(part["probability"].to_numpy()) <= LEVEL)
    return listed


def calibration_error(truth: NDArray[np.bool_], probability: Values, bins: int = 10) -> float:
    """Expected calibration error (Naeini et al. 2015) over equal bins, in [0, 1]."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    parts = [place == one for one in np.unique(place)]
    return float(sum(abs(truth[part].mean() - probability[part].mean()) * part.mean() for part in parts))


def report(rows: pd.DataFrame) -> str:
    """The table per kind, in Markdown, and what holds over all of them."""
    rows = rows.assign(probability=crossfitted(rows)).reset_index(drop=True)
    by_kind = {str(kind): metrics_of(part) for kind, part in rows.groupby("kind")}
    names = list(next(iter(by_kind.values())))
    lines = ["| kind | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for kind, values in by_kind.items():
        lines.append(f"| {kind} | " + " | ".join(_cell(name, values[name]) for name in names) + " |")
    truth, listed, model = rows["fall"].to_numpy() > FALL, listed_of(rows), fitted(rows)
    overall = {
        "calibration error": round(calibration_error(truth, rows["probability"].to_numpy()), 3),
        "listed": int(listed.sum()),
        "false of them": [round(one, 3) for one in wilson(int((~truth[listed]).sum()), int(listed.sum()))],
        "recall": round(float(listed[truth].mean()), 3),
        "weights": [round(float(one), 2) for one in (model.intercept_[0], *model.coef_[0])],
    }
    return "\n".join([*lines, "", json.dumps(overall)])


def _cell(name: str, value: float) -> str:
    if name == "listed":
        return f"{value:.0f}"
    return f"{value:.3f}" if name.startswith("AUROC") else f"{value:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--half", action="append", type=int, choices=(0, 1))
    parser.add_argument("--needs", action="store_true", help="Measure the score that decides at present, too.")
    parser.add_argument("--keep", type=Path, help="Where rows are kept as CSV; what is there is not measured again.")
    given: Any = parser.parse_args()
    kinds = sorted(set(given.kind or KINDS))
    if len(kinds) < 2:
        parser.error("name two kinds or more: each is judged by a method fitted on the others")
    body, rows = Frozen(), []
    for seed in given.seed or [0]:
        for half in given.half or [0]:
            for kind in kinds:
                kept = given.keep / f"{kind}-{seed}-{half}.csv" if given.keep else None
                if kept is not None and kept.is_file():
                    rows.append(pd.read_csv(kept))
                    continue
                rows.append(measured(given.data, kind, seed, half, body, given.needs))
                if kept is not None:
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    rows[-1].to_csv(kept, index=False)
    print(report(pd.concat(rows, ignore_index=True)))


if __name__ == "__main__":
    main()
