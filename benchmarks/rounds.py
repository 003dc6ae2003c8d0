"""What asking in rounds saves and costs: forward passes per image, and how well reliance is told.

usage: python -m benchmarks.rounds DATA [--kind NAME]... [--seed 0] [--half 0] [--keep FOLDER]

Leaking networks and clean twins as in `benchmarks.reliance`, over a frozen body, with six donors of each label for each
image. `in rounds` is what an audit does: three donors of the other label and one of its own; then, where the prediction
drops by 0.1, as many again. `at once` are the same eight donors for every image; `all twelve` is the full test. Each is
assessed by the weights that WhaleCAM ships. Passes include the untouched image, the one without its object, and where
the prediction drops by 0.4 the eight that say which property carries it, though most images need six.
"""

import argparse
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from benchmarks.learners import Learner, Setting, learner_of
from benchmarks.reliance import Plant, kept, measured, metrics_of, published, tested
from whalecam.assessment.reliance import Exchanges
from whalecam.demo.backgrounds import KINDS
from whalecam.explain.background_test.edits import PROPERTIES
from whalecam.explain.background_test.exchange import EXPLAINED, EXPLAINING, SETTLED

DONORS, ALWAYS, EXPLANATION = 6, 2, len(PROPERTIES) * EXPLAINING
Counts = tuple[int, int]
"""Donors of the predicted label, and of the other one."""
FIRST, BOTH, ALL = (1, 3), (2, 6), (DONORS, DONORS)


def exchanges_of(rows: pd.DataFrame, first: Counts, then: Counts | None = None) -> Exchanges:
    """What was measured with so many donors, and with more of them where the prediction drops by SETTLED."""
    sides = {name: _side(rows, name) for name in ("own", "other", "own_unit", "other_unit")}
    before = rows["before"].to_numpy(np.float64)
    drop = before - sides["other"][:, : first[1]].mean(axis=1)
    more = drop >= SETTLED if then else np.zeros(len(rows), bool)
    for name, few, many in zip(("own", "other"), first, then or first, strict=True):
        asked = np.where(more, many, few)
        sides[name] = np.where(np.arange(DONORS) < asked[:, None], sides[name], np.nan)
    units = {name: sides[name].astype(np.int64) for name in ("own_unit", "other_unit")}
    return Exchanges(
        predicted=rows["predicted"].to_numpy(np.int64), before=before, own=sides["own"], other=sides["other"], **units
    )


def _side(rows: pd.DataFrame, name: str) -> NDArray[np.float64]:
    return rows[[f"{name}_{donor}" for donor in range(DONORS)]].to_numpy(np.float64)


def assessed(rows: pd.DataFrame, first: Counts, then: Counts | None = None) -> pd.DataFrame:
    """The rows of one network with what they are assessed by, probability, and passes `asked` and to `explain`."""
    exchanges = exchanges_of(rows, first, then)
    asked = ALWAYS + sum((~np.isnan(side)).sum(axis=1) for side in (exchanges.own, exchanges.other))
    explain = EXPLANATION * (exchanges.drop >= EXPLAINED)
    again = rows.assign(asked=asked, explain=explain, **tested(exchanges))
    return again.assign(probability=published(again))


def compared(rows: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """The rows of all networks, assessed in each way."""
    ways = {"in rounds": (FIRST, BOTH), "at once": (BOTH, None), "all twelve": (ALL, None)}
    each = [part for _, part in rows.groupby(["kind", "seed", "half", "network"])]
    return {name: pd.concat([assessed(part, *how) for part in each], ignore_index=True) for name, how in ways.items()}


def table(rows: pd.DataFrame) -> str:
    """Markdown: one row per way; AUROC and recall are means over kinds."""
    names = ("AUROC", "at worst", "recall", "false of the listed", "passes to assess", "and to explain")
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for name, found in compared(rows).items():
        kinds = pd.DataFrame([metrics_of(part) for _, part in found.groupby("kind")])
        auroc, false = kinds["AUROC probability"], (kinds["listed"] * kinds["false of them"]).sum()
        cells = [f"{auroc.mean():.3f}", f"{auroc.min():.3f}", f"{kinds['recall'].mean():.0%}"]
        cells += [f"{false / max(1, kinds['listed'].sum()):.1%}", f"{found['asked'].mean():.1f}"]
        cells += [f"{(found['asked'] + found['explain']).mean():.1f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def all_rows(data: Path, kinds: list[str], *, seed: int, half: int, keep: Path | None) -> pd.DataFrame:
    """Measured rows of these kinds, each kept in a file of its own."""
    setting = Setting()
    learner: Learner = learner_of(setting)
    plants = [Plant(data=data, kind=kind, seed=seed, half=half) for kind in kinds]
    files = [keep / f"{DONORS}-{plant.name(setting)}" if keep else None for plant in plants]
    pairs = zip(files, plants, strict=True)
    return pd.concat([kept(file, partial(measured, plant, learner, DONORS)) for file, plant in pairs])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kind", action="append", choices=sorted(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--half", type=int, default=0, choices=(0, 1))
    parser.add_argument("--keep", type=Path, help="Where rows are kept as CSV; what is there is not measured again.")
    given = parser.parse_args()
    kinds = sorted(set(given.kind or KINDS))
    print(table(all_rows(given.data, kinds, seed=given.seed, half=given.half, keep=given.keep)))


if __name__ == "__main__":
    main()
