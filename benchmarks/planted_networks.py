"""Whole audits of a ConvNeXt, a Swin and a class-token ViT, opened up and as black boxes, with a planted leak.

usage: python -m benchmarks.planted_networks TOOLS/planted.py [--kind colour|texture]... [--network NAME]...
           [--epochs 0] [--n 240] [--size 96] [--seed 0] [--keep FOLDER]

The developers' tool pastes real animals on waters of two kinds. A linear layer is fitted over a body of random weights,
on 60 % of the images: one where the water tells the label, one on the clean twin. With `--epochs`, body and layer are
trained together on these images instead, from random weights (`learners.fit`). Both
networks are audited on the leaky images that neither was fitted on. The truth, per image and network: the probability
of the prediction falls by more than 0.5 when this very water is exchanged for the other kind. AUROCs are over the
images of both networks, and of the leaky one alone. That one is audited once more as a function of images: *apart* is
the largest difference of the drops that were measured (`reliance`, `reliance_swap`) from those of the network opened
up, and then that of `reliance_probability`, which rests on logarithms of odds. Both are stored in float32.
"""

import argparse
import functools
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import timm
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import nn

import whalecam as wc
from benchmarks.learners import Pixels, fit
from benchmarks.planted_leaks import auroc, load, write
from benchmarks.reliance import kept
from whalecam.audit import run_audit
from whalecam.audit.selftest import FALL
from whalecam.config import AuditOptions, Thresholds
from whalecam.data import Dataset, geometry, open_dataset, read_sample
from whalecam.network import Network, Predict
from whalecam.store.table import NO_REVIEWS, Table

NETWORKS: Mapping[str, Callable[[int], nn.Module]] = {
    "convnext_atto": lambda size: timm.create_model("convnext_atto", num_classes=2, ls_init_value=None),
    "swin, 32 wide, 2-2-2 layers": lambda size: SwinTransformer(
        img_size=size, window_size=size // 16, embed_dim=32, depths=(2, 2, 2), num_heads=(2, 4, 8), num_classes=2
    ),
    "vit, 96 wide, 4 layers": lambda size: VisionTransformer(
        img_size=size, patch_size=12, embed_dim=96, depth=4, num_heads=4, num_classes=2
    ),
}
COLUMNS = (
    "Network",
    "leak",
    "right: leaky / clean",
    "falls: leaky / clean",
    "reliance",
    "leaky alone",
    "attention",
    "apart",
)
TINTS = ("colour", "texture")
MEASURED = ("reliance", "reliance_swap")
RESIZE, FITTED, BATCH = "squish", 0.6, 16


def pixels_of(images: Path, names: list[str], size: int) -> Pixels:
    """Files as the audit gives them to a network, (N, size, size, 3)."""
    return np.stack([geometry.to_input(read_sample(images / name, name).pixels, size, RESIZE) for name in names])


def probed(module: Any, data: Dataset, size: int) -> tuple[Network, Predict]:
    """A network whose last layer is fitted on the first images of a data set, and the function of images that it is."""
    labels, rows = list(data.classes()), data.table.head(int(FITTED * len(data.table)))
    model = wc.open_model(module, classes=labels, size=size, resize=RESIZE)
    pixels = fitting_pixels(data, size)
    pooled = in_batches(lambda some: module.forward_head(module.forward_features(model.batch(some)), True), pixels)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=300))
    scaler, regression = (step for _, step in probe.fit(pooled, rows["label"] == labels[1]).steps)
    weight = regression.coef_[0] / scaler.scale_
    bias = regression.intercept_[0] - weight @ scaler.mean_
    with torch.no_grad():
        last = module.get_classifier()
        last.weight.copy_(torch.from_numpy(np.stack([-weight / 2, weight / 2])))
        last.bias.copy_(torch.tensor([-bias / 2, bias / 2]))
    return opened(module, labels, size)


def fitting_pixels(data: Dataset, size: int) -> Pixels:
    """The images that networks are fitted on."""
    return pixels_of(Path(str(data.images)), data.table.head(int(FITTED * len(data.table)))["image"].tolist(), size)


def trained(module: Any, data: Dataset, size: int, *, epochs: int, seed: int) -> tuple[Network, Predict]:
    """As `probed`, but body and last layer learn together."""
    labels = list(data.classes())
    model = wc.open_model(module, classes=labels, size=size, resize=RESIZE)
    images = fitting_pixels(data, size)
    truth = np.array([labels.index(label) for label in data.table.head(len(images))["label"]])
    fit(module, images, truth, epochs=epochs, rng=np.random.default_rng(seed), inputs=model.batch)
    return opened(module.eval(), labels, size)


def opened(module: Any, labels: Sequence[str], size: int) -> tuple[Network, Predict]:
    """A fitted network, and the function of images that it is."""
    model = wc.open_model(module, classes=labels, size=size, resize=RESIZE)
    return model, lambda some: in_batches(lambda few: module(model.batch(few)).double().softmax(1), some)


def in_batches(function: Callable[[Pixels], torch.Tensor], images: Pixels) -> NDArray[Any]:
    """What a function gives for images, a few at a time."""
    with torch.no_grad():
        given = [function(images[start : start + BATCH]).numpy() for start in range(0, len(images), BATCH)]
    return np.concatenate(given)


