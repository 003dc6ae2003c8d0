"""The linear probe: the same as scikit-learn's regression on the body's own averages, by the slow way."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn import metrics
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from whalecam import network
from whalecam.arrays import ByteArray, Progress, records
from whalecam.config import PROBE, TrainOptions
from whalecam.data import Dataset, open_dataset, read_sample
from whalecam.data.geometry import to_input
from whalecam.errors import ModelError
from whalecam.network import from_spec
from whalecam.network import training as classifier
from whalecam.network.exactness import exactness
from whalecam.network.training.fitted import Change
from whalecam.network.training.probe import DRAWN
from whalecam.network.training.regression import INVERSE_PENALTY, log_loss
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run

OPTIONS = TrainOptions(arch="efficientnet_lite0_fine", recipe=PROBE, size=32, split="random", seed=3)


def drawn(folder: Path, classes: int) -> Dataset:
    """Twelve images of each class, which differ in their colour."""
    rng, rows = np.random.default_rng(classes), []
    for number in range(12 * classes):
        pixels = rng.integers(0, 90, (40, 36, 3))
        pixels[..., number % classes] += 90
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
        rows.append((f"{number:02}.png", f"class {number % classes}", ""))
    pd.DataFrame(rows, columns=["image", "species", "individual_id"]).to_csv(folder / "train.csv", index=False)
    return open_dataset(folder / "train.csv", folder)


def trained(data: Dataset, path: Path, options: TrainOptions = OPTIONS) -> Run:
    run = create_run(path, DatasetRecord.of(data))
    classifier.train(data, run, options)
    return run


def pooled(model: network.Network, data: Dataset, names: set[str], mirrored: bool) -> np.ndarray:
    """One image at a time."""
    rows = []
    for row in records(data.good()):
        if row["image"] in names:
            pixels = to_input(read_sample(Path(row["path"]), row["image"]).pixels, 32, "squish")
            pixels = np.ascontiguousarray(pixels[:, ::-1]) if mirrored else pixels
            rows.append(model.look(pixels[None])[0].mean(dim=(1, 2)).double().numpy())
    return np.array(rows)


@pytest.mark.parametrize("classes", [2, 3])
def test_its_probabilities_are_those_of_scikit_learns_regression(tmp_path: Path, classes: int) -> None:
    data = drawn(tmp_path, classes)
    run = trained(data, tmp_path / "run")
    model = from_spec(run.manifest.network, run.load_checkpoint())
    training = run.training_images()
    labels = data.good().set_index("image")["label"]
    features = np.concatenate([pooled(model, data, training, mirrored) for mirrored in (False, True)])
    known = [labels[name] for name in data.good()["image"] if name in training]
    scaler = StandardScaler().fit(features)
    regression = LogisticRegression(C=INVERSE_PENALTY, max_iter=1000).fit(scaler.transform(features), known * 2)
    every = set(data.good()["image"])
    slow = regression.predict_proba(scaler.transform(pooled(model, data, every, False)))
    inputs = [to_input(read_sample(Path(row["path"]), "").pixels, 32, "squish") for row in records(data.good())]
    with torch.no_grad():
        logits = model.head(model.look(np.stack(inputs)))
    np.testing.assert_allclose(logits.softmax(1).numpy(), slow, atol=2e-3)
    assert exactness(model.head) == run.manifest.exactness == "exact"
    metrics = run.metrics()
    unseen = np.array([name not in training for name in data.good()["image"]])
    truth = np.array([model.classes.index(labels[name]) for name in data.good()["image"]])
    assert metrics["valid_loss"] == pytest.approx(-np.log(slow[unseen, truth[unseen]]).mean(), abs=2e-3)
    assert metrics["accuracy"] == pytest.approx((slow.argmax(1) == truth)[unseen].mean())
    assert [row["epoch"] for row in metrics["epochs"]] == [0] and metrics["n_train"] == len(training)


def test_the_body_stays_as_it_was_and_one_seed_gives_one_network(tmp_path: Path) -> None:
    data = drawn(tmp_path, 3)
    first, same = trained(data, tmp_path / "a"), trained(data, tmp_path / "b")
    assert first.manifest.model_sha256 == same.manifest.model_sha256
    body = network.build_body(OPTIONS.arch, pretrained=True)
    weights = first.load_checkpoint()
    for name, value in body.features.state_dict().items():
        np.testing.assert_array_equal(weights[f"features.{name}"], value.numpy())


class Counting:
    """A change that counts, and paints a corner."""

    def __init__(self) -> None:
        self.changed: list[str] = []
        self.facts = {"pictures": 0}

    def __call__(self, training: pd.DataFrame) -> Change:
        self.facts = {"pictures": len(training)}

        def change(name: str, pixels: ByteArray, rng: np.random.Generator) -> ByteArray:
            self.changed.append(name)
            painted = pixels.copy()
            painted[:4, :4] = rng.integers(256)
            return painted

        return change


def test_training_images_alone_are_changed_several_times(tmp_path: Path) -> None:
    data, augment = drawn(tmp_path, 2), Counting()
    run = create_run(tmp_path / "run", DatasetRecord.of(data))
    classifier.train(data, run, OPTIONS, augment=augment)
    training = run.training_images()
    assert sorted(augment.changed) == sorted(DRAWN * list(training)) and augment.facts["pictures"] == len(training)
    assert run.metrics()["remedy"] == {"name": "none", "pictures": len(training)}


def test_folds_are_one_fit_each_and_progress_never_goes_back(tmp_path: Path) -> None:
    data, steps = drawn(tmp_path, 2), list[Progress]()
    run = create_run(tmp_path / "run", DatasetRecord.of(data))
    classifier.train(data, run, replace(OPTIONS, folds=3), steps.append)
    assert run.folds == 3 and [row["fold"] for row in run.metrics()["epochs"]] == [0, 1, 2]
    assert [step.stage for step in steps[:1]] == ["training network 1 of 3"]
    done = [step.done for step in steps]
    assert done == sorted(done) and steps[-1].done == steps[-1].total


@pytest.mark.parametrize("unused", [{"epochs": 9}, {"lr": 1e-2}, {"batch": 8}])
def test_an_option_that_it_would_not_use_is_refused(tmp_path: Path, unused: dict[str, float]) -> None:
    data = drawn(tmp_path, 2)
    run = create_run(tmp_path / "run", DatasetRecord.of(data))
    with pytest.raises(ModelError, match=f"linear probe has no --{next(iter(unused))}"):
        classifier.train(data, run, replace(OPTIONS, **unused))  # type: ignore[arg-type]
    assert not run.trained


def test_a_class_without_a_training_image_is_never_predicted(tmp_path: Path) -> None:
    """Its only individual is judged, as happens in small sets that are split by individual."""
    data = drawn(tmp_path, 3)
    grouped = Dataset(**{**vars(data), "table": data.table.assign(group=data.table["label"])})
    run = create_run(tmp_path / "run", DatasetRecord.of(data))
    classifier.train(grouped, run, replace(OPTIONS, split="group"))
    labels = data.table.set_index("image")["label"]
    (unseen,) = set(labels) - {labels[name] for name in run.training_images()}
    place = run.manifest.classes.index(unseen)
    confusion = np.array(run.metrics()["confusion"])
    assert len(run.manifest.classes) == 3 and run.manifest.exactness == "exact"
    assert confusion[:, place].sum() == 0 and confusion[place].sum() == 12
    model = from_spec(run.manifest.network, run.load_checkpoint())
    images = [to_input(read_sample(Path(row["path"]), "").pixels, 32, "squish") for row in records(data.good())]
    with torch.no_grad():
        assert (model.head(model.look(np.stack(images))).argmax(dim=1) != place).all()


def test_a_loss_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(4), 50), rng.integers(4, size=50)
    assert log_loss(labels, probabilities) == pytest.approx(metrics.log_loss(labels, probabilities, labels=range(4)))
    assert np.isfinite(log_loss(np.zeros(1, np.int64), np.array([[0.0, 1.0]])))
