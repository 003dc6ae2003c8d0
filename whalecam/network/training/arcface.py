"""A projection of frozen features in which images of one individual lie together: ArcFace (arXiv 1801.07698)."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from whalecam.arrays import Progress, Report, silent
from whalecam.errors import DatasetError
from whalecam.network.embedding import Projection
from whalecam.network.heads import ArcFace

BATCH = 64
LEAST_SINE = 1e-6


@dataclass(frozen=True, kw_only=True)
class ArcFaceOptions:
    """How a projection is fitted.

    Attributes:
        length: of the vectors.
        centres: for each individual; several where it looks different from its two sides.
        margin: radians that are added to the angle to an image's own centre while fitting.
        scale: that cosines are multiplied by before softmax.
        epochs, rate, decay: of AdamW.
    """

    length: int = 128
    centres: int = 1
    margin: float = 0.3
    scale: float = 30.0
    epochs: int = 60
    rate: float = 3e-3
    decay: float = 1e-3
    seed: int = 0


@dataclass(frozen=True)
class Fitted:
    """A projection in eval mode, the centres it was fitted with, and the mean loss (nats) of each epoch."""

    projection: Projection
    centres: ArcFace
    losses: tuple[float, ...]


def fit_arcface(
    features: NDArray[np.float32],
    individuals: NDArray[np.int64],
    options: ArcFaceOptions = ArcFaceOptions(),
    report: Report = silent,
) -> Fitted:
    """Fit a projection of features on the individuals that they show. The network below stays as it is.

    Args:
        features: (N, K), of training images alone.
        individuals: (N,) codes from 0, each of them present.

    Raises DatasetError for fewer than two individuals.
    """
    count = int(individuals.max(initial=-1)) + 1
    if count < 2:
        raise DatasetError(
            "A projection needs two or more individuals in the training part. Give a table whose "
            "group column names them."
        )
    generator = torch.Generator().manual_seed(options.seed)
    with torch.random.fork_rng():
        torch.manual_seed(options.seed)
        projection = Projection(features.shape[1], options.length)
        centres = ArcFace(options.length, count, options.centres, options.scale)
    values, own = torch.from_numpy(np.asarray(features, np.float32)), torch.from_numpy(individuals)
    projection.eval().standardize(values)
    losses = _descend(projection, centres, values, own, options, generator, report)
    return Fitted(projection.eval(), centres.eval(), tuple(losses))


def margin_logits(cosines: Tensor, own: Tensor, margin: float, scale: float) -> Tensor:
    """`s·cos(θ + m)` for each image's own individual, `s·cos θ` for the others, (N, C).

    Beyond θ = π − m, where cos(θ + m) would rise again, the cosine is lowered by `m·sin m` instead (as insightface
    does), so that the logit always falls with the angle.
    """
    mine = cosines.gather(1, own[:, None])
    sine = (1 - mine**2).clamp_min(LEAST_SINE).sqrt()
    lowered = mine * float(np.cos(margin)) - sine * float(np.sin(margin))
    lowered = torch.where(mine > -float(np.cos(margin)), lowered, mine - margin * float(np.sin(margin)))
    return scale * cosines.scatter(1, own[:, None], lowered)


def _descend(
    projection: Projection,
    centres: ArcFace,
    values: Tensor,
    own: Tensor,
    options: ArcFaceOptions,
    generator: torch.Generator,
    report: Report,
) -> list[float]:
    weights = [projection.weight, centres.weight]
    optimizer = torch.optim.AdamW(weights, lr=options.rate, weight_decay=options.decay)
    losses = []
    with torch.inference_mode(False), torch.enable_grad():
        for epoch in range(options.epochs):
            order, total = torch.randperm(len(values), generator=generator), 0.0
            for start in range(0, len(order), BATCH):
                part = order[start : start + BATCH]
                cosines = centres.cosines(projection(values[part]))
                logits = margin_logits(cosines, own[part], options.margin, options.scale)
                loss = nn.functional.cross_entropy(logits, own[part])
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total += float(loss.detach()) * len(part)
            losses.append(total / len(values))
            report(Progress("fitting ArcFace", epoch + 1, options.epochs, {"train_loss": losses[-1]}))
    return losses
