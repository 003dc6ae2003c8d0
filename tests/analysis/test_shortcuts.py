"""Shortcuts: planted ones are found, strongest first; none is found where there is none; scores counted slowly."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.commandline import whalecam
from whalecam.analysis.findings import Evidence
from whalecam.analysis.findings.predictability import INTERVAL, RESAMPLES, SEED, _auc, _balanced, guess
from whalecam.analysis.findings.properties import NUMBERS, TEXTS
from whalecam.analysis.findings.shortcuts import BOTH_ENDS, CLUES, PER_CLASS, shortcuts
from whalecam.config import Columns
from whalecam.data import OK, Dataset

RNG = np.random.default_rng


def data_of(species: list[str], individuals: list[str] | None = None) -> Dataset:
    names = [f"{number:05d}.jpg" for number in range(len(species))]
    own = individuals or names
    table = pd.DataFrame({"image": names, "label": species, "group": own}, dtype=str)
    return Dataset(Path("train.csv"), None, Columns(), table.assign(path="", status=OK), "")


def measured(data: Dataset, **planted: Any) -> pd.DataFrame:
    """Properties as `measure` gives them: noise, but for what is planted."""
    rng, n = RNG(0), len(data.table)
    numbers = {name: rng.normal(100, 10, n) for name in NUMBERS}
    texts = dict.fromkeys(TEXTS, "") | {"image": data.table["image"], "status": OK, "format": "JPEG"}
    return pd.DataFrame({**texts, **numbers, **planted})


def boxes_of(data: Dataset, x: Any, kind: str = "body") -> pd.DataFrame:
    """Relative boxes a fifth wide at `x`, high at random."""
    n = len(data.table)
    frame = pd.DataFrame({"image": data.table["image"], "x1": x, "y1": RNG(1).uniform(0, 0.2, n)})
    frame["x2"], frame["y2"] = frame["x1"] + 0.2, RNG(2).uniform(0.5, 1, n)
    return frame.assign(kind=kind, relative=True)


THREE = ["orca", "beluga", "humpback"] * 60


def test_noise_yields_nothing_above_info() -> None:
    data = data_of(THREE)
    [finding] = shortcuts(Evidence(data, boxes_of(data, RNG(3).uniform(0, 0.5, 180)), measured(data)))
    assert (finding.code, finding.severity) == ("no_shortcut", "info")
    assert sorted(finding.rows["clue"]) == sorted(CLUES)
    assert finding.rows["chance"].tolist() == pytest.approx([1 / 3] * len(CLUES))


def test_planted_clues_are_found_strongest_first() -> None:
    data = data_of(THREE)
    level = np.array([["orca", "beluga", "humpback"].index(name) for name in THREE])
    rng = RNG(4)
    properties = measured(data, brightness=level * 50.0, water_a=level + rng.normal(0, 0.7, 180))
    found = shortcuts(Evidence(data, None, properties))
    assert [(f.code, f.about, f.severity) for f in found[:2]] == [
        ("shortcut", ("brightness",), "high"),
        ("shortcut", ("colour of the water",), "medium"),
    ]
    assert found[2].code == "no_shortcut" and len(found) == 3
    assert found[0].facts["score"] == 1 and found[0].facts["majority"] == pytest.approx(1 / 3)


def test_the_pictures_at_both_ends_are_those_surest_and_least_sure() -> None:
    data = data_of(["orca", "beluga"] * 100)
    grey = np.array([0.0, 100.0] * 100)
    grey[0] = 100  # an orca as bright as belugas
    [finding, *_] = shortcuts(Evidence(data, None, measured(data, brightness=grey)))
    assert len(finding.rows) == 2 * BOTH_ENDS
    assert finding.rows["image"].iloc[-1] == "00000.jpg" and finding.rows["sure"].is_monotonic_decreasing
    assert set(CLUES["brightness"]) < set(finding.rows.columns)


def test_what_only_tells_individuals_is_no_shortcut() -> None:
    """Each individual has a brightness of its own and many images: only a split by individual sees through it."""
    rng = RNG(5)
    own = rng.uniform(0, 100, 40)
    who = np.repeat(np.arange(40), 12)
    species = np.where(rng.permutation(40) % 2, "orca", "beluga")[who]
    together = guess(own[who, None], species.tolist(), [str(n) for n in who], [""] * 480)
    apart = guess(own[who, None], species.tolist(), [""] * 480, [""] * 480)
    assert together is not None and apart is not None
    assert together.score.low < 0.5 + 0.1 and apart.score.value > 0.9


def test_chance_is_one_over_the_classes_and_not_an_index() -> None:
    species = ["orca"] * 300 + ["beluga"] * 60 + ["humpback"] * 60
    result = guess(RNG(6).normal(size=(420, 2)), species, [""] * 420, [""] * 420)
    assert result is not None and result.chance == pytest.approx(1 / 3) and result.majority == pytest.approx(300 / 420)
    assert abs(result.score.value - 1 / 3) < 0.08 and result.skill < 0.1


def test_twins_are_told_apart_by_their_boxes() -> None:
    species = ["killer_whale"] * 150 + ["kiler_whale"] * 80 + ["beluga"] * 150
    data = data_of(species)
    x = RNG(7).uniform(0, 0.3, 380) + 0.25 * (np.array(species) == "kiler_whale")
    found = shortcuts(Evidence(data, boxes_of(data, x)))
    assert found[0].code == "twin_shortcut" and found[0].severity == "high"
    assert found[0].about == ("box geometry", "killer_whale", "kiler_whale")
    assert found[0].facts["measure"] == "AUC" and found[0].facts["score"] > 0.9
    assert set(found[0].rows["label"]) == {"killer_whale", "kiler_whale"}


def test_pixel_boxes_become_shares_of_the_measured_size() -> None:
    """The same boxes in images of many sizes: in pixels they would tell the sizes, and so the label."""
    data = data_of(["orca", "beluga"] * 100)
    side = np.array([100.0, 1000.0] * 100)
    boxes = boxes_of(data, RNG(8).uniform(0, 0.5, 200)).assign(relative=False)
    boxes[["x1", "x2", "y1", "y2"]] = boxes[["x1", "x2", "y1", "y2"]].mul(side, axis=0)
    properties = measured(data, width=side, height=side)
    found = {finding.about: finding for finding in shortcuts(Evidence(data, boxes, properties))}
    assert ("image size",) in found and ("box geometry",) not in found
    raw = shortcuts(Evidence(data, boxes))
    assert raw[0].about == ("box geometry",), "without sizes, pixels are all there is"


def test_the_largest_box_of_the_most_frequent_kind_counts() -> None:
    data = data_of(["orca", "beluga"] * 60)
    told = np.where(data.table["label"] == "orca", 0.1, 0.6)
    small = boxes_of(data, told).assign(x2=lambda boxes: boxes["x1"] + 0.01)
    fins = boxes_of(data, told, "fin").head(50)
    large = boxes_of(data, RNG(9).uniform(0, 0.6, 120))
    found = shortcuts(Evidence(data, pd.concat([small, fins, large], ignore_index=True)))
    assert [finding.code for finding in found] == ["no_shortcut"]


def test_large_classes_are_sampled_the_same_way_each_time() -> None:
    data = data_of(["orca"] * 600 + ["beluga"] * 100)
    boxes = boxes_of(data, RNG(10).uniform(0, 0.6, 700))
    one, two = (shortcuts(Evidence(data, boxes))[0] for _ in range(2))
    assert one.rows["images"].tolist() == [PER_CLASS + 100]
    pd.testing.assert_frame_equal(one.rows, two.rows)


@pytest.mark.parametrize("species", [["orca"] * 50, ["orca", "beluga"] * 3, []])
def test_too_little_to_tell_says_nothing(species: list[str]) -> None:
    data = data_of(species)
    assert shortcuts(Evidence(data, boxes_of(data, 0.1), measured(data))) == []


def _draws(groups: np.ndarray) -> list[list[int]]:
    """The rows of each resample, individual by individual."""
    present = sorted(set(groups.tolist()))
    counts = RNG(SEED).multinomial(len(present), np.full(len(present), 1 / len(present)), size=RESAMPLES)
    return [
        [
            row
            for who, times in zip(present, draw, strict=True)
            for _ in range(times)
            for row in np.flatnonzero(groups == who).tolist()
        ]
        for draw in counts
    ]


def test_balanced_accuracy_and_its_interval_counted_slowly() -> None:
    rng = RNG(11)
    groups, codes, named = rng.integers(0, 25, 90), rng.integers(0, 3, 90), rng.integers(0, 3, 90)

    def balanced(rows: list[int]) -> float:
        shares: list[float] = []
        for code in range(3):
            own = [row for row in rows if codes[row] == code]
            if own:
                shares.append(sum(named[row] == code for row in own) / len(own))
        return sum(shares) / len(shares)

    expected = np.percentile([balanced(rows) for rows in _draws(groups)], INTERVAL)
    score, low, high = _balanced(named, codes, groups)
    assert score == pytest.approx(balanced(list(range(90)))) and (low, high) == pytest.approx(tuple(expected))


def test_auc_and_its_interval_counted_slowly() -> None:
    rng = RNG(12)
    groups, codes, odds = rng.integers(0, 15, 40), rng.integers(0, 2, 40), rng.integers(0, 6, 40) / 5

    def auc(rows: list[int]) -> float:
        ones, zeros = ([row for row in rows if codes[row] == code] for code in (1, 0))
        wins: list[float] = [(odds[a] > odds[b]) + 0.5 * (odds[a] == odds[b]) for a in ones for b in zeros]
        return sum(wins) / len(wins)

    expected = np.percentile([auc(rows) for rows in _draws(groups)], INTERVAL)
    score, low, high = _auc(odds, codes, groups)
    assert score == pytest.approx(auc(list(range(40)))) and (low, high) == pytest.approx(tuple(expected))


def test_balanced_accuracy_is_scikit_learns() -> None:
    from sklearn.metrics import balanced_accuracy_score

    rng = RNG(13)
    codes, named = rng.integers(0, 4, 200), rng.integers(0, 4, 200)
    assert _balanced(named, codes, np.arange(200))[0] == pytest.approx(balanced_accuracy_score(codes, named))


def test_real_boxes_give_the_misspelt_classes_away(real_data: Path) -> None:
    """Nobody says which classes: the look-alike names do."""
    table, boxes = (real_data / "happywhale" / name for name in ("train.csv", "train_body_boxes_model.csv"))
    done = whalecam("check", table, "--no-images", "--boxes", boxes, "--json")
    facts = [f["facts"] for f in json.loads(done.stdout)["findings"] if f["code"] == "twin_shortcut"]
    assert {tuple(fact["labels"]): fact["score"] >= 0.85 for fact in facts} == {
        ("bottlenose_dolphin", "bottlenose_dolpin"): True,
        ("killer_whale", "kiler_whale"): True,
    }
    assert all(fact["clue"] == "box geometry" and fact["low"] > 0.8 for fact in facts)
