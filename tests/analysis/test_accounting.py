"""The numbers of a run that pages state together: where each row went, and how sure an accuracy is."""

from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whalecam.analysis.accounting import rows_sentence
from whalecam.analysis.recommendation import many_unassessed, unassessed_sentence
from whalecam.assessment.meanings import TITLES, glossary, meaning
from whalecam.config import ASSESSMENTS
from whalecam.store.json_file import write_json
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import create_run
from whalecam.store.table import Totals
from whalecam.store.table.stats import clustered_share, wilson
from whalecam.words import MARINE

UNREAD = [("truncated", False, 1), ("missing file", False, 1)]


def facts(images: int, unreadable: int) -> Totals:
    return cast(Totals, {"images": images, "unreadable": unreadable})


def reasons(*rows: tuple[str, bool, int]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["reason", "is_readable", "images"])


def test_every_row_stands_in_one_term() -> None:
    assert rows_sentence({"rows": 481, "images": 480}, facts(480, 2), reasons(*UNREAD, ("mask is empty", True, 9))) == (
        "481 rows = 478 audited + 1 truncated + 1 missing file + 1 of a repeated image"
    )
    assert (
        rows_sentence({"rows": 90, "images": 90}, facts(40, 0), reasons())
        == "90 rows = 40 audited + 50 not audited yet"
    )
    assert rows_sentence(None, facts(480, 2), reasons(*UNREAD)).startswith("480 images = 478 audited + 1 truncated")
    assert rows_sentence({"rows": 3, "images": 3}, facts(0, 0), reasons()) == "3 rows = 3 not audited yet"


@given(st.integers(0, 50), st.integers(0, 5), st.integers(0, 5), st.integers(0, 50))
def test_the_terms_add_up(readable: int, unread: int, repeated: int, later: int) -> None:
    images = readable + unread + later
    counts = {"rows": images + repeated, "images": images}
    text = rows_sentence(
        {"rows": counts["rows"], "images": counts["images"]},
        facts(readable + unread, unread),
        reasons(("truncated", False, unread)),
    )
    total, _, terms = text.partition(" rows = ")
    assert int(total) == sum(int(term.split()[0]) for term in terms.split(" + ") if term != "none audited")


def test_what_an_audit_counted_is_read_back_and_broken_notes_are_none(tmp_path: Path) -> None:
    run = create_run(tmp_path / "run", DatasetRecord("t.csv", None, {}, ""))
    assert run.row_counts() is None
    run.save_row_counts({"rows": 5, "images": 4})
    assert run.row_counts() == {"rows": 5, "images": 4}
    write_json(run.path / "rows.json", {"rows": "5"})
    assert run.row_counts() is None


def test_many_unassessed_images_are_said_first_with_reason_and_remedy() -> None:
    few = reasons(("mask is empty", True, 5))
    assert unassessed_sentence(facts(60, 0), few, MARINE) == ""
    many = reasons(("no subject that the mask network is sure of", True, 20), ("mask is empty", True, 6))
    assert unassessed_sentence(facts(60, 0), many, MARINE) == (
        "26 of 60 images (43\u00a0%) are not assessable, and nothing below is about them. The most frequent reason: no "
        "subject that the mask network is sure of (20). Give masks or boxes of the animals and audit again."
    )
    unread = unassessed_sentence(facts(10, 4), reasons(("missing file", False, 4)), MARINE)
    assert unread.endswith("missing file (4). Mend the files, or their names in the table, and audit again.")
    assert unassessed_sentence(facts(0, 0), reasons(), MARINE) == ""
    given = [(few, 60), (many, 60), (reasons(("missing file", False, 4)), 10), (reasons(), 0)]
    assert [many_unassessed(facts(images, 0), rows) for rows, images in given] == [0, 26, 0, 0]


def sums(images: list[int], hits: list[int]) -> dict[str, float]:
    n, r = np.array(images, float), np.array(hits, float)
    squares = {"images_squared": (n * n).sum(), "products": (n * r).sum(), "hits_squared": (r * r).sum()}
    totals = {"images": n.sum(), "hits": r.sum(), "groups": len(n), **squares}
    return {name: float(total) for name, total in totals.items()}


def test_images_that_are_alone_in_their_groups_have_wilsons_interval() -> None:
    hits = [1] * 67 + [0] * 5
    found, expected = clustered_share(**sums([1] * 72, hits)), wilson(67, 72)
    assert found.value == expected.value
    assert found.low == pytest.approx(expected.low, abs=2e-3) and found.high == pytest.approx(expected.high, abs=2e-3)


def test_images_of_one_group_that_are_all_alike_count_once() -> None:
    found, expected = clustered_share(**sums([6] * 40, [6] * 30 + [0] * 10)), wilson(30, 40)
    assert found.value == expected.value == 0.75
    assert found.low == pytest.approx(expected.low, abs=5e-3) and found.high == pytest.approx(expected.high, abs=5e-3)
    certain, groups = clustered_share(**sums([6] * 40, [6] * 40)), wilson(40, 40)
    assert certain.high == 1 and certain.low == pytest.approx(groups.low, abs=1e-9)
    assert np.isnan(clustered_share(**sums([], [])).value)


@given(st.lists(st.tuples(st.integers(1, 6), st.integers(0, 6)), min_size=1, max_size=20))
def test_the_interval_holds_its_share_and_is_never_narrower_than_that_of_single_images(
    groups: list[tuple[int, int]],
) -> None:
    images, hits = [n for n, _ in groups], [min(n, r) for n, r in groups]
    found, alone = clustered_share(**sums(images, hits)), wilson(sum(hits), sum(images))
    assert 0 <= found.low <= found.value + 1e-12 and found.value <= found.high + 1e-12 and found.high <= 1
    assert found.high - found.low >= alone.high - alone.low - 1e-9


def test_each_assessment_and_each_term_has_a_meaning_in_the_words_of_the_run() -> None:
    assert set(TITLES) == set(ASSESSMENTS)
    texts = glossary(MARINE)
    assert set(TITLES.values()) <= set(texts) and all(text.endswith(".") for text in texts.values())
    assert "{" not in " ".join(texts.values()) and "animal" in texts["Clean"] and "water" in texts["BG-gap"]
    assert meaning("clean", MARINE, has_maps=False).endswith("where the network looks was not measured")
