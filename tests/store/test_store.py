"""Rows held once for many sessions: verdicts as SQL against the rule itself, parts that come and go, kept answers."""

import threading
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.least_sure import least_sure_first
from tests.store.test_table import make_rows
from whalecam.arrays import Progress
from whalecam.assessment import assess
from whalecam.assessment.reliance import Exchanges, reliance_of
from whalecam.assessment.sql import assessment_sql
from whalecam.config import Thresholds
from whalecam.errors import RunError
from whalecam.store.manifest import DatasetRecord
from whalecam.store.run import Run, create_run
from whalecam.store.table import NO_REVIEWS, ORDERS, Filters, Store, Table
from whalecam.store.table.exchanges import exchanged_of, read_exchanges
from whalecam.store.table.store import KEPT

LEVELS = st.sampled_from([0.1, 0.25, 0.3, 0.5, 0.7, 1.0, 1.3])
SCORE = st.one_of(st.none(), st.just(float("nan")), LEVELS, st.floats(-2, 3, width=32))


RATE = st.one_of(st.none(), st.just(float("nan")), st.sampled_from([0.01, 0.05, 0.1, 0.7]), st.floats(0, 1))


@given(
    st.lists(st.tuples(SCORE, SCORE, st.sampled_from([None, "", "truncated"]), RATE), min_size=1),
    LEVELS,
    LEVELS,
    st.sampled_from([0.01, 0.05, 0.1, 0.7]),
)
@settings(max_examples=150, deadline=None)
def test_verdicts_in_sql_are_those_of_the_rule(
    rows: list[tuple[float | None, float | None, str | None, float | None]],
    attention_score: float,
    reliance: float,
    rate: float,
) -> None:
    """Stored scores are 32 bits wide, so a threshold of 0.7 lies above a stored 0.7: both must see it so."""
    level = Thresholds(attention_score, reliance, rate)
    frame = pd.DataFrame(rows, columns=["attention_score", "reliance", "reason", "q_value"])
    frame = (
        frame.astype({"attention_score": "f4", "reliance": "f4", "q_value": "f8"}).rename_axis("place").reset_index()
    )
    frame["reason"] = frame["reason"].astype(object)
    con = duckdb.connect()
    con.register("rows", frame.drop(columns="q_value"))
    con.register("proven", frame[["place", "q_value"]])
    asked = f"select {assessment_sql(level)} from rows join proven using (place) order by place"
    found = [name for (name,) in con.execute(asked).fetchall()]
    looks, falls, rates = (frame[name].to_numpy(np.float64) for name in ("attention_score", "reliance", "q_value"))
    reasons = frame["reason"].fillna("").to_numpy(object)
    assert found == assess(looks, falls, reasons, level, q_value=rates).tolist()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return create_run(tmp_path / "r", DatasetRecord("a", "b", {}, ""))


def table(store: Store, run: Run, attention_score: float = 1.0) -> Table:
    return Table(run.parts(), Thresholds(attention_score), store=store)


def test_parts_that_come_are_added_and_parts_that_go_are_forgotten(run: Run) -> None:
    store, rows = Store(), make_rows()
    with pytest.raises(RunError, match="Audit it first"):
        store.take([])
    for start in (0, 10, 20):
        run.write_part(rows[start : start + 10])
        store.take(run.parts())
        assert table(store, run).count() == start + 10
    whole = Table(run.parts(), Thresholds()).all_rows()
    pd.testing.assert_frame_equal(table(store, run).all_rows(), whole)
    run.clear_audit()
    run.write_part(rows[35:])
    store.take(run.parts())
    assert table(store, run).all_rows()["image"].tolist() == [f"{i:03}.jpg" for i in range(35, 40)]


def test_sessions_share_rows_but_not_thresholds(run: Run) -> None:
    run.write_part(make_rows())
    store = Store()
    store.take(run.parts())
    low, high = table(store, run, 0.2), table(store, run, 1.5)
    assert low.overview()["suspects"] > high.overview()["suspects"] > 0
    assert low.overview()["suspects"] == low.count(Filters(assessments=("suspect",)))


