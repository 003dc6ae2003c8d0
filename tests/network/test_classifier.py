"""Training through fastai, on drawings whose class is their colour."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from whalecam import network
from whalecam.arrays import Progress, records
from whalecam.audit import run_audit
from whalecam.config import AuditOptions, Columns, Thresholds, TrainOptions
from whalecam.data import Dataset, open_dataset, read_sample
from whalecam.data.geometry import to_input
from whalecam.errors import ModelError
from whalecam.network import training
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.table import NO_REVIEWS, Table
from whalecam.store.training_metrics import TrainingMetrics

OPTIONS = TrainOptions(arch="resnet18", epochs=1, size=32, batch=16, pretrained=False, resize="crop")
PER_CLASS = 16
Trained = tuple[Run, TrainingMetrics, list[Progress]]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """32 wide images of two species, four an individual; the last four of each species have no individual."""
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
    return create_run(path, DatasetRecord.of(data))


def files(run: Run) -> dict[str, bytes]:
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.path.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def trained(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    run, seen = new_run(tmp_path_factory.mktemp("runs") / "first", data), list[Progress]()
    return run, training.train(data, run, OPTIONS, seen.append), seen


def test_loaded_network_repeats_what_training_measured(data: Dataset, trained: Trained) -> None:
    """The audit's own path (read, to_input, batch, head) gives the loss and confusion that fastai gave."""
    run, metrics, _ = trained
    run = open_run(run.path)
    model = network.from_spec(run.manifest.network, run.load_checkpoint())
    judged = data.good()[~data.good()["image"].isin(run.training_images())]
    inputs = [to_input(read_sample(Path(row["path"]), row["image"]).pixels, 32, "crop") for row in records(judged)]
    with torch.no_grad():
        log_p = model.head(model.features(model.batch(np.stack(inputs)))).log_softmax(1).numpy()
    wanted = [model.classes.index(name) for name in judged["label"]]
    confusion = np.zeros((2, 2), int)
    for row, label in zip(log_p, wanted, strict=True):
        confusion[label, row.argmax()] += 1
    assert -log_p[range(len(wanted)), wanted].mean() == pytest.approx(metrics["valid_loss"], abs=1e-5)
    assert confusion.tolist() == metrics["confusion"]
    assert metrics["accuracy"] == pytest.approx(confusion.trace() / confusion.sum())
    recalls = [confusion[c, c] / confusion[c].sum() for c in range(2) if confusion[c].sum()]
    assert metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_the_seed_notebooks_recipe_trains_too_and_is_remembered(data: Dataset, tmp_path: Path) -> None:
    run = new_run(tmp_path / "run", data)
    metrics = training.train(data, run, replace(OPTIONS, recipe="notebook", size=64, epochs=3, lr=1e-2))
    assert metrics["accuracy"] >= 0.75 and math.isfinite(metrics["valid_loss"])
    assert open_run(run.path).manifest.train["recipe"] == "notebook"


def test_no_individual_on_both_sides(data: Dataset, trained: Trained) -> None:
    run, metrics, _ = trained
    table = data.good()
    known = table[table["group"] != ""]
    inside = known["image"].isin(run.training_images())
    assert set(known["group"][inside]).isdisjoint(known["group"][~inside])
    assert (metrics["split"], metrics["shared_individuals"]) == ("group", 0.0)
    assert metrics["n_train"] == len(run.training_images())
    assert metrics["n_train"] + metrics["n_valid"] == len(table)


def test_manifest_is_complete(trained: Trained) -> None:
    run, metrics, _ = trained
    manifest = open_run(run.path).manifest
    assert manifest.classes == ("beluga", "orca")
    assert manifest.exactness == "exact"
    assert manifest.train["seed"] == OPTIONS.seed
    assert len(manifest.model_sha256) == 64
    assert {"torch", "fastai", "timm"} <= set(manifest.versions)
    assert run.metrics() == metrics


