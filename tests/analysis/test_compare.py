"""Runs compared: each test statistic a second time by a peer, figures on toy tables with known answers."""

import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from tests.commandline import whalecam
from whalecam.analysis.compare import METRICS, Pairs, bootstrap, compare_runs, exchange, fate, mcnemar
from whalecam.analysis.compare.sentence import leaks_sentence, sentence
from whalecam.analysis.compare.shared import notes, shared
from whalecam.config import FALSE_LEAKS, Thresholds
from whalecam.errors import RunError
from whalecam.explain.background_test import Effect
from whalecam.stats import holm
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.words import MARINE


@given(st.integers(0, 1500), st.integers(0, 1500))
def test_mcnemar_is_the_two_sided_binomial_test(lost: int, gained: int) -> None:
    peer = binomtest(lost, lost + gained, 0.5).pvalue if lost + gained else 1.0
    assert mcnemar(lost, gained) == pytest.approx(peer, rel=1e-9)


def test_mcnemar_of_one_against_nine() -> None:
    assert mcnemar(1, 9) == 2 * (1 + 10) / 1024


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_the_slow_way(p: list[float]) -> None:
    def slow(at: int) -> float:
        ranks = sorted(range(len(p)), key=lambda one: (p[one], one))
        return max(min(1.0, (len(p) - rank) * p[one]) for rank, one in enumerate(ranks[: ranks.index(at) + 1]))

    assert holm(p) == [slow(at) for at in range(len(p))]


def test_holm_leaves_out_what_was_not_asked() -> None:
    assert holm([0.01, float("nan"), 0.03])[::2] == [0.02, 0.03]


def one_group(values: np.ndarray) -> np.ndarray:
    return values[:, 0]


def balanced(means: np.ndarray) -> np.ndarray:
    shares: NDArray[np.float64] = means.mean(axis=1)
    return shares


def test_the_bootstrap_of_a_mean_is_near_the_normal_interval() -> None:
    rng = np.random.default_rng(1)
    before = rng.normal(0, 1, 2000)
    after = before + rng.normal(0.2, 0.5, 2000)
    low, high = bootstrap(Pairs(before, after, np.zeros(2000, int)), one_group)
    error = 1.96 * (after - before).std() / np.sqrt(2000)
    middle = (after - before).mean()
    assert low == pytest.approx(middle - error, abs=0.004) and high == pytest.approx(middle + error, abs=0.004)
    assert (low, high) == bootstrap(Pairs(before, after, np.zeros(2000, int)), one_group)


def test_the_bootstrap_by_group_equals_a_slow_loop() -> None:
    rng = np.random.default_rng(2)
    groups = np.array([1, 0, 0, 1, 2, 0, 2, 1])
    before, after = rng.random(8), rng.random(8)
    low, high = bootstrap(Pairs(before, after, groups), lambda means: means.min(axis=1), times=50, seed=3)
    again, found = np.random.default_rng(3), []
    members = [[at for at in range(8) if groups[at] == group] for group in range(3)]
    draws = [again.integers(len(own), size=(50, len(own))) for own in members]
    for time in range(50):
        worst = []
        for values in (after, before):
            means = []
            for own, drawn in zip(members, draws, strict=True):
                means.append(sum(values[own[at]] for at in drawn[time]) / len(own))
            worst.append(min(means))
        found.append(worst[0] - worst[1])
    assert (low, high) == pytest.approx(tuple(np.quantile(found, (0.025, 0.975))))


def test_a_run_without_change_has_p_1() -> None:
    for values in (np.arange(20.0), np.random.default_rng(0).random(5000)):
        asked = Pairs(values, values, np.zeros(len(values), int)), one_group
        assert bootstrap(*asked) == (0, 0) and exchange(*asked) == 1


