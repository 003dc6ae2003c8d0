"""How well each mask method outlines the animal on masks that people drew or checked, and what it costs.

usage: python -m benchmarks.masks DATA

DATA holds photos/, masks/ and masks.csv. The mask network was never trained on these photos.
"""

import argparse
import csv
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from PIL import Image
from sklearn.metrics import roc_auc_score

from whalecam.arrays import Sample
from whalecam.data import read_sample
from whalecam.explain.masks import MASK_METHODS, MaskSources
from whalecam.explain.masks.net import LEAST_CONFIDENCE, SIZE, drawing, sureness

METHODS = ("border", "net")


def measure(data: Path) -> pd.DataFrame:
    """One row per photo and method: IoU at 0.5, pixel AUC, confidence."""
    rows = []
    with (data / "masks.csv").open() as file:
        listed = list(csv.DictReader(file))
    for row in listed:
        sample = read_sample(data / "photos" / row["image"], row["image"])
        true = np.asarray(Image.open(data / "masks" / row["mask"]).convert("L")) > 127
        known = {name: row[name] for name in ("image", "kind", "object")}
        rows += [known | {"method": name} | judged(drawn, true) for name, drawn in _drawings(sample).items()]
    return pd.DataFrame(rows)


def _drawings(sample: Sample) -> dict[str, Any]:
    """What each method draws; the network also where it is not sure, which stands in `confidence`."""
    border = MASK_METHODS["border"](MaskSources())(sample)
    blank = np.zeros(sample.pixels.shape[:2], np.float32)
    return {"border": blank if border is None else border.values, "net": drawing(sample.pixels)}


def judged(drawn: Any, true: Any) -> dict[str, float]:
    found = drawn > 0.5
    return {
        "iou": float((found & true).sum() / max(1, (found | true).sum())),
        "auc": float(roc_auc_score(true.ravel(), drawn.ravel())),
        "confidence": sureness(drawn),
    }


def milliseconds(repeats: int = 50) -> dict[str, float]:
    """Median time an image at 128 px on one core."""
    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3)).astype(np.uint8)
    found = {}
    for method in METHODS:
        find, times = MASK_METHODS[method](MaskSources()), []
        for _ in range(repeats):
            start = time.perf_counter()
            find(Sample("one", pixels))
            times.append(time.perf_counter() - start)
        found[method] = float(np.median(times)) * 1e3
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    rows = measure(parser.parse_args().data)
    table = rows.groupby(["kind", "object", "method"]).agg(
        photos=("iou", "size"), iou=("iou", "mean"), median=("iou", "median"), auc=("auc", "mean")
    )
    print(table.round(4).to_string())
    print(rows.groupby("method")[["iou", "auc"]].agg(["mean", "median"]).round(4).to_string())
    net = rows[rows["method"] == "net"]
    print(
        "refused, because the network is not sure:", float(np.round((net["confidence"] < LEAST_CONFIDENCE).mean(), 3))
    )
    print("confidence against IoU, rank correlation:", round(net["confidence"].corr(net["iou"], method="spearman"), 3))
    print("ms an image at 128 px, one core:", {name: round(value, 2) for name, value in milliseconds().items()})


if __name__ == "__main__":
    main()
