"""Maps through a LayerNorm behind the pooling, as a ConvNeXt has it: against loops, autograd and the libraries."""

from typing import Any, cast

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d

from whalecam.explain import cam
from whalecam.network.exactness import exactness
from whalecam.network.modules import cut

CHANNELS, CLASSES, ROWS, COLUMNS = 5, 3, 2, 4


def head_of(flat: bool, affine: bool = True) -> nn.Sequential:
    """A head with a norm that no weight of zero or one hides."""
    torch.manual_seed(0)
    norm: nn.LayerNorm = nn.LayerNorm(CHANNELS, elementwise_affine=affine) if flat else LayerNorm2d(CHANNELS)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    layers = [nn.Flatten(), norm] if flat else [norm, nn.Flatten()]
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), *layers, nn.Dropout(), nn.Linear(CHANNELS, CLASSES)).eval()


def activations_of(images: int = 3) -> Tensor:
    return torch.randn(images, CHANNELS, ROWS, COLUMNS, generator=torch.Generator().manual_seed(1))


def slowly(head: nn.Sequential, activations: Tensor) -> tuple[Tensor, Tensor]:
    """`E_c[i,j] = (1/(hw·s)) Σ_k w_ck γ_k (a_kij − mean_k a_kij)` and `w_c·β + b_c`, one number at a time."""
    norm = next(layer for layer in head if isinstance(layer, nn.LayerNorm))
    linear = next(layer for layer in head if isinstance(layer, nn.Linear))
    gamma = norm.weight if norm.weight is not None else torch.ones(CHANNELS)
    beta = norm.bias if norm.bias is not None else torch.zeros(CHANNELS)
    maps = torch.zeros(len(activations), CLASSES, ROWS, COLUMNS)
    constant = torch.zeros(CLASSES)
    for c in range(CLASSES):
        constant[c] = sum(linear.weight[c, k] * beta[k] for k in range(CHANNELS)) + linear.bias[c]
        for n, image in enumerate(activations):
            pooled = [float(image[k].mean()) for k in range(CHANNELS)]
            mean = sum(pooled) / CHANNELS
            deviation = (sum((value - mean) ** 2 for value in pooled) / CHANNELS + norm.eps) ** 0.5
            for i in range(ROWS):
                for j in range(COLUMNS):
                    middle = sum(float(image[k, i, j]) for k in range(CHANNELS)) / CHANNELS
                    terms = [linear.weight[c, k] * gamma[k] * (image[k, i, j] - middle) for k in range(CHANNELS)]
                    maps[n, c, i, j] = sum(terms) / (ROWS * COLUMNS * deviation)
    return maps.detach(), constant.detach()


@pytest.mark.parametrize(("flat", "affine"), [(True, True), (True, False), (False, True)])
def test_maps_equal_the_formula_one_number_at_a_time(flat: bool, affine: bool) -> None:
    head, activations = head_of(flat, affine), activations_of()
    found, (maps, constant) = cam.explain(head, activations), slowly(head, activations)
    assert exactness(head) == "exact_here"
    assert torch.allclose(found.maps, maps, atol=1e-5) and torch.allclose(found.bias, constant.expand(3, -1), atol=1e-5)
    assert float(found.completeness_error.max()) <= 1e-5
    with torch.no_grad():
        assert torch.equal(found.logits, head(activations))


def test_maps_are_gradient_times_activation_with_the_deviation_held_and_nothing_without() -> None:
    head, given = head_of(flat=True), activations_of().requires_grad_()
    norm, linear = cast(nn.LayerNorm, head[2]), head[4]
    pooled = given.mean(dim=(2, 3))
    deviation = torch.sqrt(pooled.var(dim=1, correction=0, keepdim=True) + norm.eps).detach()
    held = linear((pooled - pooled.mean(dim=1, keepdim=True)) / deviation * norm.weight + norm.bias)
    found = cam.explain(head, given.detach())
    for c in range(CLASSES):
        slope = torch.autograd.grad(held[:, c].sum(), given, retain_graph=True)[0]
        assert torch.allclose((slope * given).sum(dim=1), found.maps[:, c], atol=1e-5)
        free = torch.autograd.grad(head(given)[:, c].sum(), given)[0]
        explained = (free * given).sum(dim=(1, 2, 3)).abs()
        assert (explained <= 1e-3 * found.logits[:, c].abs().clamp_min(0.1)).all(), "Euler: a norm forgets the scale"
    assert (found.maps.sum(dim=(2, 3)).abs() > 0.05).any()


def test_a_norm_between_two_linear_layers_is_folded_too() -> None:
    torch.manual_seed(0)
    layers = [nn.Linear(CHANNELS, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, CLASSES)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), *layers).eval()
    found = cam.explain(head, activations_of())
    assert exactness(head) == "exact_here" and float(found.completeness_error.max()) <= 1e-5


def test_a_norm_over_positions_has_no_closed_form() -> None:
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.LayerNorm((CHANNELS, 1, 1)), nn.Flatten(), nn.Linear(CHANNELS, 2))
    assert exactness(head) == "exact_here", "over channels alone"
    spread = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.LayerNorm((CHANNELS, 2, 2)), nn.Flatten(), nn.Linear(20, 2))
    assert exactness(spread) == "approximate"
    assert float(cam.explain(head.eval(), activations_of()).completeness_error.max()) <= 1e-5


@pytest.mark.parametrize(("library", "arch"), [("torchvision", "convnext_tiny"), ("timm", "convnext_atto")])
def test_convnexts_in_memory_are_cut_and_explained(library: str, arch: str) -> None:
    torch.manual_seed(0)
    build: Any = torchvision.models.get_model if library == "torchvision" else timm.create_model
    theirs, pixels = build(arch, num_classes=CLASSES).eval(), torch.rand(2, 3, 64, 64)
    parts = cut(theirs, 64)
    with torch.no_grad():
        found, expected = cam.explain(parts.head, parts.features(pixels)), theirs(pixels)
    assert exactness(parts.head) == "exact_here"
    assert (found.logits - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert float(found.completeness_error.max()) <= 1e-4 * float(expected.abs().max())
