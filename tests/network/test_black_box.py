"""A function of images as a network: the same reliance as the network inside it, no maps, and every misuse refused."""

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import whalecam as wc
from tests.tiny import LABELS, draw
from whalecam import network
from whalecam.arrays import ByteArray
from whalecam.audit import run_audit
from whalecam.config import AuditOptions
from whalecam.explain import cam, occlusion
from whalecam.explain.explainer import NO_MAP
from whalecam.network import Network
from whalecam.network.exactness import exactness
from whalecam.store.run import open_run
from whalecam.store.table import NO_REVIEWS, Table

SIDE = 24


def redness(images: ByteArray) -> np.ndarray[Any, Any]:
    """The share of red in red and green, as the probability of the first class."""
    means = images.reshape(len(images), -1, 3).mean(axis=1)
    share = means[:, 0] / np.maximum(means[:, :2].sum(axis=1), 1e-9)
    return np.stack([share, 1 - share], axis=1)


def box(predict: Callable[[ByteArray], Any] = redness, size: int = SIDE) -> Network:
    return wc.open_model(predict=predict, classes=LABELS, size=size)


class TestOpened:
    def test_it_gets_the_very_pixels_and_its_logits_are_the_logarithms(self) -> None:
        seen: list[ByteArray] = []

        def predict(images: ByteArray) -> np.ndarray[Any, Any]:
            seen.append(images.copy())
            return redness(images)

        model = box(predict)
        images = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
        logits = model.head(model.look(images))
        assert np.array_equal(seen[-1], images) and seen[-1].dtype == np.uint8
        assert np.allclose(logits.exp().numpy(), redness(images), atol=0, rtol=1e-12)
        assert exactness(model.head) == "none"

    def test_all_256_values_come_through(self) -> None:
        ramp = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=3)
        given: list[ByteArray] = []

        def predict(images: ByteArray) -> np.ndarray[Any, Any]:
            given.append(images.copy())
            return np.full((len(images), 2), 0.5)

        model = box(predict, 16)
        model.head(model.look(ramp))
        assert np.array_equal(given[-1], ramp)

    def test_a_probability_of_nothing_stays_finite_in_the_table(self) -> None:
        model = box(lambda images: np.repeat([[1.0, 0.0]], len(images), axis=0))
        logits = model.head(model.look(np.zeros((1, SIDE, SIDE, 3), np.uint8))).float().numpy()
        assert np.isfinite(logits).all() and logits[0, 0] == 0 and logits[0, 1] < -60

    @pytest.mark.parametrize(
        ("predict", "says"),
        [
            (lambda images: np.zeros((len(images), 3)), "one probability for each class"),
            (lambda images: redness(images) * 2, "add up to 1"),
            (lambda images: redness(images) - np.array([[1.5, -1.5]]), "0 or more"),
            (lambda images: torch.logit(torch.from_numpy(redness(images))), "Apply softmax"),
            (lambda images: redness(images)[:1], "one probability for each class"),
            (lambda images: images.no_such_thing, "predict fails.*AttributeError"),
            (lambda images: "beluga", "predict fails"),
            (lambda images: redness(images[::-1]), "evaluation mode"),
        ],
    )
    def test_a_function_that_is_no_classifier_is_refused(self, predict: Callable[[ByteArray], Any], says: str) -> None:
        with pytest.raises(wc.ModelError, match=says):
            box(predict)

    def test_a_network_in_training_mode_is_noticed(self) -> None:
        torch.manual_seed(0)
        body = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
        )

        def predict(images: ByteArray) -> torch.Tensor:
            with torch.no_grad():
                logits: torch.Tensor = body(torch.from_numpy(images).permute(0, 3, 1, 2).float())
                return logits.softmax(1)

        with pytest.raises(wc.ModelError, match="evaluation mode"):
            box(predict)
        body.eval()
        assert box(predict).classes == LABELS

    @pytest.mark.parametrize("extra", [{"arch": "resnet18"}, {"mean": (0.0, 0.0, 0.0)}, {"std": (1.0, 1.0, 1.0)}])
    def test_what_a_function_would_not_use_is_refused(self, extra: dict[str, Any]) -> None:
        with pytest.raises(TypeError, match="not used"):
            wc.open_model(predict=redness, classes=LABELS, **extra)

    def test_a_model_and_a_function_are_not_both_taken(self) -> None:
        for given in ({}, {"model": nn.Identity(), "predict": redness}):
            with pytest.raises(TypeError, match="either"):
                wc.open_model(classes=LABELS, **given)  # type: ignore[arg-type]

    def test_it_is_called_by_one_thread_at_a_time(self) -> None:
        inside, most = [0], [0]

        def predict(images: ByteArray) -> np.ndarray[Any, Any]:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
            threading.Event().wait(0.005)
            inside[0] -= 1
            return redness(images)

        model = box(predict)
        images = np.zeros((1, SIDE, SIDE, 3), np.uint8)
        threads = [threading.Thread(target=lambda: model.head(model.look(images))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert most == [1]


class TestAudited:
    @pytest.fixture
    def data(self, tmp_path: Path) -> wc.Dataset:
        return wc.open_dataset(*draw(tmp_path, images=12))

    def test_its_reliance_is_that_of_the_network_inside(self, prepared: Path, tmp_path: Path) -> None:
        run = open_run(prepared / "runs" / "demo")
        data, model = run_audit.open_data(run), network.from_spec(run.manifest.network, run.load_checkpoint())
        quick = network.quick(model, halves=False)

        def predict(images: ByteArray) -> torch.Tensor:
            with torch.no_grad():
                logits: torch.Tensor = quick.head(quick.features(quick.batch(images)))
                return logits.double().softmax(1)

        boxed = wc.open_model(predict=predict, classes=model.classes, size=model.size, resize=model.resize)
        rows = []
        for name, one in (("boxed", boxed), ("open", replace(model, way="in memory"))):
            made = wc.Run.from_model(one, data, tmp_path / name)
            wc.audit(made, limit=24, precision="float32")
            rows.append(made.to_pandas())
        mine, theirs = rows
        assert mine["reliance_swap"].notna().sum() == 24
        for column in ("reliance_swap", "reliance", "bg_gap", "background_only_p", "confidence", "q_value"):
            assert np.allclose(mine[column].astype(float), theirs[column].astype(float), atol=1e-6, equal_nan=True), (
                column
            )
        assert mine["predicted"].equals(theirs["predicted"]) and mine["reliance_on"].equals(theirs["reliance_on"])
        assert theirs["attention_score"].notna().any() and mine["attention_score"].isna().all()

    def test_without_maps_reliance_is_assessed_alone(self, data: wc.Dataset, tmp_path: Path) -> None:
        run = wc.Run.from_model(box(), data, tmp_path / "run")
        summary = wc.audit(run, mask_method="border")
        rows = run.to_pandas()
        assert "No maps" in summary.note and open_run(run.path).manifest.exactness == "none"
        assert set(rows["assessment"]) <= {"background_reliance", "clean", "not_assessable"}
        masked = rows[rows["mask_source"].notna()]
        assert len(masked) and (masked["reason"] == NO_MAP).all()
        assert rows["predicted"].tolist() == rows["label"].tolist()
        assert Table(run.parts(), wc.Thresholds(), NO_REVIEWS).row(rows["image"][0])["maps"] is None

    def test_a_run_that_is_opened_again_asks_for_its_model(self, data: wc.Dataset, tmp_path: Path) -> None:
        wc.audit(wc.Run.from_model(box(), data, tmp_path / "run"), limit=4)
        again = wc.open_run(tmp_path / "run")
        with pytest.raises(wc.ModelError, match=r"whalecam\.audit\(run, model="):
            wc.audit(again)
        assert wc.audit(again, model=box(), limit=6).new == 2

    def test_another_model_is_refused(self, data: wc.Dataset, tmp_path: Path) -> None:
        run = wc.Run.from_model(box(), data, tmp_path / "run")
        other = box(lambda images: redness(images)[:, ::-1])
        with pytest.raises(wc.RunError, match="another than run 'run'"):
            wc.audit(run, model=other)

    def test_its_training_images_count_as_seen(self, data: wc.Dataset, tmp_path: Path) -> None:
        run = wc.Run.from_model(box(), data, tmp_path / "run", training=["0.png", "3.png"])
        wc.audit(run, limit=6, background_test="none")
        rows = run.to_pandas()
        assert set(rows["image"][rows["in_training"].astype(bool)]) == {"0.png", "3.png"}
        with pytest.raises(wc.DatasetError, match=r"'nowhere\.png'"):
            wc.Run.from_model(box(), data, tmp_path / "other", training=["nowhere.png"])

    def test_an_answer_that_is_no_number_becomes_a_row_with_a_reason(self, data: wc.Dataset, tmp_path: Path) -> None:
        def predict(images: ByteArray) -> np.ndarray[Any, Any]:
            probabilities = redness(images)
            probabilities[images[:, :, :, 0].mean(axis=(1, 2)) > images[:, :, :, 1].mean(axis=(1, 2)) + 60] = np.nan
            return probabilities

        run = wc.Run.from_model(box(predict), data, tmp_path / "run")
        wc.audit(run, background_test="none")
        rows = run.to_pandas()
        refused = rows[rows["label"] == "beluga"]
        assert refused["predicted"].isna().all() and rows["predicted"][rows["label"] == "orca"].notna().all()
        assert refused["reason"].str.contains("no usable numbers").all()

    def test_maps_at_another_size_are_refused(self, data: wc.Dataset, tmp_path: Path) -> None:
        run = wc.Run.from_model(box(), data, tmp_path / "run")
        with pytest.raises(wc.ModelError, match="24 px alone"):
            wc.audit(run, size=48)
        with pytest.raises(wc.RunError, match="No maps by 'gradcam'"):
            wc.audit(run, maps="gradcam")

    def test_a_network_with_positions_can_be_audited_without_maps(self, prepared: Path, tmp_path: Path) -> None:
        run = open_run(prepared / "runs" / "demo")
        model = network.from_spec(run.manifest.network, run.load_checkpoint())
        made = wc.Run.from_model(model, run_audit.open_data(run), tmp_path / "run")
        wc.audit(made, limit=4, maps="none", background_test="none")
        assert made.manifest.exactness == "none" and made.to_pandas()["attention_score"].isna().all()
        assert wc.audit(made, limit=4, background_test="none").restarted
        assert made.manifest.exactness == "exact" and made.to_pandas()["attention_score"].notna().any()


class TestOcclusion:
    def test_each_cell_is_covered_once_and_all_pixels_in_the_end(self) -> None:
        image = np.random.default_rng(0).integers(0, 256, (23, 23, 3), np.uint8)
        variants = occlusion.covered(image)
        mean = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
        assert len(variants) == 7 * 7 + 2 and np.array_equal(variants[0], image) and (variants[-1] == mean).all()
        changed = (variants[1:-1] != image).any(axis=3).sum(axis=0)
        untouched = (image == mean).all(axis=2)
        assert np.array_equal(changed, 1 - untouched.astype(int))

    def test_it_is_the_drop_of_each_logit_cell_by_cell(self) -> None:
        model = box(size=21)
        images = np.random.default_rng(0).integers(0, 256, (2, 21, 21, 3), np.uint8)
        drawn = occlusion.explain(model, images)
        for at, image in enumerate(images):
            mean = image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8)
            for row in range(7):
                for column in range(7):
                    covered = image.copy()
                    covered[row * 3 : row * 3 + 3, column * 3 : column * 3 + 3] = mean
                    expected = np.log(redness(image[None])) - np.log(redness(covered[None]))
                    assert np.allclose(drawn.maps[at, :, row, column], expected[0], atol=1e-12)
            blank = np.log(redness(np.broadcast_to(mean, image.shape)[None]))
            assert np.allclose(drawn.bias[at], blank[0])
        rest = drawn.maps.sum(dim=(2, 3)) + drawn.bias - drawn.logits
        assert torch.allclose(drawn.completeness_error, rest.abs().amax(dim=1))

    def test_of_a_linear_network_it_is_the_class_activation_map(self) -> None:
        """A mean of pixels and one matrix: what a cell adds, less what its mean color would add, is its drop."""
        torch.manual_seed(0)
        head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)).eval()
        frame = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        model = Network(nn.AvgPool2d(4), head, "linear", LABELS, 28, "squish", *frame)
        image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 3), np.uint8)
        drawn, exact = occlusion.explain(model, image), cam.explain(head, model.look(image))
        mean = np.broadcast_to(image.reshape(-1, 3).mean(axis=0).round().astype(np.uint8), image.shape)
        blank = cam.explain(head, model.look(np.ascontiguousarray(mean)))
        assert torch.allclose(drawn.maps, (exact.maps - blank.maps).double(), atol=1e-6)

    def test_an_audit_draws_them_and_counts_their_passes(self, tmp_path: Path) -> None:
        data = wc.open_dataset(*draw(tmp_path, images=6))
        run = wc.Run.from_model(box(), data, tmp_path / "run")
        summary = wc.audit(run, maps="occlusion", mask_method="border", background_test="none")
        assert summary.passes == 6 * 51 and "do not add up" in summary.note
        rows, options = run.to_pandas(), AuditOptions.stored(run.manifest.audit)
        assert run.manifest.exactness == "approximate" and options.maps == "occlusion"
        assert (rows["completeness_error"] > 0).any() and rows["peak"].notna().all()
        assert run.has_maps and not run.has_positions, "so that no page offers what needs its positions"