@pytest.mark.parametrize("reduce", [one_group, lambda means: means.mean(axis=1), lambda means: means.min(axis=1)])
def test_exchanging_the_runs_the_slow_way_over_every_choice(reduce: Any) -> None:
    """Every way in which nine individuals of two groups can keep or change the places of the runs."""
    rng = np.random.default_rng(5)
    groups = np.repeat([0, 0, 0, 0, 0, 1, 1, 1, 1], 2) * (0 if reduce is one_group else 1)
    who, before = np.repeat(np.arange(9), 2), rng.random(18)
    after = before + rng.normal(0.15, 0.3, 18)

    def apart(kept: tuple[bool, ...]) -> float:
        sides = np.array(kept)[who]
        first, second = np.where(sides, before, after), np.where(sides, after, before)
        means = [[side[groups == one].mean() for one in sorted(set(groups))] for side in (first, second)]
        return abs(float(reduce(np.array([means[1]]))[0] - reduce(np.array([means[0]]))[0]))

    every = [apart(kept) for kept in itertools.product((True, False), repeat=9)]
    exact = np.mean([one >= apart((True,) * 9) - 1e-9 for one in every])
    assert exchange(Pairs(before, after, groups, who), reduce, times=20_000) == pytest.approx(exact, abs=0.012)


def test_exchanging_single_pictures_of_a_share_is_mcnemar() -> None:
    before, after = np.array([1.0] * 3 + [0.0] * 12 + [1.0] * 30), np.array([0.0] * 3 + [1.0] * 12 + [1.0] * 30)
    found = exchange(Pairs(before, after, np.zeros(45, int)), one_group, times=50_000)
    assert found == pytest.approx(mcnemar(3, 12), abs=0.003)


def test_exchange_keeps_its_level_in_tiny_groups_and_among_pictures_alike() -> None:
    """Two runs that differ by chance alone: one significant in twenty, where a group holds a single image too."""
    rng, found, naive = np.random.default_rng(6), [], []
    groups, who = np.array([0] * 12 + [1]), np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6])
    for _ in range(400):
        apart = rng.normal(0, 1, 7)[who] + rng.normal(0, 0.2, 13)
        asked = np.zeros(13), apart, groups
        found.append(exchange(Pairs(*asked, who), balanced, times=200) <= 0.05)
        naive.append(exchange(Pairs(*asked), balanced, times=200) <= 0.05)
    assert np.mean(found) <= 0.085 < np.mean(naive)


def test_a_large_group_is_exchanged_as_by_plain_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(7)
    before = rng.random(3000)
    asked = Pairs(before, before + rng.normal(0.01, 0.3, 3000), np.zeros(3000, int)), one_group
    quick = exchange(*asked)
    monkeypatch.setattr("whalecam.analysis.compare.paired.LARGE", 10**9)
    assert 0.01 < quick < 0.5 and quick == pytest.approx(exchange(*asked), abs=0.03)


def test_what_another_seed_brings_is_part_of_chance() -> None:
    """Without images' chance: a difference of d against a normal law of width s."""
    before, after = np.zeros(4000), np.full(4000, 0.1)
    asked = Pairs(before, after, np.repeat(np.arange(2), 2000)), balanced
    assert exchange(*asked) < 0.001
    found = exchange(*asked, times=20_000, spread=0.1)
    # Signs of 4000 images alike in size: 0.1 / sqrt(4000), beside a spread of 0.1.
    assert found == pytest.approx(2 * norm.sf(0.1 / np.hypot(0.1, 0.1 / np.sqrt(4000))), abs=0.01)


def test_drawing_individuals_the_slow_way() -> None:
    rng = np.random.default_rng(8)
    who, before, after = np.array([0, 0, 1, 2, 2, 2, 3]), rng.random(7), rng.random(7)
    low, high = bootstrap(Pairs(before, after, np.zeros(7, int), who), one_group, times=60, seed=3)
    found = []
    for drawn in np.random.default_rng(3).integers(4, size=(60, 4)):
        pictures = [at for one in drawn for at in np.flatnonzero(who == one)]
        found.append(after[pictures].mean() - before[pictures].mean())
    assert (low, high) == pytest.approx(tuple(np.quantile(found, (0.025, 0.975))))


