"""Waterbirds' construction and the methods on it: each formula a second time, slowly, on tiny inputs."""

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression

from benchmarks.protocols import afr, dfr, group_dro, jtt, ours, selective
from benchmarks.protocols.construction import AGREEMENT, Cutout, Sizes, build, cutouts, divided, is_usable, places_of
from benchmarks.protocols.parts import Part, Parts, read_release
from benchmarks.protocols.scores import Outcome, group_accuracies, scores, worst_class, worst_group
from benchmarks.protocols.stages import Batch, Classifier, Linear, Recipe, Stages, drawn, train
from benchmarks.protocols.trial import Candidate, Trial, by_worst_class, by_worst_group, chosen
from benchmarks.waterbirds import OURS, WITH_GROUPS, WITHOUT_GROUPS, plain, predictions, report, restored
from whalecam.errors import DatasetError

SIDE = 32


def shapes(per_label: int = 8) -> list[Cutout]:
    """Animals that are tall (label 1) or wide (0), each of its own grey."""
    made = []
    for number in range(2 * per_label):
        label, mask = number % 2, np.zeros((40, 40), bool)
        mask[(slice(4, 36), slice(16, 24)) if label else (slice(16, 24), slice(4, 36))] = True
        pixels = np.full((40, 40, 3), 60 + 8 * number, np.uint8)
        made.append(Cutout(pixels, mask, f"{number:02}", label))
    return made


SIZES = Sizes(side=SIDE, training=60, validation=40, test=40)


@pytest.fixture(scope="module")
def parts() -> Parts:
    return build(shapes(), SIZES, 0)


@pytest.fixture(scope="module")
def trial(parts: Parts) -> Trial:
    """Random weights, so that it runs where none are installed."""
    stages = Stages(pretrained=False)
    lowered = {name: stages.lowered(getattr(parts, name).images) for name in ("training", "validation", "test")}
    return Trial(parts=parts, stages=stages, recipe=Recipe(epochs=2, batch=16), lowered=lowered, seed=1)


def test_parts_share_no_animal_and_no_background_and_agree_as_often_as_waterbirds(parts: Parts) -> None:
    every = (parts.training, parts.validation, parts.test)
    animals = [set(part.animals.tolist()) for part in every]
    assert not animals[0] & animals[1] and not animals[0] & animals[2] and not animals[1] & animals[2]
    assert [len(part) for part in every] == [60, 40, 40]
    for part, agreement in zip(every, (AGREEMENT, 0.5, 0.5), strict=True):
        for label in (0, 1):
            rows = part.labels == label
            assert (part.places[rows] == label).sum() == round(agreement * rows.sum())
    assert parts.shares().sum() == 1 and parts.shares()[1] == (parts.training.groups == 1).mean()
    backgrounds = []
    for part in every:
        assert part.masks is not None
        pairs = zip(part.images, part.masks, strict=True)
        backgrounds += [image[mask == 0][:200].tobytes() for image, mask in pairs]
    assert len(set(backgrounds)) == len(backgrounds)


def test_a_seed_draws_the_same_and_another_draws_other_animals() -> None:
    first, same, other = (build(shapes(), SIZES, seed) for seed in (0, 0, 1))
    assert np.array_equal(first.test.images, same.test.images)
    assert set(first.test.animals.tolist()) != set(other.test.animals.tolist())
    with pytest.raises(DatasetError, match="fewer than six"):
        build(shapes(3)[:5], SIZES, 0)


def test_divided_by_hand() -> None:
    names = [f"{number}" for number in range(10)] * 2
    training, validation, test = divided(names, np.random.default_rng(0))
    assert [len(part) for part in (training, validation, test)] == [5, 2, 3]
    assert sorted(training + validation + test) == sorted(set(names))


def test_places_agree_to_the_image() -> None:
    labels = np.array([0] * 40 + [1] * 20)
    places = places_of(labels, 0.95, np.random.default_rng(0))
    assert [(places[labels == label] == label).sum() for label in (0, 1)] == [38, 19]


