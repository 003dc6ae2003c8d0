"""Whole networks trained on individuals by ArcFace, and the matches of the images that they have not seen."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from fastai.vision.all import SGD, CrossEntropyLossFlat, DataLoader, DataLoaders, Learner
from torch import nn

import whalecam as wc
from tests import individuals
from tests.commandline import whalecam
from whalecam import network
from whalecam.config import TrainOptions
from whalecam.data import geometry, read_sample
from whalecam.errors import DatasetError, ModelError, RunError
from whalecam.explain import cam
from whalecam.network.heads import EMBEDDED, ArcFace, arcface_head
from whalecam.network.training import adopt
from whalecam.network.training.arcface import ArcFaceOptions
from whalecam.network.training.fitting import _Margin
from whalecam.network.training.weight_choice import WEIGHTS
from whalecam.store.manifest import DatasetRecord
from whalecam.store.matches import MatchTables
from whalecam.store.run import MATCH_IMAGES, Run, create_run

SMALL: dict[str, Any] = {
    "arch": "resnet18",
    "pretrained": False,
    "size": 32,
    "epochs": 1,
    "batch": 8,
    "loss": "arcface",
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`train.csv` of six individuals, each on two days of three images."""
    return individuals.draw(tmp_path_factory.mktemp("individuals"))


@pytest.fixture(scope="module")
def trained(drawn: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    data = wc.open_dataset(drawn, drawn.parent / "images", label_column="individual_id")
    return wc.train(data, tmp_path_factory.mktemp("runs") / "trained", **SMALL, centres=2)


def test_an_individual_is_never_validated_by_a_network_that_has_not_seen_it(drawn: Path, trained: Run) -> None:
    data = wc.open_dataset(drawn, drawn.parent / "images", label_column="individual_id")
    about = {row.image: (row.label, day) for row, day in zip(data.table.itertuples(), data.others["date"], strict=True)}
    seen, unseen = trained.training_images(), trained.validation_images()
    assert seen | unseen == set(about) and unseen
    assert {about[name][0] for name in unseen} <= {about[name][0] for name in seen}
    assert {about[name][1] for name in unseen}.isdisjoint({about[name][1] for name in seen})
    metrics = trained.metrics()
    assert metrics["split_notes"] == [
        "Images of one day are kept together, since the label itself is what the split would keep together."
    ]
    assert (metrics["group"], metrics["shared_groups"]) == ("day", 0.0)


def test_without_days_the_split_says_what_it_would_have_kept_together(drawn: Path, tmp_path: Path) -> None:
    lines = drawn.read_text().splitlines()
    (tmp_path / "train.csv").write_text("\n".join(line.rsplit(",", 1)[0] for line in lines))
    data = wc.open_dataset(tmp_path / "train.csv", drawn.parent / "images", label_column="individual_id")
    with pytest.raises(DatasetError, match=r"never saw its label, and .* no group 'day'.*--split random"):
        wc.train(data, tmp_path / "run", **SMALL)
    run = wc.train(data, tmp_path / "run", **SMALL, split="random")
    assert run.metrics()["split"] == "random"


def test_a_trained_network_is_built_again_with_exact_maps_of_its_cosines(drawn: Path, trained: Run) -> None:
    model = network.from_spec(trained.manifest.network, trained.load_checkpoint())
    assert trained.manifest.exactness == "exact_here" and model.head_kind == "arcface-2"
    paths = sorted((drawn.parent / "images").glob("*.png"))[:4]
    inputs = np.stack([geometry.to_input(read_sample(path, path.name).pixels, 32, "squish") for path in paths])
    activations = model.look(inputs)
    seen = cam.explain(model.head, activations)
    assert float(seen.completeness_error.max()) < 1e-4 * float(seen.logits.abs().max())
    with torch.no_grad():
        vectors, centres = model.head[:-1](activations), model.head[-1].weight  # type: ignore[index]
    for image, vector in enumerate(vectors):
        for label in range(6):
            pair = [float(vector @ centre / (vector.norm() * centre.norm())) for centre in centres[2 * label :][:2]]
            assert float(seen.logits[image, label]) == pytest.approx(30 * max(pair), rel=1e-4, abs=1e-4)


def test_what_is_descended_has_the_margin_and_what_is_noted_has_not() -> None:
    """One step of plain gradient descent, against the formula of the paper on angles."""
    torch.manual_seed(0)
    values, labels, rate = torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2]), 0.1
    layer = ArcFace(3, 3, scale=8.0)
    start = layer.weight.detach().clone()
    rows = list(zip(values, labels, strict=True))
    loaders = DataLoaders(DataLoader(rows, bs=6, num_workers=0), DataLoader(rows, bs=6, num_workers=0))
    model = nn.Sequential(nn.Identity(), nn.Sequential(nn.Identity(), layer))
    learner = Learner(loaders, model, CrossEntropyLossFlat(), opt_func=SGD, lr=rate, cbs=[_Margin()])
    with learner.no_bar(), learner.no_logging():
        learner.fit(1)
    weight = start.clone().requires_grad_()
    cosines = nn.functional.normalize(values) @ nn.functional.normalize(weight).T
    plain = nn.functional.cross_entropy(8 * cosines, labels)
    own = nn.functional.one_hot(labels, 3).bool()
    angles = torch.acos(cosines.clamp(-1 + 1e-7, 1 - 1e-7))
    assert float(angles[own].detach().max()) < np.pi - ArcFaceOptions.margin
    margins = torch.where(own, torch.cos(angles + ArcFaceOptions.margin), cosines)
    (slope,) = torch.autograd.grad(nn.functional.cross_entropy(8 * margins, labels), weight)
    torch.testing.assert_close(layer.weight.detach(), start - rate * slope, atol=1e-5, rtol=1e-4)
    noted = learner.recorder.values[0][0]
    assert noted == pytest.approx(float(plain), abs=1e-5)


