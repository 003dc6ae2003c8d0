"""What each remedy is worth: on planted leaks with a known truth, and on real photographs.

usage: python -m benchmarks.remedies planted TOOLS/planted.py [--seeds 3] [--n 700] [--animals 16] [--keep FILE]
       python -m benchmarks.remedies photos DATA [--seeds 1] [--first 0] [--keep FILE] [--join FILE ...]
       each with [--remedy NAME ...]: these alone, beside the network without a remedy

planted: the developers' tool pastes real animals on waters of two colours, one for each label (97 %). Each arm trains
on the leaky set with the same split and seed, and is judged on the `flipped` twins of the images it had not seen: the
same animals on the other label's water. Where a remedy mends images (crop, neutral), the flipped images are mended
alike before they are judged, with the true masks, as they would be in use. Beside it stands what the simulation said
of the network without a remedy before anything was trained again.

photos: DATA holds photos/, photos.csv, masks/, boxes.csv. Three folds grouped by individual, species with ten images
or more. Swapped backgrounds: each image's animal on the waters of two images of other species.

--join takes rows that earlier runs kept, so that seeds may be run one at a time. All seeds together count as one
sample: every judgement of every seed, its 95 % interval by drawing individuals anew with all their images of all
seeds (an image of an unknown individual counts as one), and changes from the run of the same seed without a remedy.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.planted_leaks import load
from whalecam import network, remedies
from whalecam.analysis.recommendation import RemedyMetrics, interval, measured_of
from whalecam.arrays import typed_records
from whalecam.config import FINE_ARCH, LAYER_REMEDIES, RETRAIN_REMEDIES, SIMULATED, TrainOptions
from whalecam.data import ImageRow, geometry, inspect_images, open_dataset
from whalecam.data.folds import groups_of
from whalecam.remedies.simulation import simulate
from whalecam.stats import Interval
from whalecam.store.json_file import read_json
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run

PLANTED = TrainOptions(arch=FINE_ARCH, epochs=8, lr=1e-2, size=96, batch=32, split="random", valid_share=0.3)
PHOTOS = TrainOptions(arch=FINE_ARCH, epochs=8, lr=5e-3, size=128, batch=32, folds=3, min_per_class=10)


def plant(tool_path: Path, out: Path, n: int, size: int, seed: int, animals: int) -> None:
    """The tool's own three sets, of its first animals only, so that each is seen often enough to be learnt."""
    tool: Any = load(tool_path)
    every = tool.load
    tool.load = lambda folder: every(folder)[:animals]
    given, sys.argv = sys.argv, ["planted", str(out), "--n", str(n), "--size", str(size), "--seed", str(seed)]
    try:
        tool.main()
    finally:
        sys.argv = given


def trained(path: Path, csv: Path, images: Path, options: TrainOptions, untouched: Path) -> Run:
    """A run with the remedy; another last layer is that of the run without one, `untouched`."""
    data = open_dataset(csv, images)
    run = create_run(path, DatasetRecord.of(data))
    if options.remedy in LAYER_REMEDIES:
        remedies.refit(inspect_images(data), run, open_run(untouched), options)
    else:
        remedies.train(inspect_images(data), run, options)
    return run


def flipped(run: Run, folder: Path) -> "pd.Series[float]":
    """By image: 1 where the run's network is right on the flipped image; those it was not trained on."""
    data, remedy = open_dataset(folder / "train.csv", folder / "images"), str(run.manifest.train["remedy"])
    rows = data.good()[~data.good()["image"].isin(run.training_images())]
    find = remedies.finder(data, TrainOptions(masks=str(folder / "masks")))
    red, green, blue = (
        read_json(run.path / "mended" / "remedy.json")["mean_water"] if remedy in SIMULATED else (0, 0, 0)
    )
    model, right = network.from_spec(run.manifest.network, run.load_checkpoint()), {}
    for row in typed_records(rows, ImageRow):
        case = remedies.case_of(row, find, {}, water=(red, green, blue))
        mended = remedies.REMEDIES[remedy](case) if remedy in SIMULATED else None
        pixels = case.sample.pixels if mended is None or mended.pixels is None else mended.pixels
        inputs = geometry.to_input(pixels, model.size, model.resize)
        logits = model.head(model.look(inputs[None]))
        right[row["image"]] = float(model.classes[int(logits.argmax())] == row["label"])
    return pd.Series(right)


