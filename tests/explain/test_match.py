"""Similarity maps of pairs of images: against loops over single numbers, the class activation maps, and toys."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from whalecam.explain import cam, match, score
from whalecam.network.heads import GeM

CHANNELS, LENGTH = 5, 3


def activations_of(images: int, seed: int, rows: int = 2, columns: int = 3) -> Tensor:
    return torch.randn(images, CHANNELS, rows, columns, generator=torch.Generator().manual_seed(seed))


def affine_head() -> nn.Sequential:
    torch.manual_seed(3)
    norm = nn.BatchNorm1d(CHANNELS)
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), norm, nn.Linear(CHANNELS, LENGTH)).eval()


HEADS = {
    "average": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "gem": nn.Sequential(GeM(), nn.Flatten()),
    "affine": affine_head(),
    "rectified": nn.Sequential(*affine_head(), nn.ReLU(), nn.LayerNorm(LENGTH)),
}


@pytest.mark.parametrize("name", HEADS)
def test_maps_and_bias_add_up_to_the_cosine(name: str) -> None:
    head = HEADS[name].eval()
    evidence, others = cam.explain(head, activations_of(4, 1)), head(activations_of(6, 2, 4, 4)).detach()
    found = match.similarity_maps(evidence, others)
    expected = nn.functional.cosine_similarity(evidence.logits[:, None], others[None], dim=2)
    assert torch.allclose(found.similarity, expected, atol=1e-6)
    assert torch.allclose(found.maps.sum(dim=(2, 3)) + found.bias, expected, atol=1e-5)
    assert float(found.completeness_error.max()) <= 1e-5


def test_average_pooled_similarity_is_shared_by_positions() -> None:
    one, other = activations_of(1, 1), activations_of(1, 2, 3, 3)
    head = HEADS["average"].eval()
    found = match.similarity_maps(cam.explain(head, one), head(other))
    p = [float(one[0, k].mean()) for k in range(CHANNELS)]
    q = [float(other[0, k].mean()) for k in range(CHANNELS)]
    length = math.sqrt(sum(x * x for x in p)) * math.sqrt(sum(x * x for x in q))
    for i in range(2):
        for j in range(3):
            by_hand = sum(float(one[0, k, i, j]) * q[k] for k in range(CHANNELS)) / (6 * length)
            assert float(found.maps[0, 0, i, j]) == pytest.approx(by_hand, abs=1e-6)
    assert float(found.bias) == 0


def test_gem_pooled_similarity_is_shared_by_powers() -> None:
    one, other = activations_of(1, 1).abs(), activations_of(1, 2).abs()
    head = HEADS["gem"].eval()
    found = match.similarity_maps(cam.explain(head, one), head(other))

    def pooled(values: Tensor) -> list[float]:
        return [(sum(float(v) ** 3 for v in values[0, k].flatten()) / 6) ** (1 / 3) for k in range(CHANNELS)]

    p, q = pooled(one), pooled(other)
    length = math.sqrt(sum(x * x for x in p)) * math.sqrt(sum(x * x for x in q))
    for i in range(2):
        for j in range(3):
            by_hand = 0.0
            for k in range(CHANNELS):
                total = sum(float(v) ** 3 for v in one[0, k].flatten())
                by_hand += float(one[0, k, i, j]) ** 3 / total * p[k] * q[k] / length
            assert float(found.maps[0, 0, i, j]) == pytest.approx(by_hand, abs=1e-5)


@pytest.mark.parametrize("name", HEADS)
def test_it_is_the_class_activation_map_of_a_layer_of_unit_vectors(name: str) -> None:
    """The other way to the same numbers: a linear layer whose weights are the other images' directions."""
    head, one = HEADS[name].eval(), activations_of(2, 1)
    others = head(activations_of(3, 2)).detach()
    layer = nn.Linear(others.shape[1], 3, bias=False)
    layer.weight.data = nn.functional.normalize(others)
    by_class = cam.explain(nn.Sequential(head, layer).eval(), one)
    lengths = head(one).norm(dim=1).detach()
    found = match.similarity_maps(cam.explain(head, one), others)
    assert torch.allclose(found.maps, by_class.maps / lengths[:, None, None, None], atol=1e-6)
    assert torch.allclose(found.bias, by_class.bias / lengths[:, None], atol=1e-6)


@pytest.mark.parametrize("name", HEADS)
def test_pairs_are_the_diagonal_of_all_with_all(name: str) -> None:
    head = HEADS[name].eval()
    evidence, others = cam.explain(head, activations_of(3, 1)), head(activations_of(3, 2)).detach()
    every, paired = match.similarity_maps(evidence, others), match.paired_maps(evidence, others)
    for n in range(3):
        assert torch.allclose(paired.maps[n, 0], every.maps[n, n], atol=1e-6)
        assert float(paired.similarity[n, 0]) == pytest.approx(float(every.similarity[n, n]), abs=1e-6)
    assert float(paired.completeness_error.max()) <= 1e-5


