"""Ways to compute the same activations in less time: fewer products on small grids, first layers in portions."""

import copy
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from timm.models.swin_transformer import SwinTransformer
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, fx, nn
from torch.nn import functional as F

from whalecam.network import bodies, modules
from whalecam.network.fusion import bfloat16, portions, winograd
from whalecam.network.fusion.folding import folded
from whalecam.network.fusion.fusing import Joined, joined
from whalecam.network.tokens import has_patches, with_patches


def close(one: Tensor, other: Tensor, share: float) -> bool:
    return bool((one.float() - other.float()).abs().max() <= share * other.float().abs().max())


class TestWinograd:
    @given(st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5), st.booleans())
    @settings(max_examples=40, deadline=None)
    def test_it_is_the_convolution(self, n: int, c: int, o: int, rows: int, columns: int, biased: bool) -> None:
        torch.manual_seed(n * 7 + c)
        inputs, weight = torch.randn(n, c, 2 * rows, 2 * columns), torch.randn(o, c, 3, 3)
        bias = torch.randn(o) if biased else None
        found = winograd.convolved(inputs, winograd.transformed(weight), bias)
        assert found.shape == (n, o, 2 * rows, 2 * columns)
        assert found.is_contiguous(memory_format=torch.channels_last)
        assert close(found, F.conv2d(inputs, weight, bias, padding=1), 1e-5)

    def test_neighbours_counted_by_hand(self) -> None:
        found = winograd.convolved(torch.ones(1, 1, 4, 4), winograd.transformed(torch.ones(1, 1, 3, 3)), torch.ones(1))
        edge, inner = [5, 7, 7, 5], [7, 10, 10, 7]  # itself and its neighbours, and a bias of 1
        assert found[0, 0].tolist() == [edge, inner, inner, edge]

    def test_where_it_is_taken(self) -> None:
        def open_to(side: int, dtype: torch.dtype = torch.bfloat16, channels: int = 512, **frame: int) -> bool:
            layer = nn.Conv2d(channels, 4, **{"kernel_size": 3, "padding": 1, **frame})  # type: ignore[arg-type]
            return winograd.fits(layer, torch.empty(1, channels, side, side, dtype=dtype))

        assert open_to(4) and open_to(8)
        assert not open_to(7) and not open_to(10) and not open_to(4, torch.float32) and not open_to(4, channels=256)
        assert not open_to(4, stride=2) and not open_to(4, padding=0) and not open_to(4, groups=2)
        assert not open_to(4, kernel_size=1, padding=0) and not open_to(4, dilation=2)

    @pytest.mark.skipif(not bfloat16.computes(), reason="this CPU does not compute in bfloat16")
    def test_in_halves_it_rounds_by_less_than_a_hundredth(self) -> None:
        torch.manual_seed(0)
        plain = nn.Conv2d(512, 512, 3, padding=1)
        inputs, other = torch.relu(torch.randn(3, 512, 4, 4)), torch.randn(3, 512, 4, 4)
        layer = Joined(copy.deepcopy(plain).to(torch.bfloat16), "relu")
        with torch.no_grad():
            alone, summed = layer(inputs.bfloat16()), layer(inputs.bfloat16(), other.bfloat16())
            assert layer._kernels is not None and layer._packed is None  # else this tests the other way
            assert close(alone, torch.relu(plain(inputs)), 0.01)
            assert close(summed, torch.relu(plain(inputs) + other), 0.01)
            assert torch.equal(copy.deepcopy(layer)(inputs.bfloat16()), alone)