def test_masks_that_are_usable() -> None:
    mask = np.zeros((20, 20), np.uint8)
    assert not is_usable(mask)
    mask[5:15, 5:15] = 255
    assert is_usable(mask)
    grey, pieces, tiny = mask.copy(), mask.copy(), np.zeros_like(mask)
    grey[5:15, 5:10] = 160
    pieces[0:3, 0:10] = 255
    tiny[5:7, 5:7] = 255
    assert not is_usable(grey) and not is_usable(pieces) and not is_usable(tiny)


def test_cutouts_of_the_photographs(real_data: Path) -> None:
    usable = cutouts(real_data)
    animals = [{cutout.animal for cutout in usable if cutout.label == label} for label in (0, 1)]
    assert min(map(len, animals)) > 30 and not animals[0] & animals[1]
    assert all(cutout.mask.shape == cutout.pixels.shape[:2] for cutout in usable)


def release(folder: Path, rows: list[tuple[str, int, int, int]]) -> Path:
    folder.mkdir()
    for name, y, place, split in rows:
        Image.new("RGB", (8, 4), (100 * y, 100 * place, 100 * split)).save(folder / name)
    pd.DataFrame(rows, columns=["img_filename", "y", "place", "split"]).to_csv(folder / "metadata.csv", index=False)
    return folder


ROWS = [(f"{y}{place}{split}.png", y, place, split) for y in (0, 1) for place in (0, 1) for split in (0, 1, 2)]


def test_a_copy_of_the_release_is_read_by_its_metadata(tmp_path: Path) -> None:
    read = read_release(release(tmp_path / "wb", ROWS), 6)
    for split, part in enumerate((read.training, read.validation, read.test)):
        assert part.groups.tolist() == [0, 1, 2, 3] and part.images.shape == (4, 6, 6, 3) and part.masks is None
        assert part.images[2, 3, 3].tolist() == [100, 0, 100 * split]
    codes = np.concatenate([part.animals for part in (read.training, read.validation, read.test)])
    assert len(set(codes.tolist())) == 12


def test_a_copy_that_cannot_be_used_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"There is no .*metadata\.csv"):
        read_release(tmp_path, 6)
    with pytest.raises(DatasetError, match="the test images lack a pair"):
        read_release(release(tmp_path / "few", ROWS[:-1]), 6)
    folder = release(tmp_path / "gone", ROWS)
    (folder / ROWS[0][0]).unlink()
    with pytest.raises(DatasetError, match=r"names 000\.png, which is no file"):
        read_release(folder, 6)
    for column, value, words in (("y", 2, "column y has other values"), ("place", None, "has no column place")):
        table = pd.DataFrame(ROWS, columns=["img_filename", "y", "place", "split"])
        table = table.drop(columns=column) if value is None else table.assign(**{column: value})
        table.to_csv(folder / "metadata.csv", index=False)
        with pytest.raises(DatasetError, match=words):
            read_release(folder, 6)
    outside = pd.DataFrame([("../few/000.png", 0, 0, 0)], columns=["img_filename", "y", "place", "split"])
    outside.to_csv(folder / "metadata.csv", index=False)
    with pytest.raises(DatasetError, match="is no file in"):
        read_release(folder, 6)


def test_worst_group_and_worst_class_by_hand() -> None:
    labels, groups = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 0, 1, 2, 3, 3])
    predicted = np.array([0, 1, 0, 1, 0, 1])
    assert group_accuracies(predicted == labels, groups).tolist() == [0.5, 1, 1, 0.5]
    assert worst_group(predicted, labels, groups) == 0.5
    assert worst_class(predicted, labels) == pytest.approx(2 / 3)
    assert worst_group(predicted[:3], labels[:3], groups[:3]) == 0.5, "groups without images do not count"