def audited(model: Network, leaky: Dataset, folder: Path) -> pd.DataFrame:
    """Rows of the images that no network was fitted on."""
    unseen = Dataset(**{**vars(leaky), "table": leaky.table.iloc[int(FITTED * len(leaky.table)) :]})
    run = wc.Run.from_model(model, unseen, folder)
    masks = str(Path(str(leaky.images)).parent / "masks")
    run_audit.run_audit(run, unseen, AuditOptions(masks=masks, precision="float32"), model=model)
    return Table(run.parts(), Thresholds(), NO_REVIEWS).all_rows()


def judged(folder: Path, name: str, kind: str, *, size: int, seed: int, epochs: int = 0) -> pd.DataFrame:
    """Rows of the network that was fitted on `kind`, with their `fall`; on the leak with the `apart` of a black box."""
    torch.manual_seed(seed)
    sets = {each: open_dataset(folder / each / "train.csv", folder / each / "images") for each in (kind, "leaky")}
    module = NETWORKS[name](size).eval()
    model, predict = (
        trained(module, sets[kind], size, epochs=epochs, seed=seed) if epochs else probed(module, sets[kind], size)
    )
    rows = audited(model, sets["leaky"], folder / f"run-{kind}")
    names, top = rows["image"].tolist(), [model.classes.index(label) for label in rows["predicted"]]
    before, after = (
        np.asarray(predict(pixels_of(folder / each / "images", names, size)))[np.arange(len(rows)), top]
        for each in ("leaky", "flipped")
    )
    rows = rows.assign(fall=before - after, network=kind)
    if kind == "leaky":
        box = wc.open_model(predict=predict, classes=model.classes, size=size, resize=RESIZE)
        boxed = audited(box, sets["leaky"], folder / "run-box")
        rows = rows.assign(apart=apart(rows, boxed, MEASURED), then_apart=apart(rows, boxed, ("reliance_probability",)))
    return rows


def apart(rows: pd.DataFrame, boxed: pd.DataFrame, columns: Sequence[str]) -> float:
    """The largest difference of columns between two audits of the same images."""
    one, other = (each.set_index("image").sort_index()[list(columns)].to_numpy(float) for each in (rows, boxed))
    if not np.array_equal(np.isnan(one), np.isnan(other)):
        return float("inf")
    return float(np.nanmax(np.abs(one - other)))


def measured(tool: Path, kind: str, name: str, *, n: int, size: int, seed: int, epochs: int = 0) -> pd.DataFrame:
    module = load(tool)
    with tempfile.TemporaryDirectory() as folder:
        write(module, Path(folder), functools.partial(module.tint, kind=kind), n, size, seed)
        rows = [judged(Path(folder), name, each, size=size, seed=seed, epochs=epochs) for each in ("leaky", "clean")]
    shown = pd.concat(rows, ignore_index=True).assign(kind=kind, body=name)
    return shown.select_dtypes(exclude="object").join(shown[["image", "label", "predicted", "network", "kind", "body"]])


def line(rows: pd.DataFrame) -> str:
    """One row of the table, in Markdown."""
    truth, leaky = rows["fall"] > FALL, rows["network"] == "leaky"
    right = (rows["label"] == rows["predicted"]).groupby(rows["network"]).mean()
    cells = [rows["body"].iloc[0], rows["kind"].iloc[0], f"{right['leaky']:.0%} / {right['clean']:.0%}"]
    cells += [f"{truth[leaky].mean():.0%} / {truth[~leaky].mean():.0%}"]
    cells += [told(rows, "reliance_probability"), told(rows[leaky], "reliance_probability")]
    cells += [told(rows, "attention_score"), f"{rows['apart'].max():.0e}, {rows['then_apart'].max():.0e}"]
    return "| " + " | ".join(map(str, cells)) + " |"


def told(rows: pd.DataFrame, name: str) -> str:
    """The AUROC of a score over the images that have it, with their number where some have none."""
    scored = rows[rows[name].notna()]
    truth = scored["fall"] > FALL
    some = f", of {len(scored)}" if len(scored) < len(rows) else ""
    if truth.nunique() < 2:
        return f"–{some}"
    value, low, high = auroc(truth, scored[name].astype(float))
    return f"{value:.3f} ({low:.3f} to {high:.3f}){some}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool", type=Path)
    parser.add_argument("--kind", action="append", choices=TINTS)
    parser.add_argument("--network", action="append", choices=list(NETWORKS))
    parser.add_argument("--epochs", type=int, default=0, help="Of training body and layer; 0: the layer alone.")
    parser.add_argument("--n", type=int, default=240)
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="Where rows are kept as CSV; what is there is not measured again.")
    given = parser.parse_args()
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")
    for kind in given.kind or TINTS:
        for name in given.network or NETWORKS:
            settings = f"{given.n}-{given.size}px-{given.seed}-{given.epochs}"
            how = {"n": given.n, "size": given.size, "seed": given.seed, "epochs": given.epochs}
            file = given.keep / f"{kind}-{name.split(',')[0]}-{settings}.csv" if given.keep else None
            work = functools.partial(measured, given.tool, kind, name, **how)
            print(line(kept(file, work)), flush=True)


if __name__ == "__main__":
    main()