def test_many_individuals_get_the_interval_of_plain_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(9)
    who = rng.integers(0, 1500, 6000)
    before = (rng.random(6000) < 0.6).astype(float)
    after = np.clip(before + rng.normal(0.1, 0.3, 1500)[who], 0, 1)
    quick = bootstrap(Pairs(before, after, np.zeros(6000, int), who), one_group)
    monkeypatch.setattr("whalecam.analysis.compare.paired.LARGE", 10**9)
    assert quick == pytest.approx(bootstrap(Pairs(before, after, np.zeros(6000, int), who), one_group), abs=0.001)


@pytest.mark.parametrize(
    ("before", "after", "fewer", "state"),
    [
        (0.2, 0.0, True, "gone"),
        (0.2, FALSE_LEAKS, True, "gone"),
        (0.2, FALSE_LEAKS + 0.001, True, "fewer"),
        (0.2, 0.0, False, "unsure"),
        (0.2, 0.3, False, "left"),
        (FALSE_LEAKS, 0.0, False, "none"),
        (0.0, 0.2, False, "new"),
    ],
)
def test_leaks_are_gone_where_mistakes_explain_what_is_left(
    before: float, after: float, fewer: bool, state: str
) -> None:
    found = fate(10_000, round(before * 10_000), round(after * 10_000), fewer=fewer, thresholds=Thresholds())
    assert found.state == state and f"{round(after * 10_000):,} of 10,000" in found.sentence


def test_mistakes_are_not_known_at_lower_thresholds() -> None:
    assert fate(100, 20, 0, fewer=True, thresholds=Thresholds(reliance=0.2)).state == "unknown"
    assert fate(100, 20, 0, fewer=True, thresholds=Thresholds(attention=1.5, reliance=0.3)).state == "gone"
    assert fate(0, 0, 0, fewer=False, thresholds=Thresholds()).sentence == ""


def test_a_large_group_gets_the_interval_of_plain_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    groups = rng.integers(0, 3, 6000)
    before = (rng.random(6000) < 0.6).astype(float)
    after = np.where(rng.random(6000) < 0.9, before, 1 - before)

    quick = bootstrap(Pairs(before, after, groups), balanced)
    monkeypatch.setattr("whalecam.analysis.compare.paired.LARGE", 10**9)
    plain = bootstrap(Pairs(before, after, groups), balanced)
    width = plain[1] - plain[0]
    assert quick[0] == pytest.approx(plain[0], abs=0.05 * width) and quick[1] == pytest.approx(
        plain[1], abs=0.05 * width
    )


def made(folder: Path, rows: list[dict[str, Any]], classes: tuple[str, ...] = ("orca", "beluga")) -> Run:
    """A run folder with the given rows."""
    run = create_run(folder, DatasetRecord("train.csv", None, {}, ""))
    run.update(classes=classes)
    run.write_part(rows)
    return run


def row(name: str, species: str, predicted: str, **more: Any) -> dict[str, Any]:
    base = {"loss": 0.1 if species == predicted else 2.0, "attention_score": 0.2, "reliance": 0.0, "in_training": False}
    return {"image": name, "label": species, "predicted": predicted, **base, **more}


