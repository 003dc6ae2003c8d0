"""WhaleCAM's own remedies on a part, by the product's code: images are written to files, as a user has them."""

import copy
import functools
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.protocols.parts import Codes, Part
from benchmarks.protocols.stages import Batch, Classifier, Loss, Stages, cross_entropy, train
from benchmarks.protocols.trial import Candidate, Trial, by_worst_class, candidate_of, chosen
from whalecam.arrays import ByteArray, Mask, Sample
from whalecam.explain.background_test import scene_of
from whalecam.explain.masks import MaskMethod, MaskSources, find_mask
from whalecam.network import Network
from whalecam.network.training import fit_last_layer
from whalecam.network.training.restriction import penalty
from whalecam.network.training.weight_choice import WEIGHTS
from whalecam.remedies.shuffle import Shuffle

CLASSES, TRUE_MASKS = ("0", "1"), "true masks"
SQUISH = "squish"


def given(part: Part) -> MaskMethod:
    """The true masks of a part, by the names that `table_of` gives its images."""

    def mask(sample: Sample) -> Mask | None:
        assert part.masks is not None, "nobody knows the masks of this part"
        return Mask(part.masks[int(Path(sample.image).stem)], 1.0, "given")

    return mask


def drawn(part: Part) -> MaskMethod:
    """The masks that WhaleCAM's mask network draws."""
    return functools.partial(find_mask, sources=MaskSources())


def table_of(part: Part, folder: Path) -> pd.DataFrame:
    """Write the images to `folder` without loss; a row each: image, path, label."""
    rows = []
    for at, (pixels, label) in enumerate(zip(part.images, part.labels.tolist(), strict=True)):
        path = folder / f"{at:06}.png"
        Image.fromarray(pixels).save(path, compress_level=1)
        rows.append({"image": path.name, "path": str(path), "label": CLASSES[label]})
    return pd.DataFrame(rows)


def network_of(stages: Stages, classifier: Classifier, side: int) -> Network:
    """A copy of a classifier as the product has networks."""
    body = stages.body
    features = nn.Sequential(stages.lower, copy.deepcopy(classifier.upper)).eval()
    head = copy.deepcopy(classifier.head)
    return Network(features, head, body.arch, CLASSES, side, SQUISH, body.mean, body.std, head_kind="probe")


def repaired(trial: Trial, masks: Callable[[Part], MaskMethod]) -> Classifier:
    """The ERM network after the remedy `head`. Raises ModelError where it cannot be applied."""
    part = trial.parts.training
    side = part.images.shape[1]
    model = network_of(trial.stages, trial.erm, side)
    with tempfile.TemporaryDirectory() as folder:
        rows = table_of(part, Path(folder))
        fit_last_layer(model, rows, Shuffle(masks(part), side, SQUISH, trial.seed), seed=trial.seed)
    assert isinstance(model.head, nn.Sequential)
    return Classifier(trial.erm.upper, model.head)


def head(trial: Trial, masks: Callable[[Part], MaskMethod]) -> Codes:
    """Predicted labels of the test images, (N,), after the remedy `head` on the ERM network. Raises ModelError."""
    return np.asarray(repaired(trial, masks).logits(trial.lowered["test"]).argmax(axis=1))


def regions(part: Part, method: MaskMethod) -> ByteArray:
    """Where the animals are, uint8 (N, S, S), 255 inside; everywhere where no mask is found."""
    side = part.images.shape[1]
    found = np.full(part.images.shape[:3], 255, np.uint8)
    for at, pixels in enumerate(part.images):
        sample = Sample(f"{at}.png", np.ascontiguousarray(pixels))
        mask = method(sample)
        if mask is not None:
            found[at] = np.rint(255 * scene_of(sample, mask, side, SQUISH).mask)
    return found


def restricted(weight: float, inside: ByteArray) -> Loss:
    """Cross-entropy and `weight` times the product's penalty for evidence off the regions `inside` (N, S, S)."""

    def loss(batch: Batch) -> Tensor:
        here = np.where(batch.is_mirrored[:, None, None], inside[batch.rows, :, ::-1], inside[batch.rows])
        off = penalty(batch.head, batch.activations, batch.labels, torch.from_numpy(here))
        return cross_entropy(batch) + weight * off

    return loss


def restrict(trial: Trial, masks: Callable[[Part], MaskMethod]) -> Codes:
    """Predicted labels of the test images, (N,), of networks trained with the penalty of the remedy `restrict`."""
    part, candidates = trial.parts.training, list[Candidate]()
    inside = regions(part, masks(part))
    for weight in WEIGHTS:
        loss = restricted(weight, inside)
        networks = train(trial.stages, trial.lowered["training"], part.labels, trial.recipe, trial.seed, loss=loss)
        candidates.append(candidate_of(networks[trial.recipe.epochs], trial))
    return chosen(candidates, by_worst_class, trial.parts.validation)


REMEDIES: Mapping[str, tuple[str, Callable[[Trial], Codes]]] = {
    f"head, {TRUE_MASKS}": (
        "labels and animals' outlines of the training images",
        functools.partial(head, masks=given),
    ),
    "head, mask network": ("labels of the training images", functools.partial(head, masks=drawn)),
    f"restrict, {TRUE_MASKS}": (
        "labels and animals' outlines of the training images; labels of validation choose the weight",
        functools.partial(restrict, masks=given),
    ),
}
"""By name, what each knows and what it predicts. Another remedy is one more line."""
