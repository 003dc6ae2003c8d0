"""Findings set aside: with a reason, signed, undoable, never lost, apart for each data set."""

from pathlib import Path

import pytest

from whalecam.errors import ReviewError
from whalecam.store.reviews import Dismissal, Dismissals, Journal, Review


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'reviews.sqlite'}"


def said(finding: str = "look_alike|a|b", reason: str = "two species", reviewer: str = " Ana ") -> Dismissal:
    return Dismissal(finding, "'b' is spelt almost like 'a'", reason, reviewer)


def test_a_dismissal_stands_until_restored_and_everything_is_kept(url: str) -> None:
    dismissals = Dismissals(url, "train.csv")
    dismissals.dismiss(said())
    dismissals.dismiss(said("imbalance", "known"))
    standing = dismissals.standing().set_index("finding")
    assert standing.index.tolist() == ["look_alike|a|b", "imbalance"]
    assert list(standing.loc["look_alike|a|b", ["reason", "reviewer"]]) == ["two species", "Ana"]
    dismissals.restore("look_alike|a|b", "Ben")
    assert dismissals.standing()["finding"].tolist() == ["imbalance"]
    dismissals.dismiss(said(reason="still two species"))
    assert dismissals.standing()["reason"].tolist() == ["known", "still two species"]
    assert dismissals.history()["event"].tolist() == ["dismiss", "dismiss", "restore", "dismiss"]


@pytest.mark.parametrize(
    ("dismissal", "words"),
    [(said(reason="  "), "reason"), (said(reviewer=""), "signed"), (said(reason="a\0b"), "NUL")],
)
def test_what_is_not_fit_is_refused_and_nothing_written(url: str, dismissal: Dismissal, words: str) -> None:
    dismissals = Dismissals(url, "train.csv")
    with pytest.raises(ReviewError, match=words):
        dismissals.dismiss(dismissal)
    assert dismissals.history().empty and dismissals.standing().columns.tolist() == [
        "finding",
        "sentence",
        "reason",
        "reviewer",
        "at",
    ]


def test_data_sets_in_one_database_do_not_mix_and_verdicts_stay(url: str) -> None:
    journal = Journal(url)
    journal.add([Review("a.jpg", "flag", "Ana")])
    one, two = Dismissals(url, "one.csv"), Dismissals(url, "two.csv")
    one.dismiss(said())
    assert len(one.standing()) == 1 and two.standing().empty
    two.restore("look_alike|a|b", "Ana")
    assert len(one.standing()) == 1 and len(journal.latest()) == 1
