"""The journal: what counts, what an undo restores, and that nothing is lost."""

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.postgres import Server
from tests.store import journal_writers as writers
from whalecam.arrays import records
from whalecam.config import WRONG_MASK
from whalecam.errors import ReviewError
from whalecam.store.manifest import DatasetRecord, Manifest
from whalecam.store.reviews import COLUMNS, Added, Journal, Review, checked, database, schema
from whalecam.store.reviews.messages import signed_message
from whalecam.store.run import Run

OLD, MIDDLE, NEW = (f"2024-0{month}-01T12:00:00+00:00" for month in (1, 2, 3))
KINDS = ("sqlite", "postgresql")
PROCESSES, VERDICTS = 4, 50


def url_of(folder: Path) -> str:
    return f"sqlite:///{folder / 'reviews.sqlite'}"


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty journal's address, on either database."""
    if request.param == "sqlite":
        return url_of(tmp_path)
    server: Server = request.getfixturevalue("postgres")
    return server.journal()


@pytest.fixture
def journal(url: str) -> Journal:
    return Journal(url)


@pytest.fixture
def local(tmp_path: Path) -> Journal:
    """A journal on SQLite, for what only SQLite can do."""
    return Journal(url_of(tmp_path))


def stands(journal: Journal) -> dict[str, tuple[str, str]]:
    """image → (verdict, reviewer)."""
    latest = journal.latest()
    return {row["image"]: (row["verdict"], row["reviewer"]) for row in records(latest)}


def entries(url: str) -> list[tuple[Any, ...]]:
    with sa.create_engine(url).connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("select * from whalecam_entries order by id")]


def test_latest_holds_every_field_of_the_newest_verdict(journal: Journal) -> None:
    journal.add([Review("a.jpg", "keep", "ana")])
    journal.add(
        [
            Review(
                *("a.jpg", "flag", " bo ", "wa\nter", "né ☂", "orca", 1.5, None, "raw", "2024-05-01T14:00:00+02:00"),
                false_rate=0.1,
            )
        ]
    )
    journal.add([Review("a.jpg", "unsure", "cy", reviewed_at=OLD)])
    journal.undo("ana")
    latest = journal.latest()
    assert list(latest.columns) == list(COLUMNS)
    row = latest.set_index("image").loc["a.jpg"]
    assert row.drop("reliance_threshold").to_dict() == {
        "verdict": "flag",
        "reason": "wa\nter",
        "note": "né ☂",
        "suggested_label": "orca",
        "reviewer": "bo",
        "reviewed_at": "2024-05-01T12:00:00+00:00",
        "attention_threshold": 1.5,
        "false_rate": 0.1,
        "map": "raw",
    }
    assert latest["reliance_threshold"].isna().all()
    assert latest["reliance_threshold"].dtype == float


def test_empty_journal(journal: Journal) -> None:
    assert list(journal.latest().columns) == list(COLUMNS)
    assert len(journal.latest()) == len(journal.standing()) == len(journal.history("a")) == journal.version() == 0
    assert journal.counts() == {"flag": 0, "keep": 0, "unsure": 0}
    assert journal.undo("ana") == journal.redo("ana") == []


