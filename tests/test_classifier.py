"""Training through fastai, on drawings whose class is their colour."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from whalecam import classifier, network
from whalecam.arrays import Progress
from whalecam.config import Columns, TrainOptions
from whalecam.dataset import Dataset, open_dataset, read_sample
from whalecam.errors import ModelError
from whalecam.geometry import to_input
from whalecam.run import DatasetRecord, Run, create_run, open_run

OPTIONS = TrainOptions(epochs=1, size=32, batch=16, pretrained=False, resize="crop")
PER_CLASS = 16


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """32 wide pictures of two species, four an individual; the last four of each species have no individual."""
    folder = tmp_path_factory.mktemp("drawings")
    rng, rows = np.random.default_rng(0), []
    for number in range(2 * PER_CLASS):
        kind, turn = number % 2, number // 2
        pixels = rng.integers(0, 60, (40, 56, 3))
        pixels[..., 2 * kind] += 150
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{number:02}.png")
        rows.append((f"{number:02}.png", ("beluga", "orca")[kind], f"{kind}-{turn // 4}" if turn < 12 else ""))
    pd.DataFrame(rows, columns=["image", "species", "individual_id"]).to_csv(folder / "train.csv", index=False)
    return open_dataset(folder / "train.csv", folder)


def new_run(path: Path, data: Dataset) -> Run:
    return create_run(path, DatasetRecord(str(data.csv), str(data.images), vars(data.columns), data.fingerprint))


def files(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict, list[Progress]]:
    run, seen = new_run(tmp_path_factory.mktemp("runs") / "first", data), []
    return run, classifier.train(data, run, OPTIONS, seen.append), seen


def test_loaded_network_repeats_what_training_measured(data: Dataset, trained: tuple) -> None:
    """The audit's own path (read, to_input, batch, head) gives the loss and confusion that fastai gave."""
    run, metrics, _ = trained
    run = open_run(run.path)
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    judged = data.good()[~data.good()["image"].isin(run.training_images())]
    inputs = [to_input(read_sample(Path(row.path), row.image).pixels, 32, "crop") for row in judged.itertuples()]
    with torch.no_grad():
        log_p = model.head(model.features(model.batch(np.stack(inputs)))).log_softmax(1).numpy()
    wanted = [model.classes.index(name) for name in judged["species"]]
    confusion = np.zeros((2, 2), int)
    for row, label in zip(log_p, wanted, strict=True):
        confusion[label, row.argmax()] += 1
    assert -log_p[range(len(wanted)), wanted].mean() == pytest.approx(metrics["valid_loss"], abs=1e-5)
    assert confusion.tolist() == metrics["confusion"]
    assert metrics["accuracy"] == pytest.approx(confusion.trace() / confusion.sum())
    recalls = [confusion[c, c] / confusion[c].sum() for c in range(2) if confusion[c].sum()]
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_no_individual_on_both_sides(data: Dataset, trained: tuple) -> None:
    run, metrics, _ = trained
    table = data.good()
    known = table[table["individual_id"] != ""]
    inside = known["image"].isin(run.training_images())
    assert set(known["individual_id"][inside]).isdisjoint(known["individual_id"][~inside])
    assert (metrics["split"], metrics["shared_individuals"]) == ("group", 0.0)
    assert metrics["n_train"] == len(run.training_images())
    assert metrics["n_train"] + metrics["n_valid"] == len(table)


def test_manifest_is_complete(trained: tuple) -> None:
    run, metrics, _ = trained
    manifest = open_run(run.path).manifest
    assert manifest.classes == ("beluga", "orca")
    assert manifest.licence == "exact"
    assert manifest.train["seed"] == OPTIONS.seed
    assert len(manifest.model_sha256) == 64
    assert {"torch", "fastai", "timm"} <= set(manifest.versions)
    assert run.metrics() == metrics


def test_progress_counts_every_batch(trained: tuple) -> None:
    _, metrics, seen = trained
    steps = [report.done for report in seen]
    assert steps == sorted(steps)
    assert (seen[-1].done, {report.total for report in seen}) == (seen[-1].total, {seen[-1].total})
    # fine_tune(1) is one frozen epoch and one whole; the last, incomplete batch of an epoch is left out
    assert seen[-1].total // 2 == metrics["n_train"] // classifier.LEAST_BATCH
    assert all(math.isfinite(report.values["train_loss"]) for report in seen)
    assert [row["epoch"] for row in metrics["epochs"]] == [0, 1]
    assert [report.values["epoch"] for report in seen if "epoch" in report.values] == [0, 1]