def planted(given: argparse.Namespace, folder: Path, seed: int) -> list[dict[str, Any]]:
    """One row per arm: right on own and flipped images, the gain over none, what was simulated."""
    plant(given.source, folder, given.n, 128, seed, given.animals)
    leaky, rows = folder / "leaky", []
    table = pd.read_csv(leaky / "train.csv", dtype=str).set_index("image")
    base = pd.Series(dtype=float)
    said: Mapping[str, RemedyMetrics] = {}
    for remedy in given.remedy:
        options = TrainOptions(**{**vars(PLANTED), "seed": seed, "remedy": remedy, "masks": str(leaky / "masks")})
        run = trained(folder / f"run-{remedy}", leaky / "train.csv", leaky / "images", options, folder / "run-none")
        right = flipped(run, folder / "flipped").sort_index()
        groups = groups_of(table.loc[right.index, "individual_id"].tolist()).tolist()
        if remedy == "none":
            # Before anything is trained again: the tool's masks, as an audit would be given them.
            run.update(audit={"masks": str(leaky / "masks")})
            base, said = right, simulate(run)["figures"]
        rows.append(
            {
                "seed": seed,
                "remedy": remedy,
                "n": len(right),
                "own": run.metrics()["accuracy"],
                "flipped": interval(np.asarray(right, np.float64), groups),
                "gain": interval((right - base).to_numpy(), groups),
                "simulated": said[remedy]["all"].get("unseen_gain") if remedy in said else None,
                "right": right.to_dict(),
                "who": table.loc[right.index, "individual_id"].to_dict(),
            }
        )
        print(json.dumps({name: rows[-1][name] for name in list(rows[-1])[:7]}), flush=True)
    return rows


def photos(given: argparse.Namespace, folder: Path, seed: int) -> list[dict[str, Any]]:
    """One row per arm: out-of-fold accuracy on own and on swapped backgrounds, and the paired differences to none."""
    source, runs, rows = given.source, [], []
    table = pd.read_csv(source / "photos.csv", dtype=str).set_index("image")
    who = table["individual_id"].fillna(table.index.to_series()).to_dict()
    for remedy in given.remedy:
        places = {"masks": str(source / "masks"), "boxes": (str(source / "boxes.csv"),)}
        options = TrainOptions(**{**vars(PHOTOS), **places, "seed": seed, "remedy": remedy})
        run = trained(folder / f"run-{remedy}", source / "photos.csv", source / "photos", options, folder / "run-none")
        if remedy not in SIMULATED:
            run.update(audit={"masks": places["masks"], "boxes": list(places["boxes"])})
        runs.append(run)
        found, metrics = simulate(run, None if remedy == "none" else (), limit=10_000), run.metrics()
        change = measured_of(runs[0], [run])
        rows.append(
            {
                "seed": seed,
                "remedy": remedy,
                "n": metrics["n_valid"],
                "accuracy": metrics["accuracy"],
                "balanced": metrics["balanced_accuracy"],
                "loss": metrics["valid_loss"],
                "with_mask": found["pictures"],
                "own": found["figures"]["present"]["all"]["own"],
                "unseen": found["figures"]["present"]["all"]["unseen"],
                "own_change": change[0].own._asdict() if change else None,
                "unseen_change": change[0].unseen._asdict() if change else None,
                "simulated": {name: one["all"] for name, one in found["figures"].items() if name != "present"},
                "right_own": found["own"],
                "right_unseen": found["unseen"],
                "who": {image: who[image] for image in found["own"]},
            }
        )
        print(json.dumps({name: rows[-1][name] for name in list(rows[-1])[:-3]}), flush=True)
    return rows


def pooled(rows: list[dict[str, Any]]) -> str:
    """Markdown: every seed, and all seeds together, their images counted as one sample with its individuals."""
    lines = ["| remedy | seed | own water | flipped | gain over none | simulated gain |", "|---|---|---|---|---|---|"]
    for remedy in RETRAIN_REMEDIES:
        if not (mine := [row for row in rows if row["remedy"] == remedy]):
            continue
        for row in mine:
            figures = (row["flipped"], row["gain"] if remedy != "none" else None, row["simulated"])
            cells = " | ".join(_cell(figure) for figure in figures)
            lines.append(f"| {remedy} | {row['seed']} | {row['own']:.1%} | {cells} |")
        cells = " | ".join(_cell(figure) for figure in joined(rows, remedy, "right"))
        own = np.mean([row["own"] for row in mine])
        lines.append(f"| **{remedy}** | all | {own:.1%} | {cells} | |")
    return "\n".join(lines)