def test_progress_counts_every_batch(trained: Trained) -> None:
    _, metrics, seen = trained
    steps = [report.done for report in seen]
    assert steps == sorted(steps)
    assert (seen[-1].done, {report.total for report in seen}) == (seen[-1].total, {seen[-1].total})
    # fine_tune(1) is one frozen epoch and one whole; the last, incomplete batch of an epoch is left out
    assert seen[-1].total // 2 == metrics["n_train"] // training.LEAST_BATCH
    assert all(math.isfinite(report.values["train_loss"]) for report in seen)
    assert [row["epoch"] for row in metrics["epochs"]] == [0, 1]
    assert [report.values["epoch"] for report in seen if "epoch" in report.values] == [0, 1]


def test_same_seed_same_weights(data: Dataset, trained: Trained, tmp_path: Path) -> None:
    run, _, _ = trained
    again = new_run(tmp_path / "again", data)
    training.train(data, again, OPTIONS)
    one, two = run.load_checkpoint(), again.load_checkpoint()
    assert one.keys() == two.keys()
    assert max(float(np.abs(one[name].astype(float) - two[name]).max()) for name in one) <= 1e-6


def test_learns_colours_from_the_weights_of_the_install(data: Dataset, tmp_path: Path) -> None:
    options = replace(OPTIONS, arch="efficientnet_lite0", pretrained=True, size=64, epochs=24, lr=5e-3, batch=8)
    metrics = training.train(data, new_run(tmp_path / "run", data), replace(options, valid_share=0.34))
    assert metrics["accuracy"] >= 0.75


@pytest.mark.parametrize("at", [1, 5])
def test_cancel_leaves_no_checkpoint(data: Dataset, tmp_path: Path, at: int) -> None:
    def stop(report: Progress) -> None:
        if report.done == at:
            raise KeyboardInterrupt

    run = new_run(tmp_path / "run", data)
    before = files(run)
    with pytest.raises(KeyboardInterrupt):
        training.train(data, run, OPTIONS, stop)
    assert files(run) == before
    assert not open_run(run.path).trained


def test_cancelled_retraining_keeps_the_old_network(data: Dataset, tmp_path: Path) -> None:
    def stop(report: Progress) -> None:
        raise KeyboardInterrupt

    run = new_run(tmp_path / "run", data)
    training.train(data, run, OPTIONS)
    before = files(run)
    with pytest.raises(KeyboardInterrupt):
        training.train(data, run, replace(OPTIONS, seed=1), stop)
    assert files(run) == before


def test_body_from_starts_with_that_body_and_a_new_head(data: Dataset, trained: Trained, tmp_path: Path) -> None:
    """At a learning rate of 0 the body's weights stay those of the run it came from; labels are another column's."""
    first, _, _ = trained
    by_individual = open_dataset(data.csv, data.images, Columns(label="individual_id"))
    run = new_run(tmp_path / "run", by_individual)
    options = replace(OPTIONS, lr=0.0, split="random", body_from=str(first.path))
    note = training.train(by_individual, run, options)["note"]
    old, new = first.load_checkpoint(), run.load_checkpoint()
    weights = [name for name in new if name.startswith("features.") and name.endswith("weight")]
    assert len(weights) > 20 and all(np.array_equal(old[name], new[name]) for name in weights)
    assert open_run(run.path).manifest.classes == tuple(sorted(f"{kind}-{n}" for kind in (0, 1) for n in range(3)))
    assert "first" in note


def test_body_from_an_untrained_run(data: Dataset, tmp_path: Path) -> None:
    empty = new_run(tmp_path / "empty", data)
    with pytest.raises(ModelError, match="'empty' has no trained network"):
        training.train(data, new_run(tmp_path / "run", data), replace(OPTIONS, body_from=str(empty.path)))


def test_small_classes_are_left_out_and_named(data: Dataset, tmp_path: Path) -> None:
    table = data.table.copy()
    table.loc[[0, 1], "label"] = "narwhal"
    run = new_run(tmp_path / "run", data)
    metrics = training.train(replace(data, table=table), run, replace(OPTIONS, min_per_class=3))
    assert metrics["dropped_classes"] == ["narwhal"]
    assert open_run(run.path).manifest.classes == ("beluga", "orca")
    assert metrics["n_train"] + metrics["n_valid"] == len(table) - 2


