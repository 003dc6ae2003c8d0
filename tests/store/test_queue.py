"""The queue of one reviewer: order, controls, what is next, pace; and what was put off."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.least_sure import doubt, least_sure_first
from tests.store.test_reviews import url  # noqa: F401
from whalecam.analysis.reviewer_agreement import false_alarms
from whalecam.assessment import assess
from whalecam.config import Thresholds
from whalecam.errors import ReviewError
from whalecam.store.reviews import Journal, Skips
from whalecam.store.table import Queue, pace, with_controls
from whalecam.store.table.filters import Filters, where_of

LEVEL = Thresholds(1.0, 0.25)
NAN = math.nan


def test_the_next_picture_is_the_first_unjudged_one_behind_and_skipped_ones_come_last() -> None:
    queue = Queue(("a", "b", "c", "d", "e"), frozenset("b"), ("a", "gone", "d"))
    assert queue.line == ("b", "c", "e", "a", "d")
    assert queue.left == ("c", "e", "a", "d") and len(queue.line) - len(queue.left) == 1
    assert [queue.after(name) for name in "bceadx"] == ["c", "e", "a", "d", "c", "c"]
    assert [queue.before(name) for name in "bceadx"] == [None, "b", "c", "e", "a", None]
    assert [queue.place(name) for name in "bx"] == [0, -1]
    assert Queue(("a",)).after("a") is None and Queue(("a", "b"), frozenset("ab")).after("a") is None


def slow_doubt(attention_score: list[float], reliance: list[float], level: Thresholds) -> list[float]:
    def deviation(values: list[float]) -> float:
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return 1.0
        mean = sum(known) / len(known)
        return math.sqrt(sum((value - mean) ** 2 for value in known) / len(known)) or 1.0

    wide, deep, found = deviation(attention_score), deviation(reliance), []
    for look, fall in zip(attention_score, reliance, strict=True):
        ways = [abs(look - level.attention) / wide] if not math.isnan(look) else []
        if not math.isnan(fall):
            ways.append(abs(fall - level.reliance) / deep)
        found.append(min(ways, default=NAN))
    return found


SCORE = st.floats(-2, 3, width=32) | st.just(NAN)


@given(st.lists(st.tuples(SCORE, SCORE), max_size=12))
def test_doubt_is_the_distance_to_the_nearer_threshold(scores: list[tuple[float, float]]) -> None:
    attention_score, reliance = [list(part) for part in zip(*scores, strict=True)] or [[], []]
    fast = doubt(np.array(attention_score), np.array(reliance), LEVEL)
    np.testing.assert_allclose(fast, slow_doubt(attention_score, reliance, LEVEL), rtol=1e-9, atol=1e-12)


def test_the_automatic_verdict_flips_just_beyond_that_distance_and_not_before() -> None:
    rng = np.random.default_rng(0)
    attention_score, reliance = rng.normal(1, 0.5, 60), rng.normal(0.2, 0.3, 60)
    reliance[::4], attention_score[1::8] = NAN, NAN
    reasons = np.full(60, "")
    before = assess(attention_score, reliance, reasons, LEVEL)
    wide, deep = np.nanstd(attention_score), np.nanstd(reliance)

    def flips(scale: float) -> np.ndarray:
        moves = doubt(attention_score, reliance, LEVEL) * scale
        changed = np.zeros(60, bool)
        for look, fall in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            moved = assess(attention_score + look * moves * wide, reliance + fall * moves * deep, reasons, LEVEL)
            changed |= moved != before
        return changed

    assert flips(1.001).all() and not flips(0.999).any()


def test_least_sure_first_puts_what_cannot_be_judged_last() -> None:
    rows = pd.DataFrame(
        {
            "image": ["d", "c", "b", "a", "x"],
            "attention_score": [1.0, 3.0, NAN, NAN, 0.5],
            "reliance": [NAN, 0.25, NAN, 0.25, NAN],
        }
    )
    assert least_sure_first(rows, LEVEL) == ["a", "c", "d", "x", "b"]
    assert least_sure_first(rows.head(0), LEVEL) == []


@given(st.integers(0, 200), st.integers(0, 60), st.floats(0, 0.5))
def test_controls_are_the_wanted_share_and_leave_the_order_of_the_rest(names: int, others: int, share: float) -> None:
    queue, rest = [f"s{n}" for n in range(names)], [f"o{n}" for n in range(others)]
    mixed, controls = with_controls(queue, rest, share, "ana run")
    assert [name for name in mixed if name not in controls] == queue
    assert controls <= set(rest) and len(mixed) == names + len(controls)
    assert len(controls) == min(others, round(share / (1 - share) * names))
    assert with_controls(queue, list(reversed(rest)), share, "ana run") == (mixed, controls)


def test_other_reviewers_get_other_controls_spread_over_the_queue() -> None:
    queue, rest = [f"s{n}" for n in range(900)], [f"o{n}" for n in range(1000)]
    mixed, ana = with_controls(queue, rest, 0.1, "ana")
    _, ben = with_controls(queue, rest, 0.1, "ben")
    assert len(ana) == len(ben) == 100 and len(ana & ben) < 30
    places = [at for at, name in enumerate(mixed) if name in ana]
    assert max(np.histogram(places, 4, (0, 1000))[0]) < 45 and min(np.histogram(places, 4, (0, 1000))[0]) > 8


def judged(*seconds: int, actions: list[str] | None = None) -> pd.DataFrame:
    moments = [f"2026-01-01T{n // 3600:02}:{n % 3600 // 60:02}:{n % 60:02}+00:00" for n in seconds]
    return pd.DataFrame({"action": actions or [str(n) for n in range(len(seconds))], "reviewed_at": moments})


def test_pace_leaves_breaks_out_and_counts_a_bulk_verdict_once() -> None:
    assert pace(judged()) is None and pace(judged(5)) is None
    assert pace(judged(0, 2, 4, 6)) == 30
    assert pace(judged(0, 2, 4, 3000, 3002)) == 30, "an hour elsewhere is no slow image"
    assert pace(judged(0, 6, 6, 6, 6, 12, actions=["a", "b", "b", "b", "b", "c"])) == 10
    assert pace(judged(*range(0, 400, 20), *range(400, 440, 2))) == 30, "the last twenty"


def test_false_alarms_by_hand() -> None:
    said = [
        ("a", "keep", "ana"),
        ("a", "flag", "ana"),
        ("b", "keep", "ana"),
        ("c", "unsure", "ana"),
        ("a", "keep", "bo"),
    ]
    found = false_alarms(pd.DataFrame(said, columns=["image", "verdict", "reviewer"]))
    assert found[["reviewer", "controls", "flagged", "rate"]].to_numpy().tolist() == [
        ["ana", 2, 1, 0.5],
        ["bo", 1, 0, 0],
    ]
    z, n, p = 1.959963984540054, 2, 0.5
    middle, half = (
        (p + z * z / (2 * n)) / (1 + z * z / n),
        z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)),
    )
    assert list(found.loc[0, ["low", "high"]]) == pytest.approx([middle - half, middle + half])
    assert false_alarms(pd.DataFrame(columns=["image", "verdict", "reviewer"])).empty


def test_skips_are_each_reviewers_own_and_survive_a_restart(url: str) -> None:  # noqa: F811
    skips = Skips(url, "one")
    for image in ("a", "b", "a"):
        skips.skip(image, " ana ")
    Skips(url, "other").skip("c", "ana")
    assert Skips(url, "one").standing("ana") == ("b", "a")
    assert skips.standing("bo") == ()
    skips.end("ana")
    skips.skip("d", "ana")
    assert skips.standing("ana") == ("d",)
    assert Journal(url).version() == 0, "a skip is no verdict"
    with pytest.raises(ReviewError, match="signed"):
        skips.skip("a", " ")


def test_without_leaves_pictures_out(prepared: Path) -> None:
    from whalecam.store.run import open_run
    from whalecam.store.table import NO_REVIEWS, Table

    table = Table(open_run(prepared / "runs" / "demo").parts(), LEVEL, NO_REVIEWS)
    names = table.all_rows()["image"].tolist()
    assert table.all_rows(Filters(without=tuple(names[:7])))["image"].tolist() == names[7:]
    assert "'" not in where_of(Filters(without=("o'neil",)))[0]
