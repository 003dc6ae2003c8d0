"""Evidence of reliance: every figure a second time by hand or in a loop, and known answers of made-up networks."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from whalecam.assessment.reliance import (
    WEIGHTS,
    ClassTest,
    Exchanges,
    beyond_chance,
    class_tests,
    expected_drops,
    p_values,
    q_values,
    reliance_of,
    subsets,
)
from whalecam.stats import holm

NAN = float("nan")


def made(
    reading: float, images: int = 40, donors: int = 4, seed: int = 0, labels: int = 2, pool: int = 12
) -> Exchanges:
    """A network that is surer by `reading` on backgrounds of the predicted class; each donor has a whim of its own."""
    rng = np.random.default_rng(seed)
    whim = rng.normal(0, 0.08, (labels, pool))
    predicted = rng.integers(labels, size=images)
    own_at = np.array([rng.permutation(pool)[:donors] for _ in range(images)])
    other_at = np.array([rng.permutation(pool)[:donors] for _ in range(images)])
    other_label = (predicted + 1 + rng.integers(labels - 1, size=images)) % labels
    noise = rng.normal(0, 0.05, (2, images, donors))
    own = 0.8 + whim[predicted[:, None], own_at] + noise[0]
    other = 0.8 - reading + whim[other_label[:, None], other_at] + noise[1]
    return Exchanges(
        predicted=predicted,
        before=np.full(images, 0.9),
        own=np.clip(own, 0, 1),
        other=np.clip(other, 0, 1),
        own_unit=predicted[:, None] * pool + own_at,
        other_unit=other_label[:, None] * pool + other_at,
    )


def test_drop_and_placebo_by_hand() -> None:
    found = Exchanges(
        predicted=np.array([0, 0, 1]),
        before=np.array([0.9, 0.8, 0.7]),
        own=np.array([[0.7, 0.9], [0.6, NAN], [NAN, NAN]]),
        other=np.array([[0.1, 0.3], [0.8, 0.8], [0.2, NAN]]),
        own_unit=np.array([[1, 2], [1, 0], [0, 0]]),
        other_unit=np.array([[3, 4], [3, 4], [5, 0]]),
    )
    np.testing.assert_allclose(found.drop, [0.7, 0.0, 0.5])
    np.testing.assert_allclose(found.placebo, [0.1, 0.2, NAN])
    # Class 0 has the placebos 0.1 and 0.2; class 1 has none.
    np.testing.assert_allclose(p_values(found), [1 / 3, 1.0, NAN])
    tests = class_tests(found, draws=50)
    assert (
        math.isnan(tests[1].gap)
        and math.isnan(tests[1].log_odds_gap)
        and tests[1].p_value == 1.0
        and tests[1].images == 1
    )
    assert (tests[0].images, tests[0].donors) == (2, 4)


def by_hand(exchanges: Exchanges, code: int) -> tuple[float, float]:
    """Gap and exact p-value of one class, over every assignment of its donors."""
    rest: dict[int, list[float]] = {}
    own = set()
    for at in np.flatnonzero(exchanges.predicted == code):
        values = [*exchanges.own[at], *exchanges.other[at]]
        mean = sum(values) / len(values)
        for unit, value in zip([*exchanges.own_unit[at], *exchanges.other_unit[at]], values, strict=True):
            rest.setdefault(int(unit), []).append(value - mean)
        own |= {int(unit) for unit in exchanges.own_unit[at]}

    def gap(near: set[int]) -> float:
        sides = [[one for unit in rest if (unit in near) == side for one in rest[unit]] for side in (True, False)]
        return float(np.mean(sides[0]) - np.mean(sides[1]))

    seen = gap(own)
    every = [gap(set(chosen)) for chosen in itertools.combinations(sorted(rest), len(own))]
    return seen, float(np.mean([one >= seen - 1e-9 for one in every]))


@pytest.mark.parametrize("reading", [0.0, 0.05, 0.4])
def test_the_class_test_is_that_over_every_assignment_of_the_donors(reading: float) -> None:
    exchanges = made(reading, images=30, donors=3, pool=5, seed=3)
    for code, found in class_tests(exchanges, draws=4000).items():
        gap, p_value = by_hand(exchanges, code)
        assert found.gap == pytest.approx(gap)
        assert found.p_value == pytest.approx(p_value, abs=4 * math.sqrt(p_value * (1 - p_value) / 4000) + 1 / 4000)


def test_donors_with_whims_alone_are_no_evidence_however_many_images_they_serve() -> None:
    """A test that takes images for independent finds a reliance in almost every class here."""
    found = [
        test.p_value
        for seed in range(60)
        for test in class_tests(made(0.0, images=400, seed=seed), draws=199, seed=seed).values()
    ]
    assert 0.01 <= np.mean(np.array(found) <= 0.05) <= 0.11
    assert 0.4 <= np.mean(found) <= 0.6


def test_a_class_that_relies_is_found_and_its_twin_is_not() -> None:
    relying = class_tests(made(0.5))
    assert all(test.p_value <= 0.001 and test.gap == pytest.approx(0.5, abs=0.1) for test in relying.values())
    assert all(test.p_value > 0.001 for test in class_tests(made(0.0)).values())


def test_donors_of_one_group_count_once() -> None:
    exchanges = made(0.5, donors=4, pool=12)
    one = Exchanges(**{**vars(exchanges), "own_unit": exchanges.predicted[:, None] + np.full((1, 4), 1000)})
    assert all(test.donors == 13 for test in class_tests(one, draws=9).values())
    assert min(test.p_value for test in class_tests(one).values()) >= 1 / 14, "one group against twelve donors"


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_p_values_are_those_of_a_loop_and_uniform_without_reliance(seed: int) -> None:
    exchanges = made(0.1 * (seed % 3), images=25, seed=seed)
    found = p_values(exchanges)
    for at, code in enumerate(exchanges.predicted):
        null = exchanges.placebo[exchanges.predicted == code]
        assert found[at] == pytest.approx((1 + sum(one >= exchanges.drop[at] - 1e-9 for one in null)) / (1 + len(null)))


def test_p_values_without_reliance_lie_evenly() -> None:
    found = np.concatenate([p_values(made(0.0, images=200, seed=seed, pool=60)) for seed in range(20)])
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(found <= level) == pytest.approx(level, abs=0.04)


def slow_q(probability: NDArray[np.float64]) -> list[float]:
    found = []
    for one in probability:
        among = [other for other in probability if other >= one]
        found.append(sum(1 - other for other in among) / len(among) if among else NAN)
    return found


@given(st.lists(st.sampled_from([NAN, 0.0, 0.2, 0.5, 0.9, 0.97, 1.0]) | st.floats(0, 1), max_size=12))
def test_q_values_are_those_of_a_loop(values: list[float]) -> None:
    probability = np.array(values, float)
    np.testing.assert_allclose(q_values(probability), slow_q(probability), atol=1e-12)


def test_calibrated_probabilities_keep_the_false_discovery_rate() -> None:
    rng = np.random.default_rng(0)
    probability = rng.beta(0.4, 0.6, 20_000)
    truth = rng.random(20_000) < probability
    for level in (0.01, 0.05, 0.2):
        listed = q_values(probability) <= level
        assert listed.any() and np.mean(~truth[listed]) == pytest.approx(level, abs=0.015)


def joined(*parts: Exchanges) -> Exchanges:
    """Several made-up networks' images as one set, each with classes and donors of its own."""
    shift = {"predicted": 10, "own_unit": 1000, "other_unit": 1000}
    return Exchanges(
        **{
            name: np.concatenate([getattr(part, name) + at * shift.get(name, 0) for at, part in enumerate(parts)])
            for name in vars(parts[0])
        }
    )