def joined(rows: list[dict[str, Any]], remedy: str, name: str) -> tuple[Interval | None, Interval | None]:
    """All seeds together: how often a remedy's runs are right, and what it changed, each with its interval.

    Args:
        name: of the judgements by image in a row, in [0, 1] or None.
    """
    base = {row["seed"]: row[name] for row in rows if row["remedy"] == "none"}
    right, change, who = [], [], []
    for row in rows:
        for image, value in row[name].items() if row["remedy"] == remedy else ():
            before = base[row["seed"]].get(image)
            right.append(np.nan if value is None else value)
            change.append(np.nan if value is None or before is None else value - before)
            who.append(row["who"][image])
    groups = groups_of(who).tolist()
    return interval(np.array(right, float), groups), interval(np.array(change, float), groups)


def listed(rows: list[dict[str, Any]]) -> str:
    """Markdown: the photographs, every remedy and seed, and all seeds together."""
    head = "| remedy | seed | accuracy | balanced | loss | own water | swapped backgrounds "
    lines = [head + "| change own | change unseen | simulated gain |", "|---|---|---|---|---|---|---|---|---|---|"]
    said = {row["seed"]: row["simulated"] for row in rows if row["remedy"] == "none"}
    for remedy in RETRAIN_REMEDIES:
        mine = sorted((row for row in rows if row["remedy"] == remedy), key=lambda row: int(row["seed"]))
        for row in mine:
            changes = [row[name] and list(row[name].values()) for name in ("own_change", "unseen_change")]
            simulated = said[row["seed"]].get(remedy, {}).get("unseen_gain")
            figures = (row["own"], row["unseen"], *changes, simulated)
            lines.append(_line(remedy, str(row["seed"]), [row], figures))
        if len(mine) > 1:
            own, unseen = (joined(rows, remedy, f"right_{name}") for name in ("own", "unseen"))
            changes = [own[1], unseen[1]] if remedy != "none" else [None, None]
            lines.append(_line(f"**{remedy}**", "all", mine, (own[0], unseen[0], *changes, None)))
    return "\n".join(lines)


def _line(remedy: str, seed: str, rows: list[dict[str, Any]], figures: Iterable[Any]) -> str:
    accuracy, balanced, loss = (np.mean([row[name] for row in rows]) for name in ("accuracy", "balanced", "loss"))
    cells = " | ".join(_cell(figure) for figure in figures)
    return f"| {remedy} | {seed} | {accuracy:.1%} | {balanced:.1%} | {loss:.2f} | {cells} |"


def _cell(figure: Any) -> str:
    return "–" if figure is None else f"{figure[0]:.1%} ({figure[1]:.1%} to {figure[2]:.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=("planted", "photos"))
    parser.add_argument("source", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0, help="The first seed.")
    parser.add_argument("--n", type=int, default=700)
    parser.add_argument("--animals", type=int, default=16)
    parser.add_argument("--remedy", nargs="+", choices=RETRAIN_REMEDIES[1:], default=RETRAIN_REMEDIES[1:])
    parser.add_argument("--keep", type=Path, help="Write every row here as JSON.")
    parser.add_argument("--join", type=Path, nargs="*", default=[], help="Rows that earlier runs kept.")
    given = parser.parse_args()
    given.remedy = ("none", *given.remedy)
    rows: list[dict[str, Any]] = [row for kept in given.join for row in json.loads(kept.read_text(encoding="utf-8"))]
    for seed in range(given.first, given.first + given.seeds):
        with tempfile.TemporaryDirectory() as folder:
            rows += (planted if given.which == "planted" else photos)(given, Path(folder), seed)
        if given.keep:
            given.keep.write_text(json.dumps(rows), encoding="utf-8")
    print(pooled(rows) if given.which == "planted" else listed(rows))


if __name__ == "__main__":
    main()
