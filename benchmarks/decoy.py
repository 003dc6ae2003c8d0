"""Decoy Fashion-MNIST: a network that shall not read the square in the corner, by input gradients or by its last layer.

usage: python -m benchmarks.decoy [--data /usr/share/datasets/fashion-mnist] [--seeds 5] [--epochs 4] [--quick]

The data set comes with Debian's package dataset-fashion-mnist: 60,000 training images, 10,000 test images. In training
the grey of a square in a random corner tells the label; in the decoyed test set it is that of a random label
(benchmarks/protocols/decoy_set.py). One small network of three convolutions, average pooling and a linear layer, from
the same random weights, for as many epochs:

ERM: cross-entropy. RRR (Ross et al. 2017): with a penalty on input gradients inside the square, which it must be shown
in every training image. head (ours): the last layer of the ERM network fitted again by the product's code, on 6,000
training images with their own corners and with the corners of other images: it knows that corners are background.

Accuracy is the mean over seeds; its 95 % interval draws test images again, with their predictions of all seeds. A seed
chooses corners, weights and order, alike for the three.
"""

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from benchmarks.machine import machine
from benchmarks.protocols.decoy_set import FOLDER, LABELS, SIDE, SQUARE, Codes, Decoyed, Pixels, decoyed, read
from benchmarks.protocols.right_reasons import rrr
from benchmarks.protocols.scores import mean_of
from whalecam.arrays import ByteArray
from whalecam.errors import WhalecamError
from whalecam.network import Network, probe_head
from whalecam.network.training import fit_last_layer
from whalecam.stats import Interval

CHANNELS, BATCH, RATE, FITTED, DRAWS = 64, 128, 2e-3, 6000, 1000
CLASSES = tuple(str(label) for label in range(LABELS))
TESTS = ("decoyed", "as in training", "without a square")
METHODS = ("ERM", "RRR", "head")
ZERO, UNIT = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)


