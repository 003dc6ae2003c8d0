"""The remedy `restrict`: its penalty the slow way, its gradient, and a network that looks at the animal after it."""

import hashlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from tests.commandline import whalecam
from whalecam import network, remedies
from whalecam.arrays import records
from whalecam.config import PROBE, RESTRICT, MaskOptions, TrainOptions
from whalecam.data import Dataset, geometry, of_frame, open_dataset, read_sample
from whalecam.demo.planted import Planted
from whalecam.errors import DatasetError, ModelError
from whalecam.explain import cam, score
from whalecam.explain.masks import find_mask, joined, opened
from whalecam.network.heads import arcface_head, fastai_head, linear_head, probe_head
from whalecam.network.training.restriction import label_maps, off_region, penalty
from whalecam.network.training.weight_choice import Trial, choose, held_out_of
from whalecam.remedies.restrict import Restrict
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run

# --- the penalty -------------------------------------------------------------------------------------------------


def drawn_head(head: nn.Sequential) -> nn.Sequential:
    for layer in head.modules():
        if isinstance(layer, nn.BatchNorm1d):
            assert layer.running_mean is not None and layer.running_var is not None
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.uniform_(layer.weight, 0.5, 2)
    return head.double()


def case(channels: int = 4, classes: int = 3) -> tuple[nn.Sequential, Tensor, Tensor, Tensor]:
    """A head in eval mode, activations, labels, and regions that cover whole cells and parts of cells."""
    torch.manual_seed(2)
    head = drawn_head(linear_head(channels, classes)).eval()
    activations = torch.randn(5, channels, 2, 3, dtype=torch.float64)
    inside = torch.zeros(5, 6, 9)
    inside[:, :4, 2:6] = 255
    inside[1] = 255
    return head, activations, torch.tensor([0, 2, 1, 1, 0]), inside


def test_maps_of_labels_are_those_of_the_audit() -> None:
    for head in (linear_head(4, 3), probe_head(4, 3), arcface_head(4, 3), arcface_head(4, 3, centres=2)):
        torch.manual_seed(3)
        ready, (_, activations, labels, _) = drawn_head(head).eval(), case()
        maps = label_maps(ready, activations, labels).detach().numpy()
        seen = cam.explain(ready, activations).maps.detach().numpy()
        for image, label in enumerate(labels.tolist()):
            np.testing.assert_allclose(maps[image], score.contrast(seen[image], "relative", label), atol=1e-12)


def test_the_penalty_one_cell_at_a_time() -> None:
    head, activations, labels, inside = case()
    maps = label_maps(head, activations, labels).detach().numpy()
    shares = []
    for image in range(5):
        off = mass = 0.0
        for row in range(2):
            for column in range(3):
                block = inside[image, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
                outside = 1 - sum(float(value) for value in block.flatten()) / (255 * 9)
                positive = max(0.0, float(maps[image, row, column]))
                off, mass = off + positive * outside, mass + positive
        shares.append(off / mass)
    assert shares[1] == 0 and all(0 <= share <= 1 for share in shares) and max(shares) > 0.1
    assert float(penalty(head, activations, labels, inside)) == pytest.approx(np.mean(shares), abs=1e-6)


def test_all_evidence_on_the_animal_costs_nothing_and_none_costs_everything() -> None:
    maps = torch.tensor([[[2.0, -9.0], [1.0, -9.0]], [[-9.0, 3.0], [-9.0, 0.5]], [[-1.0, -2.0], [-3.0, 0.0]]])
    outside = torch.tensor([[0.0, 1.0], [0.0, 1.0]]).expand(3, 2, 2)
    assert off_region(maps, outside).tolist() == [0.0, 1.0, 0.0], "without positive evidence there is nothing to share"
    assert off_region(100 * maps, outside).tolist() == [0.0, 1.0, 0.0]


@pytest.mark.parametrize("is_training", [False, True])
def test_the_gradient_is_that_of_finite_differences(is_training: bool) -> None:
    """In training mode the batch's own mean and deviation are held, so a plain linear head stands for them here."""
    head, activations, labels, inside = case()
    norm, linear = head[2], head[4]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_var is not None and isinstance(linear, nn.Linear)
    held = activations.mean(dim=(2, 3)).var(dim=0, correction=0) if is_training else norm.running_var
    scale = (norm.weight / torch.sqrt(held + norm.eps)).detach()
    plain = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3, bias=False)).double()

    def value(activations: Tensor, weights: Tensor) -> float:
        with torch.no_grad():
            plain[2].weight.copy_(weights * scale)  # type: ignore[operator]
            return float(penalty(plain, activations, labels, inside))

    given = activations.clone().requires_grad_()
    loss = penalty(head.train(is_training), given, labels, inside)
    weights, step = linear.weight.detach().clone(), 1e-6
    assert float(loss) == pytest.approx(value(activations, weights), abs=1e-12)
    by_activations, by_weights = torch.autograd.grad(loss, (given, linear.weight))
    for at in np.ndindex(*activations.shape):
        moved = torch.zeros_like(activations)
        moved[at] = step
        slope = (value(activations + moved, weights) - value(activations - moved, weights)) / (2 * step)
        assert float(by_activations[at]) == pytest.approx(slope, abs=1e-6)
    for at in np.ndindex(*weights.shape):
        moved = torch.zeros_like(weights)
        moved[at] = step
        slope = (value(activations, weights + moved) - value(activations, weights - moved)) / (2 * step)
        assert float(by_weights[at]) == pytest.approx(slope, abs=1e-6)