def test_pairs_of_positions_add_up_to_either_map() -> None:
    head = HEADS["gem"].eval()
    one, other = (cam.explain(head, activations_of(2, seed, *shape)) for seed, shape in ((1, (2, 3)), (2, (4, 2))))
    pairs = match.position_pairs(one, other)
    assert pairs.shape == (2, 2, 3, 4, 2)
    assert torch.allclose(pairs.sum(dim=(3, 4)), match.paired_maps(one, other.logits).maps[:, 0], atol=1e-5)
    assert torch.allclose(pairs.sum(dim=(1, 2)), match.paired_maps(other, one.logits).maps[:, 0], atol=1e-5)
    by_hand = float((one.maps[0, :, 1, 2] * other.maps[0, :, 3, 1]).sum())
    by_hand /= float(one.logits[0].norm() * other.logits[0].norm())
    assert float(pairs[0, 1, 2, 3, 1]) == pytest.approx(by_hand, abs=1e-6)


def test_pairs_of_positions_leave_out_what_the_biases_add() -> None:
    head = HEADS["affine"].eval()
    one, other = cam.explain(head, activations_of(1, 1)), cam.explain(head, activations_of(1, 2))
    lengths = one.logits.norm() * other.logits.norm()
    left = (one.maps[0] * other.bias[0][:, None, None]).sum(dim=0) / lengths
    whole = match.paired_maps(one, other.logits).maps[0, 0]
    assert torch.allclose(match.position_pairs(one, other).sum(dim=(3, 4))[0] + left, whole, atol=1e-6)


def test_a_wrong_share_shows_in_the_completeness_error() -> None:
    head = HEADS["average"].eval()
    evidence = cam.explain(head, activations_of(1, 1))
    evidence.maps[0, 0, 0, 0] += 1.0
    assert float(match.similarity_maps(evidence, evidence.logits).completeness_error) > 0.01


def test_double_precision_says_the_same_of_a_head() -> None:
    head = HEADS["affine"].eval()
    plain, double = cam.explain(head, activations_of(2, 1)), match.placed(head, activations_of(2, 1))
    assert double.maps.dtype == torch.float64 and torch.allclose(double.maps.float(), plain.maps, atol=1e-6)
    assert next(head.parameters()).dtype == torch.float32


def test_a_vector_without_a_length_is_similar_to_nothing() -> None:
    head = HEADS["average"].eval()
    found = match.similarity_maps(cam.explain(head, torch.zeros(1, CHANNELS, 2, 2)), torch.ones(1, CHANNELS))
    assert float(found.similarity) == 0 and not found.maps.any() and float(found.completeness_error) == 0


def test_other_lengths_of_vectors_are_refused() -> None:
    evidence = cam.explain(HEADS["average"].eval(), activations_of(2, 1))
    with pytest.raises(ValueError, match="cannot be compared"):
        match.similarity_maps(evidence, torch.ones(1, CHANNELS + 1))
    with pytest.raises(ValueError, match="as many others"):
        match.paired_maps(evidence, torch.ones(1, CHANNELS))


class Looking(nn.Module):
    """Features of an encoder that sees either what is bright, the animal, or what is dark, the water: 8 × 8 cells."""

    def __init__(self, at_animal: bool) -> None:
        super().__init__()
        self.at_animal = at_animal

    def forward(self, images: Tensor) -> Tensor:
        cells = nn.functional.avg_pool2d(images, 8)
        # Cells whose neighbours are all alike: bilinear drawing then stays on one side of the outline.
        bright = (cells.mean(dim=1, keepdim=True) > 0.5).float()
        alike = nn.functional.avg_pool2d(nn.functional.pad(bright, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
        return cells * (alike > 0.99 if self.at_animal else alike < 0.01)


def toy_image(seed: int) -> tuple[Tensor, np.ndarray]:
    """An image (1, 3, 64, 64) with a bright animal of 5 × 5 cells, and its mask."""
    generator = torch.Generator().manual_seed(seed)
    image, mask = torch.rand(1, 3, 64, 64, generator=generator) * 0.3, np.zeros((64, 64), np.float32)
    image[:, :, 16:56, 8:48] += 0.6
    mask[16:56, 8:48] = 1
    return image, mask


@pytest.mark.parametrize(("at_animal", "expected"), [(True, 0.0), (False, 1.0)])
@pytest.mark.parametrize("pooling", ["average", "gem"])
def test_encoders_of_animal_or_water_alone_score_0_and_1(at_animal: bool, expected: float, pooling: str) -> None:
    features, head = Looking(at_animal), HEADS[pooling].eval()
    (one, mask), (other, _) = toy_image(1), toy_image(2)
    evidence, target = cam.explain(head, features(one)), head(features(other))
    found = match.similarity_maps(evidence, target)
    weights = score.weigh(mask, None, (8, 8))
    share = score.background_share_of(found.maps[0, 0].numpy(), weights)
    # A generalised mean takes nothing for 1e-6 of itself.
    assert float(share) == pytest.approx(expected, abs=1e-12 if pooling == "average" else 1e-6)
    assert weights.reason is None and float(found.completeness_error) <= 1e-5


def test_context_ratio() -> None:
    assert match.context_ratio(np.array([0.0, 0.5, 0.75, 1.0])).tolist() == [0, 1, 3, math.inf]
    assert math.isnan(match.context_ratio(np.array([math.nan]))[0])
