"""Right for the right reasons, RRR (Ross et al. 2017, arXiv 1703.03717): input gradients are penalised by a mask."""

import torch
from torch import Tensor, nn

WEIGHT = 1000.0
"""λ₁ of the paper's experiments on Decoy MNIST, for pixels in [0, 1]."""


def rrr(network: nn.Module, inputs: Tensor, labels: Tensor, wrong: Tensor, weight: float = WEIGHT) -> Tensor:
    """Cross-entropy, and `weight` times the squared input gradients of `Σ_k log p_k` inside `wrong`, mean over images.

    Args:
        inputs: (B, C, H, W).
        wrong: (B, 1, H, W), 1 where the network should not look.
    """
    inputs = inputs.detach().requires_grad_()
    log_p = nn.functional.log_softmax(network(inputs), dim=1)
    (slope,) = torch.autograd.grad(log_p.sum(), inputs, create_graph=True)
    penalty = ((wrong * slope) ** 2).flatten(1).sum(dim=1).mean()
    return nn.functional.nll_loss(log_p, labels) + weight * penalty