def test_the_gradient_through_cosines_is_that_of_a_slow_loop() -> None:
    """One position, channel and centre at a time; the length of each vector is a number, which has no gradient."""
    torch.manual_seed(4)
    head, (_, _, labels, inside) = drawn_head(arcface_head(4, 3, centres=2)).eval(), case()
    activations = torch.rand(5, 4, 2, 3, dtype=torch.float64).add(0.1).requires_grad_()
    norm, linear, layer = head[2], head[4], head[5]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None and norm.running_var is not None
    centres = nn.functional.normalize(layer.weight)  # type: ignore[arg-type]
    total = torch.zeros((), dtype=torch.float64)
    for image, label in enumerate(labels.tolist()):
        powers = activations[image] ** 3
        pooled = powers.mean(dim=(1, 2)) ** (1 / 3)
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        vector = linear.weight @ ((pooled - norm.running_mean) * scale + norm.bias)  # type: ignore[operator]
        length = float(vector.detach().norm())
        nearest = [max(own, key=lambda centre: float((centre @ vector).detach())) for own in centres.view(3, 2, -1)]
        pull = nearest[label] - sum(nearest) / 3
        off = mass = torch.zeros((), dtype=torch.float64)
        for row in range(2):
            for column in range(3):
                cell = torch.zeros((), dtype=torch.float64)
                for k in range(4):
                    share = powers[k, row, column] / powers[k].sum() * pooled[k]
                    cell = cell + 30 * (pull @ linear.weight[:, k]) * scale[k] * share / length  # type: ignore[index]
                block = inside[image, 3 * row : 3 * row + 3, 3 * column : 3 * column + 3]
                outside = 1 - float(block.mean()) / 255
                off, mass = off + cell.clamp_min(0) * outside, mass + cell.clamp_min(0)
        total = total + off / mass / 5
    given = (activations, linear.weight, layer.weight)
    loss = penalty(head, activations, labels, inside)
    assert float(loss.detach()) == pytest.approx(float(total.detach()), abs=1e-7)
    for fast, slow in zip(torch.autograd.grad(loss, given), torch.autograd.grad(total, given), strict=True):  # type: ignore[arg-type]
        torch.testing.assert_close(fast, slow, atol=1e-7, rtol=1e-5)


def test_a_batch_norm_in_training_stands_for_its_batch() -> None:
    head, activations, labels, _ = case()
    maps = label_maps(head.train(), activations, labels)
    pooled = activations.mean(dim=(2, 3))
    norm, linear = head[2], head[4]
    for image, label in enumerate(labels.tolist()):
        expected = torch.zeros(2, 3, dtype=torch.float64)
        for k in range(4):
            deviation = torch.sqrt(pooled[:, k].var(correction=0) + norm.eps)  # type: ignore[operator]
            pull = linear.weight[label, k] - linear.weight[:, k].mean()  # type: ignore[index]
            expected += pull * norm.weight[k] / deviation * activations[image, k] / 6  # type: ignore[index]
        np.testing.assert_allclose(maps[image].detach().numpy(), expected.detach().numpy(), atol=1e-12)