def outcome(seed: int) -> Outcome:
    rng = np.random.default_rng(seed)
    labels, groups = np.repeat([0, 1], 40), np.repeat(np.arange(4), 20)
    right = {name: rng.random(80) < share for name, share in (("ERM", 0.6), (OURS, 0.8))}
    return Outcome(
        labels=labels,
        groups=groups,
        animals=rng.integers(10 * seed, 10 * seed + 15, 80),
        shares=np.array([0.4, 0.1, 0.2, 0.3]),
        predicted={name: np.where(is_right, labels, 1 - labels) for name, is_right in right.items()},
    )


def test_scores_are_those_of_animals_drawn_one_by_one() -> None:
    outcomes, draws = [outcome(0), outcome(1)], 50
    quick = scores(outcomes, OURS, draws)
    animals = sorted({int(code) for each in outcomes for code in each.animals})
    drawn_animals = np.random.default_rng(0).multinomial(len(animals), [1 / len(animals)] * len(animals), draws)

    def slow(name: str, times: dict[int, int]) -> tuple[float, float]:
        worst, average = [], []
        for each in outcomes:
            accuracies = []
            for group in range(4):
                right = images = 0
                for row in np.flatnonzero(each.groups == group):
                    images += times[int(each.animals[row])]
                    right += times[int(each.animals[row])] * bool(each.predicted[name][row] == each.labels[row])
                accuracies.append(right / images)
            worst.append(min(accuracies))
            average.append(sum(share * value for share, value in zip(each.shares, accuracies, strict=True)))
        return sum(worst) / 2, sum(average) / 2

    once = dict.fromkeys(animals, 1)
    again = [dict(zip(animals, row, strict=True)) for row in drawn_animals.tolist()]
    for name in ("ERM", OURS):
        by_draw = np.array([slow(name, times) for times in again])
        mine = np.array([slow(OURS, times)[0] for times in again])
        assert (quick[name].worst.value, quick[name].average.value) == pytest.approx(slow(name, once))
        assert quick[name].worst[1:] == pytest.approx(np.quantile(by_draw[:, 0], (0.025, 0.975)))
        assert quick[name].average[1:] == pytest.approx(np.quantile(by_draw[:, 1], (0.025, 0.975)))
        assert quick[name].behind[1:] == pytest.approx(np.quantile(mine - by_draw[:, 0], (0.025, 0.975)))
        assert quick[name].behind.value == pytest.approx(slow(OURS, once)[0] - slow(name, once)[0])


def test_the_report_has_both_tables_and_no_method_that_did_not_run() -> None:
    text = report([outcome(0), outcome(1)])
    first, second = text.split("Without any group label")
    assert "| ERM |" in first and "| ERM |" in second and f"| {OURS} |" in second and "DFR" not in text


def test_seeds_that_were_kept_count_as_if_just_measured() -> None:
    kept = [restored(json.loads(json.dumps(plain(outcome(seed))))) for seed in (0, 1)]
    assert report(kept) == report([outcome(0), outcome(1)])


def test_the_best_candidate_on_validation_is_chosen_by_either_rule() -> None:
    labels, places = np.array([0, 0, 0, 0, 1, 1, 1, 1]), np.array([0, 0, 0, 1, 0, 1, 1, 1])
    part = Part(images=np.zeros((8, 1, 1, 3), np.uint8), labels=labels, places=places, animals=np.arange(8))
    by_background = Candidate(np.array([0, 0, 0, 1, 0, 1, 1, 1]), np.array([7]))
    by_animal = Candidate(np.array([0, 0, 1, 0, 1, 1, 0, 0]), np.array([8]))
    assert chosen([by_background, by_animal], by_worst_group, part).tolist() == [8]
    assert chosen([by_background, by_animal], by_worst_class, part).tolist() == [7]


def test_balanced_subsets_have_as_many_of_each_group() -> None:
    groups = np.array([0] * 9 + [1] * 3 + [2] * 5 + [3] * 4)
    rows = dfr.balanced(groups, np.random.default_rng(0))
    assert np.bincount(groups[rows]).tolist() == [3, 3, 3, 3] and len(set(rows.tolist())) == 12


