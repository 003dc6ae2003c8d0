"""The remedy `project`: a known cue taken out of a toy network's last layer, and out of one that learnt the water."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from tests.commandline import whalecam
from tests.remedies.test_last_layer import HEADS, SIDE, Painted, halved_images, network_of
from whalecam import remedies
from whalecam.analysis.recommendation import PRESENT, simulation_of
from whalecam.analysis.recommendation.advice import Advice
from whalecam.analysis.recommendation.stored import step
from whalecam.audit import run_audit
from whalecam.commands import Retrain
from whalecam.config import BACKGROUND, FLAGGED, LEAKS, PROBE, PROJECT, AuditOptions, TrainOptions
from whalecam.data import open_dataset
from whalecam.demo.planted import Planted
from whalecam.errors import ModelError, RunError
from whalecam.explain import cam
from whalecam.network.training.last_layer import last_layer, layer_versions
from whalecam.network.training.projection import Cue, Projection, RemoveCue, removal
from whalecam.network.training.regression import Values
from whalecam.network.training.versions import Versions
from whalecam.store.manifest import DatasetRecord
from whalecam.store.open_table import open_table
from whalecam.store.reviews import Journal, Review
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.table import Filters

RNG = np.random.default_rng(7)


def drawn(directions: int = 2, features: int = 9) -> Projection:
    basis, _ = np.linalg.qr(RNG.normal(size=(features, directions)))
    return Projection(directions=basis.T, center=RNG.normal(size=features))


# --- the arithmetic ---------------------------------------------------------------------------------------------------


def test_a_projection_one_number_at_a_time() -> None:
    removed, features = drawn(), RNG.normal(size=(5, 9))
    for row, projected in zip(features, removed(features), strict=True):
        expected = row.copy()
        for v in removed.directions:
            along = sum(v[k] * (row[k] - removed.center[k]) for k in range(9))
            expected = expected - along * v
        np.testing.assert_allclose(projected, expected, atol=1e-12)


def test_projecting_twice_is_projecting_once_and_the_center_stays() -> None:
    removed, features = drawn(), RNG.normal(size=(5, 9))
    once = removed(features)
    np.testing.assert_allclose(removed(once), once, atol=1e-12)
    np.testing.assert_allclose(removed(removed.center[None])[0], removed.center, atol=1e-12)
    np.testing.assert_allclose(once @ removed.directions.T, np.tile(removed.directions @ removed.center, (5, 1)))


def test_a_folded_layer_gives_what_the_layer_gave_of_projected_features() -> None:
    removed, features = drawn(), RNG.normal(size=(6, 9))
    weights, bias = RNG.normal(size=(4, 9)), RNG.normal(size=4)
    folded, shift = removed.folded(weights, bias)
    for row in features:
        projected = removed(row[None])[0]
        for c in range(4):
            two_steps = sum(weights[c, k] * projected[k] for k in range(9)) + bias[c]
            assert sum(folded[c, k] * row[k] for k in range(9)) + shift[c] == pytest.approx(two_steps, abs=1e-12)
    for v in removed.directions:
        np.testing.assert_allclose((features + 3 * v) @ folded.T, features @ folded.T, atol=1e-12)


def versions_of_lists(features: Values, labels: list[str], backgrounds: list[str], names: list[str]) -> Versions:
    is_own = np.array([names.index(name) == at for at, name in enumerate(names)])
    return Versions(features, np.array(names), np.array(labels), np.array(backgrounds), is_own)


CUE, ANIMAL = np.array([0.6, 0.8, 0.0, 0.0]), np.array([0.0, 0.0, 1.0, 0.0])


def planted_features() -> tuple[Values, list[str], list[str]]:
    """Eight images of each of two labels, half of which carry a cue along CUE: features, labels, names of carriers."""
    features, labels, carriers = [], [], []
    for number in range(16):
        label, carries = number % 2, number % 4 < 2
        wobble = np.array([0.0, 0.0, 0.0, (-1.0) ** (number // 4)])
        features.append(5 + (2 * label - 1) * ANIMAL + 4 * carries * CUE + wobble)
        labels.append("ab"[label])
        carriers += [str(number)] * carries
    return np.array(features), labels, carriers


def test_the_direction_of_a_known_cue_is_the_one_that_is_removed() -> None:
    features, labels, carriers = planted_features()
    versions = versions_of_lists(features, labels, labels, [str(number) for number in range(16)])
    removed, facts = removal(versions, Cue(name="list", carriers=frozenset(carriers)))
    assert facts == {"directions": 1, "images": 8, "labels": ["a", "b"]}
    np.testing.assert_allclose(np.abs(removed.directions[0] @ CUE), 1, atol=1e-12)
    np.testing.assert_allclose(removed.center, [5, 5, 5, 5], atol=1e-12)
    without = features - np.array([4 * (name in carriers) for name in map(str, range(16))])[:, None] * CUE
    np.testing.assert_allclose(removed(features), without, atol=1e-12)


def test_each_label_may_have_a_cue_of_its_own() -> None:
    features, labels, carriers = planted_features()
    other = np.array([0.8, -0.6, 0.0, 0.0])
    for at, label in enumerate(labels):
        if str(at) in carriers and label == "b":
            features[at] += 4 * other - 4 * CUE
    versions = versions_of_lists(features, labels, labels, [str(number) for number in range(16)])
    removed, facts = removal(versions, Cue(name="flagged", carriers=frozenset(carriers), is_per_label=True))
    assert facts["directions"] == 2
    for v in (CUE, other):
        np.testing.assert_allclose(np.linalg.norm(removed.directions @ v), 1, atol=1e-12)
    single, _ = removal(versions, Cue(name="list", carriers=frozenset(carriers)))
    np.testing.assert_allclose(np.abs(single.directions[0] @ (CUE + other)), np.sqrt(2), atol=1e-12)


def test_directions_of_backgrounds_the_slow_way() -> None:
    rng = np.random.default_rng(3)
    names, labels, backgrounds, rows = [], [], [], []
    for number in range(12):
        label = "abc"[number % 3]
        for background in (label, *rng.permutation(list("abc"))):
            names.append(str(number))
            labels.append(label)
            backgrounds.append(background)
            rows.append(rng.normal(size=8) + 3 * np.eye(8)["abc".index(background)])
    versions = versions_of_lists(np.array(rows), labels, backgrounds, names)
    removed, facts = removal(versions, Cue(name=BACKGROUND))
    assert facts == {"directions": 2, "images": 12, "labels": ["a", "b", "c"]}, "of three, the third is the rest"
    for background in "abc":
        added = []
        for number in range(12):
            own = [at for at, name in enumerate(names) if name == str(number)][1:]
            mean = np.mean([rows[at] for at in own], axis=0)
            added += [rows[at] - mean for at in own if backgrounds[at] == background]
        direction = np.mean(added, axis=0)
        np.testing.assert_allclose(direction @ removed.directions.T @ removed.directions, direction, atol=1e-9)
    pairs: dict[str, list[Values]] = {}
    for label, background, row in zip(labels, backgrounds, rows, strict=True):
        pairs.setdefault(label + background, []).append(row)
    np.testing.assert_allclose(removed.center, np.mean([np.mean(own, axis=0) for own in pairs.values()], axis=0))


def test_what_cannot_be_compared_or_would_take_everything_is_refused() -> None:
    features, labels, carriers = planted_features()
    versions = versions_of_lists(features, labels, labels, [str(number) for number in range(16)])
    for few in (frozenset(carriers[:3]), frozenset(map(str, range(16)))):
        with pytest.raises(ModelError, match=f"named for {len(few)} of the training images, and no label has 4"):
            removal(versions, Cue(name="list", carriers=few))
    with pytest.raises(ModelError, match="too few of them have a mask"):
        removal(versions, Cue(name=BACKGROUND))
    same = replace(versions, features=np.ones_like(features))
    with pytest.raises(ModelError, match="have the same features in this network"):
        removal(same, Cue(name="list", carriers=frozenset(carriers)))
    narrow = replace(versions, features=features[:, 1:3])
    with pytest.raises(ModelError, match="would take 2 of the network's 2 features"):
        removal(replace(narrow, features=np.random.default_rng(0).normal(size=(16, 2))), both_labels(carriers))


def both_labels(carriers: list[str]) -> Cue:
    return Cue(name="flagged", carriers=frozenset(carriers), is_per_label=True)


# --- toy networks ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return halved_images(tmp_path_factory.mktemp("halves"))


@pytest.mark.parametrize("name", HEADS)
def test_a_network_without_the_cue_is_the_old_one_on_projected_features(halves: pd.DataFrame, name: str) -> None:
    model = network_of(HEADS[name])
    before = {key: value.copy() for key, value in model.tensors().items()}
    versions = layer_versions(model, halves, Painted(), seed=3)
    removed, _ = removal(versions, Cue(name=BACKGROUND))
    weights, bias = last_layer(model).affine
    change = RemoveCue(Cue(name=BACKGROUND))
    loss = change(model, versions)
    with torch.no_grad():
        pixels = np.stack([np.asarray(Image.open(path)) for path in halves["path"]])
        logits = model.head(model.look(pixels)).numpy()
    own = versions.features[versions.is_own]
    np.testing.assert_allclose(logits, removed(own) @ weights.T + bias, atol=1e-4)
    truth = np.array(["ab".index(label) for label in halves["label"]])
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(chances[np.arange(len(truth)), truth]).mean(), abs=1e-4)
    assert change.facts == {"cue": BACKGROUND, "networks": [{"directions": 1, "images": 30, "labels": ["a", "b"]}]}
    changed = {key for key, value in model.tensors().items() if not np.array_equal(value, before[key])}
    assert len(changed) == 2, "the last layer's weights, and its bias or the shift of the norm before it"


@pytest.mark.parametrize("name", HEADS)
def test_maps_without_the_cue_add_up(halves: pd.DataFrame, name: str) -> None:
    model = network_of(HEADS[name])
    RemoveCue(Cue(name=BACKGROUND))(model, layer_versions(model, halves, Painted(), seed=0))
    activations = model.look(np.random.default_rng(1).integers(0, 256, (4, SIDE, SIDE, 3)).astype(np.uint8))
    seen = cam.explain(model.head, activations)
    with torch.no_grad():
        np.testing.assert_allclose(seen.logits.numpy(), model.head(activations).numpy(), atol=1e-4)
    np.testing.assert_allclose((seen.maps.sum(dim=(2, 3)) + seen.bias).numpy(), seen.logits.numpy(), atol=1e-4)


def test_a_known_background_changes_no_logit_any_more() -> None:
    """A network of plain channel means, whose red channel is the background: red is the cue, and is removed."""
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2))
    with torch.no_grad():
        head[2].weight.copy_(torch.tensor([[2.0, 1.0, 0.0], [-2.0, 0.0, 1.0]]))  # type: ignore[operator]
        head[2].bias.zero_()  # type: ignore[operator]
    rng, rows, about = np.random.default_rng(0), [], []
    for number in range(12):
        own = rng.normal(size=2)
        for red in (0.0, 0.0, 8.0):
            rows.append([red, *own])
            about.append((str(number), "ab"[number % 2], "ab"[int(red > 0)]))
    names, labels, backgrounds = (list(column) for column in zip(*about, strict=True))
    versions = versions_of_lists(np.array(rows), labels, backgrounds, names)
    model = replace(network_of(head, channels=3), features=nn.Identity(), mean=(0.0,) * 3, std=(1.0,) * 3)
    RemoveCue(Cue(name=BACKGROUND))(model, versions)
    weights, bias = last_layer(model).affine
    center = float(removal(versions, Cue(name=BACKGROUND))[0].center[0])
    np.testing.assert_allclose(weights, [[0, 1, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(bias, [2 * center, -2 * center], atol=1e-6)


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def leaky(planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A linear probe that learnt the colour of the water, audited."""
    data = open_dataset(planted.leaky / "train.csv", planted.leaky / "images")
    run = create_run(tmp_path_factory.mktemp("leaky") / "run", DatasetRecord.of(data))
    options = TrainOptions(arch="efficientnet_lite0_fine", recipe=PROBE, size=64, split="random")
    remedies.train(data, run, options)
    run_audit.run_audit(run, data, AuditOptions(masks=str(planted.leaky / "masks")))
    return run


