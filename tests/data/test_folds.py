"""Splits: no individual on both sides, blank ones on their own, the wanted share, the real table's 79 %."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whalecam import data
from whalecam.data.folds import fold_rows, groups_of, shared_individuals, split_rows
from whalecam.errors import DatasetError

ROWS = st.lists(
    st.tuples(st.sampled_from(["", "a", "b", "c", "d", "e"]), st.sampled_from(["x", "y"])), min_size=8, max_size=60
)


@given(rows=ROWS, seed=st.integers(0, 5))
@settings(max_examples=80, deadline=None)
def test_a_grouped_split_shares_no_individual(rows: list[tuple[str, str]], seed: int) -> None:
    individuals, labels = zip(*rows, strict=True)
    if len(set(groups_of(individuals).tolist())) < 2:
        with pytest.raises(DatasetError, match="one individual"):
            split_rows(individuals, labels, kind="group", valid_share=0.2, seed=seed)
        return
    is_valid = split_rows(individuals, labels, kind="group", valid_share=0.2, seed=seed)
    assert is_valid.any() and not is_valid.all()
    train = {name for name, valid in rows_with(individuals, is_valid) if not valid and name}
    valid = {name for name, valid in rows_with(individuals, is_valid) if valid and name}
    assert not train & valid
    assert shared_individuals(individuals, is_valid) == 0


def rows_with(individuals: tuple[str, ...], is_valid: np.ndarray) -> list[tuple[str, bool]]:
    return [(name, bool(valid)) for name, valid in zip(individuals, is_valid, strict=True)]


@given(n=st.integers(0, 9), share=st.floats(0.001, 0.999), kind=st.sampled_from(["random", "group"]))
@settings(max_examples=80, deadline=None)
def test_any_share_of_few_rows_leaves_both_sides_a_row(n: int, share: float, kind: str) -> None:
    individuals, labels = [f"i{row}" for row in range(n)], ["xy"[row % 2] for row in range(n)]
    if n < 2:
        with pytest.raises(DatasetError, match="at least two"):
            split_rows(individuals, labels, kind=kind, valid_share=share, seed=0)
        return
    is_valid = split_rows(individuals, labels, kind=kind, valid_share=share, seed=0)
    assert is_valid.any() and not is_valid.all()


def test_no_class_large_enough_to_stratify() -> None:
    is_valid = split_rows([""] * 8, list("aabbccdd"), kind="group", valid_share=0.2, seed=0)
    assert 1 <= is_valid.sum() <= 2


def test_blank_individuals_are_each_their_own() -> None:
    assert len(set(groups_of(["", "", "a", "a"]).tolist())) == 3


def test_the_same_seed_gives_the_same_split_and_another_another() -> None:
    labels = ["x", "y"] * 100
    individuals = [f"i{n // 2}" for n in range(200)]
    for kind in ("random", "group"):
        one = split_rows(individuals, labels, kind=kind, valid_share=0.2, seed=1)
        np.testing.assert_array_equal(one, split_rows(individuals, labels, kind=kind, valid_share=0.2, seed=1))
        assert (one != split_rows(individuals, labels, kind=kind, valid_share=0.2, seed=2)).any()
        assert one.mean() == pytest.approx(0.2, abs=0.05)


def test_labels_stand_on_both_sides_in_proportion() -> None:
    labels = ["rare"] * 20 + ["common"] * 180
    is_valid = split_rows([""] * 200, labels, kind="group", valid_share=0.2, seed=0)
    assert 2 <= is_valid[:20].sum() <= 6


def test_a_random_split_of_the_real_table_leaks_individuals(real_data: Path) -> None:
    table = data.open_dataset(real_data / "happywhale" / "train.csv", None).table
    individuals, labels = table["group"].tolist(), table["label"].tolist()
    is_valid = split_rows(individuals, labels, kind="random", valid_share=0.2, seed=0)
    assert shared_individuals(individuals, is_valid) == pytest.approx(0.79, abs=0.02)


def test_shared_equals_a_loop() -> None:
    individuals, is_valid = ["a", "a", "b", "", "c"], np.array([False, True, True, True, False])
    assert shared_individuals(individuals, is_valid) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("kind", "share", "words"), [("odd", 0.2, "no split"), ("random", 0.0, "share"), ("random", 1.0, "share")]
)
def test_impossible_splits_are_explained(kind: str, share: float, words: str) -> None:
    with pytest.raises(DatasetError, match=words):
        split_rows(["a", "b"], ["x", "y"], kind=kind, valid_share=share, seed=0)


@given(
    rows=st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 4)), min_size=8, max_size=60),
    kind=st.sampled_from(["random", "group"]),
    folds=st.integers(2, 4),
    seed=st.integers(0, 3),
)
@settings(max_examples=150, deadline=None)
def test_folds_judge_every_row_once_and_unseen(rows: list[tuple[str, int]], kind: str, folds: int, seed: int) -> None:
    labels = [label for label, _ in rows]
    individuals = [f"{label}{number}" if number else "" for label, number in rows]
    of_label = {
        label: {g for g, own in zip(groups(individuals, kind), labels, strict=True) if own == label} for label in labels
    }
    alone = sorted(label for label, own in of_label.items() if len(own) < 2)
    enough = len(set().union(*(own for label, own in of_label.items() if label not in alone)))
    if enough < folds:
        with pytest.raises(DatasetError, match="Use fewer folds"):
            fold_rows(individuals, labels, kind=kind, folds=folds, seed=seed)
        return
    found, never = fold_rows(individuals, labels, kind=kind, folds=folds, seed=seed)
    assert never == alone
    assert [label in alone for label in labels] == (found == -1).tolist()
    assert set(found[found >= 0].tolist()) == set(range(folds)), "each network judges something"
    for label in set(labels) - set(alone):
        assert len({fold for fold, own in zip(found, labels, strict=True) if own == label}) > 1, (
            "judged by one who knows"
        )
    if kind == "group":
        for name in set(individuals) - {""}:
            assert len({fold for fold, own in zip(found, individuals, strict=True) if own == name}) == 1


def groups(individuals: list[str], kind: str) -> list[int]:
    return list(range(len(individuals))) if kind == "random" else groups_of(individuals).tolist()


def test_folds_keep_the_species_in_proportion() -> None:
    labels = ["x"] * 90 + ["y"] * 30
    found, never = fold_rows([""] * 120, labels, kind="group", folds=3, seed=0)
    assert never == []
    for fold in range(3):
        counts = [sum(found[i] == fold and labels[i] == label for i in range(120)) for label in "xy"]
        assert counts == pytest.approx([30, 10], abs=1)


def test_one_fold_is_no_fold() -> None:
    with pytest.raises(DatasetError, match="two at least"):
        fold_rows([""] * 8, list("xxxxyyyy"), kind="group", folds=1, seed=0)
