"""The remedy `head`: the last layer fitted again, against scikit-learn one image at a time, and on planted leaks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch import nn

from tests.commandline import whalecam
from whalecam import network, remedies
from whalecam.analysis.recommendation import PRESENT, advise, simulation_of
from whalecam.arrays import ByteArray
from whalecam.audit import run_audit
from whalecam.config import HEAD, PROBE, AuditOptions, TrainOptions
from whalecam.data import open_dataset
from whalecam.demo.planted import Planted
from whalecam.errors import ModelError
from whalecam.explain import cam
from whalecam.network import Network, training
from whalecam.network.heads import ConcatPool, fastai_head, linear_head, probe_head
from whalecam.network.training.last_layer import fit_last_layer, last_layer
from whalecam.network.training.regression import INVERSE_PENALTY
from whalecam.network.training.versions import BACKGROUNDS
from whalecam.remedies.simulation import simulate
from whalecam.store.manifest import DatasetRecord
from whalecam.store.open_table import open_table
from whalecam.store.run import Run, create_run, open_run

SIDE = 32


def network_of(head: nn.Module, channels: int = 8, classes: tuple[str, ...] = ("a", "b")) -> Network:
    """Some random filters and a head."""
    torch.manual_seed(1)
    features = nn.Sequential(nn.Conv2d(3, channels, 5, stride=4), nn.ReLU())
    stats = (0.5, 0.5, 0.5)
    for layer in head.modules():
        if isinstance(layer, nn.BatchNorm1d):
            assert layer.running_mean is not None
            nn.init.uniform_(layer.running_mean)
            nn.init.uniform_(layer.weight, 0.5, 2)
    return Network(features.eval(), head.eval(), "toy", classes, SIDE, "squish", stats, stats)


HEADS: Mapping[str, nn.Module] = {
    "linear, without a bias": linear_head(8, 2),
    "probe": probe_head(8, 2),
    "two layers": fastai_head(8, 2, hidden=16),
    "plain": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)),
    "normed": nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8), nn.Linear(8, 2)),
}


@dataclass
class Painted:
    """Puts images on a plain left half: dark of label a, light of label b; both, and notes what it gave."""

    given: dict[str, list[ByteArray]] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, training: pd.DataFrame) -> "Painted":
        self.facts = {"pictures": len(training)}
        return self

    def on_others(
        self, image: str, pixels: ByteArray, count: int, rng: np.random.Generator
    ) -> list[tuple[ByteArray, str]]:
        versions = []
        for at in range(count):
            changed = pixels.copy()
            changed[:, : SIDE // 2] = (30, 220)[at % 2]
            versions.append((changed, "ab"[at % 2]))
        # Symmetric, so that mirroring by chance can be undone by the slow way below.
        self.given[image] = [version for version, _ in versions]
        return versions


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return halved_images(tmp_path_factory.mktemp("halves"))


def halved_images(folder: Path) -> pd.DataFrame:
    """Thirty images whose right half tells the label faintly, and whose left half tells it plainly."""
    rng, rows = np.random.default_rng(0), []
    for number in range(30):
        label = number % 2
        pixels = rng.integers(60, 180, (SIDE, SIDE, 3))
        pixels[:, : SIDE // 2] = (30, 220)[label]
        pixels[:, SIDE // 2 :, label] += 40
        path = folder / f"{number:02}.png"
        Image.fromarray(pixels.astype(np.uint8)).save(path)
        rows.append({"image": path.name, "path": str(path), "label": "ab"[label], "group": ""})
    return pd.DataFrame(rows)


def slow_inputs(model: Network, pixels: ByteArray) -> np.ndarray:
    """What the last linear layer takes of one image: every layer of the head before it, one after the other."""
    with torch.no_grad():
        values = model.look(pixels[None])
        for layer in list(model.head.children())[:-1]:
            values = layer(values)
    return np.asarray(values[0].double().numpy())


@pytest.mark.parametrize("name", HEADS)
def test_it_predicts_as_scikit_learns_regression_on_all_versions_does(images: pd.DataFrame, name: str) -> None:
    model = network_of(HEADS[name])
    before, painted = {key: value.copy() for key, value in model.tensors().items()}, Painted()
    pixels = {row["image"]: np.asarray(Image.open(row["path"])) for _, row in images.iterrows()}
    rng, features, labels, pairs = np.random.default_rng(3), [], [], []
    for row in images.to_dict("records"):
        features.append(slow_inputs(model, pixels[row["image"]]))
        labels.append(row["label"])
        pairs.append(row["label"] * 2)
        for version, background in painted.on_others(row["image"], pixels[row["image"]], BACKGROUNDS, rng):
            shown = version[:, ::-1] if rng.random() < 0.5 else version
            features.append(slow_inputs(model, np.ascontiguousarray(shown)))
            labels.append(row["label"])
            pairs.append(row["label"] + background)
    counts = {pair: pairs.count(pair) for pair in set(pairs)}
    assert set(counts) == {"aa", "ab", "ba", "bb"}
    share = np.array([1 / counts[pair] for pair in pairs])
    scaler = StandardScaler().fit(features)
    slow = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000)
    slow.fit(scaler.transform(features), labels, sample_weight=share / share.mean())
    own = [at for at in range(len(pairs)) if at % (BACKGROUNDS + 1) == 0]
    expected = slow.predict_proba(scaler.transform(np.array(features)[own]))
    loss = fit_last_layer(model, images, painted, seed=3)
    with torch.no_grad():
        logits = model.head(model.look(np.stack(list(pixels.values()))))
    np.testing.assert_allclose(logits.softmax(1).numpy(), expected, atol=2e-3)
    truth = np.array(["ab".index(label) for label in images["label"]])
    assert loss == pytest.approx(-np.log(expected[np.arange(len(truth)), truth]).mean(), abs=2e-3)
    changed = {key for key, value in model.tensors().items() if not np.array_equal(value, before[key])}
    last = str(len(list(model.head.children())) - 1)
    norm = {"linear, without a bias": "head.2.bias", "two layers": "head.6.bias"}.get(name)
    assert changed == ({f"head.{last}.weight", norm} if norm else {f"head.{last}.weight", f"head.{last}.bias"})


@pytest.mark.parametrize("name", HEADS)
def test_maps_of_a_network_fitted_again_still_add_up(images: pd.DataFrame, name: str) -> None:
    model = network_of(HEADS[name])
    fit_last_layer(model, images, Painted(), seed=0)
    activations = model.look(np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8))
    seen = cam.explain(model.head, activations)
    with torch.no_grad():
        np.testing.assert_allclose(seen.logits.numpy(), model.head(activations).numpy(), atol=1e-4)
    placed = seen.maps.sum(dim=(2, 3)) + seen.bias
    np.testing.assert_allclose(placed.numpy(), seen.logits.numpy(), atol=1e-4)


def test_the_background_tells_nothing_any_more(images: pd.DataFrame) -> None:
    model, painted = network_of(HEADS["plain"]), Painted()
    fit_last_layer(model, images, painted, seed=0)
    correct = []
    for row in images.to_dict("records"):
        versions = painted.on_others(row["image"], np.asarray(Image.open(row["path"])), 2, np.random.default_rng(0))
        with torch.no_grad():
            logits = model.head(model.look(np.stack([version for version, _ in versions])))
        correct.append((logits.argmax(1) == "ab".index(row["label"])).double().mean().item())
    assert np.mean(correct) > 0.9


class Cosine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(self.layer(x.mean((2, 3))))


def test_heads_that_end_otherwise_are_refused(images: pd.DataFrame) -> None:
    for head in (Cosine(), nn.Sequential(nn.Conv2d(8, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())):
        with pytest.raises(ModelError, match="does not end in a linear layer"):
            last_layer(network_of(head))
    unbiased = nn.Sequential(ConcatPool(), nn.Flatten(), nn.Linear(16, 2, bias=False))
    with pytest.raises(ModelError, match="has no bias"):
        fit_last_layer(network_of(unbiased), images, Painted(), seed=0)


class Nothing(Painted):
    def on_others(
        self, image: str, pixels: ByteArray, count: int, rng: np.random.Generator
    ) -> list[tuple[ByteArray, str]]:
        return []


def test_images_without_masks_leave_nothing_to_fit(images: pd.DataFrame) -> None:
    with pytest.raises(ModelError, match="No training image could be put on the background"):
        fit_last_layer(network_of(HEADS["plain"]), images, Nothing(), seed=0)


OPTIONS = TrainOptions(arch="efficientnet_lite0_fine", recipe=PROBE, size=64, split="random", folds=2)


@pytest.fixture(scope="module")
def leaky(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two linear probes that learnt the colour of the water, audited."""
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    run = create_run(tmp_path_factory.mktemp("leaky") / "run", DatasetRecord.of(data))
    remedies.train(data, run, OPTIONS)
    run_audit.run_audit(run, data, AuditOptions(masks=str(planted.leaky / "masks")))
    return run


