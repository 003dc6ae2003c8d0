"""Group distributionally robust optimisation (Sagawa et al. 2020, arXiv 1911.08731), which knows every training group.

Batches have as many images of each group; each group's weight grows with its loss, exponentially, step by step.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.protocols.parts import Codes
from benchmarks.protocols.stages import Batch, train
from benchmarks.protocols.trial import Candidate, Trial, candidate_of

STEP = 0.01
"""How fast the weights of the groups grow, as in the paper."""
DECAYS = (0.05, 1.0)
"""Weight decays of AdamW to choose from: the paper's point is that strong regularisation is needed."""


class GroupLoss:
    """The loss of a batch, groups weighted; the weights, (4,), sum to 1 and stay from batch to batch."""

    def __init__(self, groups: Codes, step: float = STEP) -> None:
        self.groups, self.step = torch.from_numpy(groups), step
        self.weights = torch.full((int(groups.max()) + 1,), 1 / (int(groups.max()) + 1))

    def __call__(self, batch: Batch) -> Tensor:
        each = nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")
        is_in = nn.functional.one_hot(self.groups[batch.rows], len(self.weights)).to(each.dtype)
        means = (is_in * each[:, None]).sum(dim=0) / is_in.sum(dim=0).clamp(min=1)
        grown = self.weights * torch.exp(self.step * means.detach())
        self.weights = grown / grown.sum()
        return (self.weights * means).sum()


def group_dro(trial: Trial) -> Sequence[Candidate]:
    """One network for each of DECAYS."""
    part = trial.parts.training
    weights = 1 / np.bincount(part.groups)[part.groups]
    candidates = []
    for decay in DECAYS:
        recipe = replace(trial.recipe, decay=decay)
        networks = train(
            trial.stages,
            trial.lowered["training"],
            part.labels,
            recipe,
            trial.seed,
            weights=weights,
            loss=GroupLoss(part.groups),
        )
        candidates.append(candidate_of(networks[recipe.epochs], trial))
    return candidates
