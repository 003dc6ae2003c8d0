"""Findings that somebody set aside, and why: append-only as the verdicts, in the same database."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa

from whalecam.errors import ReviewError
from whalecam.store.reviews.database import Database, texts
from whalecam.store.reviews.review import signed, storable
from whalecam.store.run import now

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("finding", "sentence", "reason", "reviewer", "at")

ENTRIES = sa.Table(
    "whalecam_dismissals",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.String, nullable=False),
    sa.Column("dataset", sa.String, nullable=False),
    sa.Column("finding", sa.String, nullable=False),
    sa.Column("sentence", sa.String, nullable=False),
    sa.Column("reason", sa.String, nullable=False),
    sa.Column("reviewer", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Index("whalecam_dismissed", "dataset", "finding", "id"),
)
"""One row per dismissal and per restoration (`event` dismiss or restore); the latest of a finding counts."""


@dataclass(frozen=True)
class Dismissal:
    """Why somebody sets a finding aside.

    Attributes:
        finding: its key.
        sentence: what it said then; the same finding may say more later.
        reason: why it is none, or does not matter; never blank.
    """

    finding: str
    sentence: str
    reason: str
    reviewer: str


class Dismissals:
    """The dismissals of one data set, named by its CSV's path. Every method raises ReviewError as `Journal`'s do."""

    def __init__(self, url: str, dataset: str) -> None:
        self._database = Database(url, ENTRIES.metadata.create_all)
        self._dataset = dataset

    def dismiss(self, dismissal: Dismissal) -> None:
        """Raises ReviewError without a reason or a reviewer."""
        if not dismissal.reason.strip():
            raise ReviewError("A finding is dismissed with a reason. Write why it is wrong, or why it does not matter.")
        self._append("dismiss", dismissal)

    def restore(self, finding: str, reviewer: str) -> None:
        """Take a dismissal back; the entry stays. Raises ReviewError without a reviewer."""
        self._append("restore", Dismissal(finding, "", "", reviewer))

    def standing(self) -> "pd.DataFrame":
        """What is dismissed now, oldest first: COLUMNS, all str."""
        later = ENTRIES.alias()
        same = (later.c.dataset == ENTRIES.c.dataset, later.c.finding == ENTRIES.c.finding)
        latest = ~sa.exists().where(*same, later.c.id > ENTRIES.c.id)
        question = sa.select(*(ENTRIES.c[name] for name in COLUMNS)).where(
            ENTRIES.c.dataset == self._dataset, latest, ENTRIES.c.event == "dismiss"
        )
        rows = self._database.do(lambda connection: connection.execute(question.order_by(ENTRIES.c.id)).all())
        return texts(rows, COLUMNS)

    def history(self) -> "pd.DataFrame":
        """All that was ever said, in the order of writing: `event` and COLUMNS, all str."""
        names = ("event", *COLUMNS)
        question = sa.select(*(ENTRIES.c[name] for name in names)).where(ENTRIES.c.dataset == self._dataset)
        rows = self._database.do(lambda connection: connection.execute(question.order_by(ENTRIES.c.id)).all())
        return texts(rows, names)

    def _append(self, event: str, dismissal: Dismissal) -> None:
        entry = {
            "event": event,
            "dataset": storable("data set", self._dataset),
            "finding": storable("finding", dismissal.finding),
            "sentence": storable("sentence", dismissal.sentence),
            "reason": storable("reason", dismissal.reason.strip()),
            "reviewer": signed(dismissal.reviewer),
            "at": now(),
        }
        self._database.do(lambda connection: connection.execute(sa.insert(ENTRIES), entry), writes=True)
