"""Slices on which a network fails, planted: are the ten most typical images of one that was found the planted ones?

usage: python -m benchmarks.slices [--data ../shared/data] [--kind NAME]... [--seeds 1]

Of each kind of `demo.backgrounds.KINDS`, ten cut-out animals of two labels are pasted on backgrounds that have one of
two sides. 400 images train a linear layer on average-pooled EfficientNet-Lite0 cut at stride 16, at 128 px; 300 others,
with either side at random, are judged. Three ways in which a slice comes to fail, after Eyuboglu et al. (2022):

correlation: in training, the side tells the label in 97 %; both labels fail on the other's side. rare: the second side
is in 3 % of the first label's training images. noisy: of the first label's training images on the second side, 80 %
have the other label.

A planted slice counts where the network errs on it by 30 points more than on the rest of its label. Of the first five
slices that a method finds, the best one counts: the share of planted images among its first ten (precision@10), and how
much the whole slice is the planted one (overlap: images in both, of those in either). Domino is the paper's mixture on
features, labels and predictions, slices by their mean loss; *loss* is no slice at all, but the ten images of each label
with the highest loss. Means over planted slices, with 95 % intervals by drawing kinds again.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.detection import Averaged
from benchmarks.learners import Setting
from benchmarks.machine import machine
from benchmarks.protocols.detectors import slices_of_mixture
from benchmarks.protocols.scores import mean_of
from benchmarks.reliance import ANIMALS, cutouts, empty, placed
from whalecam.analysis.patterns.slices import slices
from whalecam.demo.backgrounds import KINDS
from whalecam.store.table import aligned

Codes = NDArray[np.int64]
Values = NDArray[np.float64]
Cutout = tuple[NDArray[np.uint8], NDArray[np.bool_]]
"""A photograph and its mask."""
Judged = tuple[Values, Values, Codes]
"""Features (N, K), probabilities (N, 2) and labels (N,) of the judged images."""
TRAINED, JUDGED, FIRST, TOP, DRAWS = 400, 300, 5, 10, 1000
FAILS, RARE, NOISE, AGREES = 0.3, 0.03, 0.8, 0.97
PLANTS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "correlation": ((0, 1), (1, 0)),
    "rare": ((0, 1),),
    "noisy": ((0, 1),),
}
"""How a slice comes to fail → label and side of the slices that do."""


def sides_of(plant: str, labels: Codes, rng: np.random.Generator) -> Codes:
    """The side of each training image's background, (N,)."""
    chance, either = rng.random(len(labels)), rng.integers(2, size=len(labels))
    if plant == "correlation":
        return np.where(chance < AGREES, labels, 1 - labels)
    return np.where(labels == 0, (chance < RARE).astype(np.int64), either) if plant == "rare" else either


def noted(plant: str, labels: Codes, sides: Codes, rng: np.random.Generator) -> Codes:
    """The labels that a network is trained with, (N,)."""
    is_wrong = (labels == 0) & (sides == 1) & (rng.random(len(labels)) < NOISE)
    return np.where(is_wrong, 1, labels) if plant == "noisy" else labels


def by_slices(judged: Judged) -> list[Codes]:
    """WhaleCAM's, by the vectors that an audit keeps."""
    features, probabilities, labels = judged
    rows = pd.DataFrame({"image": np.arange(len(labels)).astype(str), "label": labels.astype(str), "fold": 0})
    rows = rows.assign(predicted=probabilities.argmax(axis=1).astype(str), embedding=list(features))
    return [np.array(each.images, np.int64) for each in slices(rows, aligned(rows))]


def by_loss(judged: Judged) -> list[Codes]:
    """The TOP images of each label, the least probable first."""
    _, probabilities, labels = judged
    rows = [np.flatnonzero(labels == label) for label in (0, 1)]
    return [own[np.argsort(probabilities[own, labels[own]], kind="stable")][:TOP] for own in rows]


METHODS: Mapping[str, Callable[[Judged], list[Codes]]] = {
    "slices (ours)": by_slices,
    "mixture (Domino)": lambda judged: slices_of_mixture(*judged),
    "loss": by_loss,
}


