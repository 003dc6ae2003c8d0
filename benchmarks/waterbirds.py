"""Methods against shortcuts on Waterbirds' construction: of our cut-outs, or a real copy.

usage: python -m benchmarks.waterbirds [PATH] [--data ../shared/data] [--seeds 5] [--epochs 8] [--quick] [--keep FILE]
           [--first 0] [--join FILE ...]

PATH: the folder of the public release, with metadata.csv. Without it, flukes and dolphins cut out of the photographs of
--data are pasted on drawn water and land (benchmarks/protocols/construction.py): label and place agree in 95 % of the
training images and in half of the others, every background is used once, and no animal is in two parts.

Every method trains the same network from the same weights: EfficientNet-Lite0 up to its fifth stage, pretrained on
ImageNet, at 96 px, stem and first three blocks as they are, the others trained with one linear layer; AdamW on one
cycle of the learning rate, images mirrored at random, as many epochs for every method. A seed chooses animals,
backgrounds and the order of training, alike for all methods. Nothing is stopped early, unless a method's paper does it.

Reported is the accuracy of the worst of the four groups, and the average weighted by the groups' shares in training,
each the mean over seeds. The 95 % intervals draw animals again (a real copy: images), with all their images of all
seeds; one column is the paired difference. Networks and figures are this protocol's own: compare methods within the
table, and nothing in it with published numbers.
"""

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import machine
from benchmarks.protocols.afr import afr
from benchmarks.protocols.construction import Sizes, build, cutouts
from benchmarks.protocols.dfr import dfr
from benchmarks.protocols.group_dro import group_dro
from benchmarks.protocols.jtt import jtt
from benchmarks.protocols.ours import REMEDIES, TRUE_MASKS
from benchmarks.protocols.parts import Codes, Parts, read_release
from benchmarks.protocols.scores import Outcome, Score, cell, scores
from benchmarks.protocols.selective import selective
from benchmarks.protocols.stages import Recipe, Stages
from benchmarks.protocols.trial import Trial, by_worst_class, by_worst_group, candidate_of, chosen
from whalecam.errors import ModelError, WhalecamError

OURS, OURS_ALONE = "head, true masks", "head, mask network"
"""The remedy that the others are compared with; where nobody knows the masks, the second."""
WITH_GROUPS: Mapping[str, str] = {
    "ERM": "labels",
    "JTT": "labels; groups of validation choose epoch and weight",
    "AFR": "labels; groups of validation choose γ, penalty and step",
    "Group DRO": "groups of training; groups of validation choose the weight decay",
    "DFR": "groups of validation fit the last layer and choose the penalty",
}
WITHOUT_GROUPS: Mapping[str, str] = {
    "ERM": "labels",
    "JTT, worst class": "labels; labels of validation choose epoch and weight",
    "SELF, worst class": "labels; labels of validation finetune the last layer and choose",
    **{name: supervision for name, (supervision, _) in REMEDIES.items()},
}
QUICK = Sizes(side=64, training=160, validation=80, test=80)


def predictions(trial: Trial) -> dict[str, Codes]:
    """Of every method, the predicted labels of the test images; one that refuses is left out, and says why."""
    validation = trial.parts.validation
    twice = jtt(trial)
    candidates, choosing = selective(trial)
    predicted = {
        "ERM": candidate_of(trial.erm, trial).test,
        "JTT": chosen(twice, by_worst_group, validation),
        "JTT, worst class": chosen(twice, by_worst_class, validation),
        "SELF, worst class": chosen(candidates, by_worst_class, choosing),
        "AFR": chosen(afr(trial), by_worst_group, validation),
        "Group DRO": chosen(group_dro(trial), by_worst_group, validation),
        "DFR": dfr(trial),
    }
    for name, (_, remedy) in REMEDIES.items():
        if trial.parts.training.masks is None and name.endswith(TRUE_MASKS):
            continue
        try:
            predicted[name] = remedy(trial)
        except ModelError as error:
            print(f"{name}, seed {trial.seed}: {error}", file=sys.stderr)
    return predicted