class TestPortions:
    @staticmethod
    def largest_batches(module: nn.Module, inputs: Tensor) -> tuple[Tensor, list[int]]:
        """What the module gives, and how many images its first layer, the one that reads colours, met at a time."""
        met: list[int] = []
        layers = [layer for layer in module.modules() if isinstance(layer, Joined | nn.Conv2d)]
        for layer in layers:
            layer.register_forward_pre_hook(
                lambda _, given: met.append(len(given[0])) if given[0].shape[1] == 3 else None
            )
        with torch.no_grad():
            return module(inputs), met

    @pytest.mark.parametrize(("side", "expected"), [(128, [3, 3, 3]), (256, [1] * 9), (32, [9])])
    def test_a_resnet_takes_its_stem_in_portions_and_gives_the_same(self, side: int, expected: list[int]) -> None:
        plain = folded(bodies.build_body("resnet18", False).features.eval())
        inputs = torch.rand(9, 3, side, side)
        found, met = self.largest_batches(portions.portioned(joined(plain)), inputs)
        assert met == expected
        with torch.no_grad():
            assert close(found, plain(inputs), 1e-5)

    @pytest.mark.parametrize(("side", "expected"), [(128, [5, 4]), (64, [9]), (512, [1] * 9)])
    def test_depthwise_convolutions_are_taken_in_portions_to_the_end(self, side: int, expected: list[int]) -> None:
        torch.manual_seed(0)
        layers = [nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1)]
        plain, inputs = nn.Sequential(*layers).eval(), torch.rand(9, 3, side, side)
        found, met = self.largest_batches(portions.portioned(plain), inputs)
        assert met == expected
        with torch.no_grad():
            assert close(found, torch.cat([plain(one[None]) for one in inputs]), 1e-5)

    def test_a_stem_of_longer_strides_takes_more_images_at_once(self) -> None:
        plain = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.Conv2d(8, 8, 3, groups=8)).eval()
        assert self.largest_batches(portions.portioned(plain), torch.rand(34, 3, 128, 128))[1] == [17, 17]

    def test_the_stride_is_that_of_the_layer_that_reads_colors(self) -> None:
        """Joined layers of a traced network are listed last."""
        plain = folded(bodies.build_body("efficientnet_lite0", False).features.eval())
        inputs = torch.rand(17, 3, 128, 128)
        found, met = self.largest_batches(portions.portioned(joined(plain)), inputs)
        assert met == [6, 6, 5]
        with torch.no_grad():
            assert close(found, plain(inputs), 1e-4)

    @pytest.mark.parametrize("pooling", ["token", "avg"])
    def test_a_transformer_is_taken_in_portions_with_its_tokens(self, pooling: Literal["token", "avg"]) -> None:
        torch.manual_seed(0)
        frame: dict[str, Any] = {"img_size": 64, "patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 2}
        plain = modules.cut(VisionTransformer(**frame, num_classes=3, global_pool=pooling), 64).features
        parts, inputs = portions.portioned(plain), torch.rand(9, 3, 64, 64)
        found, met = self.largest_batches(parts, inputs)
        assert met == [5, 4] and has_patches(parts)
        with torch.no_grad():
            assert close(found, plain(inputs), 1e-5)
            for some, all_at_once in zip(with_patches(parts, inputs), with_patches(plain, inputs), strict=True):
                assert some is not None and all_at_once is not None and close(some, all_at_once, 1e-5)

    @pytest.mark.parametrize(("side", "expected"), [(128, [9, 8, 8]), (64, [25])])
    def test_a_transformer_of_windows_is_taken_in_portions(self, side: int, expected: list[int]) -> None:
        torch.manual_seed(0)
        frame: dict[str, Any] = {"img_size": side, "window_size": 4, "embed_dim": 8, "depths": (1, 1)}
        plain = modules.cut(SwinTransformer(**frame, num_heads=(2, 2), num_classes=3), side).features
        inputs = torch.rand(25, 3, side, side)
        found, met = self.largest_batches(portions.portioned(plain), inputs)
        assert met == expected
        with torch.no_grad():
            assert close(found, plain(inputs), 1e-5)

    def test_what_is_read_twice_or_never_pooled_stays_whole(self) -> None:
        class Twice(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.one, self.pool = nn.Conv2d(3, 4, 1), nn.MaxPool2d(2)

            def forward(self, x: Tensor) -> Tensor:
                found = self.one(x)
                summed: Tensor = self.pool(found) + found.mean()
                return summed

        for plain in (Twice().eval(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()):
            inputs = torch.rand(5, 3, 200, 200)
            found, met = self.largest_batches(portions.portioned(fx.symbolic_trace(plain)), inputs)
            assert met == [5]
            with torch.no_grad():
                assert torch.equal(found, plain(inputs))

    def test_a_module_in_which_nothing_is_joined_stays_as_it_is(self) -> None:
        plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.GELU())
        assert joined(plain) is plain

    def test_a_module_that_was_not_traced_stays_as_it_is(self) -> None:
        plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2))
        assert portions.portioned(plain) is plain
