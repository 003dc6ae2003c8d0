"""What the whole audit lists and which property it names, on real cut-outs with a leak planted in one property.

usage: python -m benchmarks.planted_leaks TOOLS/planted.py [--kind colour|brightness|texture]... [--n 1200] [--seed 0]

The developers' tool pastes real animals on waters of two colours, one for each label; the same idea is extended here to
brightness and texture. One network is trained where the water tells the label, one on the clean twin; both judge the
leaky images that neither was trained on. The truth, per image and network: the probability of the prediction falls
by more than 0.5 when this very water is exchanged for the other kind.
"""

import argparse
import csv
import importlib.util
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.metrics import roc_auc_score

from whalecam.audit import run_audit
from whalecam.audit.selftest import FALL, probabilities
from whalecam.config import AuditOptions, Thresholds, TrainOptions
from whalecam.data import Dataset, open_dataset
from whalecam.explain.background_test.backgrounds import split
from whalecam.network import training
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run
from whalecam.store.table import NO_REVIEWS, Table, wilson

SCORES = ("attention_score", "background_share", "reliance_swap", "bg_gap", "reliance_probability")
TRAINING = TrainOptions(arch="efficientnet_lite0_fine", epochs=8, split="random", valid_share=0.4, batch=64)
CALM, ROUGH = (0.4, 0.6, 0.8, 1.0), (3.5, 3.5, 3.5, 3.0)


def brighter(water: Any, kind: int) -> Any:
    """Dark (0) and light (1) water, colour and waves kept."""
    lab = cv2.cvtColor(water, cv2.COLOR_RGB2LAB).astype(np.float32)
    lab[..., 0] += (85 if kind == 0 else 165) - lab[..., 0].mean()
    return cv2.cvtColor(np.clip(lab, 0, 255).astype(np.uint8), cv2.COLOR_LAB2RGB)


def rougher(water: Any, kind: int) -> Any:
    """Calm (0) and choppy (1) water, mean colour and brightness kept."""
    lab = cv2.cvtColor(water.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    for band, wanted in zip(split(lab[..., 0]), CALM if kind == 0 else ROUGH, strict=True):
        lab[..., 0] += band * (min(wanted / max(float(band.std()), 0.05), 12) - 1)
    return np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB) * 255, 0, 255).astype(np.uint8)


def load(tool: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("planted", tool)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(tool: ModuleType, out: Path, tint: Callable[[Any, int], Any], n: int, size: int, seed: int) -> None:
    """leaky, clean and flipped, as the tool makes them, with any tint."""
    animals, rng = tool.load(tool.DATA), np.random.default_rng(seed)
    waters = [tool.water_of(image, mask, size) for _, image, mask in animals]
    rows = []
    for kind in ("leaky", "clean", "flipped"):
        (out / kind / "images").mkdir(parents=True)
        (out / kind / "masks").mkdir()
    for i in range(n):
        k = int(rng.integers(len(animals)))
        name, image, mask = animals[k]
        state, w, label = int(rng.integers(1 << 31)), int(rng.integers(len(waters))), k % 2
        leaky = label if rng.random() < 0.97 else 1 - label
        for kind, water in {"leaky": leaky, "clean": int(rng.integers(2)), "flipped": 1 - leaky}.items():
            picture, drawn = tool.paste(image, mask, tint(waters[w], water), state, size)
            Image.fromarray(picture).save(out / kind / "images" / f"{i:05}.jpg", quality=92)
            Image.fromarray((drawn * 255).astype(np.uint8)).save(out / kind / "masks" / f"{i:05}.png")
        rows.append((f"{i:05}.jpg", ("humpback_whale", "beluga")[label], Path(name).stem))
    for kind in ("leaky", "clean", "flipped"):
        with (out / kind / "train.csv").open("w", newline="") as file:
            csv.writer(file).writerows([("image", "species", "individual_id"), *rows])


def judged(folder: Path, kind: str, seed: int) -> pd.DataFrame:
    """Rows of the leaky images that the network of `kind` was not trained on, with their `fall`."""
    data = open_dataset(folder / kind / "train.csv", folder / kind / "images")
    record = DatasetRecord.of(data)
    run: Run = create_run(folder / f"run-{kind}", record)
    training.train(data, run, TrainOptions(**{**vars(TRAINING), "seed": seed}))
    leaky = open_dataset(folder / "leaky" / "train.csv", folder / "leaky" / "images")
    unseen = leaky.table[~leaky.table["image"].isin(run.training_images())]
    masks = str(folder / "leaky" / "masks")
    run_audit.run_audit(
        run, Dataset(**{**vars(leaky), "table": unseen}), AuditOptions(masks=masks, background_test="all")
    )
    rows = Table(run.parts(), Thresholds(), NO_REVIEWS).all_rows()
    rows["fall"] = rows["confidence"] - probabilities(run, folder / "flipped" / "images", rows)
    return rows.assign(network=kind)


def auroc(truth: Any, score: Any, times: int = 300) -> list[float]:
    """AUROC of one score, with its 95 % bootstrap interval over images: [value, low, high]; NaN for equal truths."""
    truth, score = np.asarray(truth, bool), np.nan_to_num(np.asarray(score, float))
    if truth.all() or not truth.any():
        return [float("nan")] * 3
    rng = np.random.default_rng(0)
    found: list[float] = []
    while len(found) < times:
        some = rng.integers(len(truth), size=len(truth))
        if 0 < truth[some].sum() < len(some):
            found.append(roc_auc_score(truth[some], score[some]))
    low, high = np.quantile(found, (0.025, 0.975))
    return [round(float(value), 3) for value in (roc_auc_score(truth, score), low, high)]


def figures(rows: pd.DataFrame) -> dict[str, Any]:
    """AUROC of every score; what is listed at the default rate, how much of it is false, and what it is said to be."""
    truth, listed = rows["fall"] > FALL, rows["q_value"] <= Thresholds().false_rate
    false = wilson(int((listed & ~truth).sum()), int(listed.sum()))
    relying = rows[listed & truth]
    return {
        "images": len(rows),
        "relies": float(truth.mean()),
        "auroc": {name: auroc(truth, rows[name].astype(float)) for name in SCORES},
        "listed": int(listed.sum()),
        "false of them": [round(share, 3) for share in false],
        "recall": round(float(listed[truth].mean()), 3),
        "clean twin's listed": round(float(listed[rows["network"] == "clean"].mean()), 3),
        "named": relying["reliance_on"].value_counts(normalize=True).round(3).to_dict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tool", type=Path)
    parser.add_argument("--kind", action="append", choices=("colour", "brightness", "texture"))
    parser.add_argument("--n", type=int, default=1200)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--keep", type=Path, help="Write the rows here as CSV.")
    given = parser.parse_args()
    tool = load(given.tool)
    tints = {"colour": tool.tint, "brightness": brighter, "texture": rougher}
    for plant in given.kind or tints:
        for seed in given.seed or (0,):
            with tempfile.TemporaryDirectory() as folder:
                write(tool, Path(folder), tints[plant], given.n, given.size, seed)
                rows = pd.concat([judged(Path(folder), kind, seed) for kind in ("leaky", "clean")])
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                rows.to_csv(given.keep / f"{plant}-{seed}.csv", index=False)
            print(json.dumps({"plant": plant, "seed": seed} | figures(rows)), flush=True)


if __name__ == "__main__":
    main()