def test_dfr_averages_l1_regressions_on_balanced_subsets() -> None:
    rng = np.random.default_rng(0)
    groups = rng.choice(4, 80, p=(0.4, 0.1, 0.1, 0.4))
    labels, embedded = groups // 2, rng.normal(size=(80, 5)) + (groups // 2)[:, None]
    layer = dfr.averaged(embedded, labels, groups, 0.3, np.random.default_rng(5))
    again, weights, intercepts = np.random.default_rng(5), [], []
    for _ in range(dfr.SUBSETS):
        rows = dfr.balanced(groups, again)
        model = LogisticRegression(l1_ratio=1.0, C=0.3, solver="saga", max_iter=20_000, tol=1e-8)
        # liblinear penalises the intercept, as a weight of a constant feature.
        model.set_params(fit_intercept=False).fit(np.c_[embedded[rows], np.ones(len(rows))], labels[rows])
        weights.append(model.coef_[0, :-1])
        intercepts.append(model.coef_[0, -1])
    logits = layer.logits(embedded)
    slow = embedded @ np.mean(weights, axis=0) + np.mean(intercepts)
    np.testing.assert_allclose(logits[:, 1] - logits[:, 0], slow, atol=0.02)


def test_dfr_chooses_a_penalty_that_leaves_the_telling_feature() -> None:
    rng = np.random.default_rng(0)
    groups = rng.integers(4, size=400)
    embedded = rng.normal(size=(400, 30))
    embedded[:, 0] += 3 * (groups // 2)
    penalty = dfr.tuned(embedded, groups // 2, groups, np.random.default_rng(1))
    assert penalty in dfr.PENALTIES
    layer = dfr.averaged(embedded, groups // 2, groups, penalty, rng)
    assert worst_group(layer.logits(embedded).argmax(axis=1), groups // 2, groups) > 0.85


def batch_of(logits: torch.Tensor, labels: torch.Tensor, rows: np.ndarray) -> Batch:
    """For a loss that asks for nothing else."""
    nobody, nothing = np.zeros(len(rows), bool), torch.zeros(len(rows), 1, 1, 1)
    return Batch(
        logits=logits, labels=labels, rows=rows, is_mirrored=nobody, activations=nothing, head=torch.nn.Identity()
    )


def test_group_weights_grow_with_the_loss_as_the_paper_has_it() -> None:
    groups = np.array([0, 1, 2, 3, 0, 1])
    loss, rows = group_dro.GroupLoss(groups, step=0.5), np.array([0, 4, 1, 2])
    logits = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [2.0, 0.0]], requires_grad=True)
    labels = torch.tensor([0, 0, 0, 1])
    value = loss(batch_of(logits, labels, rows))
    each = [math.log(1 + math.exp(other - own)) for own, other in ((1, 0), (0, 1), (0.5, 0), (0, 2))]
    means = [(each[0] + each[1]) / 2, each[2], each[3], 0.0]
    grown = [0.25 * math.exp(0.5 * mean) for mean in means]
    weights = [number / sum(grown) for number in grown]
    assert loss.weights.tolist() == pytest.approx(weights)
    assert value.item() == pytest.approx(sum(weight * mean for weight, mean in zip(weights, means, strict=True)))
    torch.autograd.backward(value)
    assert logits.grad is not None and logits.grad[3, 0].item() == pytest.approx(
        weights[2] * math.exp(2) / (1 + math.exp(2))
    )


def test_restricted_adds_the_evidence_off_the_animal_as_it_is_seen() -> None:
    """Two features on a 1 × 2 grid; the last layer tells a label by the first less the second."""
    head = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(2, 2, bias=False))
    head[-1].weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    activations = torch.tensor([[[[3.0, 1.0]], [[0.0, 0.0]]], [[[0.0, 2.0]], [[1.0, 0.0]]]])
    inside = np.array([[[255, 0], [255, 0]], [[0, 255], [0, 255]], [[255, 0], [255, 0]]], np.uint8)
    batch = Batch(
        logits=head(activations),
        labels=torch.tensor([0, 0]),
        rows=np.array([0, 2]),
        is_mirrored=np.array([False, True]),
        activations=activations,
        head=head,
    )
    # The first image has 3 of 4 inside; the second is mirrored, so that its animal is on the right, as its evidence is.
    off = (1 / 4 + 0) / 2
    expected = (math.log(1 + math.exp(-2)) + math.log(1 + math.exp(-0.5))) / 2 + 5 * off
    assert ours.restricted(5.0, inside)(batch).item() == pytest.approx(expected, abs=1e-6)


def test_regions_are_the_masks_and_everything_where_there_is_none(parts: Parts) -> None:
    part = parts.training
    assert part.masks is not None
    found = ours.regions(part, ours.given(part))
    assert np.array_equal(found, np.rint(255 * part.masks)) and 0 < found.mean() < 255
    assert (ours.regions(part, lambda sample: None) == 255).all()


def test_the_error_set_by_hand() -> None:
    logits = np.array([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]])
    assert jtt.error_set(logits, np.array([0, 0, 1])).tolist() == [False, True, True]