def test_a_leak_is_gone_after_the_last_layer_was_fitted_again(leaky: Run, planted: Planted, tmp_path: Path) -> None:
    done = whalecam("simulate", leaky.path, "--json")
    foreseen = json.loads(done.stdout)["figures"]
    assert foreseen[HEAD]["all"]["unseen_gain"][1] > 0.1
    before_facts = open_table(leaky).overview()
    before_facts["confirmed"] = 60
    advice, _ = advise(leaky, before_facts, ())
    assert (advice.remedy, advice.todo) == (HEAD, "retrain") and "fit the last layer again" in advice.sentence
    done = whalecam("retrain", leaky.path, "--remedy", HEAD, "--out", tmp_path / "better", "--json")
    assert done.returncode == 0, done.stderr
    better = open_run(tmp_path / "better")
    for fold in range(2):
        assert better.training_images(fold) == leaky.training_images(fold)
        before, after = leaky.load_checkpoint(fold), better.load_checkpoint(fold)
        assert {name for name in before if not np.array_equal(before[name], after[name])} == {
            "head.4.weight",
            "head.4.bias",
        }
    assert better.manifest.exactness == "exact" and better.manifest.train["remedy"] == HEAD
    known = simulation_of(better)
    assert known is not None
    measured = known["figures"][PRESENT]["all"]["unseen"][0]
    assert measured == pytest.approx(foreseen[HEAD]["all"]["unseen"][0], abs=1e-9), "foreseen exactly"
    gap, left = (open_table(run).overview()["bg_gap"] for run in (leaky, better))
    assert gap is not None and left is not None and gap > 0.3 and abs(left) < gap / 3
    # The same animals on the other water: the truth of it.
    flipped = open_dataset(planted.flipped / "train.csv", planted.flipped / "images").good().set_index("image")
    right = []
    for run in (leaky, better):
        model = network.from_spec(run.manifest.network, run.load_checkpoint(0))
        names = sorted(set(flipped.index) - run.training_images(0))
        odds = [_predicted(model, Path(flipped.loc[name, "path"])) for name in names]
        right.append(np.mean([odd == flipped.loc[name, "label"] for odd, name in zip(odds, names, strict=True)]))
    assert right[1] > right[0] + 0.3