def test_a_head_without_one_formula_for_all_images_is_refused() -> None:
    _, activations, labels, inside = case()
    bent = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3))
    for head in (fastai_head(4, 3, 8), bent, nn.Sequential(nn.Flatten(), nn.Linear(24, 3))):
        with pytest.raises(ModelError, match="cannot be restricted while it trains"):
            penalty(head.double().eval(), activations, labels, inside)


# --- the weight --------------------------------------------------------------------------------------------------


def test_the_weight_with_the_best_mean_of_both_accuracies_is_chosen() -> None:
    trials = [
        Trial(weight=1.0, accuracy=0.9, swapped_accuracy=0.5),
        Trial(weight=4.0, accuracy=0.8, swapped_accuracy=0.8),
        Trial(weight=16.0, accuracy=0.5, swapped_accuracy=0.85),
    ]
    assert choose(trials).weight == 4.0
    assert choose([Trial(weight=weight, accuracy=0.7, swapped_accuracy=0.7) for weight in (16.0, 1.0)]).weight == 1.0
    alone = Trial(weight=1.0, accuracy=0.7, swapped_accuracy=float("nan"))
    assert alone.score == 0.7 and alone.plain() == {"weight": 1.0, "accuracy": 0.7, "swapped_accuracy": None}


@pytest.mark.parametrize("groups", [[""] * 12, [str(at // 2) for at in range(12)], ["same"] * 12])
def test_the_images_that_a_weight_is_chosen_on_leave_every_label_to_train_on(groups: list[str]) -> None:
    rows = pd.DataFrame({"label": ["a", "a", "b", "b"] * 3, "group": groups})
    is_valid = held_out_of(rows, 0)
    assert 0 < is_valid.sum() < 12 and set(rows["label"][~is_valid]) == {"a", "b"}
    if groups[0] == "0":
        assert not set(rows["group"][is_valid]) & set(rows["group"][~is_valid])


# --- regions -----------------------------------------------------------------------------------------------------


@pytest.fixture
def boxed(tmp_path: Path) -> Dataset:
    """Three images: one with a fin and a body box, one with a body box, one without."""
    for name in "abc":
        Image.new("RGB", (64, 32), (20, 60, 120)).save(tmp_path / f"{name}.png")
    boxes = [("a.png", 0, 0, 64, 32, "body"), ("a.png", 16, 8, 32, 16, "fin"), ("b.png", 0, 0, 32, 32, "body")]
    pd.DataFrame(boxes, columns=["image", "x1", "y1", "x2", "y2", "kind"]).to_csv(tmp_path / "boxes.csv", index=False)
    return of_frame(pd.DataFrame({"image": ["a.png", "b.png", "c.png"], "species": ["x", "y", "x"]}), tmp_path)


def restrict_of(data: Dataset, folder: Path, region: str) -> Restrict:
    options = TrainOptions(size=32, region=region, boxes=(str(folder / "boxes.csv"),), box_units="pixels")
    sources = joined(data, opened(options)).sources
    shuffle = remedies.Shuffle(lambda _: None, 32, "squish")
    return Restrict(sources, shuffle, options)


def test_boxes_of_fins_come_before_those_of_bodies(boxed: Dataset, tmp_path: Path) -> None:
    restrict = restrict_of(boxed, tmp_path, "box")
    regions = restrict.regions(boxed.good())
    assert set(regions) == {"a.png", "b.png"}
    assert (np.argwhere(regions["a.png"] > 127).min(axis=0).tolist(), regions["a.png"].shape) == ([8, 8], (32, 32))
    assert np.argwhere(regions["a.png"] > 127).max(axis=0).tolist() == [15, 15]
    assert (regions["b.png"][:, :15] == 255).all() and (regions["b.png"][:, 17:] == 0).all()
    assert restrict.facts == {"region": "box", "pictures": 3, "with_region": 2}


def test_without_a_single_region_there_is_nothing_to_restrict_to(boxed: Dataset, tmp_path: Path) -> None:
    good = boxed.good()
    with pytest.raises(DatasetError, match="None of 1 training images has a box"):
        restrict_of(boxed, tmp_path, "box").regions(good[good["image"] == "c.png"])


# --- trainings ---------------------------------------------------------------------------------------------------

OPTIONS = TrainOptions(arch="efficientnet_lite0_fine", epochs=3, lr=1e-2, size=64, batch=16, split="random")


def trained(planted: Planted, path: Path, **changes: object) -> Run:
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    run = create_run(path, DatasetRecord.of(data))
    remedies.train(data, run, TrainOptions(**{**vars(OPTIONS), "masks": str(planted.leaky / "masks"), **changes}))
    return open_run(run.path)


def off_the_animal(run: Run, planted: Planted) -> float:
    """The mean share of positive evidence for its label off the animal, over held-out images: the audit's own score."""
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    sources = joined(data, opened(MaskOptions(masks=str(planted.leaky / "masks")))).sources
    model, shares = network.from_spec(run.manifest.network, run.load_checkpoint()), []
    for row in records(data.good()):
        if row["image"] in run.training_images():
            continue
        sample = read_sample(Path(row["path"]), row["image"])
        pixels = geometry.to_input(sample.pixels, model.size, model.resize)
        maps = cam.explain(model.head, model.look(pixels[None])).maps[0].numpy()
        mask = find_mask(sample, sources)
        assert mask is not None
        values, seen = geometry.mask_to_input(mask.values, model.size, model.resize)
        weights = score.weigh(values, seen, maps.shape[1:])
        label = model.classes.index(row["label"])
        shares.append(float(score.background_share_of(score.contrast(maps, "relative", label), weights)))
    return float(np.nanmean(shares))


def digest(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_restricted_network_looks_less_at_the_water_and_leaves_its_source_alone(
    planted: Planted, tmp_path: Path
) -> None:
    before = digest(planted.leaky)
    free = trained(planted, tmp_path / "free", remedy="none")
    bound = trained(planted, tmp_path / "bound", remedy=RESTRICT, weight=8.0)
    assert digest(planted.leaky) == before
    assert off_the_animal(bound, planted) < off_the_animal(free, planted) - 0.1
    assert bound.manifest.train["weight"] == 8.0 and bound.manifest.exactness == "exact"
    assert bound.training_images() == free.training_images()
    assert bound.metrics()["remedy"] == {
        "name": RESTRICT,
        "region": "mask",
        "pictures": 96,
        "with_region": 96,
        "networks": [{"weight": 8.0}],
    }


def test_a_weight_is_chosen_by_trials_that_are_written_down(planted: Planted, tmp_path: Path) -> None:
    run = trained(planted, tmp_path / "chosen", remedy=RESTRICT, epochs=1)
    chosen = cast("list[dict[str, Any]]", run.metrics()["remedy"]["networks"])[0]
    trials = [Trial(**trial) for trial in chosen["trials"]]
    assert [trial.weight for trial in trials] == [1.0, 4.0, 16.0]
    assert chosen["weight"] == choose(trials).weight
    assert all(0 <= trial.accuracy <= 1 and 0 <= trial.swapped_accuracy <= 1 for trial in trials)


def test_what_cannot_be_restricted_is_refused_before_anything_is_written(planted: Planted, tmp_path: Path) -> None:
    verb = ["train", planted.leaky / "train.csv", planted.leaky / "images", "--run", tmp_path / "run"]
    masks = ["--masks", planted.leaky / "masks", "--arch", "efficientnet_lite0_fine", "--size", 32]
    for given, words in {
        ("--remedy", RESTRICT, "--recipe", PROBE, *masks): "needs a body that trains",
        ("--remedy", "shuffle", "--weight", 2, *masks): "--weight is of the remedy restrict",
        ("--remedy", "none", "--region", "box"): "--region is of the remedy restrict",
        ("--remedy", RESTRICT, "--region", "box", *masks): "has a box",
    }.items():
        done = whalecam(*verb, *given)
        assert done.returncode == 2 and words in done.stderr.strip().splitlines()[-1], done.stderr
    with pytest.raises(DatasetError, match="restricts nothing"):
        trained(planted, tmp_path / "zero", remedy=RESTRICT, weight=0.0)
