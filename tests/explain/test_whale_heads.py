"""Heads of the whale-identification contests and hidden layers: against loops, one number at a time."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from whalecam.explain import cam
from whalecam.network.exactness import exactness

CHANNELS, CLASSES, ROWS, COLUMNS = 5, 3, 2, 4


class GeM(nn.Module):
    """Generalised mean, as the contests have it."""

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p, self.eps = nn.Parameter(torch.ones(1) * p), eps

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=self.eps).pow(self.p).mean(dim=(2, 3), keepdim=True).pow(1 / self.p)


class ArcFace(nn.Module):
    """Cosines times a scale, of the nearest of several centres for each class."""

    def __init__(self, scale: float = 30.0, centres: int = 1) -> None:
        super().__init__()
        self.weight, self.s, self.centres = nn.Parameter(torch.randn(CLASSES * centres, CHANNELS)), scale, centres

    def forward(self, x: Tensor) -> Tensor:
        cosines = nn.functional.linear(nn.functional.normalize(x), nn.functional.normalize(self.weight))
        return self.s * cosines.view(-1, CLASSES, self.centres).max(dim=2).values


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


def activations_of(images: int = 3) -> Tensor:
    return torch.randn(images, CHANNELS, ROWS, COLUMNS, generator=torch.Generator().manual_seed(1)).abs()


def test_a_generalised_mean_is_shared_by_powers() -> None:
    linear = nn.Linear(CHANNELS, CLASSES)
    head, activations = nn.Sequential(GeM(), nn.Flatten(), linear).eval(), activations_of()
    found = cam.explain(head, activations)
    assert exactness(head) == "exact_here" and float(found.completeness_error.max()) <= 1e-5
    for n in range(3):
        for c in range(CLASSES):
            for i, j in ((0, 0), (1, 3)):
                by_hand = 0.0
                for k in range(CHANNELS):
                    powers = [float(value) ** 3 for value in activations[n, k].flatten()]
                    mean = (sum(powers) / len(powers)) ** (1 / 3)
                    by_hand += float(linear.weight[c, k]) * mean * float(activations[n, k, i, j]) ** 3 / sum(powers)
                assert float(found.maps[n, c, i, j]) == pytest.approx(by_hand, abs=1e-5)


def test_a_generalised_mean_of_power_one_is_the_average() -> None:
    linear = nn.Linear(CHANNELS, CLASSES)
    average = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()
    general = nn.Sequential(GeM(1.0), nn.Flatten(), linear).eval()
    one, other = (cam.explain(head, activations_of()) for head in (average, general))
    assert torch.allclose(one.maps, other.maps, atol=1e-6) and torch.allclose(one.bias, other.bias, atol=1e-6)


@pytest.mark.parametrize("centres", [1, 3])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_cosines_are_linear_with_this_images_norm_held(centres: int, scale: float) -> None:
    arc = ArcFace(scale, centres)
    head, activations = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), arc).eval(), activations_of()
    found = cam.explain(head, activations)
    assert exactness(head) == "exact_here" and float(found.completeness_error.max()) <= 1e-5 * scale
    for n, image in enumerate(activations):
        pooled = image.mean(dim=(1, 2))
        for c in range(CLASSES):
            rows = arc.weight[c * centres : (c + 1) * centres]
            cosines = [float(row @ pooled / row.norm() / pooled.norm()) for row in rows]
            row = rows[cosines.index(max(cosines))]
            by_hand = scale * (row @ image[:, 1, 2]) / row.norm() / pooled.norm() / (ROWS * COLUMNS)
            assert float(found.maps[n, c, 1, 2]) == pytest.approx(float(by_hand), abs=1e-5 * scale)
    assert torch.equal(found.bias, torch.zeros_like(found.bias))


def test_the_head_of_the_happywhale_winners_adds_up() -> None:
    """GeM, BatchNorm, ArcFace with sub-centres."""
    norm = nn.BatchNorm1d(CHANNELS)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    head = nn.Sequential(GeM(), nn.Flatten(), norm, nn.Dropout(), ArcFace(centres=3)).eval()
    found = cam.explain(head, activations_of())
    assert exactness(head) == "exact_here" and float(found.completeness_error.max()) <= 1e-4


@pytest.mark.parametrize("activation", [nn.GELU(), nn.Tanh(), nn.Hardswish(inplace=True), nn.SiLU(), nn.ReLU6()])
def test_a_hidden_layer_is_taken_by_its_slope_and_the_rest_is_shown(activation: Any) -> None:
    first, last = nn.Linear(CHANNELS, 6), nn.Linear(6, CLASSES)
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), first, activation, last).eval()
    given = activations_of().requires_grad_()
    found = cam.explain(head, given.detach())
    assert exactness(head) == "approximate"
    logits = head(given)
    for c in range(CLASSES):
        slope = torch.autograd.grad(logits[:, c].sum(), given, retain_graph=True)[0]
        assert torch.allclose((slope * given).sum(dim=1), found.maps[:, c], atol=1e-5)
    rest = (found.maps.sum(dim=(2, 3)) + found.bias - logits).abs().amax(dim=1)
    assert torch.allclose(found.completeness_error, rest, atol=1e-5) and torch.allclose(found.logits, logits)


def test_a_layer_of_that_name_with_a_bias_is_no_cosine() -> None:
    arc: Any = ArcFace()
    arc.bias = nn.Parameter(torch.ones(CLASSES))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), arc)
    assert exactness(head) == "approximate"
