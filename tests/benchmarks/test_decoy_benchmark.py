"""Decoy Fashion-MNIST: the squares, the files, the penalty by hand, and corners that are exchanged."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from benchmarks.decoy import METHODS, TESTS, Corners, corners, interval, measure, report
from benchmarks.protocols.decoy_set import SIDE, decoyed, read
from benchmarks.protocols.right_reasons import rrr
from whalecam.errors import DatasetError


def written(folder: Path, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    heads = [2051, len(images), SIDE, SIDE], [2049, len(labels)]
    names = f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz"
    for head, values, name in zip(heads, (images, labels), names, strict=True):
        content = b"".join(number.to_bytes(4, "big") for number in head) + values.astype(np.uint8).tobytes()
        (folder / name).write_bytes(gzip.compress(content))


@pytest.fixture
def fashion(tmp_path: Path) -> Path:
    """Forty images a part, of ten labels: each a bar at its own height."""
    for part, seed in (("train", 0), ("t10k", 1)):
        labels = np.arange(40) % 10
        images = np.random.default_rng(seed).integers(0, 20, (40, SIDE, SIDE))
        for image, label in zip(images, labels, strict=True):
            image[5 + 2 * label : 7 + 2 * label, 5:23] = 200
        written(tmp_path, part, images, labels)
    return tmp_path


def test_the_files_are_read_as_they_were_written(fashion: Path) -> None:
    images, labels = read("train", fashion)
    assert images.shape == (40, SIDE, SIDE) and labels.tolist() == [number % 10 for number in range(40)]
    assert images[3, 11, 10] == 200 and images[3, 13, 10] < 20


def test_files_that_cannot_be_used_are_refused_in_a_sentence(fashion: Path) -> None:
    with pytest.raises(DatasetError, match="apt-get install dataset-fashion-mnist"):
        read("train", fashion / "nowhere")
    file = fashion / "train-labels-idx1-ubyte.gz"
    content = gzip.decompress(file.read_bytes())
    for changed, words in (
        (gzip.compress(content[:-1]), "shorter or longer"),
        (gzip.compress(b"x" + content[1:]), "begins with other numbers"),
        (b"text", "is no gzip file"),
        (gzip.compress((2049).to_bytes(4, "big") + (2).to_bytes(4, "big") + b"ab"), "do not belong together"),
    ):
        file.write_bytes(changed)
        with pytest.raises(DatasetError, match=words):
            read("train", fashion)


def test_a_square_has_the_grey_of_its_label_in_a_random_corner() -> None:
    images, labels = np.full((400, SIDE, SIDE), 7, np.uint8), np.arange(400) % 10
    made = decoyed(images, labels, labels, np.random.default_rng(0))
    for image, label, square in zip(made.images, labels, made.squares, strict=True):
        assert (image[square] == 255 - 25 * label).all() and (image[~square] == 7).all() and square.sum() == 16
    first = made.squares[:, 0, 0].mean(), made.squares[:, 0, -1].mean(), made.squares[:, -1, 0].mean()
    assert all(0.15 < share < 0.35 for share in first) and not made.squares[:, ~corners()].any()


def test_the_penalty_of_a_linear_network_by_hand() -> None:
    layer = nn.Linear(4, 2)
    network = nn.Sequential(nn.Flatten(), layer)
    inputs, labels = torch.rand(3, 1, 2, 2), torch.tensor([0, 1, 1])
    wrong = torch.tensor([1.0, 0.0, 0.0, 1.0]).reshape(1, 1, 2, 2).expand(3, -1, -1, -1)
    value = rrr(network, inputs, labels, wrong, weight=10.0)
    weight = layer.weight.detach().double().numpy()
    penalty = cross_entropy = 0.0
    for pixels, label in zip(inputs.flatten(1).double().numpy(), labels.tolist(), strict=True):
        logits = weight @ pixels + layer.bias.detach().double().numpy()
        p = np.exp(logits) / np.exp(logits).sum()
        cross_entropy -= np.log(p[label]) / 3
        # d/dx Σ_k log p_k = Σ_k w_k − C Σ_k p_k w_k
        slope = weight.sum(axis=0) - 2 * p @ weight
        penalty += (slope[0] ** 2 + slope[3] ** 2) / 3
    assert value.item() == pytest.approx(cross_entropy + 10 * penalty, rel=1e-5)
    torch.autograd.backward(value)
    assert layer.weight.grad is not None


def test_an_image_keeps_all_but_its_corners(tmp_path: Path) -> None:
    rows = []
    for number, label in enumerate("aabb"):
        path = tmp_path / f"{number}.png"
        Image.fromarray(np.full((SIDE, SIDE), 10 * number, np.uint8)).save(path)
        rows.append({"image": path.name, "path": str(path), "label": label})
    exchanger = Corners()(pd.DataFrame(rows))
    versions = exchanger.on_others("0.png", np.full((SIDE, SIDE, 3), 99, np.uint8), 4, np.random.default_rng(0))
    assert sorted(label for _, label in versions) == ["a", "a", "b", "b"]
    for version, label in versions:
        assert (version[~corners()] == 99).all()
        assert set(np.unique(version[corners()]).tolist()) < ({0, 10} if label == "a" else {20, 30})


def test_all_methods_predict_all_test_sets(fashion: Path) -> None:
    found = measure(fashion, 0, 1, None)
    assert set(found) == set(METHODS) and all(set(tests) == set(TESTS) for tests in found.values())
    assert all(is_right.shape == (40,) for tests in found.values() for is_right in tests.values())
    assert all(f"| {method} |" in report([found, found]) for method in METHODS)
    with pytest.raises(DatasetError, match="There is no"):
        measure(fashion / "nowhere", 0, 1, None)


def test_the_interval_of_a_share() -> None:
    assert interval(np.ones((2, 10), bool)) == (1, 1, 1)
    value, low, high = interval(np.tile(np.arange(100) % 2 == 0, (3, 1)))
    assert value == 0.5 and low == pytest.approx(0.4, abs=0.02) and high == pytest.approx(0.6, abs=0.02)