def test_kept_answers_are_forgotten_when_verdicts_change(run: Run) -> None:
    run.write_part(make_rows())
    store = Store()
    store.take(run.parts())
    asked = table(store, run)
    assert (asked.overview()["flagged"], asked.count(Filters(review="flag"))) == (0, 0)
    store.join(pd.DataFrame({"image": ["003.jpg"], "verdict": ["flag"], "reviewer": ["Ana"]}), version=1)
    assert (asked.overview()["flagged"], asked.count(Filters(review="flag"))) == (1, 1)
    frame = asked.per_label()
    frame["label"] = "spoilt by a caller"
    assert set(asked.per_label()["label"]) == {"beluga", "orca"}


def test_a_row_is_read_once_until_somebody_judges_it(run: Run) -> None:
    run.write_part(make_rows())
    store = Store()
    store.take(run.parts())
    one = table(store, run)
    first = one.row("021.jpg")
    first["label"] = "spoilt by a caller"
    again = one.row("021.jpg")
    assert again["maps"] is first["maps"] and again["label"] == make_rows()[21]["label"]
    store.join(pd.DataFrame({"image": ["021.jpg"], "verdict": ["flag"], "reviewer": ["Ana"]}), version=1)
    assert (again["review"], one.row("021.jpg")["review"]) == (None, "flag")


def test_looking_at_many_pictures_keeps_the_answers_on_the_whole_run() -> None:
    store, told = Store(), list[int]()
    for turn in (0, 1):
        store.answered("totals", lambda: told.append(-1))
        for picture in range(KEPT["picture"] + 1):
            store.answered(picture, partial(told.append, turn), about="picture")
    assert told == [-1] + [0] * (KEPT["picture"] + 1) + [1] * (KEPT["picture"] + 1)


@pytest.mark.parametrize("order", ORDERS)
def test_places_follow_the_pages_in_every_order(run: Run, order: str) -> None:
    run.write_part(make_rows())
    asked = Table(run.parts(), Thresholds())
    names = asked.page(Filters(), order, 100)["image"].tolist()
    around = [None, *names, None]
    for at, name in enumerate(names):
        assert asked.place(name, Filters(), order) == (at, around[at], around[at + 2])


