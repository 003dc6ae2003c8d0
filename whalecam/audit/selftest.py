"""Does the detector work on this install? Known answers, planted leaks, and bounds that may be missed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from whalecam import network
from whalecam.arrays import Progress, Report, silent
from whalecam.audit import run_audit
from whalecam.config import FINE_ARCH, AuditOptions, Thresholds, TrainOptions
from whalecam.data import geometry, inspect_images, open_dataset, read_grey, read_sample
from whalecam.demo import PLANTS, write_planted
from whalecam.explain import cam, masks, score
from whalecam.explain.background_test import PROPERTIES
from whalecam.network import training
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run
from whalecam.store.table import NO_REVIEWS, Table

TRAINING = TrainOptions(arch=FINE_ARCH, epochs=6, lr=1e-2, size=96, batch=16, split="random", valid_share=0.4)
LEAST_AUROC, MOST_FALSE, STILL = 0.85, 0.05, 0.1
LEAST_OVERLAP = {"net": 0.4, "border": 0.3}
FALL = 0.5
"""The truth: the prediction's probability falls by more than this when the planted property of its water is flipped."""


@dataclass(frozen=True)
class Check:
    """One figure: `value` must be at most (or at least) `bound`, where there is one; `says` what was measured."""

    name: str
    value: float
    bound: float | None
    at_most: bool
    says: str

    @property
    def passed(self) -> bool:
        if self.bound is None:
            return True
        return bool(self.value <= self.bound if self.at_most else self.value >= self.bound)

    def line(self) -> str:
        """For people."""
        if self.bound is None:
            return f"       {self.name}: {self.value:.3g}: {self.says}"
        sign, state = "≤" if self.at_most else "≥", "ok    " if self.passed else "MISSED"
        return f"{state} {self.name}: {self.value:.3g} ({sign} {self.bound:.3g}): {self.says}"


def run_selftest(
    folder: Path, plants: Sequence[str] = tuple(PLANTS), images: int = 160, report: Report = silent
) -> list[Check]:
    """Check maps and scores against known answers, then plant each leak, train, audit and compare with the truth.

    Args:
        folder: empty; drawings and runs are left there.
        plants: names out of `demo.PLANTS`.
        images: images a planted set.
    """
    checks = [*_maps(), *_scores()]
    for plant in plants:
        checks += _planted(folder / plant, plant, images, report)
    report(Progress("self-test", len(plants), len(plants)))
    return checks


def _maps() -> Iterable[Check]:
    """Completeness, permutation of hidden units and randomised weights, on fastai's default head."""
    torch.manual_seed(0)
    head, other = (network.fastai_head(64, 5, 32).eval() for _ in range(2))
    activations = torch.randn(64, 64, 6, 6).relu()
    evidence = cam.explain(head, activations)
    worst = float((evidence.completeness_error / evidence.logits.abs().amax(1)).max())
    yield Check("maps add up", worst, 1e-4, True, "largest |Σ map + bias − logit| over the largest logit")
    moved = (_permuted(head, torch.randperm(32)), other)
    same, random = (cam.explain(changed, activations).maps for changed in moved)
    change = float((same - evidence.maps).abs().max() / evidence.maps.abs().max())
    yield Check("hidden units permuted", change, 1e-4, True, "largest change of a map, relative to its largest value")
    alike = abs(float(np.corrcoef(evidence.maps.numpy().ravel(), random.numpy().ravel())[0, 1]))
    yield Check("weights randomised", alike, 0.5, True, "correlation of the maps with those of another network")