def digest(folder: Path) -> dict[str, str]:
    return {str(p): hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_what_a_background_adds_is_gone_as_foreseen(leaky: Run, planted: Planted, tmp_path: Path) -> None:
    done = whalecam("simulate", leaky.path, "--remedy", PROJECT, "--json")
    assert done.returncode == 0, done.stderr
    foreseen = json.loads(done.stdout)["figures"]
    assert set(foreseen) == {PRESENT, PROJECT} and foreseen[PROJECT]["all"]["unseen_gain"][1] > 0
    source, parent = digest(planted.leaky), digest(leaky.path)
    done = whalecam("retrain", leaky.path, "--remedy", PROJECT, "--out", tmp_path / "better", "--json")
    assert done.returncode == 0, done.stderr
    assert (digest(planted.leaky), digest(leaky.path)) == (source, parent)
    better = open_run(tmp_path / "better")
    told: Any = better.metrics()["remedy"]
    assert (told["name"], told["parent"], told["cue"]) == (PROJECT, leaky.name, BACKGROUND)
    assert told["parent_sha256"] == leaky.manifest.model_sha256 and told["networks"][0]["directions"] == 1
    assert better.manifest.exactness == "exact" and better.training_images() == leaky.training_images()
    known = simulation_of(better)
    assert known is not None
    assert known["figures"][PRESENT]["all"]["unseen"] == pytest.approx(foreseen[PROJECT]["all"]["unseen"], abs=1e-9)
    gap, left = (open_table(run).overview()["bg_gap"] for run in (leaky, better))
    assert gap is not None and left is not None and gap > 0.3 and abs(left) < gap / 2
    error = open_table(better).row(sorted(better.audited())[0])["completeness_error"]
    assert error is not None and error < 1e-4


def test_cues_by_name_and_by_file(leaky: Run, tmp_path: Path) -> None:
    data = run_audit.open_data(leaky)
    images = data.good()["image"].tolist()
    assert remedies.cue_of(leaky, data) == Cue(name=BACKGROUND)
    with pytest.raises(RunError, match="is flagged, so there is no cue"):
        remedies.cue_of(leaky, data, FLAGGED)
    Journal.of(leaky).add([Review(image=images[0], verdict="flag", reviewer="r")])
    Journal.of(leaky).add([Review(image=images[1], verdict="keep", reviewer="r")])
    flagged = remedies.cue_of(leaky, data, FLAGGED)
    assert flagged == Cue(name=FLAGGED, carriers=frozenset(images[:1]), is_per_label=True)
    listed = set(open_table(leaky).images(Filters(assessments=("confirmed_leak", "hidden_reliance"))))
    if listed:
        assert listed <= (remedies.cue_of(leaky, data, LEAKS).carriers or frozenset())
    else:
        with pytest.raises(RunError, match="is listed as relying on its background"):
            remedies.cue_of(leaky, data, LEAKS)
    file = tmp_path / "cue.csv"
    pd.DataFrame({"image": [*images[:3], "nowhere.jpg"]}).to_csv(file, index=False)
    named = remedies.cue_of(leaky, data, str(file))
    assert named.carriers == frozenset(images[:3]) and not named.is_per_label
    assert named.note == "cue.csv: 1 name is not an image of the data set, such as nowhere.jpg."


def test_a_listed_cue_needs_no_mask_and_what_is_not_used_is_written_down(leaky: Run, tmp_path: Path) -> None:
    data, file = run_audit.open_data(leaky), tmp_path / "cue.txt"
    good = data.good()
    training = good[good["image"].isin(leaky.training_images())]
    carriers = [name for _, part in training.groupby("label") for name in part["image"].tolist()[::2]]
    file.write_text("\n".join([*carriers, "nowhere.jpg"]))
    options = replace(TrainOptions.stored(leaky.manifest.train), remedy=PROJECT, masks="/nowhere")
    made = create_run(tmp_path / "made", DatasetRecord.of(data))
    remedies.refit(data, made, leaky, options, cue=remedies.cue_of(leaky, data, str(file)))
    metrics = made.metrics()
    assert metrics["remedy"]["networks"] == [
        {"directions": 1, "images": len(carriers), "labels": sorted(leaky.manifest.classes)}
    ]
    assert "1 name is not an image of the data set, such as nowhere.jpg." in metrics["note"]
    assert "all else as it was" in metrics["note"] and not open_run(made.path).manifest.joins


def test_a_cue_is_of_the_remedy_project_alone(leaky: Run, tmp_path: Path) -> None:
    for verb in (
        ("retrain", leaky.path, "--remedy", "head", "--cue", "leaks", "--out", tmp_path / "never"),
        ("simulate", leaky.path, "--remedy", "crop", "--cue", BACKGROUND),
        ("simulate", leaky.path, "--cue", tmp_path / "nowhere.csv"),
    ):
        done = whalecam(*verb)
        assert done.returncode == 2 and len(done.stderr.strip().splitlines()) == 1, done.stderr
        assert "--cue names what the remedy project removes" in done.stderr or "There is no file" in done.stderr
    assert not (tmp_path / "never").exists()


def test_the_next_step_names_the_cue_that_was_simulated(leaky: Run, tmp_path: Path) -> None:
    run = open_run(leaky.path)
    kept = json.loads(run.simulation.read_text()) if run.simulation.is_file() else {}
    kept |= {"model_sha256": run.manifest.model_sha256, "cue": str(tmp_path / "cue.csv")}
    run.simulation.write_text(json.dumps(kept))
    command = step(run, Advice(PROJECT, "", todo="retrain"))
    assert isinstance(command, Retrain) and command.cue == str(tmp_path / "cue.csv")
    other = step(run, Advice("head", "", todo="retrain"))
    assert isinstance(other, Retrain) and other.cue == BACKGROUND
