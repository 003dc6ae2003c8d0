"""What people say of matches: append-only as the verdicts on images, in the same database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from whalecam.config import MATCH_VERDICTS
from whalecam.errors import ReviewError
from whalecam.store.reviews.database import Database, texts
from whalecam.store.reviews.review import signed, storable
from whalecam.store.run import Run, now

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("query", "candidate", "verdict", "note", "reviewer", "reviewed_at")
SIGNED, UNDONE = "sign", "undo"

ENTRIES = sa.Table(
    "whalecam_match_verdicts",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.String, nullable=False),
    sa.Column("undoes", sa.Integer, nullable=False),
    sa.Column("run", sa.String, nullable=False),
    *(sa.Column(name, sa.String, nullable=False) for name in COLUMNS),
    sa.Index("whalecam_matched", "run", "query", "candidate", "id"),
)
"""One row per verdict (`event` sign) and per undo, whose `undoes` is the row that it takes back; 0 else."""


@dataclass(frozen=True)
class MatchVerdict:
    """One person's verdict on one match, out of MATCH_VERDICTS; `reviewed_at` "" means now."""

    query: str
    candidate: str
    verdict: str
    reviewer: str
    note: str = ""
    reviewed_at: str = ""


class MatchJournal:
    """The match verdicts of one run. Every method raises ReviewError as `Journal`'s do."""

    def __init__(self, url: str, run: str) -> None:
        self._database = Database(url, ENTRIES.metadata.create_all)
        self._run = run

    @classmethod
    def of(cls, run: Run) -> "MatchJournal":
        """The journal of a run."""
        return cls(run.reviews_url, run.reviews_key)

    def sign(self, verdicts: Sequence[MatchVerdict]) -> int:
        """Append verdicts; returns how many. Raises ReviewError for an unknown one, a blank name and a blank match."""
        entries = [self._entry(verdict) for verdict in verdicts]
        if entries:
            self._database.do(lambda connection: connection.execute(sa.insert(ENTRIES), entries), writes=True)
        return len(entries)

    def undo(self, reviewer: str) -> MatchVerdict | None:
        """Take back the reviewer's last verdict that stands; both entries stay. None where there is none."""
        name = signed(reviewer)

        def work(connection: sa.Connection) -> MatchVerdict | None:
            standing = self._standing().where(ENTRIES.c.reviewer == name).order_by(ENTRIES.c.id.desc()).limit(1)
            row = connection.execute(standing).first()
            if row is None:
                return None
            values = dict(row._mapping)
            undone = values | {"event": UNDONE, "undoes": values.pop("id"), "run": self._run, "reviewed_at": now()}
            undone.pop("id", None)
            connection.execute(sa.insert(ENTRIES), undone)
            return MatchVerdict(**values)

        return self._database.do(work, writes=True)

    def latest(self) -> "pd.DataFrame":
        """The verdict that stands for each match, the last one that was written: COLUMNS, all str."""
        rows = self._database.do(lambda connection: connection.execute(self._standing().order_by(ENTRIES.c.id)).all())
        frame = texts((row[1:] for row in rows), COLUMNS)
        return frame.drop_duplicates(["query", "candidate"], keep="last").reset_index(drop=True)

    def history(self, query: str) -> "pd.DataFrame":
        """All that was ever said of a query's matches, in the order of writing: `event` and COLUMNS, all str."""
        names = ("event", *COLUMNS)
        question = sa.select(*(ENTRIES.c[name] for name in names)).where(
            ENTRIES.c.run == self._run, ENTRIES.c.query == query
        )
        rows = self._database.do(lambda connection: connection.execute(question.order_by(ENTRIES.c.id)).all())
        return texts(rows, names)

    def _standing(self) -> "sa.Select[tuple[int, str]]":
        """The signed verdicts that nothing took back: `id` and COLUMNS."""
        later = ENTRIES.alias()
        is_undone = sa.exists().where(later.c.undoes == ENTRIES.c.id)
        return sa.select(ENTRIES.c.id, *(ENTRIES.c[name] for name in COLUMNS)).where(
            ENTRIES.c.run == self._run, ENTRIES.c.event == SIGNED, ~is_undone
        )

    def _entry(self, verdict: MatchVerdict) -> dict[str, object]:
        if verdict.verdict not in MATCH_VERDICTS:
            raise ReviewError(
                f"'{verdict.verdict[:40]}' is not a verdict on a match. There are: {', '.join(MATCH_VERDICTS)}."
            )
        if not verdict.query or not verdict.candidate:
            raise ReviewError("A verdict on a match needs the names of both images.")
        return {
            "event": SIGNED,
            "undoes": 0,
            "run": self._run,
            "query": storable("query", verdict.query),
            "candidate": storable("candidate", verdict.candidate),
            "verdict": verdict.verdict,
            "note": storable("note", verdict.note.strip()),
            "reviewer": signed(verdict.reviewer),
            "reviewed_at": verdict.reviewed_at or now(),
        }
