"""Calibration and agreement: exact where all is known, covering at the stated rate where it is not."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score, f1_score, precision_score, recall_score

from whalecam.analysis.calibration import DRAWS, Calibration, calibrate, leaks_of, suggested_threshold
from whalecam.analysis.reviewer_agreement import agreement, kappa

Numbers = NDArray[np.float64]
WORDS = ("flag", "keep", "unsure")


def a_set(rng: np.random.Generator, images: int = 600) -> tuple[Numbers, Numbers]:
    """Scores, and which images leak: the more probable the higher the score."""
    scores = rng.gamma(2.0, 0.4, images)
    steep, middle, floor = rng.uniform(1, 8), rng.uniform(0.6, 1.6), rng.uniform(0, 0.05)
    return scores, (rng.random(images) < floor + (1 - floor) / (1 + np.exp(-steep * (scores - middle)))).astype(float)


def judged(
    rng: np.random.Generator, scores: Numbers, leaks: Numbers, threshold: float, above: int, below: int
) -> Numbers:
    """What is known after a review of some images of each side, taken at random."""
    known = np.full(len(leaks), np.nan)
    for side, number in ((scores >= threshold, above), (scores < threshold, below)):
        places = np.flatnonzero(side)
        chosen = rng.choice(places, min(number, len(places)), replace=False)
        known[chosen] = leaks[chosen]
    return known


def test_a_wholly_reviewed_set_gives_sklearns_figures_and_no_doubt() -> None:
    scores, leaks = a_set(np.random.default_rng(1))
    for threshold in (0.3, 1.0, 1.7):
        found, flag = calibrate(scores, leaks, threshold), scores >= threshold
        for estimate, truth in (
            (found.precision, precision_score(leaks, flag)),
            (found.recall, recall_score(leaks, flag)),
            (found.leak_rate, leaks.mean()),
        ):
            assert estimate is not None
            assert (estimate.value, estimate.low, estimate.high) == pytest.approx((truth,) * 3)
        assert found.cautions == ()


def slow(scores: Numbers, leaks: Numbers, threshold: float) -> list[float]:
    """The three shares a second time, image by image."""
    leaking = flagged = hits = 0.0
    for reached in (True, False):
        side = [(s, y) for s, y in zip(scores, leaks, strict=True) if (s >= threshold) == reached]
        middle = float(np.median([s for s, _ in side]))
        halves = [[y for s, y in side if s >= middle], [y for s, y in side if s < middle]]
        if min(sum(not np.isnan(y) for y in half) for half in halves) < 10:
            halves = [[y for _, y in side]]
        for half in halves:
            seen = [y for y in half if not np.isnan(y)]
            count = len(half) * sum(seen) / len(seen)
            leaking += count
            hits += count if reached else 0
            flagged += len(half) if reached else 0
    return [hits / flagged, hits / leaking, leaking / len(scores)]


@pytest.mark.parametrize("seed", range(8))
def test_the_shares_are_those_of_a_slow_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, leaks = a_set(rng)
    known = judged(rng, scores, leaks, 0.9, 40, 12 + seed)
    found = calibrate(scores, known, 0.9)
    values = [estimate.value for estimate in (found.precision, found.recall, found.leak_rate) if estimate]
    assert values == pytest.approx(slow(scores, known, 0.9))


def covered(estimates: list[tuple[Calibration, Numbers]]) -> list[float]:
    names = ("precision", "recall", "leak_rate")
    hits = []
    for name, column in zip(names, range(3), strict=True):
        pairs = [(getattr(found, name), truth[column]) for found, truth in estimates]
        hits.append(np.mean([one.low - 1e-9 <= truth <= one.high + 1e-9 for one, truth in pairs]))
    return [float(share) for share in hits]


@pytest.mark.parametrize(("above", "below"), [(15, 15), (40, 40), (120, 60), (30, 200)])
def test_intervals_cover_at_their_stated_rate(above: int, below: int) -> None:
    estimates = []
    for seed in range(500):
        rng = np.random.default_rng(seed)
        scores, leaks = a_set(rng)
        found = calibrate(scores, judged(rng, scores, leaks, 1.0, above, below), 1.0)
        flag = scores >= 1.0
        truth = np.array([precision_score(leaks, flag), recall_score(leaks, flag), leaks.mean()])
        assert found.precision is not None and found.recall is not None
        estimates.append((found, truth))
    shares = covered(estimates)
    widths = [np.mean([found.leak_rate.high - found.leak_rate.low for found, _ in estimates if found.leak_rate])]
    print(f"{above}+{below} verdicts: precision {shares[0]:.1%}, recall {shares[1]:.1%}, leak rate {shares[2]:.1%}; ")
    print(f"mean width of the leak rate's interval {widths[0]:.3f}")
    assert min(shares) >= 0.93, shares


def test_the_interval_is_that_of_a_count_of_every_draw() -> None:
    """One stratum on each side, whose two distributions are written down a second time, draw by draw."""
    scores = np.r_[np.full(50, 2.0), np.full(70, 0.1)]
    known = np.full(120, np.nan)
    known[:10], known[50:60] = [1] * 7 + [0] * 3, [0] * 9 + [1]
    found, rng = calibrate(scores, known, 1.0), np.random.default_rng(5)
    few: list[tuple[float, float]] = []
    many: list[tuple[float, float]] = []
    for _ in range(2 * DRAWS):
        few.append((7 + sum(rng.random(40) < rng.beta(7, 4)), 1 + sum(rng.random(60) < rng.beta(1, 10))))
        many.append((7 + sum(rng.random(40) < rng.beta(8, 3)), 1 + sum(rng.random(60) < rng.beta(2, 9))))
    assert found.leak_rate is not None and found.recall is not None
    rate = np.quantile([sum(pair) / 120 for pair in few], 0.025), np.quantile([sum(pair) / 120 for pair in many], 0.975)
    np.testing.assert_allclose((found.leak_rate.low, found.leak_rate.high), rate, atol=0.012)
    low = [a / (a + d) for (a, _), (_, d) in zip(few, many, strict=True)]
    high = [c / (c + b) for (_, b), (c, _) in zip(few, many, strict=True)]
    recall = np.quantile(low, 0.025), np.quantile(high, 0.975)
    np.testing.assert_allclose((found.recall.low, found.recall.high), recall, atol=0.02)


def test_one_stratum_of_an_endless_set_has_the_bounds_of_clopper_and_pearson() -> None:
    scores, known = np.full(2_000_000, 2.0), np.full(2_000_000, np.nan)
    known[:30] = [1] * 24 + [0] * 6
    found, exact = calibrate(scores, known, 1.0), binomtest(24, 30).proportion_ci(method="exact")
    assert found.precision is not None and found.precision == found.leak_rate
    assert (found.precision.low, found.precision.high) == pytest.approx((exact.low, exact.high), abs=0.01)


def test_too_little_is_said_in_words() -> None:
    scores, known = np.r_[np.full(50, 2.0), np.full(70, 0.1)], np.full(120, np.nan)
    known[:4] = 1
    found = calibrate(scores, known, 1.0)
    assert (found.precision, found.recall, found.leak_rate, found.reviewed, found.images) == (None, None, None, 4, 120)
    assert "Too few verdicts from the threshold on: 4; flag or keep 6 more" in found.cautions[0]
    assert "below the threshold: 0; flag or keep 10 more" in found.cautions[1]
    assert suggested_threshold(scores, known, [0.5, 1.0]) is None
    assert calibrate(np.empty(0), np.empty(0), 1.0).cautions == (
        "Nobody has flagged or kept an image with a score yet.",
    )


def test_what_has_no_score_is_left_out() -> None:
    scores, leaks = a_set(np.random.default_rng(3), 80)
    longer = calibrate(np.r_[scores, np.nan, np.nan], np.r_[leaks, 1.0, np.nan], 1.0)
    assert longer == calibrate(scores, leaks, 1.0)


def test_without_any_leak_recall_is_unknown_and_intervals_reach_the_end() -> None:
    scores, known = np.r_[np.full(50, 2.0), np.full(70, 0.1)], np.full(120, np.nan)
    known[:20] = known[50:70] = 0
    found = calibrate(scores, known, 1.0)
    assert found.recall is None and found.precision is not None and found.leak_rate is not None
    assert found.precision.low == found.leak_rate.low == 0 < found.leak_rate.high < 0.15
    known[:20] = 1
    found = calibrate(scores, known, 1.0)
    assert found.precision is not None and found.recall is not None
    assert found.precision.high == found.recall.high == 1


def test_a_review_by_evidence_is_called_unfair_and_one_at_random_is_not() -> None:
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scores, leaks = a_set(rng)
        alarms += bool(calibrate(scores, judged(rng, scores, leaks, 1.0, 40, 40), 1.0).cautions)
        known = np.full(len(scores), np.nan)
        for side in (np.flatnonzero(scores >= 1.0), np.flatnonzero(scores < 1.0)):
            first = side[np.argsort(-scores[side])][:25]
            known[first] = leaks[first]
        assert "no random sample" in calibrate(scores, known, 1.0).cautions[0]
    assert alarms <= 3


def test_the_suggested_threshold_is_the_one_with_the_best_f1() -> None:
    grid = np.round(np.arange(0, 2.01, 0.05), 2).tolist()
    for seed in range(10):
        scores, leaks = a_set(np.random.default_rng(seed))
        best = suggested_threshold(scores, leaks, grid)
        assert best is not None
        assert f1_score(leaks, scores >= best) == pytest.approx(max(f1_score(leaks, scores >= t) for t in grid))
    clear = np.r_[np.full(20, 0.2), np.full(20, 1.8)]
    assert suggested_threshold(clear, (clear > 1).astype(float), [0.0, 0.5, 1.0, 1.5, 2.0]) == 1.0


def test_verdicts_as_numbers() -> None:
    np.testing.assert_array_equal(leaks_of(pd.Series(["flag", "keep", "unsure", None])), [1, 0, np.nan, np.nan])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WORDS), st.sampled_from(WORDS)), min_size=1, max_size=30))
def test_kappa_is_sklearns(pairs: list[tuple[str, str]]) -> None:
    first, other = (pd.Series(words) for words in zip(*pairs, strict=True))
    if len(set(first) | set(other)) == 1:
        assert np.isnan(kappa(first, other))
    else:
        assert kappa(first, other) == pytest.approx(cohen_kappa_score(first, other))


def test_kappa_of_a_textbook_table() -> None:
    """Cohen 1960 as taught: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no give 0.4."""
    first = pd.Series(["flag"] * 25 + ["keep"] * 25)
    other = pd.Series(["flag"] * 20 + ["keep"] * 5 + ["flag"] * 10 + ["keep"] * 15)
    assert kappa(first, other) == pytest.approx(0.4)


def test_who_disagrees_on_what() -> None:
    said = [
        ("a", "flag", "ana"),
        ("a", "keep", "bo"),
        ("b", "flag", "ana"),
        ("b", "flag", "bo"),
        ("c", "keep", "ana"),
        ("d", "flag", "bo"),
        ("d", "unsure", "cy"),
        ("d", "flag", "ana"),
        ("a", "flag", "bo"),
        ("a", "unsure", "ana"),
    ]
    found = agreement(pd.DataFrame(said, columns=["image", "verdict", "reviewer"]))
    assert found.shared == 3
    assert found.disagreements.to_dict("records") == [
        {"image": "a", "flag": "bo", "keep": "", "unsure": "ana", "newest": "unsure"},
        {"image": "d", "flag": "ana, bo", "keep": "", "unsure": "cy", "newest": "flag"},
    ]
    pairs = found.pairs.set_index(["reviewer", "other"])
    assert pairs["images"].to_dict() == {("ana", "bo"): 3, ("ana", "cy"): 1, ("bo", "cy"): 1}
    assert pairs.loc[("ana", "bo"), "agreed"] == pytest.approx(2 / 3)


def test_one_reviewer_or_none_agrees_with_nobody() -> None:
    for said in ([], [("a", "flag", "ana")]):
        found = agreement(pd.DataFrame(said, columns=["image", "verdict", "reviewer"]))
        assert (len(found.pairs), len(found.disagreements), found.shared) == (0, 0, 0)
