"""Embedding networks: of classifiers, names, modules and functions; a projection by ArcFace."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from whalecam import network
from whalecam.errors import DatasetError, ModelError
from whalecam.explain import match
from whalecam.network import embedding
from whalecam.network.exactness import exactness
from whalecam.network.heads import ArcFace, GeM
from whalecam.network.training.arcface import ArcFaceOptions, fit_arcface, margin_logits

INPUTS = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


def classifier(head: nn.Module) -> network.Network:
    torch.manual_seed(0)
    features = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU()).eval()
    frame = ("toy", ("a", "b"), 32, "squish", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return network.Network(features, head.eval(), *frame)


def test_a_classifier_without_its_last_layer() -> None:
    whole = classifier(network.linear_head(8, 2))
    made = embedding.of_network(whole)
    vectors = made.vectors(INPUTS)
    assert vectors.shape == (3, 8) and made.classes == ()
    logits = whole.head(whole.look(INPUTS))
    assert torch.allclose(vectors @ whole.head[4].weight.T, logits, atol=1e-5)  # type: ignore[index]


@pytest.mark.parametrize(("pooling", "p"), [("average", 1), ("gem", 3)])
def test_pooled_activations_by_hand(pooling: str, p: int) -> None:
    whole = classifier(network.linear_head(8, 2))
    made = embedding.of_network(whole, pooling)
    activations = whole.look(INPUTS)
    positions = [float(value) for value in activations[1, 3].flatten()]
    by_hand = (sum(max(value, 1e-6) ** p for value in positions) / len(positions)) ** (1 / p)
    assert float(made.vectors(INPUTS)[1, 3]) == pytest.approx(by_hand, rel=1e-4)
    assert exactness(made.head) == ("exact" if pooling == "average" else "exact_here")


def test_a_cosine_layer_is_a_classifier_too() -> None:
    head = nn.Sequential(GeM(), nn.Flatten(), nn.BatchNorm1d(8), ArcFace(8, 5, centres=2))
    assert embedding.of_network(classifier(head)).vectors(INPUTS).shape == (3, 8)


def test_an_unknown_head_is_pooled_only_where_that_is_asked_for() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.sum(dim=(2, 3))[:, :2]

    whole = classifier(nn.Sequential(nn.Conv2d(8, 8, 1), Odd()))
    with pytest.raises(ModelError, match="average or gem"):
        embedding.of_network(whole)
    assert embedding.of_network(whole, "gem").vectors(INPUTS).shape == (3, 8)
    with pytest.raises(ModelError, match="no pooling 'max'"):
        embedding.of_network(whole, "max")


def test_a_function_of_images_has_vectors_and_no_positions() -> None:
    def encode(images: np.ndarray) -> np.ndarray:
        return np.asarray(images.mean(axis=(1, 2)) / 255)

    made = embedding.of_function(encode, 32)
    assert not made.has_positions and made.is_opaque
    assert made.vectors(INPUTS).numpy() == pytest.approx(encode(INPUTS), abs=1e-6)
    with pytest.raises(ModelError, match="memory alone"):
        embedding.embedding_spec(made)


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda images: np.zeros(len(images)), "one vector each"),
        (lambda images: np.full((len(images), 2), np.nan), "NaN"),
        (lambda images: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_a_function_that_gives_no_vectors(encode: Any, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        embedding.of_function(encode, 32)


def test_a_probabilities_function_has_nothing_to_compare() -> None:
    box = network.black_box(lambda images: np.full((len(images), 2), 0.5), ("a", "b"), 32, "squish")
    with pytest.raises(ModelError, match="no activations"):
        embedding.of_network(box)


def test_a_module_in_memory_whose_outputs_are_vectors() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU()), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    ).eval()
    made = embedding.of_module(module, 32)
    assert made.vectors(INPUTS).shape == (3, 8) and made.has_positions


def test_a_body_by_name_and_its_projection_are_built_again_as_they_were() -> None:
    made = embedding.of_network(embedding.of_body("resnet18", 64, pretrained=False), "gem")
    inputs = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), np.uint8)
    features = made.vectors(inputs)
    projection = embedding.Projection(512, 16)
    projection.eval().standardize(features)
    final = embedding.projected(made, projection)
    expected = final.vectors(inputs)
    assert expected.shape == (2, 16)
    again = embedding.from_embedding_spec(embedding.embedding_spec(final), embedding.embedding_tensors(final))
    assert torch.equal(again.vectors(inputs), expected)
    found = match.similarity_maps(match.placed(again.head, again.look(inputs)), expected)
    assert float(found.completeness_error.max()) <= 1e-5 and float(found.similarity[0, 0]) == pytest.approx(1, abs=1e-5)
    plain = embedding.from_embedding_spec(embedding.embedding_spec(made), embedding.embedding_tensors(made))
    assert torch.equal(plain.vectors(inputs), features)


def test_arcface_gives_the_nearest_centre() -> None:
    torch.manual_seed(0)
    layer, x = ArcFace(4, 3, centres=2, scale=10.0).requires_grad_(False), torch.randn(2, 4)
    for n in range(2):
        for c in range(3):
            both = [
                float(x[n] @ layer.weight[row] / (x[n].norm() * layer.weight[row].norm())) for row in (2 * c, 2 * c + 1)
            ]
            assert float(layer(x)[n, c]) == pytest.approx(10 * max(both), abs=1e-5)


@pytest.mark.parametrize("angle", [0.3, 1.2, 2.5, 3.0])
def test_the_margin_is_added_to_the_own_angle(angle: float) -> None:
    cosines, own = torch.tensor([[math.cos(angle), 0.2]]), torch.tensor([0])
    found = margin_logits(cosines, own, 0.3, 8.0)
    beyond = angle > math.pi - 0.3
    expected = math.cos(angle) - 0.3 * math.sin(0.3) if beyond else math.cos(angle + 0.3)
    assert found[0].tolist() == pytest.approx([8 * expected, 1.6], abs=1e-4)


def test_a_projection_brings_individuals_together() -> None:
    """Three individuals that differ in one feature of twelve, while the others vary a lot."""
    rng = np.random.default_rng(0)
    individuals = np.repeat(np.arange(3), 40)
    features = rng.normal(size=(120, 12)).astype(np.float32)
    features[:, 0] = individuals + rng.normal(0, 0.1, 120)
    fitted = fit_arcface(features, individuals, ArcFaceOptions(length=4, epochs=100, rate=0.02))

    def gap(values: np.ndarray) -> float:
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        same = individuals[:, None] == individuals[None]
        cosines = unit @ unit.T
        return float(cosines[same].mean() - cosines[~same].mean())

    with torch.no_grad():
        vectors = fitted.projection(torch.from_numpy(features)).numpy()
    assert gap(vectors) > 4 * gap(features)
    assert fitted.losses[-1] < fitted.losses[0]
    again = fit_arcface(features, individuals, ArcFaceOptions(length=4, epochs=100, rate=0.02))
    assert again.losses == fitted.losses


def test_one_individual_cannot_be_told_apart() -> None:
    with pytest.raises(DatasetError, match="two or more"):
        fit_arcface(np.zeros((3, 2), np.float32), np.zeros(3, np.int64))
