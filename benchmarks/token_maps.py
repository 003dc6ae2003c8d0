"""Which map of a class-token transformer shows best what its predictions rest on: WhaleCAM's beside published ones.

usage: python -m benchmarks.token_maps [--planted TOOLS/planted.py] [--data /usr/share/datasets/fashion-mnist]
           [--set NAME]... [--seed 0]... [--quick]

A small ViT is trained from random weights on each set. *decoy*: Fashion-MNIST with a square whose grey tells the label
(benchmarks/protocols/decoy_set.py); audited are test images with the square of any label. *colour*, *texture*: the
developers' tool pastes real animals on water that tells the label in 97 % of the images. The truth, per image: the
probability of the prediction falls by more than 0.5 when the square is taken away, or when this very water is exchanged
for the other kind. Every map is that of the predicted class's logit less the mean over classes.

AUROC: of the share of a map's positive evidence that lies in the square, or on the water, for the truth. Deletion:
patches are replaced by the mean color of the image, those with the most evidence first; the area under the
probability of the prediction (Petsiuk et al. 2018), the lower the better. Insertion: the same from the mean color on,
the higher the better. Time: CPU of one map beside that of the bare forward pass.
"""

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor

from benchmarks.learners import fit
from benchmarks.machine import machine
from benchmarks.planted_leaks import load, write
from benchmarks.planted_networks import pixels_of
from benchmarks.protocols.decoy_set import FOLDER, LABELS, Pixels, decoyed, read
from benchmarks.protocols.propagation import before, laid_out, margin, relevance
from whalecam.audit.selftest import FALL
from whalecam.data import open_dataset
from whalecam.errors import WhalecamError
from whalecam.explain.cam import explain
from whalecam.explain.score import background_share_of, weigh
from whalecam.network.written import ClassToken, class_token_head

Values = NDArray[np.float64]
Way = Callable[[Any, Tensor, Tensor], Tensor]
"""A network, images (N, 3, S, S) and classes (N,) → maps (N, h, w), the more the more they speak for the class."""
BATCH, SHARES, ROUNDS = 64, tuple(np.linspace(0, 1, 9).tolist()), 5
WIDTH, DEPTH, HEADS = 96, 4, 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Trial:
    """One trained network with the images that it is audited on.

    Attributes:
        whole: in eval mode.
        images, changed: uint8 (N, S, S, 3), as they are, and without the shortcut or with its other side.
        shortcuts: (N, S, S) in [0, 1], 1 where the shortcut is.
        accuracy: on `images`, in [0, 1].
    """

    whole: Any
    images: Pixels
    changed: Pixels
    shortcuts: Values
    accuracy: float


class LastLayers(ClassToken):
    """What patches wrote in the last layers alone; what was written before has no place."""

    def __init__(self, whole: Any, count: int) -> None:
        super().__init__(whole)
        self.first = len(whole.blocks) - count

    def embedded(self, images: Tensor) -> Tensor:
        return before(self.whole, images, self.first)

    def layers(self) -> list[Any]:
        return super().layers()[self.first :]


def written(whole: Any, images: Tensor, classes: Tensor, *, layers: int = DEPTH) -> Tensor:
    """What patches wrote into the class token, by the product's code (Gandelsman et al., ICLR 2024)."""
    features = ClassToken(whole) if layers == DEPTH else LastLayers(whole, layers)
    with torch.no_grad():
        maps = explain(class_token_head(whole), features(images)).maps
        return (maps - maps.mean(dim=1, keepdim=True))[torch.arange(len(images)), classes]


def grad_cam(whole: Any, images: Tensor, classes: Tensor) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017) where pytorch-grad-cam's examples take it, at the last layer's first norm."""
    with torch.no_grad():
        tokens = before(whole, images, DEPTH - 1)
        normed = whole.blocks[-1].norm1(tokens)
    with torch.enable_grad():
        normed = normed.detach().requires_grad_()
        block = whole.blocks[-1]
        after = tokens + block.ls1(block.attn(normed))
        after = after + block.ls2(block.mlp(block.norm2(after)))
        (slope,) = torch.autograd.grad(margin(whole.forward_head(whole.norm(after)), classes).sum(), normed)
    weights = slope[:, 1:].mean(dim=1, keepdim=True)
    return laid_out(whole, (weights * normed.detach()).sum(dim=2)).clamp_min(0)


def rollout(whole: Any, images: Tensor, _: Tensor) -> Tensor:
    """Attention rollout (Abnar and Zuidema 2020): alike for all classes."""
    with torch.no_grad():
        tokens = before(whole, images, 0)
        flow = torch.eye(tokens.shape[1]).expand(len(images), -1, -1)
        for block in whole.blocks:
            attention, normed = block.attn, block.norm1(tokens)
            mixed = attention.qkv(normed).reshape(*normed.shape[:2], 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
            shares = (mixed[0] @ mixed[1].transpose(2, 3) * mixed.shape[-1] ** -0.5).softmax(dim=-1).mean(dim=1)
            flow = (shares + torch.eye(shares.shape[-1])) / 2 @ flow
            tokens = block(tokens)
    return laid_out(whole, flow[:, 0])


def occlusion(whole: Any, images: Tensor, classes: Tensor) -> Tensor:
    """How far the margin drops when a patch takes the image's mean color (Zeiler and Fergus 2014)."""
    height, width = whole.patch_embed.grid_size
    maps = torch.zeros(len(images), height * width)
    with torch.no_grad():
        full = margin(whole(images), classes)
        for patch in range(height * width):
            hidden = torch.zeros(len(images), height * width, dtype=torch.bool)
            hidden[:, patch] = True
            maps[:, patch] = full - margin(whole(without(images, hidden, (height, width))), classes)
    return maps.reshape(-1, height, width)


