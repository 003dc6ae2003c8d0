"""Figures of a simulation on toy images, and what the evidence is said to support."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whalecam.analysis.recommendation import (
    Advice,
    Measured,
    advise,
    interval,
    leaks_summary,
    measured_of,
    metrics_of,
    recommend,
    simulation_of,
    step,
)
from whalecam.analysis.recommendation.leaks import standing_out
from whalecam.commands import Compare, Retrain, Simulate
from whalecam.stats import Interval
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run, open_run
from whalecam.store.table import LeakCounts
from whalecam.words import MARINE

Judged = tuple[float, float, float]


def counts(
    measured: int, confirmed: int = 0, hidden: int = 0, background: int = 0, suspects: int = 0, assessable: int = 0
) -> LeakCounts:
    return LeakCounts(
        measured=measured,
        confirmed=confirmed,
        hidden=hidden,
        background=background,
        suspects=suspects,
        assessable=assessable,
    )


LEAKING = counts(200, 60, 7, 3)


def rows_of(present: list[Judged], crop: list[Judged]) -> pd.DataFrame:
    """(own, unseen, leak) of images a, b, … of species s0, s1, s0, …, each an individual of its own."""
    found = []
    for remedy, values in (("present", present), ("crop", crop)):
        for at, (own, unseen, leak) in enumerate(values):
            about = {"image": f"p{at}", "label": f"s{at % 2}", "group": at, "remedy": remedy}
            found.append(about | {"own": own, "unseen": unseen, "leak": leak})
    return pd.DataFrame(found)


def test_figures_of_four_pictures() -> None:
    rows = rows_of([(1, 0, 0.8), (1, 0.5, 0.6), (1, 0, np.nan), (0, 0, 0.4)], [(1, 1, 0.1)] * 4)
    found = metrics_of(rows)
    assert found["present"]["all"]["own"][0] == 0.75 and found["present"]["all"]["unseen"][0] == 0.125
    assert found["present"]["all"]["water_cost"][0] == 0.625
    crop = found["crop"]["all"]
    assert (crop["own_gain"][0], crop["unseen_gain"][0]) == (0.25, 0.875)
    assert crop["leak_drop"][0] == pytest.approx((0.7 + 0.5 + 0.3) / 3)
    assert found["crop"]["label"]["s0"]["unseen_gain"][0] == 1.0 and found["crop"]["label"]["s1"]["n"] == 2
    json.dumps(found, allow_nan=False)


def test_the_same_gain_on_every_picture_has_no_width() -> None:
    rows = rows_of([(0, 0, 0.5)] * 6, [(1, 0.5, 0.25)] * 6)
    assert metrics_of(rows)["crop"]["all"]["unseen_gain"] == Interval(0.5, 0.5, 0.5)


def test_the_interval_the_slow_way_over_individuals() -> None:
    rng = np.random.default_rng(3)
    values, groups = rng.normal(size=40), rng.integers(0, 9, 40).tolist()
    values[5] = np.nan
    told = interval(values, groups, times=300)
    assert told is not None
    mean, low, high = told
    members = [[v for v, g in zip(values, groups, strict=True) if g == name and v == v] for name in sorted(set(groups))]
    chance, means = np.random.default_rng(0), []
    for drawn in chance.integers(len(members), size=(300, len(members))):
        some = [value for at in drawn for value in members[at]]
        means.append(sum(some) / len(some))
    assert mean == pytest.approx(np.nanmean(values))
    assert (low, high) == pytest.approx(tuple(np.quantile(means, (0.025, 0.975))))


def test_pictures_of_one_individual_tell_less_than_those_of_many() -> None:
    values = np.repeat([0.0, 1.0, 0.0, 1.0, 1.0], 8)
    alone, shared = interval(values, list(range(40))), interval(values, np.repeat(range(5), 8).tolist())
    assert alone is not None and shared is not None
    assert shared[2] - shared[1] > 1.5 * (alone[2] - alone[1])
    assert interval(values[:3], [0, 0, 0]) == Interval(0.0, -1.0, 1.0)
    assert interval(np.array([np.nan]), [0]) is None


# --- what is recommended ---------------------------------------------------------------------------------------------


def simulated(cost: Judged, crop: Judged, neutral: Judged) -> dict[str, Any]:
    return {
        "present": {"all": {"water_cost": list(cost)}},
        "crop": {"all": {"unseen_gain": list(crop)}},
        "neutral": {"all": {"unseen_gain": list(neutral)}},
    }


NOTHING = (0.0, -0.05, 0.05)
HELPED = Measured("shuffle", "mine-shuffle", Interval(0.3, 0.2, 0.4), Interval(-0.01, -0.03, 0.01))
FAILED = Measured("shuffle", "mine-shuffle", Interval(0.01, -0.05, 0.07), Interval(0.0, -0.03, 0.03))
COSTLY = Measured("shuffle", "mine-shuffle", Interval(0.3, 0.2, 0.4), Interval(-0.2, -0.3, -0.1))


@pytest.mark.parametrize(
    ("facts", "given", "measured", "remedy", "todo", "words"),
    [
        (counts(0, 0, 0, 0), None, (), None, "audit", "background test"),
        (
            counts(900, 2, 1, 0),
            None,
            (),
            None,
            "",
            "No remedy is called for",
        ),
        (counts(20, 0, 0, 0), None, (), None, "", "No remedy is called for"),
        (LEAKING, None, (), None, "simulate", "Simulate"),
        (LEAKING, simulated((0.4, 0.3, 0.5), (0.3, 0.2, 0.4), (0.35, 0.3, 0.4)), (), "neutral", "retrain", "neutral"),
        (LEAKING, simulated((0.4, 0.3, 0.5), (0.3, 0.2, 0.4), (0.25, 0.1, 0.4)), (), "crop", "retrain", "crop"),
        (LEAKING, simulated((0.4, 0.3, 0.5), (0.1, 0.05, 0.2), NOTHING), (), "shuffle", "retrain", "exchanged"),
        (LEAKING, simulated((0.4, 0.3, 0.5), NOTHING, (-0.2, -0.3, -0.1)), (), "shuffle", "retrain", "exchanged"),
        (LEAKING, simulated(NOTHING, NOTHING, NOTHING), (), None, "", "No remedy is supported"),
        (
            LEAKING,
            simulated((0.4, 0.3, 0.5), NOTHING, NOTHING),
            (HELPED,),
            "shuffle",
            "compare",
            "Take run mine-shuffle",
        ),
        (LEAKING, simulated((0.4, 0.3, 0.5), NOTHING, NOTHING), (FAILED,), None, "", "No remedy helps"),
        (
            LEAKING,
            simulated((0.4, 0.3, 0.5), NOTHING, NOTHING),
            (COSTLY,),
            "shuffle",
            "compare",
            "Take run mine-shuffle",
        ),
        (LEAKING, simulated((0.4, 0.3, 0.5), (0.1, 0.05, 0.2), NOTHING), (FAILED,), "crop", "retrain", "left to try"),
    ],
)
def test_what_the_evidence_supports(
    facts: LeakCounts,
    given: dict[str, Any] | None,
    measured: tuple[Measured, ...],
    remedy: str | None,
    todo: str,
    words: str,
) -> None:
    advice = recommend(facts, given, measured)
    assert (advice.remedy, advice.todo) == (remedy, todo)
    assert words in advice.sentence


@pytest.mark.parametrize(
    ("head", "project", "remedy"), [(0.25, 0.3, "head"), (0.1, 0.25, "project"), (0.1, 0.15, "neutral")]
)
def test_another_last_layer_comes_first_where_it_wins_back_enough(head: float, project: float, remedy: str) -> None:
    """Half of what other backgrounds cost is enough, although a training with `neutral` would win back more."""
    given = simulated((0.4, 0.3, 0.5), NOTHING, (0.35, 0.3, 0.4))
    for name, gain in (("head", head), ("project", project)):
        given[name] = {"all": {"unseen_gain": [gain, gain - 0.05, gain + 0.05]}}
    advice = recommend(LEAKING, given)
    assert (advice.remedy, advice.todo) == (remedy, "retrain")


@pytest.mark.parametrize(
    ("head", "crop", "remedy"), [(0.18, 0.15, "head"), (0.15, 0.18, "shuffle"), (0.04, 0.0, "shuffle")]
)
def test_seconds_are_spent_on_a_sure_gain_that_no_mended_image_surpasses(head: float, crop: float, remedy: str) -> None:
    """None of them wins back half of 0.4; a gain of 0.04 within 0.05 is not sure."""
    given = simulated((0.4, 0.3, 0.5), (crop, crop - 0.05, crop + 0.05), NOTHING)
    given["head"] = {"all": {"unseen_gain": [head, head - 0.05, head + 0.05]}}
    advice = recommend(LEAKING, given)
    assert (advice.remedy, advice.todo) == (remedy, "retrain")


def test_what_was_tried_in_a_combination_is_not_advised_alone() -> None:
    given = simulated((0.4, 0.3, 0.5), NOTHING, NOTHING)
    assert recommend(LEAKING, given, (replace(FAILED, remedy="shuffle+head"),)).remedy is None


def test_what_a_run_was_trained_with_is_not_advised_again() -> None:
    advice = recommend(LEAKING, simulated((0.4, 0.3, 0.5), NOTHING, NOTHING), (), own="shuffle")
    assert advice.remedy is None and "No remedy helps" in advice.sentence


def test_a_training_that_helped_is_not_said_to_be_helpless() -> None:
    """After `retrain` its run holds no simulated remedy, so nothing is known of them."""
    alone: dict[str, Any] = {"present": {"all": {"water_cost": [0.4, 0.3, 0.5]}}}
    assert recommend(LEAKING, alone, (), own="shuffle").todo == "simulate"
    assert "No remedy helps" in recommend(LEAKING, alone, (FAILED,), own="crop").sentence
    since = Measured("shuffle", "mine", Interval(0.3, 0.2, 0.4), Interval(0.0, -0.1, 0.1))
    advice = recommend(LEAKING, alone, (), own="shuffle", since=since)
    assert advice.sentence.startswith("This network was trained with shuffle, and that helped")
    assert (advice.todo, advice.before, advice.after) == ("compare", "mine", "")
    assert advice.why[-1].startswith(
        "Measured against mine: +30 points (+20 to +40) of accuracy on swapped backgrounds"
    )
    failed = Measured("shuffle", "mine", *(FAILED.unseen, FAILED.own))
    assert recommend(LEAKING, alone, (), own="shuffle", since=failed).todo == "simulate"


def test_the_figures_stand_beside_the_advice() -> None:
    advice = recommend(LEAKING, simulated((0.4, 0.3, 0.5), (0.3, 0.2, 0.4), NOTHING), (FAILED,))
    told = " ".join(advice.why)
    for words in (
        "70 of 200",
        "35\u00a0% (",
        "+40 points (+30 to +50)",
        "+30 points (+20 to +40)",
        "did not help: +1 points",
    ):
        assert words in told, words


def test_the_best_of_the_trainings_that_helped_is_taken() -> None:
    better = Measured("crop", "mine-crop", Interval(0.5, 0.4, 0.6), Interval(0.0, -0.01, 0.01))
    assert recommend(LEAKING, None, (HELPED, better)).remedy == "crop"


# --- the leaks in words ----------------------------------------------------------------------------------------------

SPECIES = pd.DataFrame(
    {
        "label": ["fin", "sei", "orca", "rare"],
        "assessable": [80, 80, 80, 0],
        "confirmed": [60, 40, 4, 0],
        "suspects": [61, 41, 5, 0],
        "share": [0.75, 0.5, 0.05, float("nan")],
        "low": [0.65, 0.39, 0.02, float("nan")],
    }
)


def bold(text: str) -> str:
    return f"**{text}**"


def test_the_species_that_stand_out_are_named_and_no_other() -> None:
    others = "of each other species at most 5\u00a0% of the images"
    two = standing_out(SPECIES, "confirmed", MARINE, bold)
    assert two == f"**fin** (60 of 80), **sei** (40 of 80) stand out; {others}."
    assert standing_out(SPECIES.iloc[1:], "suspects", MARINE) == f"sei (41 of 80) stands out; {others}."
    assert standing_out(SPECIES.iloc[2:], "confirmed", MARINE).startswith("No species stands out: at most 5\u00a0%")


def test_the_leaks_of_a_run_in_words() -> None:
    facts = counts(1200, 104, 3, 0, 107, 1240)
    found = leaks_summary(facts, SPECIES, MARINE, bold)
    assert found.startswith("**104** of 1,200 tested images are **confirmed leaks**: ") and "**fin** (60 of" in found
    assert found.endswith(
        "Another 3 are **hidden reliance**: the prediction relies on the water without attention on it."
    )
    assert "Another" not in leaks_summary(counts(1200, 104, 0, 0, 107, 1240), SPECIES, MARINE)
    found = leaks_summary(counts(1200, 104, 3, 12, 107, 1240), SPECIES, MARINE)
    assert "Another 3 are hidden reliance: " in found and "12 more are background reliance: " in found
    assert found.endswith("the prediction relies on it; where the network looks cannot be assessed there.")
    asked = leaks_summary(counts(0, 104, 3, 0, 107, 1240), SPECIES, MARINE)
    assert asked.startswith("107 of 1,240 assessable images look at the water") and "fin (61 of 80)" in asked
    assert leaks_summary(counts(0, 104, 3, 0, 0, 1240), SPECIES, MARINE).startswith("None of 1,240 assessable")


# --- what run folders hold -------------------------------------------------------------------------------------------


def stored(path: Path, remedy: str, right: dict[str, float | None], sha: str = "s", source: str = "f") -> Run:
    run = create_run(path, DatasetRecord("a.csv", None, {}, "f"))
    run.update(train={"remedy": remedy}, model_sha256="s")
    content: dict[str, Any] = {"model_sha256": sha, "source": source, "unseen": right, "own": dict.fromkeys(right, 1.0)}
    content["groups"] = {name: at for at, name in enumerate(right)}
    (path / "simulation.json").write_text(json.dumps(content))
    return open_run(path)


def test_trainings_are_compared_on_the_pictures_that_both_judged(tmp_path: Path) -> None:
    base = stored(tmp_path / "base", "none", {"a": 0.0, "b": 0.5, "c": 1.0, "d": None, "e": 0.0})
    mended = stored(tmp_path / "mended", "shuffle", {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0})
    others = [
        base,
        mended,
        stored(tmp_path / "twin", "none", {"a": 0.0}),
        stored(tmp_path / "elsewhere", "crop", {"a": 0.0}, source="g"),
        stored(tmp_path / "stale", "crop", {"a": 0.0}, sha="old"),
    ]
    found = measured_of(base, others)
    assert [(one.remedy, one.run) for one in found] == [("shuffle", "mended")]
    assert found[0].unseen.value == pytest.approx(0.5) and found[0].own == Interval(0.0, 0.0, 0.0)
    assert simulation_of(others[-1]) is None and measured_of(others[-1], others) == []


def test_the_advice_of_a_run_reads_its_simulation_and_those_beside_it(tmp_path: Path) -> None:
    alone = create_run(tmp_path / "alone", DatasetRecord("a.csv", None, {}, "f"))
    assert advise(alone, LEAKING, []) == (recommend(LEAKING), [])
    base = stored(tmp_path / "base", "none", {"a": 0.0, "b": 0.0})
    content = json.loads((base.path / "simulation.json").read_text())
    figures_told = simulated((0.4, 0.3, 0.5), NOTHING, NOTHING)
    (base.path / "simulation.json").write_text(json.dumps(content | {"figures": figures_told}))
    assert advise(base, LEAKING, [alone, base])[0].todo == "retrain"
    found, measured = advise(base, LEAKING, [stored(tmp_path / "mended", "shuffle", {"a": 1.0, "b": 1.0})])
    assert (found.remedy, found.after, found.todo) == ("shuffle", "mended", "compare")
    assert measured[0].changed == (
        "+100 points (+100 to +100) of accuracy on swapped backgrounds, +0 points (+0 to +0) on the images' own"
    )
    pair = Compare(runs=(str(base.path), str(tmp_path / "mended")))
    assert step(base, found) == pair
    later = open_run(tmp_path / "mended")
    told = json.loads((later.path / "simulation.json").read_text()) | {"figures": figures_told}
    (later.path / "simulation.json").write_text(json.dumps(told))
    found = advise(later, LEAKING, [alone, base, later])[0]
    assert (found.before, found.todo) == ("base", "compare") and step(later, found) == pair


@pytest.mark.parametrize(
    ("train", "repeatable"), [({"remedy": "shuffle"}, True), ({"remedy": "crop"}, False), ({}, False)]
)
def test_the_next_step_is_one_that_can_be_done(tmp_path: Path, train: dict[str, str], repeatable: bool) -> None:
    run = create_run(tmp_path / "mine", DatasetRecord("a.csv", None, {}, "f"))
    run.update(train=train)
    for taken in ("mine-shuffle", "mine-shuffle-2"):
        (tmp_path / taken).mkdir()
    again = Retrain(run=str(run.path), remedy="shuffle", out=str(tmp_path / "mine-shuffle-3"))
    assert step(run, Advice("shuffle", "", todo="retrain")) == (again if repeatable else None)
    assert step(run, Advice(None, "", todo="simulate")) == Simulate(run=str(run.path))
    assert step(run, Advice(None, "")) == step(run, Advice(None, "", todo="audit")) is None


def test_a_class_that_relies_as_a_whole_is_no_reason_to_rest_though_no_image_is_listed() -> None:
    quiet = counts(120, assessable=120)
    assert "No remedy is called for" in recommend(quiet, words=MARINE).sentence
    relying: LeakCounts = {**quiet, "relying": ["orca", "beluga"]}
    advice = recommend(relying, words=MARINE)
    assert advice.todo == "simulate" and "orca, beluga rely on the water as a whole" in advice.why[0]
    labels = pd.DataFrame({"label": [], "assessable": [], "share": [], "low": [], "confirmed": []})
    assert "orca, beluga rely on the water as a whole" in leaks_summary(relying, labels, MARINE)
    assert "as a whole" not in leaks_summary({**counts(120, 3, suspects=3), "relying": ["orca"]}, labels, MARINE)


@pytest.mark.parametrize(
    ("network", "exactness", "audit", "words"),
    [
        ({"way": "black box"}, "none", {}, "in the memory of the process that made the run"),
        ({"way": "in memory"}, "exact", {}, "in the memory of the process that made the run"),
        ({"way": "onnx"}, "none", {}, "the network draws no maps of its own, by which they are simulated"),
        ({"way": "onnx", "has_positions": False}, "approximate", {"maps": "occlusion"}, "draws no maps of its own"),
        ({"way": "onnx"}, "approximate", {"maps": "occlusion"}, ""),
        ({}, "none", {"maps": "none"}, ""),
        ({}, "exact", {}, ""),
    ],
)
def test_a_simulation_is_not_advised_where_it_cannot_be(
    network: dict[str, str | bool], exactness: str, audit: dict[str, str], words: str, tmp_path: Path
) -> None:
    run = create_run(tmp_path / "run", DatasetRecord("t.csv", None, {}, ""))
    run.update(network=network, exactness=exactness, audit=audit)
    advice = advise(run, LEAKING, [])[0]
    assert advice.todo == ("" if words else "simulate")
    assert words in advice.sentence and (
        "Train with a remedy where the network was trained" in advice.sentence
    ) == bool(words)
    assert recommend(counts(200), obstacle=words) == recommend(counts(200))
