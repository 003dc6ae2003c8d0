"""The catalogue of individuals: counts one image at a time, and the images of one by encounter."""

from collections import Counter

import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from whalecam.analysis.individual_catalogue import COLUMNS, catalogue, images_of

IMAGES = pd.DataFrame(
    [
        ("a1.jpg", "Ada", "2021-05-01", "train"),
        ("a2.jpg", "Ada", "2021-05-02", "query"),
        ("a3.jpg", "Ada", "", "query"),
        ("b1.jpg", "Bo", "2021-05-01", "query"),
        ("x1.jpg", "", "2021-05-03", "query"),
    ],
    columns=["image", "individual", "encounter", "part"],
)
MATCHES = pd.DataFrame(
    [
        ("a2.jpg", "Ada", "Bo", False),
        ("a3.jpg", "Ada", "Ada", True),
        ("b1.jpg", "Bo", "Bo", True),
        ("x1.jpg", "", "Ada", None),
    ],
    columns=["query", "individual", "matched", "is_right"],
)


def test_counts_of_a_small_catalogue() -> None:
    rows = catalogue(IMAGES, MATCHES, pd.Series([True, False, True, True]))
    assert rows.columns.tolist() == list(COLUMNS)
    assert rows.to_numpy().tolist() == [["Ada", 3, 2, 2, 1, 1, "Bo"], ["Bo", 1, 1, 1, 1, 1, ""]]


def test_those_most_often_taken_for_others_come_first() -> None:
    images = pd.DataFrame([(f"{who}.jpg", who, "", "") for who in "abc"], columns=list(IMAGES))
    matches = pd.DataFrame(
        [("a.jpg", "a", "a", True), ("b.jpg", "b", "a", False), ("c.jpg", "c", "c", True)], columns=list(MATCHES)
    )
    rows = catalogue(images, matches, pd.Series([False] * 3))
    assert rows["individual"].tolist() == ["b", "a", "c"]


def test_images_of_an_individual_stand_by_encounter_with_their_match() -> None:
    rows = images_of(IMAGES, MATCHES, "Ada")
    assert rows["image"].tolist() == ["a3.jpg", "a1.jpg", "a2.jpg"]
    assert rows["matched"].fillna("").tolist() == ["Ada", "", "Bo"]
    assert images_of(IMAGES, MATCHES, "nobody").empty


def test_nobody_known_is_an_empty_catalogue() -> None:
    rows = catalogue(IMAGES[IMAGES["individual"] == ""], MATCHES.iloc[:0], pd.Series([], dtype=bool))
    assert rows.empty and rows.columns.tolist() == list(COLUMNS)


NAMES = st.sampled_from(["", "Ada", "Bo", "=Cy()"])
DAYS = st.sampled_from(["", "1", "2"])


@given(st.lists(st.tuples(NAMES, DAYS, NAMES, st.booleans(), st.booleans()), max_size=12))
def test_counts_are_those_of_a_loop(drawn: list[tuple[str, str, str, bool, bool]]) -> None:
    images = [(f"{at}.jpg", who, day, "") for at, (who, day, *_) in enumerate(drawn)]
    queries = [
        (f"{at}.jpg", who, matched, who == matched if who and matched else None)
        for at, (who, _, matched, is_query, _) in enumerate(drawn)
        if is_query
    ]
    resting = pd.Series([rests for *_, is_query, rests in drawn if is_query], dtype=bool)
    rows = catalogue(
        pd.DataFrame(images, columns=list(IMAGES)), pd.DataFrame(queries, columns=list(MATCHES)), resting
    ).set_index("individual")
    assert set(rows.index) == {who for who, *_ in drawn if who}
    for who, row in rows.iterrows():
        own = [each for each in drawn if each[0] == who]
        looked_up = [each for each in own if each[3]]
        wrong = Counter(matched for _, _, matched, *_ in looked_up if matched not in ("", who))
        assert row["images"] == len(own) and row["encounters"] == len({day for _, day, *_ in own if day})
        assert row["looked_up"] == len(looked_up)
        assert row["right"] == sum(matched == who for _, _, matched, *_ in looked_up)
        assert row["resting"] == sum(rests for *_, rests in looked_up)
        assert (row["taken_for"] == "") == (not wrong)
        assert not wrong or wrong[row["taken_for"]] == max(wrong.values())
