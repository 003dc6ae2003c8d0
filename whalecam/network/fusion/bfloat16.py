"""Whether this machine computes in bfloat16: tried once, not read from the CPU's name."""

import functools
import os

import torch
from torch.nn import functional as F

LIMITS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""Environment variables that keep oneDNN from instructions that the CPU has; torch's own checks do not read them."""
WITHOUT = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2", "AVX512_CORE", "AVX512_CORE_VNNI")
"""Their values that leave no instruction that multiplies in bfloat16."""
TOLERANCE = 0.02
"""Of the largest value; bfloat16 rounds to 8 bits."""


@functools.cache
def computes() -> bool:
    """Whether convolutions, joined ones too, and matrix products in bfloat16 run here and agree with float32.

    A CPU without AVX-512 refuses the joined convolutions with a RuntimeError.
    """
    chance = torch.Generator().manual_seed(0)
    inputs, weight = torch.rand(2, 8, 8, 8, generator=chance), torch.rand(8, 8, 3, 3, generator=chance) - 0.5
    expected = torch.relu(F.conv2d(inputs, weight, padding=1))
    try:
        with torch.no_grad():
            results = [operation(inputs.bfloat16(), weight.bfloat16()) for operation in (_plain, _joined, _product)]
    except (RuntimeError, AttributeError):
        return False
    wanted = [expected, expected, _product(inputs, weight)]
    return all(_alike(result.float(), value) for result, value in zip(results, wanted, strict=True))


def fast() -> bool:
    """Whether bfloat16 is computed here and faster than float32: on CPUs with instructions for it, about twice."""
    instructions = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return instructions and not _limited() and computes()


def _limited() -> bool:
    """Whether an environment variable takes these instructions away. oneDNN would emulate them, or refuse."""
    allowed = {os.environ.get(name, "").upper() for name in LIMITS}
    kernels = torch.backends.cpu.get_cpu_capability()
    return bool(allowed & set(WITHOUT)) or kernels in ("DEFAULT", "AVX2")  # ATEN_CPU_CAPABILITY sets the latter


def _plain(inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.relu(F.conv2d(inputs, weight, padding=1))


def _joined(inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    frame: tuple[list[int], list[int], list[int], int] = ([1, 1], [1, 1], [1, 1], 1)
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight, *frame)
    rectified: torch.Tensor = torch.ops.mkldnn._convolution_pointwise(inputs, packed, None, *frame, "relu", [], "")
    return rectified


def _product(inputs: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return torch.matmul(inputs.flatten(1), weight.flatten()[: inputs[0].numel(), None])


def _alike(result: torch.Tensor, expected: torch.Tensor) -> bool:
    return bool((result - expected).abs().max() <= TOLERANCE * expected.abs().max())
