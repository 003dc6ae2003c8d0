"""Convolutions of 3 × 3 on small grids with 16 products where there were 36: F(2 × 2, 3 × 3) as matrix products.

Lavin & Gray 2016 (arXiv 1509.09308). On grids this small the transforms of all tiles are one matrix each.
"""

import functools

import torch
from torch import Tensor, nn

CHANNELS, SIDE = 512, 8
"""From so many channels, and up to a grid this wide, it is quicker here: twice at 4 × 4, by a fifth at 8 × 8."""
TILE, FRESH = 4, 2
"""A tile of 4 × 4 pixels gives 2 × 2 new ones."""
OF_INPUT = ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1))
OF_KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))
OF_OUTPUT = ((1, 1, 1, 0), (0, 1, -1, -1))


def fits(convolution: nn.Conv2d, inputs: Tensor) -> bool:
    """Whether this way is open, and quicker: in float32 the products of a CPU are not the bottleneck."""
    frame = (convolution.kernel_size, convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
    if frame != ((3, 3), (1, 1), (1, 1), (1, 1), 1) or convolution.in_channels < CHANNELS:
        return False
    return inputs.dtype == torch.bfloat16 and all(side <= SIDE and side % FRESH == 0 for side in inputs.shape[2:])


def transformed(weight: Tensor) -> Tensor:
    """Kernels (O, I, 3, 3) → (16, I, O) of the same type, for `convolved`."""
    kernel = weight.new_tensor(OF_KERNEL, dtype=torch.float32)
    kernels = torch.einsum("ap,bq,oipq->abio", kernel, kernel, weight.detach().float())
    return kernels.reshape(TILE * TILE, *kernels.shape[2:]).to(weight.dtype).contiguous()


def convolved(inputs: Tensor, kernels: Tensor, bias: Tensor | None) -> Tensor:
    """The convolution of inputs (N, I, h, w), both sides even, padded by one pixel of 0: (N, O, h, w), channels last.

    Args:
        kernels: as `transformed` gives them.
        bias: (O,).
    """
    images, channels, height, width = inputs.shape
    before, after = _transforms(height, width, inputs.dtype)
    pixels = inputs.permute(2, 3, 0, 1).reshape(height * width, images * channels)
    tiles = (before @ pixels).view(TILE * TILE, -1, channels)
    products = torch.bmm(tiles, kernels).view(before.shape[0], -1)
    shift = products.new_zeros(1) if bias is None else bias.repeat(images)
    outputs = torch.addmm(shift, after, products).view(height, width, images, kernels.shape[2])
    return outputs.permute(2, 3, 0, 1).contiguous(memory_format=torch.channels_last)


@functools.lru_cache(16)
def _transforms(height: int, width: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Pixels of a grid → values of all its tiles, (16 · tiles, h · w), and such values → pixels, its shape turned."""
    down, across = _along(height), _along(width)
    before, after = (torch.einsum("aiy,bjx->abijyx", down[kind], across[kind]) for kind in (0, 1))
    rows = (-1, height * width)
    return before.reshape(rows).to(dtype), after.reshape(rows).T.to(dtype).contiguous()


def _along(side: int) -> tuple[Tensor, Tensor]:
    """The same along one side: weights (4, tiles, side) of the input's pixels, and of the output's."""
    tiles = side // FRESH
    before, after = torch.zeros(TILE, tiles, side + 2), torch.zeros(TILE, tiles, side)
    for tile in range(tiles):
        start = tile * FRESH
        before[:, tile, start : start + TILE] = torch.tensor(OF_INPUT)
        after[:, tile, start : start + FRESH] = torch.tensor(OF_OUTPUT).T
    return before[:, :, 1:-1], after
