"""bfloat16 where the CPU has it, and never where it has not."""

import pytest
import torch
from torch import nn

from whalecam import network
from whalecam.network import Network
from whalecam.network.fusion import bfloat16
from whalecam.network.fusion.folding import Halved
from whalecam.network.fusion.fusing import Joined

CPU = torch.device("cpu")


def toy() -> tuple[nn.Conv2d, torch.Tensor, torch.Tensor]:
    """A convolution, inputs to it and what is added to its outputs; bfloat16 stores all of them without rounding."""
    chance = torch.Generator().manual_seed(0)
    convolution = nn.Conv2d(3, 8, 3)
    for tensor in convolution.parameters():
        tensor.data = torch.randint(-8, 9, tensor.shape, generator=chance) / 8
    inputs, other = (torch.randint(-8, 9, shape, generator=chance) / 8 for shape in ((2, 3, 6, 6), (2, 8, 4, 4)))
    return convolution, inputs, other


@pytest.mark.parametrize("summed", [False, True])
def test_joined_convolutions_in_bfloat16_run_on_every_cpu(summed: bool) -> None:
    convolution, inputs, other = toy()
    with torch.no_grad():
        expected = torch.relu(convolution(inputs) + (other if summed else 0))
        layer = Joined(convolution.bfloat16(), "relu")
        found = layer(inputs.bfloat16(), other.bfloat16() if summed else None)
    assert found.dtype == torch.bfloat16
    assert (found - expected).abs().max() <= 2**-7 * expected.abs().max()
    assert (layer._packed is not None) == bfloat16.computes(), "packed weights are what a CPU without it refuses"


@pytest.mark.skipif(bfloat16.computes(), reason="this CPU computes in bfloat16")
def test_without_bfloat16_the_float32_value_is_rounded_once() -> None:
    convolution, inputs, _ = toy()
    with torch.no_grad():
        expected = torch.relu(convolution(inputs)).bfloat16()
        assert torch.equal(Joined(convolution.bfloat16(), "relu")(inputs.bfloat16()), expected)
    assert not network.fast_halves(CPU)


@pytest.mark.parametrize("name", bfloat16.LIMITS)
@pytest.mark.parametrize("value", ["AVX2", "avx2", "AVX512_CORE"])
def test_a_limit_on_onednn_leaves_float32(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert not network.fast_halves(CPU)
    body = nn.Sequential(nn.Conv2d(3, 2, 3)).eval()
    head = network.linear_head(2, 2).eval()
    quick = network.quick(Network(body, head, "toy", ("a", "b"), 16, "squish", (0, 0, 0), (1, 1, 1)))
    assert not isinstance(quick.features, Halved)


def test_the_limits_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    for name in bfloat16.LIMITS:
        monkeypatch.delenv(name, raising=False)
    assert not bfloat16._limited()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX")
    assert not bfloat16._limited()
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert bfloat16._limited()
    monkeypatch.delenv("ONEDNN_MAX_CPU_ISA")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")  # as ATEN_CPU_CAPABILITY=avx2
    assert bfloat16._limited()