def _predicted(model: Network, path: Path) -> str:
    from whalecam.data import geometry, read_sample

    pixels = geometry.to_input(read_sample(path, path.name).pixels, model.size, model.resize)
    with torch.no_grad():
        return model.classes[int(model.head(model.look(pixels[None])).argmax())]


def test_a_loaded_network_can_be_fitted_again_and_trained_again_never(
    leaky: Run, planted: Planted, tmp_path: Path
) -> None:
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    loaded = create_run(tmp_path / "loaded", DatasetRecord.of(data))
    training.adopt(loaded, network.from_spec(leaky.manifest.network, leaky.load_checkpoint(0)))
    loaded.update(audit={"masks": str(planted.leaky / "masks")})
    found = simulate(loaded)
    assert found["pictures"] == 120 and 0 < found["figures"][HEAD]["all"]["n"] < 60, "measured on images kept from it"
    done = whalecam("retrain", loaded.path, "--remedy", HEAD, "--out", tmp_path / "fitted", "--json")
    assert done.returncode == 0, done.stderr
    fitted = open_run(tmp_path / "fitted")
    assert (
        60 < len(fitted.training_images()) < 120 and "what it was trained on is not known" in fitted.metrics()["note"]
    )
    for run in (loaded, fitted):
        refused = whalecam("retrain", run.path, "--remedy", "shuffle", "--out", tmp_path / "never")
        assert refused.returncode == 2 and "was loaded, not trained" in refused.stderr


def test_a_network_that_has_seen_everything_is_refused(leaky: Run, tmp_path: Path) -> None:
    data = run_audit.open_data(leaky)
    run = create_run(tmp_path / "run", DatasetRecord.of(data))
    names = data.good()["image"].tolist()
    training.adopt(run, network.from_spec(leaky.manifest.network, leaky.load_checkpoint(0)), training=names)
    options = replace(OPTIONS, remedy=HEAD, masks=leaky.manifest.audit["masks"])
    with pytest.raises(ModelError, match="was trained on all of these images"):
        remedies.refit(data, create_run(tmp_path / "out", DatasetRecord.of(data)), run, options)


def test_the_advice_speaks_of_classes_whose_images_are_too_uncertain_to_be_listed(leaky: Run) -> None:
    facts = open_table(leaky).overview()
    assert facts["suspects"] == 0 and facts["bg_gap"] is not None and facts["bg_gap"] > 0.3
    tests = open_table(leaky).class_tests()
    assert set(facts["relying"]) == set(tests["predicted"][tests["relies"]]) != set()
    assert "rely on the" in advise(leaky, facts, ())[0].why[0] + " as a whole"
    assert "as a whole, beyond chance" in whalecam("info", leaky.path).stdout