def test_questions_asked_while_parts_and_verdicts_arrive(run: Run) -> None:
    """Eight sessions ask for a second while an audit writes and people judge; no answer is wrong or an error."""
    store, rows, faults, over = Store(), make_rows(), list[BaseException](), threading.Event()
    run.write_part(rows[:5])
    store.take(run.parts())

    def ask(level: float) -> None:
        try:
            while not over.is_set():
                asked = table(store, run, level)
                assert asked.count() >= 5
                assert len(asked.page(Filters(), "evidence", 3)) == 3
                assert asked.overview()["images"] >= 5
        except BaseException as error:
            faults.append(error)

    threads = [threading.Thread(target=ask, args=(0.2 * n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    try:
        for start in range(5, 40, 5):
            run.write_part(rows[start : start + 5])
            store.take(run.parts())
            store.join(pd.DataFrame({"image": ["001.jpg"], "verdict": ["flag"], "reviewer": ["Ana"]}), version=start)
    finally:
        over.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert table(store, run).count() == 40


def test_the_order_by_uncertainty_is_that_of_the_formula(run: Run) -> None:
    rng = np.random.default_rng(1)
    rows = make_rows()
    for at, row in enumerate(rows):
        if "attention_score" in row and at % 2:
            row["reliance"] = float(rng.normal(0.2, 0.3))
    run.write_part(rows)
    run.write_part(with_exchanges([{**row, "image": f"x{row['image']}"} for row in make_rows()]))
    for level in (Thresholds(), Thresholds(0.4, 0.6, 0.02)):
        asked = Table(run.parts(), level)
        wanted = least_sure_first(asked.all_rows(), level)
        assert asked.images(Filters(), "uncertainty") == wanted
        assert asked.place(wanted[3], Filters(), "uncertainty") == (3, wanted[2], wanted[4])


def with_exchanges(rows: list[dict[str, object]], reading: float = 0.8) -> list[dict[str, object]]:
    """The rows of `make_rows` with exchanges: predictions drop by `reading` on backgrounds of the other label."""
    rng = np.random.default_rng(2)
    for row in rows:
        if "predicted" in row:
            own, other = 0.9 + rng.normal(0, 0.02, 4), 0.9 - reading + rng.normal(0, 0.1, 4)
            row |= {"exchange_own": own.tolist(), "exchange_other": other.tolist()}
            row |= {"reliance_swap": 0.9 - float(np.mean(np.float32(other)))}
            side = 100 * (row["predicted"] == "orca")
            row |= {"exchange_own_donors": (side + rng.permutation(12)[:4]).tolist()}
            row |= {"exchange_other_donors": (100 - side + rng.permutation(12)[:4]).tolist()}
    return rows


def test_rows_carry_what_the_exchanges_prove(run: Run) -> None:
    rows = with_exchanges(make_rows())
    run.write_part(rows[:25])
    store = Store()
    store.take(run.parts())
    run.write_part(rows[25:])
    store.take(run.parts())
    asked = table(store, run).all_rows().set_index("image")
    read = exchanged_of(read_exchanges(run.parts()))
    proven = reliance_of(read.exchanges)
    images = asked.loc[read.images]
    for name in ("p_value", "q_value"):
        np.testing.assert_allclose(images[name], getattr(proven, name), rtol=1e-6)
    np.testing.assert_allclose(images["reliance_probability"], proven.probability, rtol=1e-6)
    assert asked.drop(index=read.images)["q_value"].isna().all() and (images["q_value"] <= 0.05).sum() > 20
    words = assess(
        images["attention_score"].to_numpy(),
        images["reliance"].to_numpy(float),
        images["reason"].to_numpy(object),
        Thresholds(),
        q_value=images["q_value"].to_numpy(),
    )
    assert images["assessment"].tolist() == words.tolist() and "hidden_reliance" in words
    tests = table(store, run).class_tests()
    assert tests["predicted"].tolist() == read.labels and tests["relies"].tolist() == [True, True]
    assert tests["gap"].tolist() == [proven.classes[code].gap for code in range(2)]


def test_what_does_not_rely_is_never_listed_however_lax_the_rate(run: Run) -> None:
    run.write_part(with_exchanges(make_rows(), reading=0.0))
    lax = Table(run.parts(), Thresholds(false_rate=0.25))
    assert lax.count(Filters(assessments=("confirmed_leak", "hidden_reliance", "background_reliance"))) == 0
    assert not lax.class_tests()["relies"].any()


def test_a_rejected_mask_takes_its_reliance_back(run: Run) -> None:
    run.write_part(with_exchanges(make_rows()))
    reviews = pd.DataFrame({"image": ["000.jpg"], "reason": "bad mask", "reviewer": "Ann"})
    row = Table(run.parts(), Thresholds(), reviews).row("000.jpg")
    assert row["q_value"] is None and row["p_value"] is None and row["reliance_probability"] is None
    assert row["assessment"] == "not_assessable"


def test_a_rejected_mask_no_longer_counts_in_its_class_until_the_verdict_is_undone(run: Run) -> None:
    run.write_part(with_exchanges(make_rows()))
    store = Store()
    store.take(run.parts())
    before = table(store, run).class_tests()
    store.join(pd.DataFrame({"image": ["000.jpg", "001.jpg"], "reason": ["bad mask", "water"]}))
    rejected = table(store, run).class_tests()
    assert rejected["images"].sum() == before["images"].sum() - 1
    read = exchanged_of(read_exchanges(run.parts()))
    kept = np.array([name != "000.jpg" for name in read.images])
    proven = reliance_of(Exchanges(**{name: values[kept] for name, values in vars(read.exchanges).items()}))
    assert rejected["gap"].tolist() == [proven.classes[code].gap for code in range(2)]
    store.join(NO_REVIEWS)
    pd.testing.assert_frame_equal(table(store, run).class_tests(), before)


def test_an_audit_from_before_controls_no_rate(run: Run) -> None:
    """Its parts lack the columns of single exchanges; `reliance` decides as it did, and keeps its columns."""
    rows = with_exchanges(make_rows())
    part = run.write_part([{**row, "reliance": 0.5} if "predicted" in row else row for row in rows])
    content = pq.read_table(part)
    pq.write_table(content.drop_columns([name for name in content.column_names if name.startswith("exchange")]), part)
    asked = Table(run.parts(), Thresholds())
    facts = asked.overview()
    assert facts["measured"] == 36 and facts["controlled"] == 0 and asked.class_tests().empty
    assert asked.count(Filters(assessments=("confirmed_leak", "hidden_reliance"))) == 36


def test_parts_of_an_earlier_audit_lack_columns_and_are_read_nevertheless(run: Run) -> None:
    """Alone, then beside parts that have them all."""
    rows = make_rows()
    old = run.write_part(rows[:20])
    content = pq.read_table(old)
    pq.write_table(content.drop_columns(["swapped_accuracy", "embedding", "reliance_together"]), old)
    assert Table(run.parts(), Thresholds()).all_rows()["swapped_accuracy"].isna().all()
    run.write_part([{**row, "swapped_accuracy": 0.5} for row in rows[20:]])
    both = Table(run.parts(), Thresholds()).all_rows()
    assert both["swapped_accuracy"].tolist()[20:] == [0.5] * 20 and both["swapped_accuracy"].isna().sum() == 20
    assert both["image"].tolist() == [f"{i:03}.jpg" for i in range(40)]


def test_values_are_those_of_the_rows_each_picture_once(run: Run) -> None:
    """A rejected mask takes scores back; two audits at a time leave an image twice."""
    rows = make_rows()
    run.write_part(rows)
    run.write_part(rows[30:])
    images = [str(row["image"]) for row in rows]
    reviews = pd.DataFrame({"image": images[:3], "reason": "bad mask", "reviewer": "Ann"})
    asked = Table(run.parts(), Thresholds(0.5), reviews)
    found, wanted = asked.values(), asked.all_rows().drop_duplicates("image").set_index("image")
    assert found.index.tolist() == wanted.index.tolist() == sorted(images)
    assert found["assessment"].astype("str").tolist() == wanted["assessment"].tolist()
    assert set(found["assessment"][:3]) == {"not_assessable"} and found["attention_score"][:3].isna().all()
    for name in ("loss", "attention_score", "reliance", "bg_gap", "swapped_accuracy"):
        np.testing.assert_array_equal(found[name], wanted[name].to_numpy("f4"))
    right = [float(row["label"] == row["predicted"]) if row.get("loss") is not None else None for row in rows]
    np.testing.assert_array_equal(found["right"], np.array(right, "f4"))


def test_whoever_stops_the_reading_finds_the_rows_as_they_were(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(BaseException):
        """What ends the run of a page is no Exception."""

    def stop(step: Progress) -> None:
        assert (step.stage, step.total) == ("reading rows", 100)
        raise Stopped

    monkeypatch.setattr("whalecam.store.table.store.TICK", 0)
    run.write_part(make_rows()[:20])
    store = Store()
    store.take(run.parts())
    run.write_part(make_rows()[20:])
    with pytest.raises(Stopped):
        store.take(run.parts(), stop)
    assert table(store, run).count() == 20
    store.take(run.parts())
    assert table(store, run).count() == 40
