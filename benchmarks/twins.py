"""What two verdicts are worth: confirmed leaks against a clean twin's, differences against a reseeded twin's.

usage: python -m benchmarks.twins clean [--seeds 3] [--first 0] [--images 480] [--no-remedies] [--keep FILE]
       python -m benchmarks.twins reseeded [--pairs 8] [--images 480] [--size 96] [--epochs 6] [--keep FILE]

clean: the demo and its clean twin, the same drawings with no water that tells a species; the demo's training on each,
and, without --no-remedies, on the demo with shuffle and crop; audits of all. A network that never met a leak is flagged
by mistake alone: what is listed of it, on its own images and on the demo's, is the noise floor of the verdict. The
truth of each image is drawn too: the same animal in the same place on each of the three other waters. It relies on its
water where the probability of its prediction falls by more than 0.5 in the mean over these.

reseeded: networks that differ in nothing but the seed (of folds, first weights and order of images), two by two:
how many pairs does `compare` tell apart, and how far do seeds move each figure beyond the chance of the images?
"""

import argparse
import itertools
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from whalecam import remedies
from whalecam.analysis.compare import LEVEL, METRICS, compare_runs, metrics_of
from whalecam.audit import run_audit
from whalecam.audit.selftest import FALL, probabilities
from whalecam.config import FINE_ARCH, PROBE, SIMULATED, SUSPECT_ASSESSMENTS, AuditOptions, Thresholds, TrainOptions
from whalecam.data import inspect_images, open_dataset
from whalecam.demo import PLANTED, WATERS, write_demo
from whalecam.stats import holm
from whalecam.store.manifest import DatasetRecord
from whalecam.store.open_table import open_table
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.table import wilson

DEMO = TrainOptions(arch=FINE_ARCH, recipe=PROBE)
NAN = float("nan")
SMALL = TrainOptions(arch=FINE_ARCH, lr=1e-2, batch=16, folds=2)


def audited(path: Path, csv: Path, options: TrainOptions) -> Run:
    """Trained and audited on a demo set, with its masks."""
    data = open_dataset(csv, csv.parent / "images")
    run = create_run(path, DatasetRecord.of(data))
    masks = csv.parent / "masks"
    remedies.train(inspect_images(data), run, replace(options, masks=str(masks)))
    judged = run.remedied / "masks" if options.remedy in SIMULATED else masks
    run_audit.run_audit(run, run_audit.open_data(run), AuditOptions(masks=str(judged)))
    return run


def elsewhere(run: Run, path: Path, csv: Path) -> Run:
    """A copy of the run, audited on another set of the same names."""
    shutil.copytree(run.path, path, ignore=shutil.ignore_patterns("audit", "thumbs"))
    copy, data = open_run(path), open_dataset(csv, csv.parent / "images")
    copy.clear_audit()
    run_audit.run_audit(copy, data, AuditOptions(masks=str(csv.parent / "masks")))
    return copy


def shares_of(arm: str, seed: int, run: Run, before: Run | None) -> dict[str, Any]:
    """Shares of the assessments, of all images and of the planted species; the change from the run without a remedy."""
    rows = open_table(run, Thresholds()).values()
    known = rows[rows["assessment"] != "not_assessable"]
    planted = known["label"].isin(list(PLANTED))
    found: dict[str, Any] = {"arm": arm, "seed": seed, "n": len(known), **metrics_of(run)}
    found["listed"] = [int(rows["assessment"].isin(SUSPECT_ASSESSMENTS).sum()), len(rows)]
    for name in ("confirmed_leak", "hidden_reliance"):
        hits = known["assessment"] == name
        found |= {name: [int(hits.sum()), len(hits)], f"{name}_planted": [int(hits[planted].sum()), int(planted.sum())]}
    if before is not None and before.path != run.path:
        changes = compare_runs([before, run]).differences.values()
        found["changes"] = {one.metric: vars(one) for differences in changes for one in differences}
    return found


def against_truth(run: Run, images: Path, waters: Sequence[Path]) -> dict[str, Any]:
    """How the list of a run compares with what its images do on other waters.

    Args:
        images: the audited images.
        waters: for each of `demo.WATERS` the same images on that water.
    """
    rows = open_table(run, Thresholds()).all_rows()
    rows = rows[rows["predicted"].notna()].reset_index(drop=True)
    on_each = np.stack([probabilities(run, folder / "images", rows) for folder in waters], axis=1)
    own = np.array([_own_water(images / name, waters) for name in rows["image"]])
    before, is_other = on_each[np.arange(len(rows)), own], np.arange(len(waters)) != own[:, None]
    relies = before - on_each.mean(axis=1, where=is_other) > FALL
    listed = rows["assessment"].isin(SUSPECT_ASSESSMENTS).to_numpy()
    return {
        "relies": [int(relies.sum()), len(relies)],
        "relies, listed": wilson(int((listed & relies).sum()), int(relies.sum())),
        "does not rely, listed": wilson(int((listed & ~relies).sum()), int((~relies).sum())),
        "listed, false": wilson(int((listed & ~relies).sum()), int(listed.sum())),
    }