def test_the_probability_is_the_regression_written_out() -> None:
    exchanges = made(0.4)
    proven = reliance_of(exchanges, draws=99)
    for place, code in enumerate(exchanges.predicted.tolist()):
        before = exchanges.before[place]
        drop = before - np.mean(exchanges.other[place])
        expected = before - logistic(log_odds(before) - slow_log_odds_gap(exchanges, code))
        assert proven.probability[place] == pytest.approx(
            logistic(WEIGHTS.intercept + WEIGHTS.drop * drop + WEIGHTS.expected * expected)
        )


def log_odds(probability: float) -> float:
    inside = min(max(probability, 0.001), 0.999)
    return math.log(inside) - math.log(1 - inside)


def logistic(value: float) -> float:
    return math.exp(value) / (1 + math.exp(value))


def slow_log_odds_gap(exchanges: Exchanges, code: int) -> float:
    """Over the images of one class, each with as many donors of its own label as of others."""
    apart = [
        np.mean([log_odds(one) for one in exchanges.own[at]]) - np.mean([log_odds(one) for one in exchanges.other[at]])
        for at in np.flatnonzero(exchanges.predicted == code)
    ]
    return float(np.mean(apart))


def test_a_drop_is_expected_as_far_as_an_images_own_certainty_lets_it_fall() -> None:
    """Other backgrounds take 2 from the log-odds of each image; three of them are unequally sure of theirs."""
    sure = np.array([0.5, 0.9, 0.999])
    after = np.array([logistic(log_odds(one) - 2) for one in sure])
    exchanges = Exchanges(
        predicted=np.zeros(3, np.int64),
        before=sure,
        own=sure[:, None],
        other=np.stack([after, after], axis=1),
        own_unit=np.zeros((3, 1), np.int64),
        other_unit=np.tile([1, 2], (3, 1)),
    )
    tests = class_tests(exchanges, draws=9)
    assert tests[0].log_odds_gap == pytest.approx(2)
    np.testing.assert_allclose(expected_drops(exchanges, tests), sure - after)


def test_certainty_beyond_a_thousandth_is_rounding() -> None:
    exchanges = made(0.4)
    certain = Exchanges(
        **{**vars(exchanges), "before": np.ones(40), "own": np.ones((40, 4)), "other": np.zeros((40, 4))}
    )
    tests = class_tests(certain, draws=9)
    assert all(test.log_odds_gap == pytest.approx(2 * math.log(999)) for test in tests.values())
    np.testing.assert_allclose(expected_drops(certain, tests), 0.999)


