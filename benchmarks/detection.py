"""Which images rely on their background? Detectors against the exact counterfactual of every image.

usage: python -m benchmarks.detection [--data ../shared/data] [--kind NAME]... [--seeds 1] [--quick] [--keep FILE]

Of each kind of `demo.backgrounds.KINDS`, `benchmarks.reliance` draws images of cut-out animals whose background tells
the label in 97 % (leaking), or does not (clean), and the same images with the background's other side. A network is
trained on 400 images of each: average pooling and one linear layer over EfficientNet-Lite0 cut at stride 16, at 128 px,
its body as it is. Both predict 160 leaking images that neither was trained on. The truth of an image and a network: the
probability of the prediction falls by more than 0.5 when this very background takes its other side.

Each detector scores the 320 pairs of image and network of a kind without that counterfactual. AUROC, and precision
among the ten highest, are means over kinds and seeds, with 95 % intervals by drawing these again. Ours is
`reliance_probability`, its weights fitted on all other kinds; the others are in benchmarks/protocols/detectors.py.
A kind is left out where fewer than five pairs are true, or fewer than five are not.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from benchmarks.learners import BATCH, Setting, body_of, inputs_of
from benchmarks.machine import machine
from benchmarks.protocols.detectors import DETECTORS, Seen, precision_at
from benchmarks.protocols.scores import mean_of
from benchmarks.protocols.stages import Linear
from benchmarks.reliance import FALL, NETWORKS, PREDICTED, Plant, crossfitted, draw, measured
from whalecam.demo.backgrounds import KINDS
from whalecam.network.bodies import Body
from whalecam.network.training.regression import regress
from whalecam.stats import Interval

Values = NDArray[np.float64]
Pixels = NDArray[np.uint8]
OURS, BASE = "reliance_probability (ours)", "chance"
QUICK_KINDS = ("tint", "haze")
QUICK_IMAGES = 120
LEAST_TRUE, DRAWS = 5, 2000


class Averaged:
    """Networks of average pooling and one linear layer over a frozen body, as `benchmarks.reliance` trains them.

    It keeps what each network was trained on and its layer, so that detectors can see them.
    """

    def __init__(self, setting: Setting) -> None:
        torch.manual_seed(0)
        self.setting, self.body = setting, body_of(setting)
        self.features = self.body.features.eval().to(memory_format=torch.channels_last)
        self.trained: list[Trained] = []

    def activations(self, images: Sequence[Pixels]) -> Values:
        """(N, K, h, w)."""
        return _activations(self.features, self.body, images)

    def prepare(self, images: Sequence[Pixels]) -> Values:
        """Pooled activations, (N, K)."""
        parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return np.concatenate([self.activations(part).mean(axis=(2, 3)) for part in parts])

    def train(self, prepared: Values, labels: NDArray[np.int64], seed: int) -> "Trained":
        trained = Trained(prepared, labels, Linear(*regress(prepared, labels, 2).folded()))
        self.trained.append(trained)
        return trained


@dataclass(frozen=True, eq=False)
class Trained:
    """Features (M, K) and labels (M,) of the training images, and the layer fitted on them; pooled → probabilities."""

    features: Values
    labels: NDArray[np.int64]
    layer: Linear

    def __call__(self, pooled: Values) -> Values:
        logits = self.layer.logits(pooled)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def _activations(features: torch.nn.Module, body: Body, images: Sequence[Pixels]) -> Values:
    with torch.no_grad():
        batches = [np.stack(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        return np.concatenate([features(inputs_of(batch, body)).double().numpy() for batch in batches])


def scored(plant: Plant, learner: Averaged) -> pd.DataFrame:
    """The rows of `reliance.measured`, with a column for each of DETECTORS."""
    learner.trained.clear()
    rows = measured(plant, learner)
    drawn = draw(plant, learner.setting.images + PREDICTED, learner.setting.size)
    activations = learner.activations(drawn.leaking[-PREDICTED:])
    parts = []
    for network, trained in zip(NETWORKS, learner.trained, strict=True):
        seen = Seen(
            training=trained.features,
            training_labels=trained.labels,
            activations=activations,
            labels=drawn.labels[-PREDICTED:],
            masks=np.stack(drawn.masks[-PREDICTED:]),
            layer=trained.layer,
        )
        columns = {name: detector(seen) for name, detector in DETECTORS.items()}
        parts.append(rows[rows["network"] == network].assign(**columns))
    return pd.concat(parts, ignore_index=True)


def metrics_of(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each kind, seed and detector: AUROC, precision at 10; left out where the truth has too few."""
    found = []
    for (kind, seed), part in rows.groupby(["kind", "seed"]):
        truth = part["fall"].to_numpy(np.float64) > FALL
        if not LEAST_TRUE <= truth.sum() <= len(truth) - LEAST_TRUE:
            continue
        for name in (*DETECTORS, OURS):
            scores = part[name].to_numpy(np.float64)
            values = {"auroc": float(roc_auc_score(truth, scores)), "precision": precision_at(scores, truth)}
            found.append({"kind": kind, "seed": seed, "detector": name, **values})
        found.append({"kind": kind, "seed": seed, "detector": BASE, "auroc": 0.5, "precision": float(truth.mean())})
    return pd.DataFrame(found, columns=["kind", "seed", "detector", "auroc", "precision"])


def report(rows: pd.DataFrame) -> str:
    """The table, in Markdown."""
    metrics = metrics_of(rows.assign(**{OURS: crossfitted(rows)}))
    lines = ["| detector | AUROC | precision@10 |", "|---|---|---|"]
    for name in (BASE, *DETECTORS, OURS):
        part = metrics[metrics["detector"] == name]
        cells = (
            _cell(mean_of(part[column].to_numpy(np.float64), DRAWS)) if len(part) else "–"
            for column in ("auroc", "precision")
        )
        lines.append(f"| {name} | {' | '.join(cells)} |")
    sets, every = metrics.groupby(["kind", "seed"]).ngroups, rows.groupby(["kind", "seed"]).ngroups
    return "\n".join([*lines, "", f"Over {sets} of {every} planted sets."])


def _cell(value: Interval) -> str:
    return f"{value.value:.3f} ({value.low:.3f} to {value.high:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="A tiny version, which only shows that it runs.")
    parser.add_argument("--keep", type=Path, help="Write the rows here as CSV.")
    given = parser.parse_args()
    kinds = sorted(set(given.kind or (QUICK_KINDS if given.quick else KINDS)))
    if len(kinds) < 2:
        parser.error("name two kinds or more: each is assessed by weights fitted on the others")
    start = time.perf_counter()
    learner, rows = Averaged(Setting(images=QUICK_IMAGES) if given.quick else Setting()), list[pd.DataFrame]()
    for seed in range(given.seeds):
        for kind in kinds:
            rows.append(scored(Plant(data=given.data, kind=kind, seed=seed), learner))
            print(f"{kind}, seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
            if given.keep:
                pd.concat(rows).to_csv(given.keep, index=False)
    print(report(pd.concat(rows, ignore_index=True)))
    print(f"\n`python -m benchmarks.detection {' '.join(sys.argv[1:])}`, {given.seeds} seeds,")
    print(f"{machine()}, {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
