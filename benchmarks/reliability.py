"""Whether `reliance_probability` is borne out: all rows that `benchmarks.reliance --keep FOLDER` left, put together.

usage: python -m benchmarks.reliability FOLDER [--write whalecam/analysis/reliability.json] [--diagram FILE.svg]

The probability of each row is fitted on frozen bodies over water alone: on the other kinds of leak, and on the other
half of the animals. So networks trained end to end, other sceneries and other sizes of image were not fitted on at all.
"""

import argparse
import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from benchmarks.learners import Setting
from benchmarks.reliance import (
    FALL,
    LEARNED,
    NETWORKS,
    WATER,
    binned,
    calibration_error,
    crossfitted,
    listed_of,
    metrics_of,
)
from whalecam.analysis.reliability import BinRecord, Reliability, ReliabilityRecord, parsed
from whalecam.store.table import wilson

GROUP = ["scenery", "body", "tuned", "size"]
NETWORK = [*GROUP, "kind", "seed", "half", "network"]
COLUMNS = ("kinds", "AUROC probability", "least AUROC", "calibration error", "listed", "false of them", "recall")


def read(folder: Path) -> pd.DataFrame:
    """All kept rows, of networks whose clean twin has learned: it is right on LEARNED of unseen images or more."""
    files = sorted(folder.glob("*.csv"))
    rows = pd.concat([pd.read_csv(file).assign(file=file.name) for file in files], ignore_index=True)
    rows["scenery"] = rows["scenery"].fillna(WATER) if "scenery" in rows else WATER
    right = rows[rows["network"] == NETWORKS[1]].groupby("file")["accuracy"].first()
    return rows[rows["file"].map(right) >= LEARNED].reset_index(drop=True)


def with_probability(rows: pd.DataFrame) -> pd.DataFrame:
    setting = Setting()
    is_known = (rows["scenery"] == WATER) & (rows["body"] == setting.body) & ~rows["tuned"].astype(bool)
    is_known &= rows["size"] == setting.size
    return rows.assign(probability=crossfitted(rows, rows[is_known].reset_index(drop=True)))


def reliability_of(rows: pd.DataFrame) -> ReliabilityRecord:
    """What `whalecam.analysis.reliability` reads."""
    truth, probability = rows["fall"].to_numpy() > FALL, rows["probability"].to_numpy()
    bins = list[BinRecord]()
    for inside in binned(probability):
        share, low, high = (round(value, 4) for value in wilson(int(truth[inside].sum()), int(inside.sum())))
        mean = round(float(probability[inside].mean()), 4)
        bins.append({"probability": mean, "share": share, "low": low, "high": high, "images": int(inside.sum())})
    networks = int(rows.groupby(NETWORK).ngroups)
    return {"bins": bins, "networks": networks, "kinds": int(rows["kind"].nunique())}


def table(rows: pd.DataFrame) -> str:
    """A row for each scenery, body and size of image, in Markdown."""
    lines = ["| " + " | ".join((*GROUP, *COLUMNS)) + " |", "|---" * (len(GROUP) + len(COLUMNS)) + "|"]
    for names, part in rows.groupby(GROUP):
        of_kinds = [metrics_of(of_kind)["AUROC probability"] for _, of_kind in part.groupby("kind")]
        truth, listed = part["fall"].to_numpy() > FALL, listed_of(part)
        false, low, high = wilson(int((listed & ~truth).sum()), int(listed.sum()))
        cells = [
            *map(str, names if isinstance(names, tuple) else (names,)),
            f"{len(of_kinds)}",
            f"{np.mean(of_kinds):.3f}",
            f"{min(of_kinds):.3f}",
            f"{calibration_error(truth, part['probability'].to_numpy()):.3f}",
            f"{int(listed.sum())} of {len(part)}",
            f"{false:.1%} ({low:.1%} to {high:.1%})" if listed.any() else "–",
            f"{listed[truth].mean():.0%}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(shown: Reliability, path: Path) -> None:
    """The reliability diagram, with 95 % intervals."""
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "whalecam", "font.size": 9})
    figure, axes = plt.subplots(figsize=(4.2, 3.6))
    bins = shown.bins
    reach = [[bin_.share - bin_.low for bin_ in bins], [bin_.high - bin_.share for bin_ in bins]]
    x, y = [bin_.probability for bin_ in bins], [bin_.share for bin_ in bins]
    axes.plot([0, 1], [0, 1], color="#94a3b8", linestyle="--", linewidth=1)
    axes.errorbar(x, y, yerr=reach, color="#0e7490", marker="o", markersize=4, capsize=2, linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="reliance_probability", ylabel="share that relies on its background")
    axes.set_title(f"{shown.images:,} predictions, {shown.kinds} kinds of planted leak", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--diagram", type=Path)
    given = parser.parse_args()
    rows = with_probability(read(given.folder))
    record = reliability_of(rows)
    print(table(rows))
    shown = parsed(record)
    print(f"{shown.images:,} predictions of {shown.networks} networks, calibration error {shown.error:.4f}")
    if given.write:
        given.write.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if given.diagram:
        draw(shown, given.diagram)


if __name__ == "__main__":
    main()
