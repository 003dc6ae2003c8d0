"""The variants of the Backgrounds Challenge made of our cut-outs: accuracy on each, and the BG-gap, before and after.

usage: python -m benchmarks.backgrounds_challenge [--data ../shared/data] [--seeds 5] [--epochs 8] [--quick]

Images and networks are those of `benchmarks.waterbirds` without a PATH: flukes and dolphins on water and land. Label
and place agree in 95 % of the training images; here also of the test images, whose animals no network has seen. Of
each test image seven variants are made, as Xiao et al. (2021) define them:

Only-BG-B: the animal's box black. Only-BG-T: its box covered by tiles of the background. No-FG: the animal's outline
black. Only-FG: all but the animal black. Mixed-Same, Mixed-Rand, Mixed-Next: the animal on the Only-BG-T of an image of
its own, a random, or the next label. BG-gap: accuracy on Mixed-Same less that on Mixed-Rand.

ERM is the network as it was trained, head the same after the remedy of that name, by the true masks or by those of
WhaleCAM's mask network. With two labels, guessing is right on half. All are means over seeds; 95 % intervals draw
animals again, with all their images of all seeds.
"""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.protocols.construction import AGREEMENT, Cutout, Sizes, build, cutouts
from benchmarks.protocols.ours import drawn, given, repaired
from benchmarks.protocols.parts import Codes
from benchmarks.protocols.scores import cell, draws_of, interval_of
from benchmarks.protocols.stages import Recipe, Stages
from benchmarks.protocols.trial import Trial
from benchmarks.protocols.variants import RAND, SAME, VARIANTS, variants
from benchmarks.waterbirds import QUICK
from whalecam.errors import ModelError, WhalecamError
from whalecam.stats import Interval

Values = NDArray[np.float64]
GAP, DRAWS = "BG-gap", 2000
NETWORKS = ("ERM", "head, true masks", "head, mask network")


@dataclass(frozen=True, eq=False)
class Measured:
    """Of one seed: the animals of the test images (N,), and by network and variant whether it is right, (N,)."""

    animals: Codes
    is_right: Mapping[str, Mapping[str, NDArray[np.bool_]]]


def measure(usable: Sequence[Cutout], sizes: Sizes, recipe: Recipe, seed: int, stages: Stages) -> Measured:
    """One seed. A network that cannot be repaired is left out, and says why."""
    parts = build(usable, replace(sizes, test_agreement=AGREEMENT), seed)
    lowered = {"training": stages.lowered(parts.training.images)}
    trial = Trial(parts=parts, stages=stages, recipe=recipe, lowered=lowered, seed=seed)
    networks = {NETWORKS[0]: trial.erm}
    for name, masks in zip(NETWORKS[1:], (given, drawn), strict=True):
        try:
            networks[name] = repaired(trial, masks)
        except ModelError as error:
            print(f"{name}, seed {seed}: {error}", file=sys.stderr)
    is_right: dict[str, dict[str, NDArray[np.bool_]]] = {name: {} for name in networks}
    for variant, images in variants(parts.test, np.random.default_rng([seed, 5])).items():
        stage = stages.lowered(images)
        for name, network in networks.items():
            is_right[name][variant] = network.logits(stage).argmax(axis=1) == parts.test.labels
    return Measured(parts.test.animals, is_right)


def intervals(seeds: Sequence[Measured], network: str, draws: int = DRAWS) -> Mapping[str, Interval]:
    """Accuracy on each variant, and the BG-gap, each the mean over seeds."""
    animals = np.unique(np.concatenate([seed.animals for seed in seeds]))
    weights = draws_of(len(animals), draws)
    columns = {variant: _by_draw(seeds, network, variant, animals, weights) for variant in VARIANTS}
    columns[GAP] = columns[SAME] - columns[RAND]
    return {name: interval_of(values) for name, values in columns.items()}


def _by_draw(seeds: Sequence[Measured], network: str, variant: str, animals: Codes, weights: Codes) -> Values:
    """(D,) accuracy of each draw."""
    each = []
    for seed in seeds:
        times = weights[:, np.searchsorted(animals, seed.animals)]
        with np.errstate(invalid="ignore"):
            each.append(times @ seed.is_right[network][variant] / times.sum(axis=1))
    return np.asarray(np.nanmean(each, axis=0))


def report(seeds: Sequence[Measured]) -> str:
    """The table, in Markdown."""
    names = [name for name in NETWORKS if all(name in seed.is_right for seed in seeds)]
    every = {name: intervals(seeds, name) for name in names}
    lines = ["| variant | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    rows = {variant: [cell(every[name][variant]) for name in names] for variant in (*VARIANTS, GAP)}
    return "\n".join([*lines, *(f"| {variant} | {' | '.join(cells)} |" for variant, cells in rows.items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--quick", action="store_true", help="A tiny version, which only shows that it runs.")
    options = parser.parse_args()
    start, sizes, seeds = time.perf_counter(), QUICK if options.quick else Sizes(), list[Measured]()
    recipe = Recipe(epochs=2 if options.quick else options.epochs)
    try:
        usable = cutouts(options.data)
        for seed in range(options.seeds):
            seeds.append(measure(usable, sizes, recipe, seed, Stages()))
            print(f"seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    except (WhalecamError, OSError) as error:
        parser.error(str(error))
    print(report(seeds))
    print(f"\n`python -m benchmarks.backgrounds_challenge {' '.join(sys.argv[1:])}`, {len(seeds)} seeds,")
    print(f"{recipe.epochs} epochs, {machine()}, {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    main()
