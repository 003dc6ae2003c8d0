"""Which regression, which balance and how many backgrounds the remedy `head` takes: chosen on training images alone.

usage: python -m benchmarks.last_layer demo [--seed 0] [--images 360]
       python -m benchmarks.last_layer planted TOOLS/planted.py [--seed 0]

demo: the demo set and its linear probe, as `whalecam demo DIR --run RUN` makes them. planted: the leaky set and the
network of `benchmarks.remedies planted`. Features are made once: of each image as it is and on eight backgrounds of
other images, training images on those of training images, held-out images on those of held-out images.

One thing at a time is changed from what the product does (first row). `choice` are accuracies on training images by
layers that had not seen them (four parts, no individual in two), which is what a choice may be made by; `held out` are
those of the layer fitted on all training images, with 95 % intervals by drawing individuals again. Each is the accuracy
on images as they are, and on backgrounds of other labels.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

from benchmarks.machine import machine
from benchmarks.protocols.dfr import balanced
from benchmarks.remedies import PLANTED, plant, trained
from whalecam import network, remedies
from whalecam.analysis.recommendation import interval
from whalecam.cli.data import DEMO_TRAINING
from whalecam.config import TrainOptions
from whalecam.data import inspect_images, open_dataset
from whalecam.data.folds import groups_of
from whalecam.demo import write_demo
from whalecam.network import training
from whalecam.network.training.regression import INVERSE_PENALTY, Values
from whalecam.network.training.versions import BACKGROUNDS
from whalecam.store.run import Run

PARTS, SUBSETS, MOST_BACKGROUNDS = 4, 10, 8
OWN_HALF, PAIRS, ALIKE = "originals count half", "pairs of label and background alike", "images alike"


@dataclass(frozen=True)
class Variant:
    """How a last layer is fitted.

    Attributes:
        c: of scikit-learn's LogisticRegression.
        balance: out of PAIRS, OWN_HALF, ALIKE.
        backgrounds: of other images, for each training image.
        is_l1: the recipe of DFR: mean of SUBSETS L1-penalised regressions on balanced subsets, one label against all.
    """

    name: str
    c: float = INVERSE_PENALTY
    balance: str = PAIRS
    backgrounds: int = BACKGROUNDS
    is_l1: bool = False


VARIANTS = (
    Variant("as it is: L2, C 0.1, pairs alike, 2 backgrounds"),
    *(Variant(f"C {c:g}", c=c) for c in (0.001, 0.01, 1.0, 10.0)),
    Variant("originals count half", balance=OWN_HALF),
    Variant("all versions alike", balance=ALIKE),
    *(Variant(f"{count} backgrounds", backgrounds=count) for count in (1, 4, 8)),
    *(Variant(f"L1 on balanced subsets, C {c:g}", c=c, is_l1=True) for c in (0.1, 1.0)),
)


@dataclass(frozen=True, eq=False)
class Seen:
    """Versions of images, (V, …): `turn` 0 as they are, from 1 on the backgrounds in the order they were drawn."""

    features: Values
    labels: NDArray[np.str_]
    backgrounds: NDArray[np.str_]
    images: NDArray[np.str_]
    turn: NDArray[np.int64]
    groups: NDArray[np.int64]

    def some(self, wanted: NDArray[np.bool_]) -> "Seen":
        """Those rows alone."""
        return Seen(*(values[wanted] for values in vars(self).values()))


def seen_by(run: Run, rows: pd.DataFrame, masks: Path) -> Seen:
    """The features are what the last layer of the run takes."""
    model = network.quick(network.from_spec(run.manifest.network, run.load_checkpoint()), halves=False)
    find = remedies.finder(open_dataset(Path(run.manifest.dataset.csv), masks.parent / "images"), _masked(masks))
    exchange = remedies.Shuffle(find, model.size, model.resize)
    versions = training.layer_versions(model, rows, exchange, seed=0, count=MOST_BACKGROUNDS)
    group_of = dict(zip(rows["image"], groups_of(rows["group"].tolist()).tolist(), strict=True))
    turn = np.asarray(pd.Series(versions.images).groupby(versions.images).cumcount(), np.int64)
    groups = np.array([group_of[image] for image in versions.images.tolist()], np.int64)
    return Seen(versions.features, versions.labels, versions.backgrounds, versions.images, turn, groups)


def _masked(masks: Path) -> TrainOptions:
    return TrainOptions(masks=str(masks))


def shares(seen: Seen, balance: str) -> Values | None:
    """(V,) how much each row counts; None: all alike."""
    if balance == ALIKE:
        return None
    pairs = pd.DataFrame({"label": seen.labels, "background": seen.backgrounds})
    share = 1 / pairs.groupby(["label", "background"])["label"].transform("size").to_numpy(np.float64)
    if balance == OWN_HALF:
        own = seen.turn == 0
        alike = 1 / pairs.groupby("label")["label"].transform("size").to_numpy(np.float64)
        share = np.where(own, alike / alike[own].sum(), share / share[~own].sum())
    return np.asarray(share / share.mean())


def predicted(variant: Variant, fitted: Seen, judged: Seen) -> NDArray[np.str_]:
    """The labels of `judged` by a layer fitted on `fitted`, (V,)."""
    fitted = fitted.some(fitted.turn <= variant.backgrounds)
    scaler = StandardScaler().fit(fitted.features)
    inputs, unseen = scaler.transform(fitted.features), scaler.transform(judged.features)
    if not variant.is_l1:
        model = LogisticRegression(C=variant.c, max_iter=1000)
        return np.asarray(model.fit(inputs, fitted.labels, shares(fitted, variant.balance)).predict(unseen))
    pairs = pd.Series(fitted.labels) + " on " + pd.Series(fitted.backgrounds)
    rng, classes = np.random.default_rng(0), np.unique(fitted.labels)
    logits = np.zeros((len(unseen), len(classes)))
    for _ in range(SUBSETS):
        some = balanced(pairs.factorize()[0], rng)
        each = LogisticRegression(l1_ratio=1.0, C=variant.c, solver="liblinear")
        model = OneVsRestClassifier(each).fit(inputs[some], fitted.labels[some])
        values = model.decision_function(unseen)
        logits += values if values.ndim == 2 else np.stack([-values, values], axis=1)
    return np.asarray(classes[logits.argmax(axis=1)])


def measured(variant: Variant, known: Seen, unseen: Seen) -> Iterator[str]:
    """The cells of one row: what a choice is made by, then held out."""
    right = np.zeros(len(known.labels))
    for fit, judge in GroupKFold(PARTS).split(known.features, known.labels, known.groups):
        here = np.isin(np.arange(len(right)), fit)
        part = known.some(~here)
        right[np.sort(judge)] = predicted(variant, known.some(here), part) == part.labels
    for rows in _sides(known):
        yield f"{right[rows].mean():.1%}"
    held_out = (predicted(variant, known, unseen) == unseen.labels).astype(np.float64)
    for rows in _sides(unseen):
        found = interval(held_out[rows], unseen.groups[rows].tolist())
        yield "–" if found is None else f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"


def _sides(seen: Seen) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Images as they are; the same on backgrounds of other labels."""
    return seen.turn == 0, (seen.turn > 0) & (seen.labels != seen.backgrounds)