def measured(known: Sequence[Cutout], kind: str, seed: int, learner: Averaged) -> list[dict[str, object]]:
    """A row for each planted slice: how it came to fail, and what `scored` says of it."""
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    rows = list[dict[str, object]]()
    animals = [known[at] for at in rng.permutation(len(known))[:ANIMALS]]
    backgrounds = [empty(pixels, mask, learner.setting.size) for pixels, mask in animals]
    for plant, planted in PLANTS.items():
        shown = rng.integers(ANIMALS, size=TRAINED + JUDGED)
        labels = shown % 2
        sides = np.concatenate([sides_of(plant, labels[:TRAINED], rng), rng.integers(2, size=JUDGED)])
        images = []
        for animal, side in zip(shown.tolist(), sides.tolist(), strict=True):
            photograph, state = backgrounds[int(rng.integers(len(backgrounds)))], int(rng.integers(1 << 31))
            images.append(placed(animals[animal], photograph, kind, side, state=state)[0])
        features = learner.prepare(images)
        taught = noted(plant, labels[:TRAINED], sides[:TRAINED], rng)
        predict = learner.train(features[:TRAINED], taught, seed)
        judged = features[TRAINED:], predict(features[TRAINED:]), labels[TRAINED:]
        for label, side in planted:
            rows.append({"kind": kind, "plant": plant, **scored(judged, sides[TRAINED:] == side, label)})
    return rows


def scored(judged: Judged, is_on_side: NDArray[np.bool_], label: int) -> dict[str, object]:
    """By how much more the network errs on the planted slice, and how well each method finds it, by FIGURES."""
    _, probabilities, labels = judged
    is_wrong, own = probabilities.argmax(axis=1) != labels, labels == label
    excess = is_wrong[own & is_on_side].mean() - is_wrong[own & ~is_on_side].mean()
    scores: dict[str, object] = {"excess": float(excess)}
    for name, method in METHODS.items():
        found = method(judged)[:FIRST]
        for figure, score in FIGURES.items():
            scores[f"{figure}, {name}"] = max((score(some, own & is_on_side) for some in found), default=0.0)
    return scores


def precision(images: Codes, is_planted: NDArray[np.bool_]) -> float:
    """The share of planted ones among the first TOP; of fewer, the missing ones count as wrong."""
    return float(is_planted[images[:TOP]].sum() / TOP)


def overlap(images: Codes, is_planted: NDArray[np.bool_]) -> float:
    """Of the images that are planted or found, the share that is both."""
    both = int(is_planted[images].sum())
    return both / (len(images) + int(is_planted.sum()) - both)


FIGURES: Mapping[str, Callable[[Codes, NDArray[np.bool_]], float]] = {"precision@10": precision, "overlap": overlap}


def report(rows: pd.DataFrame) -> str:
    """Markdown: a line for each way to fail, and all."""
    failing, columns = rows[rows["excess"] >= FAILS], [str(name) for name in rows if ", " in str(name)]
    lines = [f"| how it fails | planted slices | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    for plant in (*PLANTS, "all"):
        planted, some = (part if plant == "all" else part[part["plant"] == plant] for part in (rows, failing))
        by_kind = some.groupby("kind")[columns].mean()
        cells = [mean_of(by_kind[name].to_numpy(np.float64), DRAWS) for name in columns] if len(some) else []
        written = [f"{cell.value:.2f} ({cell.low:.2f} to {cell.high:.2f})" for cell in cells] or ["–"] * len(columns)
        lines.append(f"| {plant} | {len(some)} of {len(planted)} | {' | '.join(written)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--seeds", type=int, default=1)
    given, start, rows = parser.parse_args(), time.perf_counter(), list[dict[str, object]]()
    learner, known = Averaged(Setting(images=TRAINED)), cutouts(given.data)
    for seed in range(given.seeds):
        for kind in sorted(set(given.kind or KINDS)):
            rows += measured(known, kind, seed, learner)
            print(f"{kind}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(report(pd.DataFrame(rows)))
    print(f"\n`python -m benchmarks.slices {' '.join(sys.argv[1:])}`, {given.seeds} seeds,")
    print(f"{machine()}, {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
