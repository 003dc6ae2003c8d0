"""The same network for inputs of another size, for maps on a finer grid."""

import copy
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import nn

from whalecam.arrays import ByteArray
from whalecam.network.cut import Network

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


def at_size(network: Network, size: int, batches: Iterable[ByteArray]) -> Network:
    """A copy for inputs of `size` pixels, with its head's BatchNorm statistics estimated again.

    A convolutional body takes any size, but what its pooled activations look like shifts with it: at 224 pixels a
    network trained at 128 lost 23 points of accuracy, and new statistics gave them back.

    Args:
        batches: network inputs of training images, uint8 (N, size, size, 3), at least one of N ≥ 2.
    """
    head = copy.deepcopy(network.head)
    norms = [layer for layer in head.modules() if isinstance(layer, NORMS)]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the plain average over all batches
        layer.train()
    with torch.no_grad():
        for inputs in batches:
            if norms and len(inputs) > 1:
                head(network.features(network.batch(inputs)))
    return replace(network, head=head.eval(), size=size)