def test_figures_changes_and_notes_of_a_toy(tmp_path: Path) -> None:
    before = [row(f"o{n}", "orca", "beluga" if n < 4 else "orca", attention_score=1.5, reliance=0.5) for n in range(8)]
    before += [row(f"b{n}", "beluga", "beluga") for n in range(2)] + [row("seen", "orca", "orca", in_training=True)]
    after = [row(f"o{n}", "orca", "orca") for n in range(8)]
    after += [row(f"b{n}", "beluga", "orca" if n else "beluga") for n in range(2)] + [row("seen", "orca", "beluga")]
    found = compare_runs([made(tmp_path / "a", before), made(tmp_path / "b", [*after, row("alone", "orca", "orca")])])
    a, b = found.metrics("a"), found.metrics("b")
    assert (a["accuracy"], b["accuracy"]) == (0.6, 0.9)
    assert (a["balanced_accuracy"], b["balanced_accuracy"]) == (0.75, 0.75)
    assert (a["worst_label_accuracy"], b["worst_label_accuracy"]) == (0.5, 0.5)
    assert (a["confirmed_leak"], b["confirmed_leak"]) == (8 / 11, 0)
    told = {one.metric: one for one in found.differences["b"]}
    assert told["accuracy"].p == mcnemar(1, 4) and told["accuracy"].images == 10
    assert told["confirmed_leak"].p == pytest.approx(2 / 2**8, abs=0.005) and told["accuracy"].verdict == "none"
    assert told["confirmed_leak"].is_shown and not told["suspect"].is_shown, "a verdict that neither run gave"
    assert found.changed("b", "became_right") == ["o0", "o1", "o2", "o3"]
    assert found.changed("b", "became_wrong") == found.changed("b", "got_worse") == ["b1"]
    assert found.changed("b", "got_better") == [f"o{n}" for n in range(8)]
    assert found.changed("b", "got_better", 2) == ["o0", "o1"] and found.counts["b"]["got_better"] == 8
    assert "11 of 12 images are shared" in found.notes[0] and "10 of 11" in found.notes[1]
    assert "b and a do not differ" in sentence(found, "b") and "not beyond chance" in sentence(found, "b")
    # Eight coins that fall alike: beyond chance for these two networks, not among all figures.
    assert (found.leaks["b"].before, found.leaks["b"].after, found.leaks["b"].state) == (8, 0, "gone")
    assert told["confirmed_leak"].reseeded >= told["confirmed_leak"].p and told["confirmed_leak"].verdict == "none"
    assert "gone: 0 of 11 images, 8 before" in leaks_sentence(found, "b")
    assert len(json.dumps(found.plain())) > 100


NAMES = (("x", "a (2)"), ("x", "a"), ("y", "a"))


def test_other_classes_are_compared_on_those_that_all_know(tmp_path: Path) -> None:
    rows = [row("o", "orca", "orca"), row("b", "beluga", "beluga"), row("n", "narwhal", "narwhal")]
    runs = [
        made(tmp_path / "a", rows, ("orca", "beluga", "narwhal")),
        made(tmp_path / "b", rows[:2], ("orca", "beluga")),
    ]
    runs[1].write_part([row("n", "narwhal", "orca", loss=None)])
    found = compare_runs(runs)
    assert len(found.unseen) == 2 and "2 of 3" in found.notes[0]


def test_runs_of_one_name_are_told_apart_whatever_they_are_called(tmp_path: Path) -> None:
    rows = [row(f"o{n}", "orca", "orca") for n in range(4)]
    numbered, plain, other = (made(tmp_path / part / name, rows) for part, name in NAMES)
    assert compare_runs([numbered, plain, other]).names == ("a (2)", "a", "a (3)")


def test_what_cannot_be_compared_is_said(tmp_path: Path) -> None:
    first = made(tmp_path / "a", [row("a", "orca", "orca")])
    with pytest.raises(RunError, match="share no image"):
        compare_runs([first, made(tmp_path / "b", [row("b", "orca", "orca")])])
    with pytest.raises(RunError, match="no class in common"):
        compare_runs([first, made(tmp_path / "c", [row("a", "cat", "cat")], ("cat", "dog"))])
    with pytest.raises(RunError, match="no audited images"):
        compare_runs([first, create_run(tmp_path / "d", DatasetRecord("x", None, {}, ""))])


def test_swapped_accuracy_is_the_share_of_other_labels_waters_that_keep_the_label() -> None:
    swapped = (("beluga", 0), ("beluga", 1), ("narwhal", 0), ("orca", 1))
    reliance = Effect({}, 0, 0, 1, {}, 1, 0, swapped)
    assert reliance.kept("orca", 0) == 2 / 3
    assert np.isnan(Effect({}, 0, 0, 1, {}, 1, 0, swapped[3:]).kept("orca", 0))