def test_one_class_is_too_few(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="too few to train on"):
        training.train(replace(data, table=data.table.assign(label="orca")), new_run(tmp_path / "r", data), OPTIONS)


def test_adopted_network_has_seen_nothing_that_is_known(data: Dataset, trained: Trained, tmp_path: Path) -> None:
    source, _, _ = trained
    model = training.load_checkpoint(
        source.path / "model" / "fold-0.safetensors", ("beluga", "orca"), arch="resnet18", size=32
    ).network
    run = new_run(tmp_path / "run", data)
    training.adopt(run, model)
    assert run.training_images() == set()
    assert open_run(run.path).manifest.model_sha256 == source.manifest.model_sha256


class TestFolds:
    @pytest.fixture(scope="class")
    def folded(self, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Trained:
        run, seen = new_run(tmp_path_factory.mktemp("folded") / "run", data), list[Progress]()
        return run, training.train(data, run, replace(OPTIONS, folds=3, compare_splits=True), seen.append), seen

    def test_each_picture_is_unseen_by_one_network(self, data: Dataset, folded: Trained) -> None:
        run, metrics, _ = folded
        trained = [run.training_images(fold) for fold in range(run.folds)]
        table = data.good()
        assert [sum(name in names for names in trained) for name in table["image"]] == [2] * len(table)
        for names in trained:
            known = table[table["group"] != ""]
            inside = known["image"].isin(names)
            assert set(known["group"][inside]).isdisjoint(known["group"][~inside])
        assert (metrics["folds"], metrics["n_valid"], metrics["never_judged"]) == (3, len(table), [])
        assert np.sum(metrics["confusion"]) == len(table)
        assert [row["fold"] for row in metrics["epochs"]] == [0, 0, 1, 1, 2, 2]

    def test_the_audit_takes_the_network_that_did_not_see_the_picture(self, data: Dataset, folded: Trained) -> None:
        run, metrics, _ = folded
        run_audit.run_audit(run, data, AuditOptions(background_test="none", precision="float32"))
        rows = Table(run.parts(), Thresholds(), NO_REVIEWS).all_rows()
        assert not rows["in_training"].any()
        assert set(rows["fold"]) == {0, 1, 2}
        for image, fold in rows[["image", "fold"]].itertuples(index=False):
            assert image not in run.training_images(fold)
        assert rows["loss"].mean() == pytest.approx(metrics["valid_loss"], abs=1e-4)
        assert rows["correct"].mean() == pytest.approx(metrics["accuracy"])

    def test_the_other_split_is_told_beside_it(self, folded: Trained) -> None:
        _, metrics, seen = folded
        other = metrics["other_split"]
        assert other["split"] == "random" and other["shared_individuals"] > metrics["shared_individuals"] == 0
        assert {report.stage for report in seen} == {f"training network {n} of 4" for n in range(1, 5)}
        steps = [report.done for report in seen]
        assert steps == sorted(steps) and seen[-1].done == seen[-1].total

    def test_a_species_of_one_individual_is_named(self, data: Dataset, tmp_path: Path) -> None:
        table = data.table.copy()
        table.loc[table["group"] == "0-0", "label"] = "dolphin"
        run = new_run(tmp_path / "run", data)
        metrics = training.train(replace(data, table=table), run, replace(OPTIONS, folds=2))
        assert metrics["never_judged"] == ["dolphin"]
        alone = set(table.loc[table["label"] == "dolphin", "image"])
        assert all(alone <= run.training_images(fold) for fold in range(2))

    def test_fewer_folds_leave_no_old_network(self, data: Dataset, tmp_path: Path) -> None:
        run = new_run(tmp_path / "run", data)
        training.train(data, run, replace(OPTIONS, folds=2))
        training.train(data, run, OPTIONS)
        assert run.folds == 1
        assert sorted(path.name for path in (run.path / "model").iterdir()) == ["fold-0.json", "fold-0.safetensors"]