def by_chance(whole: Any, images: Tensor, _: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(len(images), *whole.patch_embed.grid_size, generator=generator)


WAYS: Mapping[str, Way] = {
    "written, all layers (WhaleCAM)": written,
    "written, last half": functools.partial(written, layers=DEPTH // 2),
    "written, last layer": functools.partial(written, layers=1),
    "CP-LRP at the patches": functools.partial(relevance, rule="CP-LRP"),
    "AttnLRP at the patches": functools.partial(relevance, rule="AttnLRP"),
    "AttnLRP halfway": functools.partial(relevance, rule="AttnLRP", layer=DEPTH // 2),
    "gradient × input at the patches": functools.partial(relevance, rule="gradient"),
    "Grad-CAM, last layer": grad_cam,
    "attention rollout": rollout,
    "occlusion by patches": occlusion,
    "chance": by_chance,
}


def without(images: Tensor, hidden: Tensor, shape: tuple[int, int]) -> Tensor:
    """Images whose hidden patches (N, h·w) have the mean color of their image."""
    cells = hidden.reshape(-1, 1, *shape).float()
    covered = torch.nn.functional.interpolate(cells, size=images.shape[2:], mode="nearest")
    return torch.where(covered > 0, images.mean(dim=(2, 3), keepdim=True), images)


def curve(whole: Any, images: Tensor, classes: Tensor, maps: Tensor, *, insert: bool = False) -> Values:
    """The area under the probability of a class while its patches go, or come, the most evidence first: (N,)."""
    count = maps.shape[1] * maps.shape[2]
    rank = maps.flatten(1).argsort(dim=1, descending=True).argsort(dim=1)
    heights = []
    with torch.no_grad():
        for share in SHARES:
            chosen = rank < round(share * count)
            shown = whole(without(images, ~chosen if insert else chosen, (maps.shape[1], maps.shape[2])))
            heights.append(shown.softmax(dim=1).gather(1, classes[:, None])[:, 0].double().numpy())
    return np.asarray(np.trapezoid(np.stack(heights), SHARES, axis=0))


def shares_inside(maps: Tensor, places: Values) -> Values:
    """Of each map (N, h, w), the share of its positive evidence inside a place (N, S, S); NaN where it has none."""
    outside = (weigh(1 - place, None, tuple(maps.shape[1:])) for place in places)
    return np.array([background_share_of(one, weights) for one, weights in zip(maps.numpy(), outside, strict=True)])


def inputs_of(images: Pixels) -> Tensor:
    """uint8 (N, S, S, 3) → float32 (N, 3, S, S), in [−1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float().div(127.5).sub(1)


def network(side: int, patch: int, classes: int, seed: int) -> Any:
    """A vision transformer of random weights."""
    torch.manual_seed(seed)
    return VisionTransformer(
        img_size=side, patch_size=patch, num_classes=classes, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS
    )


def decoy(data: Path, seed: int, quick: bool) -> Trial:
    """Fashion-MNIST, decoyed. Raises DatasetError."""
    rng, (fitted, audited, epochs) = np.random.default_rng(seed), (500, 50, 1) if quick else (12_000, 600, 8)
    images, labels = read("train", data)
    training = decoyed(images[:fitted], labels[:fitted], labels[:fitted], rng)
    unseen, truth = read("t10k", data)
    unseen, truth = unseen[:audited], truth[:audited]
    test = decoyed(unseen, truth, rng.integers(LABELS, size=audited), rng)
    whole = network(images.shape[1], 4, LABELS, seed)
    fit(whole, _rgb(training.images), training.labels, epochs=epochs, rng=rng, inputs=inputs_of)
    return trial(whole, _rgb(test.images), _rgb(unseen), test.squares.astype(np.float64), truth)


def planted(tool: Path, kind: str, seed: int, quick: bool) -> Trial:
    """Animals on water of one kind."""
    size, count, epochs = (48, 20, 1) if quick else (96, 960, 120 if kind == "texture" else 40)
    module = load(tool)
    with tempfile.TemporaryDirectory() as folder:
        write(module, Path(folder), functools.partial(module.tint, kind=kind), count, size, seed)
        leaky = Path(folder) / "leaky"
        rows = open_dataset(leaky / "train.csv", leaky / "images").table
        names, labels = rows["image"].tolist(), sorted(rows["label"].unique())
        truth = np.array([labels.index(label) for label in rows["label"]])
        images, changed = (pixels_of(Path(folder) / each / "images", names, size) for each in ("leaky", "flipped"))
        masks = pixels_of(leaky / "masks", [Path(name).with_suffix(".png").name for name in names], size)[..., 0] / 255
    fitted, whole = round(0.6 * count), network(size, size // 8, 2, seed)
    rng = np.random.default_rng(seed)
    fit(whole, images[:fitted], truth[:fitted], epochs=epochs, rng=rng, inputs=inputs_of)
    return trial(whole, images[fitted:], changed[fitted:], 1 - masks[fitted:], truth[fitted:])


def trial(whole: Any, images: Pixels, changed: Pixels, places: Values, truth: NDArray[np.int64]) -> Trial:
    whole = whole.eval()
    right = probabilities(whole, images).argmax(axis=1) == truth
    return Trial(whole=whole, images=images, changed=changed, shortcuts=places, accuracy=float(right.mean()))


def probabilities(whole: Any, images: Pixels) -> Values:
    """(N, C)."""
    with torch.no_grad():
        parts = [whole(inputs_of(images[at : at + BATCH])).double().softmax(1) for at in range(0, len(images), BATCH)]
    return np.asarray(torch.cat(parts).numpy(), np.float64)


def falls(one: Trial) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """What is predicted, (N,), and whether it rests on the shortcut."""
    now, then = (probabilities(one.whole, images) for images in (one.images, one.changed))
    top = now.argmax(axis=1)
    at = np.arange(len(top))
    return top, now[at, top] - then[at, top] > FALL


def measure(one: Trial, ways: Mapping[str, Way] = WAYS) -> Mapping[str, Values]:
    """By way: AUROC, deletion, insertion, and how many forward passes a map costs."""
    top, truth = falls(one)
    return {name: _measured(one, way, top, truth) for name, way in ways.items()}


def _measured(one: Trial, way: Way, top: NDArray[np.int64], truth: NDArray[np.bool_]) -> Values:
    shares, gone, come = [], [], []
    for start in range(0, len(top), BATCH):
        some = slice(start, start + BATCH)
        images, classes = inputs_of(one.images[some]), torch.from_numpy(top[some])
        maps = way(one.whole, images, classes)
        shares.append(shares_inside(maps, one.shortcuts[some]))
        gone.append(curve(one.whole, images, classes, maps))
        come.append(curve(one.whole, images, classes, maps, insert=True))
    inside = np.nan_to_num(np.concatenate(shares))
    apart = roc_auc_score(truth, inside) if 0 < truth.sum() < len(truth) else float("nan")
    return np.array([apart, np.concatenate(gone).mean(), np.concatenate(come).mean(), passes(one, way)])


def passes(one: Trial, way: Way) -> float:
    """CPU time of the maps of one batch, by that of its forward pass; the median of a few."""
    images = inputs_of(one.images[:BATCH])
    classes = torch.zeros(len(images), dtype=torch.int64)

    def bare() -> None:
        with torch.no_grad():
            one.whole(images)

    pairs = [(_seconds(lambda: way(one.whole, images, classes)), _seconds(bare)) for _ in range(ROUNDS)]
    return float(np.median([mapped / alone for mapped, alone in pairs]))


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def table(trials: Sequence[Mapping[str, Values]]) -> str:
    """Markdown: a row per way, the mean over seeds with the smallest and the largest AUROC."""
    lines = ["| Map | AUROC | Deletion | Insertion | Forward passes |", "|---|---|---|---|---|"]
    for name in trials[0]:
        values = np.stack([each[name] for each in trials])
        apart, gone, come, cost = values.mean(axis=0)
        spread = f" ({values[:, 0].min():.3f} to {values[:, 0].max():.3f})" if len(trials) > 1 else ""
        lines.append(f"| {name} | {apart:.3f}{spread} | {gone:.3f} | {come:.3f} | {cost:.1f} |")
    return "\n".join(lines)


def _rgb(grey: Pixels) -> Pixels:
    return np.repeat(grey[..., None], 3, axis=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", type=Path, help="The developers' tool; without it, decoy alone.")
    parser.add_argument("--data", type=Path, default=FOLDER)
    parser.add_argument("--set", action="append", choices=("decoy", "colour", "texture"))
    parser.add_argument("--seed", type=int, action="append")
    parser.add_argument("--quick", action="store_true", help="A tiny version, which only shows that it runs.")
    given = parser.parse_args()
    for name in given.set or (("decoy", "colour", "texture") if given.planted else ("decoy",)):
        start, found = time.perf_counter(), []
        for seed in given.seed or (0,):
            try:
                one = (
                    decoy(given.data, seed, given.quick)
                    if name == "decoy"
                    else planted(given.planted, name, seed, given.quick)
                )
            except (WhalecamError, OSError) as error:
                parser.error(str(error))
            print(f"{name}, seed {seed}: right {one.accuracy:.0%}, falls {falls(one)[1].mean():.0%}", file=sys.stderr)
            found.append(measure(one))
        print(f"\n{name}, seeds {given.seed or [0]}, {machine()}, {time.perf_counter() - start:.0f} s:\n")
        print(table(found), flush=True)


if __name__ == "__main__":
    main()
