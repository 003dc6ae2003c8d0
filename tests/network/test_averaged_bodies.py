"""Transformers by name as bodies for training: cut behind their last layer, averaged over their positions."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import whalecam as wc
from tests.tiny import draw
from whalecam import network
from whalecam.errors import ModelError
from whalecam.explain import cam
from whalecam.network.averaged_bodies import trainable_body
from whalecam.network.bodies import build_body
from whalecam.network.positions import out_of_place


@pytest.mark.parametrize(
    ("arch", "size", "channels", "grid"),
    [
        ("swin_t", 64, 768, (2, 2)),
        ("swin_tiny_patch4_window7_224", 64, 768, (2, 2)),
        ("vit_tiny_patch16_224", 64, 192, (4, 4)),
        ("eva02_tiny_patch14_224", 56, 192, (4, 4)),
        ("sequencer2d_s", 64, 384, (4, 4)),
        ("mnasnet0_5", 64, 1280, (2, 2)),
    ],
)
def test_it_keeps_the_positions_in_their_order(arch: str, size: int, channels: int, grid: tuple[int, int]) -> None:
    torch.manual_seed(0)
    body = trainable_body(arch, False, size)
    with torch.no_grad():
        shape = tuple(body.features(torch.rand(2, 3, size, size)).shape)
    assert (body.channels, shape) == (channels, (2, channels, *grid))
    assert not out_of_place(body.features, size)


def test_a_convolutional_network_is_cut_as_before() -> None:
    assert trainable_body("resnet10t", False, 64).way == build_body("resnet10t", False, 64).way == ""


@pytest.mark.parametrize("arch", ["vit_b_16", "coat_lite_tiny", "no_such_network"])
def test_one_without_positions_to_average_is_refused_as_before(arch: str) -> None:
    with pytest.raises(ModelError) as refused:
        trainable_body(arch, False, 64)
    with pytest.raises(ModelError) as before:
        build_body(arch, False, 64)
    assert str(refused.value) == str(before.value)


@pytest.mark.parametrize("recipe", ["fast", "linear-probe"])
def test_it_is_trained_audited_and_opened_again(recipe: str, tmp_path: Path) -> None:
    data = wc.open_dataset(*draw(tmp_path, images=12))
    options: dict[str, Any] = {} if recipe == "linear-probe" else {"epochs": 1, "batch": 4}
    run = wc.train(
        data,
        tmp_path / "run",
        arch="vit_tiny_patch16_224",
        size=32,
        pretrained=False,
        recipe=recipe,
        split="random",
        **options,
    )
    assert run.manifest.exactness == "exact" and run.manifest.network["way"].startswith("averaged, ")
    summary = wc.audit(run, mask_method="border", precision="float32", limit=6)
    assert (
        summary.new == 6
        and wc.audit(wc.open_run(run.path), mask_method="border", precision="float32", limit=6).new == 0
    )
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    drawn = cam.explain(model.head, model.look(images))
    assert drawn.maps.shape == (2, 2, 2, 2)
    assert float(drawn.completeness_error.max()) <= 1e-4 * float(drawn.logits.abs().max())
    rows = run.to_pandas()
    assert rows["completeness_error"].max() < 1e-4 * max(1.0, float(drawn.logits.abs().max()))
    assert rows["confidence"].astype(float).between(0, 1).all()


def test_its_body_starts_another_training(tmp_path: Path) -> None:
    data = wc.open_dataset(*draw(tmp_path, images=8))
    shared: dict[str, Any] = {"size": 32, "recipe": "linear-probe", "split": "random"}
    first = wc.train(data, tmp_path / "first", arch="vit_tiny_patch16_224", pretrained=False, **shared)
    second = wc.train(data, tmp_path / "second", body_from=str(first.path), **shared)
    mine, theirs = (run.load_checkpoint() for run in (first, second))
    bodies = [name for name in mine if name.startswith("features.")]
    assert bodies and all(np.array_equal(mine[name], theirs[name]) for name in bodies)
    assert wc.audit(second, mask_method="border", limit=2, background_test="none").new == 2
