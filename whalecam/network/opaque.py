"""Parts of networks that torch cannot see into."""

from torch import Tensor, nn


class Opaque(nn.Module):
    """A part of a network without gradients, which is neither fused, nor resized, nor trained.

    As a head it takes no positions, so no map can be drawn through it.
    """


class Pixels(Opaque):
    """The features of a network without positions of its own: its input."""

    def forward(self, images: Tensor) -> Tensor:
        return images