def test_afr_weighs_improbable_labels_up_within_balanced_classes() -> None:
    logits, labels = np.array([[2.0, 0.0], [0.0, 2.0], [0.0, 1.0]]), np.array([0, 0, 1])
    p = [1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-1))]
    slow = [math.exp(-3 * p[0]) / 2, math.exp(-3 * p[1]) / 2, math.exp(-3 * p[2])]
    assert afr.image_weights(logits, labels, 3.0).tolist() == pytest.approx([w / sum(slow) for w in slow])


@pytest.mark.parametrize("penalty", [0.0, 0.4])
def test_afr_descends_as_torch_does(penalty: float) -> None:
    rng = np.random.default_rng(0)
    embedded, labels = rng.normal(size=(12, 3)), np.array([0, 1] * 6)
    start, weights = Linear(rng.normal(size=(2, 3)), rng.normal(size=2)), rng.dirichlet(np.ones(12))
    layers = afr.descended(start, embedded, labels, weights, penalty)
    assert len(layers) == afr.STEPS // afr.EVERY
    first = [torch.tensor(values) for values in (start.weights, start.bias)]
    now = [values.clone().requires_grad_() for values in first]
    for step in range(1, 2 * afr.EVERY + 1):
        each = torch.nn.functional.cross_entropy(
            torch.tensor(embedded) @ now[0].T + now[1], torch.tensor(labels), reduction="none"
        )
        loss = (torch.tensor(weights) * each).sum()
        loss = loss + penalty * sum(((a - b) ** 2).sum() for a, b in zip(now, first, strict=True))
        slopes = torch.autograd.grad(loss, now)
        now = [(values - afr.RATE * slope).detach().requires_grad_() for values, slope in zip(now, slopes, strict=True)]
        if step % afr.EVERY == 0:
            layer = layers[step // afr.EVERY - 1]
            np.testing.assert_allclose(layer.weights, now[0].detach().numpy(), atol=1e-10)
            np.testing.assert_allclose(layer.bias, now[1].detach().numpy(), atol=1e-10)


def test_disagreement_is_the_divergence_of_the_early_network() -> None:
    p, q = (0.9, 0.1), (0.6, 0.4)
    slow = sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))
    logits = np.log([p, p]), np.log([q, p])
    np.testing.assert_allclose(selective.disagreement(*logits), [slow, 0], atol=1e-12)