def test_a_run_compared_with_itself_shows_no_difference(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "demo", runs / "twin")
    found = compare_runs([open_run(runs / "demo"), open_run(runs / "twin"), open_run(runs / "demo")])
    assert found.names == ("demo", "twin", "demo (2)")
    for later in found.names[1:]:
        told = {one.metric: one for one in found.differences[later]}
        assert set(told) == set(METRICS)
        assert not any(one.difference or one.low or one.high for one in told.values() if one.images >= 2)
        assert all(one.p == 1 and not one.beyond_chance for one in told.values() if one.images >= 2)
        assert not any(found.counts[later].values())
        assert "do not differ" in sentence(found, later)
    shares = found.rows["demo"]["swapped_accuracy"].dropna()
    assert len(shares) and shares.between(0, 1).all() and told["swapped_accuracy"].images > 0


def test_the_verb_writes_a_csv_and_says_it_plainly(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "demo", runs / "twin")
    done = whalecam("compare", runs / "demo", runs / "twin", "--out", tmp_path / "out" / "c.csv")
    assert done.returncode == 0 and "not beyond chance (McNemar p = 1" in done.stdout
    found = compare_runs([open_run(runs / "demo"), open_run(runs / "twin")])
    lines = {line.split("  ")[1]: line for line in done.stdout.splitlines() if line.startswith("  ") and line[2] != " "}
    shown = [METRICS[one.metric].named(MARINE) for one in found.differences["twin"] if one.is_shown]
    assert set(lines) == set(shown) and lines
    share = f"{found.metrics('demo')['accuracy'] * 100:.1f}\u00a0%"
    assert lines["accuracy"].split("  ")[1] == "accuracy" and lines["accuracy"].count(f"{share} ") == 2
    assert "+0.0 points" in lines["accuracy"] and lines["accuracy"].endswith("1, within chance")
    frame = pd.read_csv(tmp_path / "out" / "c.csv")
    assert len(frame) == len(open_run(runs / "demo").audited())
    assert frame["change"].isna().all() and set(frame["run"]) == {"twin"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_reseeded_twin_shows_no_significant_difference(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    assert whalecam("demo", pictures, "--images", 240).returncode == 0
    common = ("--arch", "efficientnet_lite0_fine", "--epochs", 6, "--lr", "1e-2", "--size", 96, "--batch", 16)
    for seed in (2, 3):
        run = tmp_path / f"seed{seed}"
        source = (pictures / "train.csv", pictures / "images", "--run", run)
        assert whalecam("train", *source, *common, "--folds", 2, "--seed", seed).returncode == 0
        assert whalecam("audit", run, "--masks", pictures / "masks").returncode == 0
    found = compare_runs([open_run(tmp_path / "seed2"), open_run(tmp_path / "seed3")])
    assert int(found.unseen.sum()) > 200
    assert not [one for one in found.differences["seed3"] if one.beyond_chance]


def test_runs_with_other_labels_are_compared_by_their_own() -> None:
    """One run knows a label that the other's rows lack, as after labels were corrected."""
    tables = {
        "first": pd.DataFrame({"label": pd.Categorical(["orca", "minke"])}, index=["a", "b"]),
        "second": pd.DataFrame({"label": pd.Categorical(["orca", "orca", "fin"])}, index=["a", "b", "c"]),
    }
    tables = {name: rows.assign(right=1.0, swapped_accuracy=0.5) for name, rows in tables.items()}
    rows_by_run, remarks = shared(tables, [["fin", "minke", "orca"]] * 2)
    assert remarks == []
    labels = {name: rows["label"].tolist() for name, rows in rows_by_run.items()}
    assert labels == {"first": ["orca", "minke"], "second": ["orca", "orca"]}
    assert notes(rows_by_run, 3, np.array([True, True])) == [
        "2 of 3 images are shared; the others are left out.",
        "1 images have another label in another run; each run counts its own.",
    ]