def outcome_of(parts: Parts, stages: Stages, recipe: Recipe, seed: int) -> Outcome:
    """One seed, all methods."""
    lowered = {name: stages.lowered(getattr(parts, name).images) for name in ("training", "validation", "test")}
    trial = Trial(parts=parts, stages=stages, recipe=recipe, lowered=lowered, seed=seed)
    test = parts.test
    return Outcome(
        labels=test.labels,
        groups=test.groups,
        animals=test.animals,
        shares=parts.shares(),
        predicted=predictions(trial),
    )


def report(outcomes: Sequence[Outcome]) -> str:
    """Both tables, in Markdown."""
    ours = OURS if OURS in outcomes[0].predicted else OURS_ALONE
    every = scores(outcomes, ours)
    titles = {"With group labels on validation": WITH_GROUPS, "Without any group label": WITHOUT_GROUPS}
    return "\n\n".join(f"{title}:\n\n{_table(every, methods, ours)}" for title, methods in titles.items())


def _table(every: Mapping[str, Score], methods: Mapping[str, str], ours: str) -> str:
    lines = [f"| method | worst group | average | {ours}, less this: worst group | what it knows |", "|---" * 5 + "|"]
    for name, supervision in methods.items():
        if name in every:
            score = every[name]
            behind = "–" if name == ours else cell(score.behind, sign="+")
            lines.append(f"| {name} | {cell(score.worst)} | {cell(score.average)} | {behind} | {supervision} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--epochs", type=int, default=Recipe().epochs)
    parser.add_argument("--quick", action="store_true", help="A tiny version, which only shows that it runs.")
    parser.add_argument("--keep", type=Path, help="Write what every method predicted here, as JSON, seed by seed.")
    parser.add_argument("--join", type=Path, nargs="*", default=[], help="Seeds that earlier runs kept.")
    given = parser.parse_args()
    start, sizes = time.perf_counter(), QUICK if given.quick else Sizes()
    recipe = Recipe(epochs=2 if given.quick else given.epochs)
    try:
        outcomes = [restored(kept) for file in given.join for kept in json.loads(file.read_text(encoding="utf-8"))]
        release = read_release(given.path, sizes.side) if given.path else None
        usable = [] if release else cutouts(given.data)
        for seed in range(given.first, given.first + given.seeds):
            parts = release or build(usable, sizes, seed)
            outcomes.append(outcome_of(parts, Stages(), recipe, seed))
            print(f"seed {seed}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
            if given.keep:
                given.keep.write_text(json.dumps([plain(outcome) for outcome in outcomes]), encoding="utf-8")
    except (WhalecamError, OSError) as error:
        parser.error(str(error))
    print(report(outcomes))
    print(f"\n`python -m benchmarks.waterbirds {' '.join(sys.argv[1:])}`, {len(outcomes)} seeds,")
    print(f"{recipe.epochs} epochs, {machine()}, {time.perf_counter() - start:.0f} s.")


def plain(outcome: Outcome) -> dict[str, object]:
    """All of an outcome, fit for JSON."""
    columns = {name: getattr(outcome, name).tolist() for name in ("labels", "groups", "animals", "shares")}
    return columns | {"predicted": {name: codes.tolist() for name, codes in outcome.predicted.items()}}


def restored(kept: Mapping[str, Any]) -> Outcome:
    """The outcome that `plain` wrote."""
    columns = {name: np.array(kept[name], np.int64) for name in ("labels", "groups", "animals")}
    predicted = {name: np.array(codes, np.int64) for name, codes in kept["predicted"].items()}
    return Outcome(**columns, shares=np.array(kept["shares"], np.float64), predicted=predicted)


if __name__ == "__main__":
    main()