def test_self_finetunes_as_torch_does_with_balanced_classes() -> None:
    rng = np.random.default_rng(0)
    embedded, labels = rng.normal(size=(8, 3)), np.array([0, 1, 1, 1, 1, 1, 1, 1])
    start = Linear(rng.normal(size=(2, 3)), rng.normal(size=2))
    layer = selective.finetuned(start, embedded, labels, 0.1)
    now = [torch.tensor(values).requires_grad_() for values in (start.weights, start.bias)]
    weight = torch.tensor([7 / 14, *[1 / 14] * 7], dtype=torch.float64)
    for _ in range(selective.STEPS):
        logits = torch.tensor(embedded) @ now[0].T + now[1]
        each = torch.nn.functional.cross_entropy(logits, torch.tensor(labels), reduction="none")
        slopes = torch.autograd.grad((weight * each).sum(), now)
        now = [(values - 0.1 * slope).detach().requires_grad_() for values, slope in zip(now, slopes, strict=True)]
    np.testing.assert_allclose(layer.weights, now[0].detach().numpy(), atol=1e-10)
    np.testing.assert_allclose(layer.bias, now[1].detach().numpy(), atol=1e-10)


def test_stages_are_the_whole_body_and_see_the_mirror_image(trial: Trial) -> None:
    stages, images = trial.stages, trial.parts.test.images[:3]
    model = ours.network_of(stages, Classifier(stages.upper.eval(), trial.erm.head), SIDE)
    whole = stages.body.features(model.batch(images))
    lowered = stages.lowered(images)
    np.testing.assert_allclose(stages.upper(lowered[:, 0]).detach(), whole.detach(), atol=1e-4)
    mirrored = stages.lowered(np.ascontiguousarray(images[:, :, ::-1]))
    np.testing.assert_allclose(lowered[:, 1], mirrored[:, 0], atol=1e-5)


def test_a_classifier_embeds_what_its_last_layer_takes(trial: Trial) -> None:
    lowered = trial.lowered["test"]
    with torch.no_grad():
        slow = trial.erm.head(trial.erm.upper(lowered[:, 0]))
    np.testing.assert_allclose(trial.erm.logits(lowered), slow.numpy(), atol=1e-5)
    model = ours.network_of(trial.stages, trial.erm, SIDE)
    with torch.no_grad():
        np.testing.assert_allclose(model.head(model.look(trial.parts.test.images)), slow, atol=1e-3)


def test_training_is_the_same_for_a_seed_and_leaves_the_stages_as_they_are(trial: Trial) -> None:
    lowered, labels = trial.lowered["training"], trial.parts.training.labels
    before = {name: value.clone() for name, value in trial.stages.upper.state_dict().items()}
    first, same, other = (train(trial.stages, lowered, labels, Recipe(epochs=1), seed)[1] for seed in (0, 0, 1))
    logits = [network.logits(lowered) for network in (first, same, other)]
    assert np.array_equal(logits[0], logits[1]) and not np.allclose(logits[0], logits[2])
    assert all(torch.equal(value, before[name]) for name, value in trial.stages.upper.state_dict().items())
    assert set(trial.snapshots) == {1, 2} and trial.early == (1,)


def test_rows_are_drawn_by_their_weights() -> None:
    rng = np.random.default_rng(0)
    assert sorted(drawn(5, None, rng).tolist()) == [0, 1, 2, 3, 4]
    counts = np.bincount(drawn(4000, np.r_[np.full(2000, 3.0), np.ones(2000)], rng) // 2000)
    assert counts[0] / 4000 == pytest.approx(0.75, abs=0.03)


def test_every_method_predicts_all_test_images(trial: Trial) -> None:
    predicted = predictions(trial)
    assert set(predicted) >= {name for name in (*WITH_GROUPS, *WITHOUT_GROUPS) if name != "head, mask network"}
    assert all(set(np.unique(codes)) <= {0, 1} and codes.shape == (40,) for codes in predicted.values())


def test_head_is_the_products_refit_on_the_true_masks(trial: Trial) -> None:
    before = trial.erm.last
    predicted = ours.head(trial, ours.given)
    assert np.array_equal(before.weights, trial.erm.last.weights), "the ERM network itself stays"
    assert np.array_equal(predicted, ours.head(trial, ours.given)) and predicted.shape == (40,)