def table(run: Run, masks: Path) -> str:
    """Markdown."""
    data = inspect_images(open_dataset(Path(run.manifest.dataset.csv), masks.parent / "images"))
    rows = data.good().drop_duplicates("image", ignore_index=True)
    rows = rows[rows["label"].isin(run.manifest.classes) & (rows["path"] != "")]
    is_known = rows["image"].isin(run.training_images())
    known, unseen = (seen_by(run, rows[chosen].reset_index(drop=True), masks) for chosen in (is_known, ~is_known))
    head = "| last layer | choice, own | choice, exchanged | held out, own | held out, exchanged |"
    lines = [head, "|---" * 5 + "|"]
    for variant in VARIANTS:
        lines.append(f"| {variant.name} | {' | '.join(measured(variant, known, unseen))} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("demo", "planted"))
    parser.add_argument("tool", type=Path, nargs="?", help="planted.py")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=360)
    given, start = parser.parse_args(), time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.which == "demo":
            csv, options = write_demo(folder, images=given.images, seed=given.seed), DEMO_TRAINING
        elif given.tool is None:
            parser.error("planted needs the tool")
        else:
            plant(given.tool, folder, 700, 128, given.seed, 16)
            csv, options = folder / "leaky" / "train.csv", replace(PLANTED, seed=given.seed)
        run = trained(folder / "run", csv, csv.parent / "images", options, folder / "run")
        print(table(run, csv.parent / "masks"))
    print(f"\n`python -m benchmarks.last_layer {' '.join(sys.argv[1:])}`,")
    print(f"{machine()}, {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