def test_same_seed_same_weights(data: Dataset, trained: tuple, tmp_path: Path) -> None:
    run, _, _ = trained
    again = new_run(tmp_path / "again", data)
    classifier.train(data, again, OPTIONS)
    one, two = run.load_checkpoint(), again.load_checkpoint()
    assert one.keys() == two.keys()
    assert max(float(np.abs(one[name].astype(float) - two[name]).max()) for name in one) <= 1e-6


def test_learns_colours_from_the_weights_of_the_install(data: Dataset, tmp_path: Path) -> None:
    options = replace(OPTIONS, arch="efficientnet_lite0", pretrained=True, size=64, epochs=12, lr=1e-2, batch=8)
    assert classifier.train(data, new_run(tmp_path / "run", data), options)["accuracy"] >= 0.9


@pytest.mark.parametrize("at", [1, 5])
def test_cancel_leaves_no_checkpoint(data: Dataset, tmp_path: Path, at: int) -> None:
    def stop(report: Progress) -> None:
        if report.done == at:
            raise KeyboardInterrupt

    run = new_run(tmp_path / "run", data)
    before = files(run)
    with pytest.raises(KeyboardInterrupt):
        classifier.train(data, run, OPTIONS, stop)
    assert files(run) == before
    assert not open_run(run.path).trained


def test_cancelled_retraining_keeps_the_old_network(data: Dataset, tmp_path: Path) -> None:
    def stop(report: Progress) -> None:
        raise KeyboardInterrupt

    run = new_run(tmp_path / "run", data)
    classifier.train(data, run, OPTIONS)
    before = files(run)
    with pytest.raises(KeyboardInterrupt):
        classifier.train(data, run, replace(OPTIONS, seed=1), stop)
    assert files(run) == before


def test_body_from_starts_with_that_body_and_a_new_head(data: Dataset, trained: tuple, tmp_path: Path) -> None:
    """At a learning rate of 0 the body's weights stay those of the run it came from; labels are another column's."""
    first, _, _ = trained
    by_individual = open_dataset(data.csv, data.images, Columns(label="individual_id"))
    run = new_run(tmp_path / "run", by_individual)
    options = replace(OPTIONS, lr=0.0, split="random", body_from=str(first.path))
    note = classifier.train(by_individual, run, options)["note"]
    old, new = first.load_checkpoint(), run.load_checkpoint()
    weights = [name for name in new if name.startswith("features.") and name.endswith("weight")]
    assert len(weights) > 20 and all(np.array_equal(old[name], new[name]) for name in weights)
    assert open_run(run.path).manifest.classes == tuple(sorted(f"{kind}-{n}" for kind in (0, 1) for n in range(3)))
    assert "first" in note


def test_body_from_an_untrained_run(data: Dataset, tmp_path: Path) -> None:
    empty = new_run(tmp_path / "empty", data)
    with pytest.raises(ModelError, match="'empty' has no trained network"):
        classifier.train(data, new_run(tmp_path / "run", data), replace(OPTIONS, body_from=str(empty.path)))


def test_small_classes_are_left_out_and_named(data: Dataset, tmp_path: Path) -> None:
    table = data.table.copy()
    table.loc[[0, 1], "species"] = "narwhal"
    run = new_run(tmp_path / "run", data)
    metrics = classifier.train(replace(data, table=table), run, replace(OPTIONS, min_per_class=3))
    assert metrics["dropped_classes"] == ["narwhal"]
    assert open_run(run.path).manifest.classes == ("beluga", "orca")
    assert metrics["n_train"] + metrics["n_valid"] == len(table) - 2


def test_one_class_is_too_few(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="too few to train on"):
        classifier.train(replace(data, table=data.table.assign(species="orca")), new_run(tmp_path / "r", data), OPTIONS)


def test_adopted_network_has_seen_nothing_that_is_known(data: Dataset, trained: tuple, tmp_path: Path) -> None:
    source, _, _ = trained
    model = classifier.load_state(source.path / "model" / "fold-0.safetensors", ("beluga", "orca"), "resnet18", 32)
    run = new_run(tmp_path / "run", data)
    classifier.adopt(run, model)
    assert run.training_images() == set()
    assert open_run(run.path).manifest.model_sha256 == source.manifest.model_sha256
