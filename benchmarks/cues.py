"""Are planted cues beyond the background's looks named, and by image?

usage: python -m benchmarks.cues DATA [--cue NAME]... [--seed 0]... [--keep FOLDER] [--images 300] [--tested 80]
           [--epochs 0] [--alone]

DATA: photos/ and masks/ with masks.csv. Thirty cut-out animals, fifteen of each label, are pasted on backgrounds that
tell nothing. Half of the images of the first label carry the cue; in the clean twin as many of all images do, whatever
their label. A linear head over a frozen EfficientNet-Lite0 at 128 px is trained on each; with `--epochs` the body is
trained with it, and with `--alone` labels are dealt out by chance, so that nothing but the cue tells them. The truth,
per image and network: the probability of the prediction falls by more than 0.5 when this very image is drawn without
the cue.

CHOSEN cues are those that the method's thresholds were chosen on; the others were looked at once.
"""

import argparse
import functools
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import nn

from benchmarks.learners import Setting, body_of, fit, inputs_of
from benchmarks.reliance import Pixels, cutouts, empty, pasted
from whalecam import network
from whalecam.analysis.cues import PATCH, CueFinding, cue_findings, cue_scores
from whalecam.audit.run_cues import ChosenRow, row_of
from whalecam.demo.cues import CUES
from whalecam.explain.cues import Seen, image_properties
from whalecam.explain.cues.cue_test import CueQuestion, CueTest, ValueDonor
from whalecam.network import Body, Network
from whalecam.network.training.regression import regress
from whalecam.store.cue_rows import CueRow