def test_matches_compare_its_vectors_and_look_up_what_it_has_not_seen(drawn: Path, trained: Run) -> None:
    done = wc.matches(trained, masks=drawn.parent / "masks", encounter="day")
    tables = MatchTables(trained)
    images, vectors = tables.read(MATCH_IMAGES), tables.vectors()
    model = network.from_spec(trained.manifest.network, trained.load_checkpoint())
    path = drawn.parent / "images" / str(images["image"].iloc[0])
    pixels = geometry.to_input(read_sample(path, path.name).pixels, 32, "squish")
    with torch.no_grad():
        own = nn.functional.normalize(model.head[:-1](model.look(pixels[None])))[0]  # type: ignore[index]
    assert vectors.shape == (36, EMBEDDED)
    np.testing.assert_allclose(vectors[0], own.numpy(), atol=1e-5)
    assert set(tables.assessed()["query"]) == trained.validation_images() and done.record.random.queries == done.queries
    assert f"from {len(trained.training_images())} of these images" in done.record.notes[-1]
    with pytest.raises(RunError, match=r"trained on its individuals already\. Leave --fit out"):
        wc.matches(trained, masks=drawn.parent / "masks", encounter="day", fit=True)


def test_a_projection_is_fitted_over_a_network_of_which_no_image_is_known_to_be_seen(
    drawn: Path, trained: Run, tmp_path: Path
) -> None:
    data = wc.open_dataset(drawn, drawn.parent / "images", label_column="individual_id")
    run = create_run(tmp_path / "loaded", DatasetRecord.of(data))
    adopt(run, network.from_spec(trained.manifest.network, trained.load_checkpoint()))
    done = wc.matches(run, masks=drawn.parent / "masks", encounter="day", fit=True, limit=2)
    assert done.queries == 2 and done.record.network.endswith("ArcFace projection") and not done.record.notes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"recipe": "linear-probe"}, "no angular margin.*matches --fit"),
        ({"loss": "cross-entropy", "centres": 2}, "--centres is of --loss arcface"),
        ({"centres": 5}, "1 to 4 centres for each label, not 5"),
    ],
)
def test_a_loss_that_would_not_be_descended_is_refused(
    drawn: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    data = wc.open_dataset(drawn, drawn.parent / "images", label_column="individual_id")
    with pytest.raises(ModelError, match=words):
        wc.train(data, tmp_path / "run", loss=options.pop("loss", "arcface"), **options)
    assert not (tmp_path / "run" / "model").exists()


def test_the_command_line_trains_individuals_that_may_only_be_looked_at(drawn: Path, tmp_path: Path) -> None:
    words = ("--arch", "resnet18", "--no-pretrained", "--size", 32, "--epochs", 1, "--batch", 8)
    done = whalecam(
        *("train", drawn, drawn.parent / "images", "--run", tmp_path / "run", "--label", "individual_id"),
        *("--loss", "arcface", "--remedy", "restrict", "--masks", drawn.parent / "masks", *words),
    )
    assert done.returncode == 0, done.stderr
    run = wc.open_run(tmp_path / "run")
    assert (
        TrainOptions.stored(run.manifest.train).loss == "arcface" and run.manifest.network["head_kind"] == "arcface-1"
    )
    remedy = cast("dict[str, Any]", run.metrics()["remedy"])
    assert remedy["with_region"] == len(run.training_images())
    assert [trial["weight"] for trial in remedy["networks"][0]["trials"]] == list(WEIGHTS)


def test_a_head_of_one_centre_has_the_vectors_of_its_linear_layer() -> None:
    head = arcface_head(5, 4).eval()
    activations = torch.rand(2, 5, 3, 3)
    pooled = (activations.double() ** 3).mean(dim=(2, 3)) ** (1 / 3)
    norm, linear, layer = head[2], head[4], head[5]
    vectors = (pooled / np.sqrt(1 + norm.eps)) @ linear.weight.double().T  # type: ignore[operator]
    expected = nn.functional.normalize(vectors) @ nn.functional.normalize(layer.weight.double()).T  # type: ignore[arg-type]
    torch.testing.assert_close(head(activations).double(), 30 * expected, atol=1e-4, rtol=1e-4)