def _permuted(head: torch.nn.Sequential, order: torch.Tensor) -> torch.nn.Sequential:
    """The same function with its hidden units in another order."""
    weights = {name: value.clone() for name, value in head.state_dict().items()}
    for name, value in weights.items():
        layer = name.split(".")[0]
        if (layer == "4") or (layer == "6" and value.ndim):
            weights[name] = value[order]
    weights["8.weight"] = weights["8.weight"][:, order]
    changed = network.fastai_head(weights["2.weight"].numel() // 2, len(weights["8.weight"]), len(order))
    changed.load_state_dict(weights)
    return changed.eval()


def _scores() -> Iterable[Check]:
    """The perfect map has an attention_score of 0, the flat one of 1."""
    mask = np.zeros((96, 96), np.float32)
    mask[24:72, 16:64] = 1
    weights = score.weigh(mask, None, (8, 8))
    perfect = mask.reshape(8, 12, 8, 12).mean((1, 3))
    for name, drawing, wanted in (("perfect map", perfect, 0.0), ("flat map", np.ones((8, 8)), 1.0)):
        off = abs(score.score(drawing, weights).attention_score - wanted)
        yield Check(name, off, 1e-6, True, f"how far its attention_score is from {wanted:.0f}")


def _planted(folder: Path, plant: str, images: int, report: Report) -> Iterable[Check]:
    """A network trained where the water tells the label, and one where it does not; both judged on the leaky set."""
    sets = write_planted(folder, plant, images, report=report)
    audited = {}
    for kind in ("leaky", "clean"):
        run = _trained(folder / f"run-{kind}", getattr(sets, kind), report)
        audited[kind] = _audited(run, sets.leaky, sets.flipped, report)
    learnt, twin = (float((audited[kind]["fall"] > FALL).mean()) for kind in ("leaky", "clean"))
    says = "share of unseen images whose prediction falls when the planted property is flipped"
    yield Check(f"{plant}: leak learnt", learnt, 0.5, False, says)
    yield Check(f"{plant}: clean twin", twin, learnt, True, says)
    yield from _detection(pd.concat(audited.values(), ignore_index=True), plant)
    for method, least in LEAST_OVERLAP.items():
        overlap = _overlap(sets.leaky, method)
        yield Check(f"{plant}: mask by {method}", overlap, least, False, "mean IoU with the drawn masks")


def _detection(rows: pd.DataFrame, plant: str) -> Iterable[Check]:
    """How well each score tells what falls from what does not, how often the list is wrong, and what it names."""
    truth = rows["fall"] > FALL
    if not 0 < truth.sum() < len(truth):
        return
    for name, least in (("attention_score", None), ("reliance_swap", None), ("reliance_probability", LEAST_AUROC)):
        auroc = float(roc_auc_score(truth, rows[name].astype(float).fillna(0)))
        yield Check(f"{plant}: {name}", auroc, least, False, f"AUROC of {name} against the truth")
    listed = rows["q_value"] <= Thresholds().false_rate
    wrong = float((listed & (rows["fall"].abs() < STILL)).mean())
    says = "share of images listed as relying on their background though nothing moves when the plant is flipped"
    yield Check(f"{plant}: false flags", wrong, MOST_FALSE, True, says)
    if plant in PROPERTIES and listed.any():
        named = float((rows["reliance_on"][listed] == plant).mean())
        yield Check(f"{plant}: named", named, None, False, f"share of the listed images said to rely on the {plant}")


def _trained(path: Path, source: Path, report: Report) -> Run:
    data = inspect_images(open_dataset(source / "train.csv", source / "images"))
    run = create_run(path, DatasetRecord.of(data))
    training.train(data, run, TRAINING, report)
    return run


def _audited(run: Run, leaky: Path, flipped: Path, report: Report) -> pd.DataFrame:
    """The audited rows of the images that were not in training; `fall`: what flipping costs each prediction."""
    data = open_dataset(leaky / "train.csv", leaky / "images")
    run_audit.run_audit(run, data, AuditOptions(masks=str(leaky / "masks"), background_test="all"), report)
    rows = Table(run.parts(), Thresholds(), NO_REVIEWS).all_rows()
    rows = rows[~rows["in_training"]].reset_index(drop=True)
    return rows.assign(fall=rows["confidence"].to_numpy(float) - probabilities(run, flipped / "images", rows))


def probabilities(run: Run, images: Path, rows: pd.DataFrame) -> NDArray[np.float64]:
    """(N,): what the network gives the class predicted in `rows`, on the images of the same names in `images`."""
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    values = []
    for name, predicted in zip(rows["image"], rows["predicted"], strict=True):
        pixels = read_sample(images / name, name).pixels
        inputs = geometry.to_input(pixels, model.size, model.resize)
        with torch.no_grad():
            logits = model.head(model.features(model.batch(inputs[None])))
        values.append(float(logits.double().softmax(1)[0, model.classes.index(predicted)]))
    return np.array(values)


def _overlap(source: Path, method: str) -> float:
    """Mean IoU of the masks a method finds with the true ones, over 24 images."""
    overlaps = []
    for path in sorted((source / "images").iterdir())[:24]:
        mask = masks.find_mask(read_sample(path, path.name), masks.MaskSources(), method)
        true = read_grey(source / "masks" / f"{path.stem}.png") > 127
        drawn = np.zeros_like(true) if mask is None else np.asarray(mask) > 0.5
        overlaps.append((drawn & true).sum() / max(1, (drawn | true).sum()))
    return float(np.mean(overlaps))