def network() -> nn.Sequential:
    """Features and head, random weights."""
    layers: list[nn.Module] = []
    for before, after, stride in ((3, 32, 2), (32, CHANNELS, 2), (CHANNELS, CHANNELS, 1)):
        layers += [nn.Conv2d(before, after, 3, stride, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(nn.Sequential(*layers), probe_head(CHANNELS, LABELS))


def inputs_of(images: Pixels) -> Tensor:
    """Grey uint8 (N, 28, 28) → float32 (N, 3, 28, 28) in [0, 1]."""
    return torch.from_numpy(images).float().div(255)[:, None].expand(-1, 3, -1, -1)


def train(part: Decoyed, epochs: int, seed: int, right_reasons: bool) -> nn.Sequential:
    """AdamW on one cycle of the learning rate; in eval mode."""
    torch.manual_seed(seed)
    rng, model = np.random.default_rng(seed), network().train()
    steps = max(1, len(part.labels) // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), RATE)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=epochs * steps)
    for _ in range(epochs):
        for rows in np.array_split(rng.permutation(len(part.labels)), steps):
            inputs, labels = inputs_of(part.images[rows]), torch.from_numpy(part.labels[rows])
            optimizer.zero_grad()
            if right_reasons:
                loss = rrr(model, inputs, labels, torch.from_numpy(part.squares[rows])[:, None].float())
            else:
                loss = nn.functional.cross_entropy(model(inputs), labels)
            torch.autograd.backward(loss)
            optimizer.step()
            cycle.step()
    return model.eval()


def predicted(model: nn.Sequential, images: Pixels) -> Codes:
    """(N,)."""
    with torch.no_grad():
        parts = [model(inputs_of(images[start : start + 1000])).argmax(dim=1) for start in range(0, len(images), 1000)]
    return np.asarray(torch.cat(parts).numpy(), np.int64)


@dataclass(eq=False)
class Corners:
    """Puts images on the corners of other training images: what `fit_last_layer` calls backgrounds."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    _lenders: dict[str, list[ByteArray]] = field(default_factory=dict)

    def __call__(self, training: pd.DataFrame) -> "Corners":
        for label, path in zip(training["label"], training["path"], strict=True):
            self._lenders.setdefault(label, []).append(np.asarray(Image.open(path).convert("RGB")))
        self.facts = {"pictures": len(training)}
        return self

    def on_others(self, image: str, pixels: ByteArray, count: int, rng: Generator) -> list[tuple[ByteArray, str]]:
        """`count` versions of an image (28, 28, 3), labels in turn, each with all corners of a lender."""
        labels = list(self._lenders)
        versions = []
        for at in np.resize(rng.permutation(len(labels)), count).tolist():
            lenders = self._lenders[labels[at]]
            lender = lenders[int(rng.integers(len(lenders)))]
            versions.append((np.where(corners()[..., None], lender, pixels), labels[at]))
        return versions


def corners() -> NDArray[np.bool_]:
    """(28, 28), where a square can be."""
    edge = np.zeros(SIDE, bool)
    edge[:SQUARE] = edge[-SQUARE:] = True
    return edge[:, None] & edge[None]


def repaired(model: nn.Sequential, part: Decoyed, seed: int) -> nn.Sequential:
    """A copy whose last layer is fitted again by the product's code, on the first FITTED images as files."""
    features, head = copy.deepcopy(model)
    product = Network(features, head, "decoy", CLASSES, SIDE, "squish", ZERO, UNIT, head_kind="probe")
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for at, (pixels, label) in enumerate(zip(part.images[:FITTED], part.labels[:FITTED].tolist(), strict=True)):
            path = Path(folder) / f"{at:05}.png"
            Image.fromarray(pixels).save(path, compress_level=1)
            rows.append({"image": path.name, "path": str(path), "label": CLASSES[label]})
        fit_last_layer(product, pd.DataFrame(rows), Corners(), seed=seed)
    return nn.Sequential(product.features, product.head)


def measure(data: Path, seed: int, epochs: int, limit: int | None) -> Mapping[str, Mapping[str, NDArray[np.bool_]]]:
    """By method and test set, whether each test image is right, (N,). Raises DatasetError."""
    rng = np.random.default_rng(seed)
    images, labels = read("train", data)
    images, labels = images[:limit], labels[:limit]
    unseen, truth = read("t10k", data)
    unseen, truth = unseen[:limit].copy(), truth[:limit]
    training = decoyed(images, labels, labels, rng)
    tests = {
        "decoyed": decoyed(unseen, truth, rng.integers(LABELS, size=len(truth)), rng).images,
        "as in training": decoyed(unseen, truth, truth, rng).images,
        "without a square": unseen,
    }
    erm = train(training, epochs, seed, right_reasons=False)
    models = {
        "ERM": erm,
        "RRR": train(training, epochs, seed, right_reasons=True),
        "head": repaired(erm, training, seed),
    }
    return {
        method: {name: predicted(model, test) == truth for name, test in tests.items()}
        for method, model in models.items()
    }


def interval(is_right: NDArray[np.bool_], draws: int = DRAWS) -> Interval:
    """Share of (seeds, N) that is right, with its interval by drawing the N images again."""
    return mean_of(is_right.mean(axis=0), draws)


def report(seeds: Sequence[Mapping[str, Mapping[str, NDArray[np.bool_]]]]) -> str:
    """The table, in Markdown."""
    lines = ["| method | " + " | ".join(TESTS) + " |", "|---" * (len(TESTS) + 1) + "|"]
    for method in METHODS:
        cells = (interval(np.stack([seed[method][test] for seed in seeds])) for test in TESTS)
        lines.append(f"| {method} | " + " | ".join(f"{a:.1%} ({b:.1%} to {c:.1%})" for a, b, c in cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="A tiny version, which only shows that it runs.")
    given = parser.parse_args()
    start, seeds = time.perf_counter(), []
    try:
        for seed in range(given.seeds):
            seeds.append(measure(given.data, seed, 1 if given.quick else given.epochs, 1000 if given.quick else None))
            print(f"seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    except (WhalecamError, OSError) as error:
        parser.error(str(error))
    print(report(seeds))
    print(f"\n`python -m benchmarks.decoy {' '.join(sys.argv[1:])}`, {given.seeds} seeds,")
    print(f"{machine()}, {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