def _own_water(image: Path, waters: Sequence[Path]) -> int:
    """The place of the water on which an image was drawn: the same drawing makes the same file."""
    drawn = image.read_bytes()
    return next(at for at, folder in enumerate(waters) if (folder / "images" / image.name).read_bytes() == drawn)


def clean(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    leaky = write_demo(folder / "leaky", given.images)
    twin = write_demo(folder / "twin", given.images, leaking=False)
    waters = [write_demo(folder / f"water-{at}", given.images, water=water).parent for at, water in enumerate(WATERS)]
    found = []
    for seed in range(given.first, given.first + given.seeds):
        home, options = folder / f"seed-{seed}", replace(DEMO, seed=seed)
        before = audited(home / "none", leaky, options)
        sound = audited(home / "clean", twin, options)
        arms = [("none", before), ("clean", sound), ("clean, on the demo", elsewhere(sound, home / "on", leaky))]
        for arm, run in arms:
            images = (twin if arm == "clean" else leaky).parent / "images"
            found.append(shares_of(arm, seed, run, before) | {"truth": against_truth(run, images, waters)})
            print(json.dumps(found[-1]), flush=True)
        for remedy in () if given.no_remedies else ("shuffle", "crop"):
            run = audited(home / remedy, leaky, replace(options, remedy=remedy))
            found.append(shares_of(remedy, seed, run, before))
            print(json.dumps(found[-1]), flush=True)
    return found


def reseeded(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Every two of the networks, in one row; `apart` marks pairs that share no network."""
    csv, options = write_demo(folder / "pictures", given.images), replace(SMALL, size=given.size, epochs=given.epochs)
    paths = [folder / f"seed-{seed}" for seed in range(2 * given.pairs)]
    runs = [audited(path, csv, replace(options, seed=seed)) for seed, path in enumerate(paths)]
    found = pairs(runs)
    print(counted(found))
    return found


def pairs(runs: list[Run]) -> list[dict[str, Any]]:
    found = []
    for first, second in itertools.combinations(range(len(runs)), 2):
        differing = compare_runs([runs[first], runs[second]]).differences[runs[second].name]
        apart = first % 2 == 0 and second == first + 1
        found.append({"seeds": (first, second), "apart": apart, "differences": [vars(one) for one in differing]})
    return found


def counted(found: list[dict[str, Any]]) -> str:
    """Markdown: pairs told apart by images alone and with the seeds' chance, and what the seeds bring per figure."""
    lines = []
    for words, rows in (("apart", [row for row in found if row["apart"]]), ("all", found)):
        alone = [
            holm([one["p"] if METRICS[one["metric"]].tested else NAN for one in row["differences"]]) for row in rows
        ]
        hits = sum(min(p for p in corrected if p == p) < LEVEL for corrected in alone)
        kept = sum(any(one["corrected"] < LEVEL for one in row["differences"]) for row in rows)
        lines.append(f"{words}: {len(rows)} pairs; told apart by images alone {hits}, with the seeds' chance {kept}\n")
    lines += ["| figure | level | difference, rms | chance of the images | of the seeds |", "|---|---|---|---|---|"]
    for at, name in enumerate(METRICS):
        every = [row["differences"][at] for row in found]
        rms = np.sqrt(np.mean([one["difference"] ** 2 for one in every]))
        # The width of a 95 % interval is 3.92 standard errors.
        pictures = np.sqrt(np.mean([((one["high"] - one["low"]) / 3.92) ** 2 for one in every]))
        seeds, level = np.sqrt(max(0.0, rms**2 - pictures**2)), np.mean([one["before"] for one in every])
        lines.append(f"| {METRICS[name].words} | {level:.3f} | {rms:.3f} | {pictures:.3f} | {seeds:.3f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("clean", "reseeded"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--images", type=int, default=480)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--no-remedies", action="store_true")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = {"clean": clean, "reseeded": reseeded}[given.what](given, given.folder or Path(folder))
    if given.keep:
        given.keep.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