def test_only_classes_that_rely_beyond_chance_list_images() -> None:
    """Classes 0 and 1 read the background, 10 and 11 do not."""
    exchanges = joined(made(0.8, images=60), made(0.0, images=60, seed=1))
    proven = reliance_of(exchanges, draws=999)
    assert proven.relying == {0, 1} and set(proven.classes) == {0, 1, 10, 11}
    reads = exchanges.predicted < 10
    assert (proven.q_value[~reads] == 1).all()
    np.testing.assert_array_equal(proven.q_value[reads], q_values(proven.probability[reads]))
    assert (proven.q_value[reads] <= 0.05).mean() > 0.9
    np.testing.assert_array_equal(proven.p_value, p_values(exchanges))


def test_an_image_that_more_probably_does_not_rely_is_not_listed_with_surer_ones() -> None:
    exchanges = made(0.8, images=200)
    exchanges.other[:6] = exchanges.before[:6, None]
    proven = reliance_of(exchanges, draws=999)
    assert proven.relying == {0, 1} and (proven.probability[:6] < 0.5).all()
    assert (q_values(proven.probability)[:6] < 0.1).all(), "the list would keep a rate of 10 % with them"
    assert (proven.q_value[:6] == 1).all() and (proven.q_value[6:] < 0.1).all()


def test_an_image_without_a_donor_on_one_side_is_not_assessed() -> None:
    exchanges = made(0.8, images=20)
    exchanges.own[3], exchanges.other[4] = NAN, NAN
    proven = reliance_of(exchanges, draws=99)
    assert np.flatnonzero(np.isnan(proven.q_value)).tolist() == [4]
    assert np.flatnonzero(np.isnan(proven.probability)).tolist() == [4]
    assert np.flatnonzero(np.isnan(proven.p_value)).tolist() == [4]


def test_a_class_without_placebos_is_not_assessed() -> None:
    exchanges = joined(made(0.8, images=40), made(0.8, images=40, seed=1))
    exchanges.own[exchanges.predicted == 10] = NAN
    proven = reliance_of(exchanges, draws=99)
    np.testing.assert_array_equal(np.isnan(proven.q_value), exchanges.predicted == 10)


def test_a_run_without_exchanges_proves_nothing() -> None:
    proven = reliance_of(Exchanges(**{name: values[:0] for name, values in vars(made(0.8)).items()}))
    assert proven.q_value.shape == (0,) and proven.classes == {} and proven.relying == frozenset()


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=8))
def test_classes_are_corrected_for_one_another(p_values: list[float]) -> None:
    tests = {
        code: ClassTest(gap=0.1, log_odds_gap=0.4, p_value=p, images=9, donors=9) for code, p in enumerate(p_values)
    }
    relying = [code for code, corrected in enumerate(holm(p_values)) if corrected <= 0.05]
    assert sorted(beyond_chance(tests)) == relying


def test_a_set_without_reliance_lists_next_to_nothing() -> None:
    """Of twenty networks that read the animal alone."""
    listed = [bool((reliance_of(made(0.0, seed=seed), draws=199).q_value <= 0.05).any()) for seed in range(100, 120)]
    assert sum(listed) <= 3


def test_subsets_have_no_number_twice_and_are_equally_probable() -> None:
    rows = subsets(6, 2, 30_000, np.random.default_rng(0))
    assert (rows[:, 0] != rows[:, 1]).all() and rows.min() == 0 and rows.max() == 5
    _, counts = np.unique(np.sort(rows, axis=1), axis=0, return_counts=True)
    assert len(counts) == 15 and abs(counts - 2000).max() < 200


def test_many_donors_on_the_other_side_give_the_p_value_of_whole_permutations() -> None:
    """Of 100 donors four lend to the own side: few enough that subsets are drawn."""
    rng = np.random.default_rng(3)
    images = 100
    exchanges = Exchanges(
        predicted=np.zeros(images, np.int64),
        before=np.full(images, 0.9),
        own=rng.normal(0.62, 0.1, (images, 1)),
        other=rng.normal(0.6, 0.1, (images, 1)),
        own_unit=(np.arange(images) % 4)[:, None],
        other_unit=4 + (np.arange(images) % 96)[:, None],
    )
    test = class_tests(exchanges, draws=4999)[0]
    both = np.concatenate([exchanges.own, exchanges.other], axis=1)
    rest = (both - both.mean(axis=1, keepdims=True)).ravel()
    units = np.concatenate([exchanges.own_unit, exchanges.other_unit], axis=1).ravel()
    assert test.gap == pytest.approx(rest[units < 4].mean() - rest[units >= 4].mean())
    lists = 0
    for _ in range(4000):
        near = np.isin(units, rng.permutation(100)[:4])
        lists += bool(rest[near].mean() - rest[~near].mean() >= test.gap - 1e-9)
    assert 0.01 < test.p_value < 0.99 and test.p_value == pytest.approx((1 + lists) / 4001, abs=0.03)
