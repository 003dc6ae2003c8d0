"""How fast the network trains compared with the recipe of the notebook (docs/method/exact-maps.md), and how well.

usage: python -m benchmarks.training DATA [--seeds 6] [--epochs 3] [--json FILE]

DATA contains photos/ and photos.csv. Both recipes train one architecture on the same rows with the same seeds, in turn.
A seed makes another split, so losses are compared within it: the mean difference, with its 95 % interval (Student's t).
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from scipy import stats

from whalecam.config import FINE_ARCH, TrainOptions
from whalecam.data import Dataset, inspect_images, open_dataset
from whalecam.network import training
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import create_run

COMPARED = ("fast", "notebook")


def trained(data: Dataset, folder: Path, recipe: str, seed: int, epochs: int) -> dict[str, float]:
    """Images a second over all epochs, the reading of the images included, and the validation loss."""
    record = DatasetRecord.of(data)
    run = create_run(folder / f"{recipe}-{seed}", record)
    options = TrainOptions(arch=FINE_ARCH, epochs=epochs, lr=5e-3, batch=32, min_per_class=10, seed=seed, recipe=recipe)
    start = time.perf_counter()
    metrics = training.train(data, run, options)
    seen = (metrics["n_train"] + metrics["n_valid"]) * (epochs + 1)
    return {"speed": seen / (time.perf_counter() - start), "loss": metrics["valid_loss"]}


def measure(data_folder: Path, seeds: int, epochs: int) -> dict[str, list[dict[str, float]]]:
    photos = open_dataset(data_folder / "photos.csv", data_folder / "photos")
    data = inspect_images(photos)
    found: dict[str, list[dict[str, float]]] = {recipe: [] for recipe in COMPARED}
    with tempfile.TemporaryDirectory() as folder:
        trained(data, Path(folder) / "warm-up", COMPARED[0], 0, 1)
        for seed in range(seeds):
            for recipe in COMPARED:
                found[recipe].append(trained(data, Path(folder), recipe, seed, epochs))
    return found


def table(found: dict[str, Any]) -> str:
    """Markdown: medians, the ratio of each pair, and the mean difference of its losses."""
    fast, seed = found["fast"], found["notebook"]
    ratio = statistics.median(one["speed"] / other["speed"] for one, other in zip(fast, seed, strict=True))
    apart = [one["loss"] - other["loss"] for one, other in zip(fast, seed, strict=True)]
    low, high = stats.t.interval(0.95, len(apart) - 1, statistics.mean(apart), stats.sem(apart))
    lines = ["| recipe | images/s | validation loss, by seed |", "|---|---|---|"]
    for name, rows in found.items():
        losses = " · ".join(f"{row['loss']:.3f}" for row in rows)
        lines.append(f"| {name} | {statistics.median(row['speed'] for row in rows):.0f} | {losses} |")
    told = f"fast is {ratio:.2f} times as fast (median); its loss differs by {statistics.mean(apart):+.3f} "
    return "\n".join([*lines, "", f"{told}({low:+.3f} to {high:+.3f})."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = measure(given.data, given.seeds, given.epochs)
    print(table(found))
    if given.json:
        given.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