def test_undo_of_a_second_verdict_restores_the_first(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana", note="first")])
    journal.add([Review("a", "keep", "ana", note="second")])
    assert journal.undo("ana") == ["a"]
    assert journal.latest()["note"].tolist() == ["first"]
    assert journal.undo("ana") == ["a"]
    assert stands(journal) == {}


def test_undo_takes_back_a_whole_action_and_only_ones_own(journal: Journal) -> None:
    journal.add([Review(name, "flag", "ana") for name in "cab"])
    journal.add([Review("a", "keep", "bo")])
    assert journal.undo("ana") == ["c", "a", "b"]
    assert stands(journal) == {"a": ("keep", "bo")}
    assert journal.undo("ana") == []
    assert journal.redo("ana") == ["c", "a", "b"]
    assert stands(journal) == {"a": ("keep", "bo"), "b": ("flag", "ana"), "c": ("flag", "ana")}


def test_undo_of_a_mixed_action_leaves_the_other_reviewers_part(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana"), Review("b", "flag", "bo")])
    assert journal.undo("bo") == ["b"]
    assert stands(journal) == {"a": ("flag", "ana")}


def test_redo_goes_back_step_by_step_until_a_new_verdict(journal: Journal) -> None:
    for name in "abc":
        journal.add([Review(name, "flag", "ana")])
    assert [journal.undo("ana") for _ in range(2)] == [["c"], ["b"]]
    assert [journal.redo("ana") for _ in range(3)] == [["b"], ["c"], []]
    journal.undo("ana")
    journal.add([Review("d", "flag", "ana")])
    assert journal.redo("ana") == []
    assert sorted(stands(journal)) == ["a", "b", "d"]
    assert journal.undo("ana") == ["d"]


def test_undo_and_its_memory_survive_a_restart(url: str) -> None:
    Journal(url).add([Review("a", "flag", "ana")])
    assert Journal(url).undo("ana") == ["a"]
    again = Journal(url)
    assert (stands(again), again.version()) == ({}, 2)
    assert again.redo("ana") == ["a"]
    assert stands(Journal(url)) == {"a": ("flag", "ana")}


def test_imported_verdicts_are_on_nobodys_undo_list(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana")])
    journal.add([Review("b", "flag", "ana", reviewed_at=NEW)], imported=True)
    assert journal.undo("ana") == ["a"]
    assert journal.undo("ana") == []
    assert stands(journal) == {"b": ("flag", "ana")}


def test_the_newest_moment_counts_and_of_two_in_one_second_the_later_entry(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana", reviewed_at=NEW), Review("a", "keep", "bo", reviewed_at=OLD)])
    journal.add([Review("b", "flag", "ana", reviewed_at=NEW), Review("b", "keep", "bo", reviewed_at=NEW)])
    assert stands(journal) == {"a": ("flag", "ana"), "b": ("keep", "bo")}
    assert journal.standing()[["image", "verdict"]].to_numpy().tolist() == [
        ["a", "keep"],
        ["a", "flag"],
        ["b", "flag"],
        ["b", "keep"],
    ]


def test_a_verdict_given_now_beats_one_from_a_clock_that_is_ahead(journal: Journal) -> None:
    ahead = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(time.time() + 120))
    journal.add([Review("a", "flag", "ana", reviewed_at=ahead)])
    journal.add([Review("a", "keep", "bo")])
    assert stands(journal) == {"a": ("keep", "bo")}


def test_history_tells_verdicts_and_undos_in_the_order_of_writing(journal: Journal) -> None:
    first = journal.add([Review("a", "flag", "ana"), Review("b", "flag", "ana")]).action
    other = journal.add([Review("b", "keep", "bo")]).action
    journal.undo("ana")
    journal.redo("ana")
    journal.add([Review("a", "keep", "cy", reviewed_at=OLD)], imported=True)
    a, b = journal.history("a"), journal.history("b")
    assert a["event"].tolist() == ["review", "undo", "redo", "import"]
    assert a["target"].tolist() == ["", first, first, ""]
    assert a["verdict"].tolist() == ["flag", "", "", "keep"]
    assert b["event"].tolist() == ["review", "review", "undo", "redo"]
    assert b["action"].tolist()[:2] == [first, other]


def test_version_grows_with_each_entry_and_counts_follow(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana"), Review("b", "keep", "ana")])
    assert journal.version() == 2
    journal.add([Review("a", "unsure", "ana")])
    assert (journal.version(), journal.counts()) == (3, {"flag": 0, "keep": 1, "unsure": 1})
    journal.undo("ana")
    assert (journal.version(), journal.counts()) == (4, {"flag": 1, "keep": 1, "unsure": 0})


@pytest.mark.parametrize(
    ("review", "says"),
    [
        (Review("a", "bad", "ana"), "'bad' is not a verdict. There are: flag, keep, unsure"),
        (Review("a", "", "ana"), "not a verdict"),
        (Review("a", "flag", " \t"), "must be signed"),
        (Review("", "flag", "ana"), "name of an image"),
        (Review("a", "flag", "ana", note="x\0"), "note contains a NUL"),
        (Review("a\ud800", "flag", "ana"), "image contains half a character"),
        (Review("a", "flag", "ana", reviewed_at="yesterday"), "'yesterday', not a date"),
        (Review("a", "flag", "ana", reviewed_at="0001-01-01T00:00:00+09:00"), "not a date"),
        (Review("a", "flag", "ana", reviewed_at="2999-01-01"), "future"),
    ],
)
def test_what_cannot_be_stored_is_refused_whole(journal: Journal, review: Review, says: str) -> None:
    with pytest.raises(ReviewError, match=says):
        journal.add([Review("fine", "flag", "ana"), review])
    assert journal.version() == 0


def test_nothing_selected_and_nobody_signed(journal: Journal) -> None:
    with pytest.raises(ReviewError, match="Select at least one"):
        journal.add([])
    for act in (journal.undo, journal.redo):
        with pytest.raises(ReviewError, match="signed"):
            act("  ")


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("2024-03-01T09:30:00Z", "2024-03-01T09:30:00+00:00"),
        ("2024-03-01T09:30:00.987-05:00", "2024-03-01T14:30:00+00:00"),
        ("2024-03-01 09:30", "2024-03-01T09:30:00+00:00"),
        ("2024-03-01", "2024-03-01T00:00:00+00:00"),
    ],
)
def test_moments_become_utc_to_the_second(given: str, stored: str) -> None:
    assert checked(Review("a", "flag", "ana", reviewed_at=given)).reviewed_at == stored


class SlowJournal:
    """The rules a second time: replay every action from the start, with plain lists."""

    def __init__(self) -> None:
        self.actions: list[dict[str, Any]] = []
        self.undone: dict[str, list[dict[str, Any]]] = {}

    def add(self, images: list[str], verdict: str, reviewer: str) -> None:
        images = [image for image in dict.fromkeys(images) if self.stands().get(image) != (verdict, reviewer)]
        if images:
            self.actions.append({"images": images, "verdict": verdict, "by": reviewer, "counts": True})
            self.undone[reviewer] = []

    def undo(self, reviewer: str) -> list[str]:
        mine = [action for action in self.actions if action["by"] == reviewer and action["counts"]]
        if not mine:
            return []
        mine[-1]["counts"] = False
        self.undone.setdefault(reviewer, []).append(mine[-1])
        return list(dict.fromkeys(mine[-1]["images"]))

    def redo(self, reviewer: str) -> list[str]:
        if not self.undone.get(reviewer):
            return []
        action = self.undone[reviewer].pop()
        action["counts"] = True
        return list(dict.fromkeys(action["images"]))

    def stands(self) -> dict[str, tuple[str, str]]:
        found: dict[str, tuple[str, str]] = {}
        for action in self.actions:
            if action["counts"]:
                found |= dict.fromkeys(action["images"], (action["verdict"], action["by"]))
        return found


REVIEWERS, IMAGES = st.sampled_from(["ana", "bo"]), st.lists(st.sampled_from("abc"), min_size=1, max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), IMAGES, st.sampled_from(["flag", "keep", "unsure"]), REVIEWERS),
        st.tuples(st.just("undo"), REVIEWERS),
        st.tuples(st.just("redo"), REVIEWERS),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_sequence_agrees_with_a_slow_replay_and_only_appends(steps: list[tuple[Any, ...]], url: str) -> None:
    journal, slow = Journal(url), SlowJournal()
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql("delete from whalecam_entries")
    before: list[tuple[Any, ...]] = []
    for what, *rest in steps:
        if what == "add":
            images, verdict, reviewer = rest
            journal.add([Review(image, verdict, reviewer) for image in images])
            slow.add(images, verdict, reviewer)
        else:
            assert getattr(journal, what)(*rest) == getattr(slow, what)(*rest)
        after = entries(url)
        assert after[: len(before)] == before
        before = after
    assert stands(journal) == slow.stands()
    said = [verdict for verdict, _ in slow.stands().values()]
    assert journal.counts() == {verdict: said.count(verdict) for verdict in ("flag", "keep", "unsure")}
    assert journal.version() == len(before)


def test_an_identical_verdict_writes_nothing_and_one_undo_takes_the_first_back(journal: Journal) -> None:
    journal.add([Review("a", "flag", "ana", reason="water")])
    again = journal.add([Review("a", "flag", "ana"), Review("b", "flag", "ana")])
    assert (again.images, again.unchanged, journal.version()) == (("b",), ("a",), 2)
    same = journal.add([Review(name, "flag", "ana") for name in "ab"])
    assert (same.action, same.images, same.unchanged, journal.version()) == ("", (), ("a", "b"), 2)
    assert journal.add([Review("a", "flag", "ana", note="boat")]).images == ("a",), "a note is something new"
    assert [journal.undo("ana") for _ in range(4)] == [["a"], ["b"], ["a"], []]
    assert journal.add([Review("a", "flag", "ana")]).images == ("a",), "what was undone does not stand"


def test_the_same_verdict_after_somebody_elses_counts_anew(journal: Journal) -> None:
    for reviewer, verdict in (("ana", "flag"), ("bo", "keep"), ("ana", "flag"), ("bo", "flag")):
        assert journal.add([Review("a", verdict, reviewer)]).images == ("a",)
        assert stands(journal) == {"a": (verdict, reviewer)}


def test_the_first_verdict_on_a_blind_control_is_written(journal: Journal) -> None:
    journal.add([Review("a", "keep", "ana")])
    for written in (("a",), ()):
        assert journal.add([Review("a", "keep", "ana", blind=True)]).images == written
    assert len(journal.controls()) == 1


def test_words_stay_until_others_are_given_and_are_nobody_elses(journal: Journal) -> None:
    def words() -> list[str]:
        return journal.latest()[["reason", "note", "suggested_label"]].iloc[0].tolist()

    journal.add([Review("a", "flag", "ana", "water", "hm", "orca")])
    journal.add([Review("a", "unsure", "ana", reason="boat")])
    assert words() == ["boat", "hm", "orca"]
    journal.add([Review("a", "keep", "ana")])
    assert words() == ["boat", "hm", ""], "an image kept as it is has no other label"
    journal.add([Review("a", "flag", "bo")])
    assert words() == ["", "", ""]
    journal.add([Review("a", "keep", "ana", reviewed_at=OLD)], imported=True)
    assert journal.standing()["reason"].tolist() == ["", "water", "boat", "boat", ""], "what comes later is not earlier"


def test_a_rejected_mask_ends_with_another_verdict_and_the_reason_before_stands_again(journal: Journal) -> None:
    def add(verdict: str, reason: str = "") -> str:
        journal.add([Review("a", verdict, "ana", reason=reason)])
        return str(journal.latest()["reason"].iloc[0])

    add("flag", "water")
    assert [add("unsure", WRONG_MASK), add("unsure"), add("keep"), add("unsure")] == [WRONG_MASK] * 2 + ["water"] * 2
    assert journal.version() == 4, "unsure said nothing new while the mask was rejected"


class SlowWords:
    """The rules for reasons a second time: of one person and image, every verdict that was written."""

    def __init__(self) -> None:
        self.written: list[tuple[str, str]] = []

    def add(self, verdict: str, given: str) -> None:
        last_verdict, last_reason = self.written[-1] if self.written else ("", "")
        reason = given or last_reason
        if not given and last_reason == WRONG_MASK and verdict != last_verdict:
            reason = ([""] + [reason for _, reason in self.written if reason != WRONG_MASK])[-1]
        if (verdict, reason) != (last_verdict, last_reason):
            self.written.append((verdict, reason))


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["flag", "keep", "unsure"]), st.sampled_from(["", "", "water", "boat", WRONG_MASK])),
        max_size=10,
    )
)
def test_no_sequence_of_verdicts_blanks_a_reason_or_writes_one_twice(
    steps: list[tuple[str, str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    journal, slow = Journal(url_of(tmp_path_factory.mktemp("journal"))), SlowWords()
    for verdict, reason in steps:
        journal.add([Review("a", verdict, "ana", reason=reason)])
        slow.add(verdict, reason)
    history = journal.history("a")
    assert list(zip(history["verdict"], history["reason"], strict=True)) == slow.written
    given = [reason for _, reason in steps if reason not in ("", WRONG_MASK)]
    assert not given or not steps or history["reason"].iloc[-1] != ""


def test_more_images_than_a_question_names_follow_the_same_rules(journal: Journal, monkeypatch: Any) -> None:
    monkeypatch.setattr("whalecam.store.reviews.journal.MAX_NAMES", 1)
    journal.add([Review(name, "flag", "ana", "water") for name in "ab"])
    added = journal.add([Review(name, "keep" if name == "a" else "flag", "ana") for name in "abc"])
    assert (added.images, added.unchanged) == (("a", "c"), ("b",))
    assert journal.latest()["reason"].tolist() == ["water", "water", ""]


@pytest.mark.parametrize(
    ("verdict", "images", "unchanged", "says"),
    [
        ("flag", ("a",), (), "flagged a"),
        ("keep", tuple("abcdef"), (), "kept a and 5 more"),
        ("unsure", ("a", "b"), ("c",), "signed unsure a and 1 more; 1 was signed unsure already"),
        ("reject", ("a",), (), "mask rejected: a"),
        ("flag", (), ("a",), "a is flagged already; nothing was written"),
        ("keep", (), ("a", "b"), "a and 1 more are kept already; nothing was written"),
        ("reject", (), ("a",), "the mask of a is rejected already; nothing was written"),
    ],
)
def test_messages_name_the_images(verdict: str, images: tuple[str, ...], unchanged: tuple[str, ...], says: str) -> None:
    assert signed_message(verdict, Added("x", images, unchanged)) == says


STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@settings(max_examples=50, deadline=None)
@given(image=STORABLE.filter(bool), note=STORABLE, label=STORABLE)
def test_any_text_comes_back_as_it_was(
    image: str, note: str, label: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    journal = Journal(url_of(tmp_path_factory.mktemp("journal")))
    journal.add([Review(image, "flag", "ana", note=note, suggested_label=label)])
    assert journal.latest()[["image", "note", "suggested_label"]].to_numpy().tolist() == [[image, note, label]]


def _in_processes(work: Callable[..., None], arguments: list[tuple[Any, ...]], seconds: int = 120) -> None:
    # Each is forked from a process that imported what they need and has opened no journal.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([writers.__name__])
    workers = [context.Process(target=work, args=given) for given in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(seconds)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)


@pytest.mark.parametrize(
    ("processes", "verdicts"),
    [
        pytest.param(PROCESSES, VERDICTS, id="some"),
        pytest.param(20, 1000, id="many", marks=(pytest.mark.slow, pytest.mark.timeout(1800))),
    ],
)
def test_several_processes_lose_nothing(url: str, processes: int, verdicts: int) -> None:
    _in_processes(writers.review_in_turn, [(url, worker, verdicts) for worker in range(processes)], 1500)
    journal = Journal(url)
    assert journal.version() == processes * verdicts
    said = journal.standing()
    assert set(said["note"]) == {f"{w}-{n}" for w in range(processes) for n in range(verdicts)}
    assert said["reviewed_at"].is_monotonic_increasing
    assert journal.counts()["flag"] == verdicts


def test_undos_from_several_processes_take_back_different_actions(url: str) -> None:
    journal = Journal(url)
    for number in range(20):
        journal.add([Review(f"{number:02}", "flag", "ana")])
    _in_processes(writers.undo_some, [(url, 5)] * 3)
    assert sorted(stands(journal)) == ["00", "01", "02", "03", "04"]


TELLING_WRITER = """
import sys
from whalecam.store.reviews import Journal, Review
journal = Journal(sys.argv[1])
for number in range(100_000):
    journal.add([Review(f"{number}.jpg", "flag", "ana")])
    print(number, flush=True)
"""


@pytest.fixture
def writer(url: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that writes verdict after verdict and names each on its output once the journal has it."""
    command = [sys.executable, "-c", TELLING_WRITER, url]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1
    )
    yield process
    process.kill()
    process.wait()


def told(writer: "subprocess.Popen[str]", at_least: int) -> list[str]:
    assert writer.stdout is not None
    return [f"{writer.stdout.readline().strip()}.jpg" for _ in range(at_least)]


def test_what_was_acknowledged_outlives_a_writer_killed_midway(url: str, writer: "subprocess.Popen[str]") -> None:
    acknowledged = told(writer, 60)
    os.kill(writer.pid, signal.SIGKILL)
    assert writer.stdout is not None
    acknowledged += [f"{line.strip()}.jpg" for line in writer.stdout if line.endswith("\n")]
    writer.wait()
    journal = Journal(url)
    written = journal.latest()["image"].tolist()
    assert set(acknowledged) <= set(written)
    assert len(written) <= len(acknowledged) + 1
    journal.add([Review("after", "keep", "bo")])
    assert journal.undo("ana") == [f"{len(written) - 1}.jpg"]


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_what_was_acknowledged_outlives_a_server_killed_midway(
    url: str, writer: "subprocess.Popen[str]", postgres: Server
) -> None:
    reader = Journal(url)
    acknowledged = told(writer, 60)
    postgres.kill()
    assert writer.stdout is not None
    acknowledged += [f"{line.strip()}.jpg" for line in writer.stdout]
    with pytest.raises(ReviewError, match="cannot be used"):
        reader.latest()
    postgres.start()
    assert set(acknowledged) <= set(reader.latest()["image"])
    reader.add([Review("after", "keep", "bo")])
    assert len(Journal(url).latest()) <= len(acknowledged) + 2


def test_writing_threads_wait_their_turn_without_a_retry(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "RETRY_SECONDS", ())
    threads = [
        threading.Thread(target=lambda w=worker: [journal.add([Review(f"{w}-{n}", "flag", "ana")]) for n in range(10)])
        for worker in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert journal.counts()["flag"] == 40


@pytest.mark.parametrize("busy", [1, database.BUSY_MS])
def test_a_write_outlasts_another_programs_lock_by_waiting_or_by_trying_again(
    tmp_path: Path, local: Journal, monkeypatch: pytest.MonkeyPatch, busy: int
) -> None:
    monkeypatch.setattr(database, "BUSY_MS", busy)
    other = sqlite3.connect(tmp_path / "reviews.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("begin immediate")
    release = threading.Timer(0.3, lambda: other.execute("commit"))
    release.start()
    local.add([Review("a", "flag", "ana")])
    release.join()
    assert stands(local) == {"a": ("flag", "ana")}


def test_a_lock_that_stays_is_said_in_words(tmp_path: Path, local: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_MS", 1)
    monkeypatch.setattr(database, "RETRY_SECONDS", (0.001,))
    other = sqlite3.connect(tmp_path / "reviews.sqlite", isolation_level=None)
    other.execute("begin immediate")
    with pytest.raises(ReviewError, match="locked"):
        local.add([Review("a", "flag", "ana")])
    other.execute("rollback")
    assert local.version() == 0


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_servers_lock_that_stays_is_said_in_words(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(url)
    monkeypatch.setattr(database, "BUSY_MS", 50)
    monkeypatch.setattr(database, "RETRY_SECONDS", (0.001,))
    with sa.create_engine(url).connect() as other:
        other.exec_driver_sql(f"select pg_advisory_xact_lock({database.POSTGRES_LOCK})")
        with pytest.raises(ReviewError, match="lock timeout"):
            journal.add([Review("a", "flag", "ana")])
        assert journal.version() == 0, "reading waits for nobody"
    journal.add([Review("a", "flag", "ana")])


FIRST_VERSION = """
CREATE TABLE whalecam_entries (
    id INTEGER NOT NULL, event VARCHAR NOT NULL, action VARCHAR NOT NULL, target VARCHAR, image VARCHAR,
    verdict VARCHAR, reason VARCHAR, note VARCHAR, suggested_label VARCHAR, reviewer VARCHAR NOT NULL,
    reviewed_at VARCHAR NOT NULL, excess_threshold FLOAT, needs_threshold FLOAT, map VARCHAR, PRIMARY KEY (id)
);
CREATE INDEX whalecam_newest ON whalecam_entries (image, reviewed_at, id);
CREATE INDEX whalecam_undone ON whalecam_entries (target, reviewer, id);
CREATE INDEX ix_whalecam_entries_reviewer ON whalecam_entries (reviewer);
INSERT INTO whalecam_entries VALUES
    (1, 'review', 'x', NULL, 'a', 'flag', 'water', '', '', 'ana', '2024-01-01T12:00:00+00:00', 1.0, 0.25, 'relative'),
    (2, 'review', 'y', NULL, 'b', 'keep', '', '', '', 'ana', '2024-02-01T12:00:00+00:00', 1.0, 0.25, 'relative'),
    (3, 'undo', 'z', 'y', NULL, NULL, NULL, NULL, NULL, 'ana', '2024-02-01T12:00:01+00:00', NULL, NULL, NULL);
"""


SECOND_VERSION = (
    FIRST_VERSION
    + """CREATE INDEX whalecam_moment ON whalecam_entries (reviewed_at);
CREATE TABLE whalecam_schema (version INTEGER NOT NULL, PRIMARY KEY (version));
INSERT INTO whalecam_schema VALUES (2);
"""
)


def first_version(url: str, made: str = FIRST_VERSION) -> None:
    """A journal as WhaleCAM made it before journals had a version."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in made.strip().split(";")[:-1]:
            connection.exec_driver_sql(statement.replace("id INTEGER NOT NULL", _numbered(url), 1))
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("select setval('whalecam_entries_id_seq', 3)")
    engine.dispose()


def _numbered(url: str) -> str:
    return "id SERIAL NOT NULL" if url.startswith("postgresql") else "id INTEGER NOT NULL"


def tables(url: str) -> dict[str, set[str]]:
    """Table → the names of its indexes."""
    look = sa.inspect(sa.create_engine(url))
    return {name: {str(index["name"]) for index in look.get_indexes(name)} for name in look.get_table_names()}


def test_a_journal_without_a_version_is_brought_up_to_date(url: str) -> None:
    first_version(url)
    journal = Journal(url)
    assert (stands(journal), journal.version()) == ({"a": ("flag", "ana")}, 3)
    assert journal.redo("ana") == ["b"]
    journal.add([Review("c", "flag", "bo")])
    with sa.create_engine(url).connect() as connection:
        assert connection.scalars(sa.text("select version from whalecam_schema")).all() == [schema.VERSION]
    migrated, made = tables(url), schema.METADATA.tables["whalecam_entries"].indexes
    assert migrated["whalecam_entries"] == {index.name for index in made}


def test_the_version_before_is_brought_up_to_date_and_its_entries_count_in_every_run(url: str) -> None:
    first_version(url, SECOND_VERSION)
    one, other = Journal(url, "one"), Journal(url, "other")
    assert one.history("a")["reason"].tolist() == ["water"]
    assert one.standing()["false_rate"].isna().all()
    thresholds = one.standing()[["attention_threshold", "reliance_threshold"]]
    assert thresholds.to_numpy().tolist() == [[1.0, 0.25]]
    one.add([Review("c", "flag", "ana", blind=True, false_rate=0.05)])
    assert one.latest().set_index("image")["false_rate"].to_dict()["c"] == 0.05
    assert stands(one) == {"a": ("flag", "ana"), "c": ("flag", "ana")}
    assert stands(other) == {"a": ("flag", "ana")}
    assert one.controls().to_numpy().tolist() == [["c", "flag", "ana"]]
    with sa.create_engine(url).connect() as connection:
        assert connection.scalars(sa.text("select version from whalecam_schema")).all() == [schema.VERSION] == [5]


def test_runs_that_share_a_server_keep_their_verdicts_apart(url: str) -> None:
    one, other, every = Journal(url, "one"), Journal(url, "other"), Journal(url)
    one.add([Review("a", "flag", "ana")])
    other.add([Review("a", "keep", "ana"), Review("b", "keep", "ana")])
    assert (stands(one), stands(other)) == ({"a": ("flag", "ana")}, {"a": ("keep", "ana"), "b": ("keep", "ana")})
    assert (one.version(), other.version(), every.version()) == (1, 2, 3)
    assert one.undo("ana") == ["a"], "the newer verdict is the other run's"
    assert (stands(one), len(stands(other))) == ({}, 2)
    other.add([Review("c", "keep", "ana")])
    assert one.redo("ana") == ["a"], "what was signed since belongs to the other run"
    assert one.counts() == {"flag": 1, "keep": 0, "unsure": 0}
    assert one.history("a")["event"].tolist() == ["review", "undo", "redo"]
    assert other.history("a")["event"].tolist() == ["review"]
    assert set(every.standing()["image"]) == {"a", "b", "c"}


def test_a_run_has_a_key_where_runs_share_a_server_and_its_copies_have_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def made(name: str, fingerprint: str, created: str) -> Run:
        record = DatasetRecord("train.csv", None, {}, fingerprint)
        return Run(tmp_path / name, Manifest(record, created=created))

    runs = [made("a", "f", "2024"), made("copy of a", "f", "2024"), made("a", "f", "2025"), made("a", "g", "2024")]
    monkeypatch.delenv("WHALECAM_REVIEWS_URL", raising=False)
    assert {run.reviews_key for run in runs} == {""}
    monkeypatch.setenv("WHALECAM_REVIEWS_URL", "postgresql://server/reviews")
    keys = [run.reviews_key for run in runs]
    assert keys[0] == keys[1] and len(set(keys)) == 3 and all(keys)


def test_what_one_reviewer_judged_is_told_apart_by_action(journal: Journal) -> None:
    first = journal.add([Review("a", "flag", "ana"), Review("b", "flag", "ana")]).action
    journal.add([Review("c", "keep", "bo")])
    second = journal.add([Review("a", "keep", "ana")]).action
    judged = journal.reviewed_by("ana")
    assert judged[["image", "action"]].to_numpy().tolist() == [["a", first], ["b", first], ["a", second]]
    journal.undo("ana")
    assert journal.reviewed_by("ana")["image"].tolist() == ["a", "b"]
    assert journal.undo("ana") == ["a", "b"], "many images, one action, one undo"
    assert journal.reviewed_by("ana").empty


def test_a_new_journal_has_the_present_version_and_keeps_it(url: str) -> None:
    for _ in range(2):
        Journal(url).add([Review("a", "flag", "ana")])
    with sa.create_engine(url).connect() as connection:
        assert connection.scalars(sa.text("select version from whalecam_schema")).all() == [schema.VERSION]
    assert set(tables(url)) == {"whalecam_entries", "whalecam_schema"}


def test_a_journal_of_a_newer_whalecam_is_left_alone(url: str) -> None:
    Journal(url).add([Review("a", "flag", "ana")])
    with sa.create_engine(url).begin() as connection:
        connection.execute(sa.text("update whalecam_schema set version = 99"))
    with pytest.raises(ReviewError, match=r"schema version 99.*Update WhaleCAM"):
        Journal(url)


def test_several_processes_open_an_old_journal_at_once(url: str) -> None:
    first_version(url)
    _in_processes(writers.open_journal, [(url,)] * PROCESSES)
    assert stands(Journal(url)) == {"a": ("flag", "ana")}


def test_a_run_folder_deleted_and_made_anew_is_written_to(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    journal = Journal(url_of(folder))
    journal.add([Review("a", "flag", "ana")])
    shutil.rmtree(folder)
    folder.mkdir()
    journal.add([Review("b", "flag", "ana")])
    assert [row[4] for row in entries(url_of(folder))] == ["b"]


def test_sqlite_runs_with_a_write_ahead_log(tmp_path: Path, local: Journal) -> None:
    with sqlite3.connect(tmp_path / "reviews.sqlite") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)


def test_broken_databases_are_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "reviews.sqlite").write_bytes(b"not a database, " * 100)
    with pytest.raises(ReviewError, match=r"reviews\.sqlite cannot be used.*not a database"):
        Journal(url_of(tmp_path))
    with pytest.raises(ReviewError, match="unable to open"):
        Journal(url_of(tmp_path / "missing"))


def test_another_programs_table_is_said_in_words(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "reviews.sqlite") as connection:
        connection.execute("create table whalecam_entries (id integer)")
    with pytest.raises(ReviewError, match=r"no column|no such column"):
        Journal(url_of(tmp_path)).latest()


@pytest.mark.parametrize(
    "address",
    ["", "reviews.sqlite", "nosuchkind://user:secret@host/name", "sqlite+nosuch:///x", "mysql://user:secret@host/name"],
)
def test_addresses_that_are_no_database_url(address: str) -> None:
    with pytest.raises(ReviewError) as caught:
        Journal(address)
    assert "WHALECAM_REVIEWS_URL" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_server_out_of_reach_keeps_its_password_to_itself() -> None:
    with pytest.raises(ReviewError) as caught:
        Journal("postgresql://ana:secret@127.0.0.1:1/reviews")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("images", [50_000, 50])
def test_fifty_thousand_entries_are_read_whole(journal: Journal, images: int) -> None:
    journal.add([Review(f"{number % images:06}.jpg", "flag", "ana", note=f"{number:020}") for number in range(50_000)])
    for _ in range(5):
        journal.add([Review("000000.jpg", "keep", "bo")])
        journal.undo("bo")
    latest = journal.latest()
    assert len(latest) == images and set(latest["verdict"]) == {"flag"}
    assert journal.version() == 50_010
