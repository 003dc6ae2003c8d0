"""Masks that people drew in place of those of an audit: append-only, in the journal's database, with the scores before
and after."""

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from whalecam.store.reviews.database import Database, texts
from whalecam.store.reviews.review import signed, storable
from whalecam.store.run import Run, now

if TYPE_CHECKING:
    import pandas as pd

CORRECTION, UNDO, REDO = "correction", "undo", "redo"
ENTRIES = sa.Table(
    "whalecam_masks",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("event", sa.String, nullable=False),
    sa.Column("action", sa.String, nullable=False),
    sa.Column("target", sa.String),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("image", sa.String, nullable=False),
    sa.Column("reviewer", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Column("mask", sa.LargeBinary),
    sa.Column("before", sa.LargeBinary),
    sa.Column("after", sa.LargeBinary),
    sa.Index("whalecam_masks_of", "run", "image", "id"),
)
"""One row per corrected mask, and per undo or redo of one, whose `target` is the action it speaks of. `mask` is the PNG
file; `before` and `after` are Parquet of one row with the columns that rest on the mask."""
COLUMNS = ("event", "reviewer", "at")


@dataclass(frozen=True)
class Correction:
    """A corrected mask that stands, or that was taken back.

    Attributes:
        action: its id.
        mask: the PNG file.
        before, after: one row each, with the columns `schema.MASKED`.
    """

    action: str
    image: str
    reviewer: str
    at: str
    mask: bytes
    before: pa.Table
    after: pa.Table


class Corrections:
    """The corrected masks of one run. Of an image the newest that is not taken back stands.

    Whoever has a name may take the newest back, for a mask is the image's and not the reviewer's. Every method raises
    ReviewError as `Journal`'s do.
    """

    def __init__(self, url: str, run: str = "") -> None:
        self._database = Database(url, ENTRIES.metadata.create_all)
        self._run = run

    @classmethod
    def of(cls, run: Run) -> "Corrections":
        return cls(run.reviews_url, run.reviews_key)

    def add(self, image: str, *, reviewer: str, mask: bytes, before: pa.Table, after: pa.Table) -> str:
        """Append a corrected mask; returns its action. Raises ReviewError without a reviewer's name."""
        action = uuid4().hex
        contents = {"mask": mask, "before": _packed(before), "after": _packed(after)}
        self._append({"event": CORRECTION, "action": action, "image": image, "reviewer": reviewer, **contents})
        return action

    def undo(self, correction: Correction, reviewer: str) -> None:
        """Take a correction back; its entry stays."""
        self._toggle(UNDO, correction, reviewer)

    def redo(self, correction: Correction, reviewer: str) -> None:
        """Let a correction stand again."""
        self._toggle(REDO, correction, reviewer)

    def standing(self, image: str) -> Correction | None:
        """The newest correction of an image that is not taken back."""
        return self._correction(image, [row.action for row in self._events(image)[0]])

    def undone(self, image: str) -> Correction | None:
        """What the latest undo took back, unless a correction came since."""
        return self._correction(image, [row.action for row in self._events(image)[1]])

    def history(self, image: str) -> "pd.DataFrame":
        """All that was done to the mask of an image, in the order of writing: `event`, `reviewer`, `at`."""
        question = self._of(image, *(ENTRIES.c[name] for name in COLUMNS))
        rows = self._database.do(lambda connection: connection.execute(question).all())
        return texts(rows, COLUMNS)

    def moments(self) -> dict[str, str]:
        """Image → when the correction that stands was made, ISO 8601; images without one are left out."""
        names = ("event", "action", "target", "image", "at")
        question = sa.select(*(ENTRIES.c[name] for name in names)).where(ENTRIES.c.run == self._run)
        rows = self._database.do(lambda connection: connection.execute(question.order_by(ENTRIES.c.id)).all())
        by_image: dict[str, list[Any]] = {}
        for row in rows:
            by_image.setdefault(row.image, []).append(row)
        stacks = {image: _replayed(entries)[0] for image, entries in by_image.items()}
        return {image: stack[-1].at for image, stack in stacks.items() if stack}

    def version(self) -> int:
        """The number of entries."""
        question = sa.select(sa.func.count()).select_from(ENTRIES).where(ENTRIES.c.run == self._run)
        return self._database.do(lambda connection: connection.execute(question).scalar_one())

    def _events(self, image: str) -> tuple[list[Any], list[Any]]:
        names = (ENTRIES.c[name] for name in ("event", "action", "target"))
        question = self._of(image, *names)
        return _replayed(self._database.do(lambda connection: list(connection.execute(question))))

    def _of(self, image: str, *columns: "sa.ColumnElement[Any]") -> "sa.Select[Any]":
        own = (ENTRIES.c.run == self._run, ENTRIES.c.image == storable("image", image))
        return sa.select(*columns).where(*own).order_by(ENTRIES.c.id)

    def _correction(self, image: str, actions: list[str]) -> Correction | None:
        if not actions:
            return None
        question = self._of(image, *ENTRIES.c).where(ENTRIES.c.action == actions[-1])
        row = self._database.do(lambda connection: connection.execute(question).one())
        before, after = (pq.read_table(io.BytesIO(raw)) for raw in (row.before, row.after))
        return Correction(row.action, row.image, row.reviewer, row.at, bytes(row.mask), before, after)

    def _toggle(self, event: str, correction: Correction, reviewer: str) -> None:
        names = {"action": uuid4().hex, "target": correction.action, "image": correction.image}
        self._append({"event": event, "reviewer": reviewer, **names})

    def _append(self, entry: dict[str, Any]) -> None:
        given = {"image": storable("image", entry["image"]), "reviewer": signed(entry["reviewer"])}
        row = {**entry, **given, "run": self._run, "at": now()}
        self._database.do(lambda connection: connection.execute(sa.insert(ENTRIES), row), writes=True)


def _replayed(entries: list[Any]) -> tuple[list[Any], list[Any]]:
    """The corrections that stand, and those that can be done again, each newest last."""
    by_action = {entry.action: entry for entry in entries if entry.event == CORRECTION}
    standing: list[Any] = []
    undone: list[Any] = []
    for entry in entries:
        if entry.event == CORRECTION:
            standing.append(entry)
            undone.clear()
        else:
            source, goal = (standing, undone) if entry.event == UNDO else (undone, standing)
            source.remove(by_action[entry.target])
            goal.append(by_action[entry.target])
    return standing, undone


def _packed(row: pa.Table) -> bytes:
    target = io.BytesIO()
    pq.write_table(row, target)
    return target.getvalue()