CHOSEN = ("timestamp", "jpeg_quality", "boat", "exposure")
SCALE = "scale"
KINDS = (*CUES, SCALE)
LABELS = ("A", "B")
Values = NDArray[np.float64]
ANIMALS, SHARE, FALL, DONORS, BATCH, SIZE = 30, 0.5, 0.5, 96, 8, 128
SMALL = 0.4
"""How large an animal with the cue SCALE is beside the others."""
NETWORKS = ("leaking", "clean")
SHOWN = ("falls", "named first", "AUROC", "findings", "accuracy")
PLACES = {
    "timestamp": ("lower right", "along the bottom"),
    "caption_strip": ("along the bottom", "near the bottom"),
    "logo": ("upper left",),
    "boat": (),
}
"""Where the marks are; of one that may be anywhere nothing."""
QUALITY = 12.0
"""Of a poor JPEG, as far as its file would say."""


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One image with and without the cue, their masks; its label and animal; who carries it in which set."""

    without: Pixels
    carrying: Pixels
    mask: NDArray[np.float32]
    carrying_mask: NDArray[np.float32]
    label: int
    animal: int
    carries: dict[str, bool]

    def shown(self, name: str) -> Pixels:
        return self.carrying if self.carries[name] else self.without

    def seen(self, name: str, cue: str) -> Seen:
        is_poor = cue == "jpeg_quality" and self.carries[name]
        mask = self.carrying_mask if self.carries[name] else self.mask
        return Seen(pixels=self.shown(name), mask=mask, quality=QUALITY if is_poor else 100.0)


@functools.cache
def known_cutouts(data: Path) -> list[tuple[Pixels, NDArray[np.bool_]]]:
    return cutouts(data)


def draw(data: Path, cue: str, seed: int, images: int, *, is_alone: bool) -> list[Drawn]:
    """The images of one cue; of each, all else is the same with and without it.

    Args:
        is_alone: whether labels are dealt out by chance, so that nothing but the cue tells them.
    """
    rng = np.random.default_rng([seed, 5])
    known = known_cutouts(data)
    chosen = [known[at] for at in rng.permutation(len(known))[:ANIMALS]]
    backgrounds = [empty(pixels, mask, SIZE) for pixels, mask in chosen]
    return [_drawn(cue, chosen, backgrounds, rng, is_alone) for _ in range(images)]


def _drawn(
    cue: str, chosen: Sequence[Any], backgrounds: Sequence[Pixels], rng: np.random.Generator, is_alone: bool
) -> Drawn:
    animal, state = int(rng.integers(len(chosen))), int(rng.integers(1 << 31))
    background = backgrounds[int(rng.integers(len(backgrounds)))]
    label = state % 2 if is_alone else animal % 2
    carries = {"leaking": label == 0 and rng.random() < SHARE, "clean": bool(rng.random() < SHARE / 2)}
    image, mask = pasted(chosen[animal], background, np.random.default_rng(state))
    if cue == SCALE:
        small, small_mask = pasted(chosen[animal], background, np.random.default_rng(state), SMALL)
    else:
        small = CUES[cue](image, (mask * 255).astype(np.uint8), np.random.default_rng([state, 2]))
        small_mask = mask
    return Drawn(
        without=image,
        carrying=small,
        mask=mask,
        carrying_mask=small_mask,
        label=label,
        animal=animal,
        carries=carries,
    )


def body_network(body: Body) -> Network:
    """A body whose head is still to be fitted, as fast as this machine allows."""
    model = Network(body.features.eval(), nn.Identity(), body.arch, LABELS, SIZE, "squish", body.mean, body.std)
    return network.quick(model, network.fast_halves(torch.device("cpu")))


def pooled(model: Network, images: Sequence[Pixels]) -> Values:
    """The averages of the activations, (N, K)."""
    parts = (np.stack(images[at : at + 64]) for at in range(0, len(images), 64))
    return np.concatenate([model.look(part).float().mean((2, 3)).double().numpy() for part in parts])


def fitted(model: Network, features: Values, labels: NDArray[np.int64]) -> Network:
    """A linear head on the averages of the activations, over a body that stays as it is."""
    weights, bias = regress(features, labels, len(LABELS)).folded()
    linear = nn.Linear(weights.shape[1], len(LABELS))
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(weights))
        linear.bias.copy_(torch.from_numpy(bias))
    return replace(model, head=nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval())


def probabilities(model: Network, features: Values) -> Values:
    with torch.no_grad():
        logits = model.head(torch.from_numpy(features).float()[:, :, None, None])
    return np.asarray(logits.double().softmax(1).numpy(), np.float64)


def learned(training: Sequence[Drawn], name: str, epochs: int, seed: int) -> Network:
    """A network that learned from one set: a head over a frozen body, or all of it in so many epochs."""
    body, images = body_of(Setting()), [each.shown(name) for each in training]
    labels = np.array([each.label for each in training])
    if not epochs:
        model = body_network(body)
        return fitted(model, pooled(model, images), labels)
    torch.manual_seed(seed)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(body.channels, len(LABELS)))
    module = nn.Sequential(body.features, head).to(memory_format=torch.channels_last)
    inputs, rng = functools.partial(inputs_of, body=body), np.random.default_rng(seed)
    fit(module, np.stack(images), labels, epochs=epochs, rng=rng, inputs=inputs)
    return replace(body_network(body), head=head.eval())


def measured(
    data: Path, cue: str, seed: int, *, images: int, tested: int, epochs: int, is_alone: bool
) -> dict[str, Any]:
    """What came of one cue, for both networks."""
    drawn = draw(data, cue, seed, images + tested, is_alone=is_alone)
    unseen, at = drawn[images:], np.arange(tested)
    labels, outcomes = np.array([each.label for each in unseen]), {}
    for name in NETWORKS:
        model = learned(drawn[:images], name, epochs, seed)
        sides = [[each.shown(name) for each in unseen], [each.without for each in unseen]]
        shown, bare = (probabilities(model, pooled(model, side)) for side in sides)
        predicted = shown.argmax(1)
        fall = shown[at, predicted] - bare[at, predicted]
        rows = answered(model, name, cue, drawn[:DONORS], unseen, predicted.tolist())
        outcomes[name] = outcome(rows, fall, cue) | {
            "accuracy": float((predicted == labels).mean()),
            "rows": rows,
            "fall": fall.tolist(),
        }
    return {"cue": cue, "seed": seed, **outcomes}


def answered(
    model: Network, name: str, cue: str, training: Sequence[Drawn], unseen: Sequence[Drawn], predicted: list[int]
) -> list[CueRow]:
    """The rows that the cue test gives of the unseen images."""
    properties = image_properties()
    donors = []
    for at, each in enumerate(training):
        seen = each.seen(name, cue)
        values = {key: value for key, kind in properties.items() if (value := kind.measure(seen)) is not None}
        unit = zlib.crc32(f"train {at}".encode())
        donors.append(
            ValueDonor(f"train {at}", LABELS[each.label], unit, values, functools.partial(each.seen, name, cue))
        )
    test, rows = CueTest(model, properties, donors), list[CueRow]()
    for start in range(0, len(unseen), BATCH):
        part = range(start, min(start + BATCH, len(unseen)))
        answers = test([CueQuestion(f"{at}", unseen[at].seen(name, cue), predicted[at], at) for at in part])
        for at, answer in zip(part, answers, strict=True):
            facts: ChosenRow = {
                "image": f"{at}",
                "label": LABELS[unseen[at].label],
                "predicted": LABELS[predicted[at]],
                "group": "",
                "fold": 0,
            }
            rows.append(row_of(facts, answer))
    return rows


def is_named(finding: CueFinding, cue: str) -> bool:
    """Whether a finding is the planted cue: its property; or a patch at its place, anywhere for the boat.

    The timestamp takes the right half of the bottom, so that either name of its place is right.
    """
    if cue not in PLACES:
        return finding.cue == cue
    return finding.cue == PATCH and (not PLACES[cue] or finding.place in PLACES[cue])


def outcome(rows: Sequence[CueRow], fall: NDArray[np.float64], cue: str) -> dict[str, Any]:
    """What is named, and how well the score of the planted cue orders the images by the truth."""
    findings, truth = cue_findings(rows), fall > FALL
    first = next((finding for finding in findings if finding.predicted == LABELS[0]), None)
    kind = PATCH if cue in PLACES else cue
    scores = cue_scores(rows, kind)
    values = [scores[row["image"]] for row in rows]
    return {
        "falls": int(truth.sum()),
        "named first": bool(first and is_named(first, cue)),
        "AUROC": float(roc_auc_score(truth, values)) if truth.any() and not truth.all() else None,
        "findings": [
            f"{each.predicted}: {each.cue} {each.place} {each.cost:.2f} p {each.p_value:.4f}" for each in findings
        ],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("--cue", action="append", choices=KINDS)
    parser.add_argument("--seed", action="append", type=int)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--tested", type=int, default=80)
    parser.add_argument("--epochs", type=int, default=0, help="Of training body and head; 0: the head alone.")
    parser.add_argument("--alone", action="store_true", help="Labels by chance: nothing but the cue tells them.")
    parser.add_argument("--keep", type=Path)
    given = parser.parse_args()
    for seed in given.seed or [0]:
        for cue in given.cue or KINDS:
            result = measured(
                given.data,
                cue,
                seed,
                images=given.images,
                tested=given.tested,
                epochs=given.epochs,
                is_alone=given.alone,
            )
            if given.keep:
                given.keep.mkdir(parents=True, exist_ok=True)
                (given.keep / f"{cue}-{seed}.json").write_text(json.dumps(result))
            shown = {name: {key: result[name][key] for key in SHOWN} for name in NETWORKS}
            print(json.dumps({"cue": cue, "seed": seed, "chosen on": cue in CHOSEN, **shown}), flush=True)


if __name__ == "__main__":
    main()
