"""The journal of people's verdicts: append-only, the latest counts, an undo is one more entry."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import sqlalchemy as sa

from whalecam.config import REVIEW_VERDICTS
from whalecam.errors import ReviewError
from whalecam.store.reviews.database import Database
from whalecam.store.reviews.earlier import Earlier
from whalecam.store.reviews.review import Review, checked, signed, storable
from whalecam.store.reviews.schema import ENTRIES, prepare
from whalecam.store.run import Run, now

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "image",
    "verdict",
    "reason",
    "note",
    "suggested_label",
    "reviewer",
    "reviewed_at",
    "attention_threshold",
    "reliance_threshold",
    "false_rate",
    "map",
)

FETCH = 500
MAX_NAMES = 500
"""Images that a question names one by one; for more of them, it reads the whole journal, which takes less time."""
Condition = sa.ColumnElement[bool]


@dataclass(frozen=True)
class Added:
    """What one call of `Journal.add` did.

    Attributes:
        action: the id of the action; "" where nothing was written.
        images: the images whose verdicts were written, each once, in the order given.
        unchanged: the images that stand as wished already, so that nothing was written for them.
    """

    action: str
    images: tuple[str, ...]
    unchanged: tuple[str, ...]


class Journal:
    """Verdicts in a database: SQLite or PostgreSQL, by SQLAlchemy URL. Safe for several processes and threads.

    An action is what one call of `add` wrote, of however many images; entries are only ever appended. Every method
    raises ReviewError where the database cannot be reached, is broken, or stays locked.
    """

    def __init__(self, url: str, run: str = "") -> None:
        """Open the journal at `url`; on one that several runs share, only entries of `run` and of none are seen."""
        self._database = Database(url, prepare)
        self._run = run or None

    @classmethod
    def of(cls, run: Run) -> "Journal":
        """The journal of a run: in its folder, or its part of the server's."""
        return cls(run.reviews_url, run.reviews_key)

    def add(self, reviews: Sequence[Review], imported: bool = False) -> Added:
        """Append verdicts as one action. Imported actions are not on anybody's undo list.

        What a review leaves open is `completed` from its reviewer's earlier ones; one that then `repeats` what counts
        already is not written, unless it is imported. See `Earlier`.

        Raises ReviewError, and writes nothing, where one of the reviews is not `checked` or there is none.
        """
        if not reviews:
            raise ReviewError("No image was named, so there is no verdict to record. Select at least one.")
        given = [checked(review) for review in reviews]
        more = {"action": uuid4().hex, "event": "import" if imported else "review", "run": self._run}

        def write(connection: sa.Connection) -> Added:
            stamp = _stamp(connection)
            dated = [replace(review, reviewed_at=review.reviewed_at or stamp) for review in given]
            new = _news(dated, self._earlier(connection, {review.image for review in dated}), imported)
            if new:
                rows = [{**vars(review), **more, "blind": int(review.blind)} for review in new]
                connection.execute(sa.insert(ENTRIES), rows)
            written = dict.fromkeys(review.image for review in new)
            rest = dict.fromkeys(review.image for review in dated if review.image not in written)
            return Added(str(more["action"]) if new else "", tuple(written), tuple(rest))

        return self._database.do(write, writes=True)

    def undo(self, reviewer: str) -> list[str]:
        """Take back the reviewer's latest action that still counts; return its images, none where nothing is left."""
        return self._toggle("undo", reviewer, _to_undo)

    def redo(self, reviewer: str) -> list[str]:
        """Restore what the reviewer's latest undo took back, unless a new verdict came since; return its images."""
        return self._toggle("redo", reviewer, _to_redo)

    def latest(self) -> "pd.DataFrame":
        """One row per reviewed image, by name: COLUMNS; thresholds float with NaN, all else str."""
        newest = _newest(self._mine())
        return self._frame(sa.select(*(newest.c[name] for name in COLUMNS)).order_by(newest.c.image))

    def standing(self) -> "pd.DataFrame":
        """Every verdict of every reviewer that is not undone, oldest first: COLUMNS."""
        return self._standing(COLUMNS)

    def controls(self) -> "pd.DataFrame":
        """Every verdict on a blind control that is not undone, oldest first: `image verdict reviewer`."""
        return self._standing(("image", "verdict", "reviewer"), ENTRIES.c.blind == 1)

    def reviewed_by(self, reviewer: str) -> "pd.DataFrame":
        """What one reviewer has judged, oldest first: `image action reviewed_at` of each verdict that is not undone."""
        return self._standing(("image", "action", "reviewed_at"), ENTRIES.c.reviewer == reviewer)

    def history(self, image: str) -> "pd.DataFrame":
        """All that was ever said of one image, in the order of writing: `event`, `action`, `target`, COLUMNS.

        `event` is review, import, undo or redo; the last two name in `target` the action that they speak of.
        """
        spoken = sa.select(ENTRIES.c.action, ENTRIES.c.reviewer).where(ENTRIES.c.image == storable("image", image))
        concerns = sa.tuple_(ENTRIES.c.target, ENTRIES.c.reviewer).in_(spoken)
        columns = (ENTRIES.c[name] for name in ("event", "action", "target", *COLUMNS))
        about = (ENTRIES.c.image == image) | concerns
        question = sa.select(*columns).where(about, self._mine()).order_by(ENTRIES.c.id)
        frame = self._frame(question)
        return frame.fillna(dict.fromkeys(frame.select_dtypes("str").columns, ""))

    def version(self) -> int:
        """The number of entries: grows with each, also where ids are committed out of order."""
        question = sa.select(sa.func.count()).select_from(ENTRIES).where(self._mine())
        return self._database.do(lambda connection: connection.execute(question).scalar_one())

    def counts(self) -> dict[str, int]:
        """How many images stand at `flag`, `keep` and `unsure`."""
        newest = _newest(self._mine())
        question = sa.select(newest.c.verdict, sa.func.count()).group_by(newest.c.verdict)
        numbers = self._database.do(lambda connection: {row[0]: int(row[1]) for row in connection.execute(question)})
        return {verdict: numbers.get(verdict, 0) for verdict in REVIEW_VERDICTS}

    def _mine(self) -> Condition:
        """The entry belongs to this run, or to every one."""
        return sa.true() if self._run is None else ENTRIES.c.run.is_(None) | (ENTRIES.c.run == self._run)

    def _standing(self, names: Sequence[str], *conditions: Condition) -> "pd.DataFrame":
        columns = (ENTRIES.c[name] for name in names)
        question = sa.select(*columns).where(_counts(ENTRIES), self._mine(), *conditions)
        return self._frame(question.order_by(ENTRIES.c.reviewed_at, ENTRIES.c.id))

    def _earlier(self, connection: sa.Connection, images: Collection[str]) -> Earlier:
        names = ("image", "verdict", "reviewer", "reason", "note", "suggested_label", "reviewed_at", "blind")
        named = ENTRIES.c.image.in_(images) if len(images) <= MAX_NAMES else sa.true()
        question = sa.select(*(ENTRIES.c[name] for name in names)).where(_counts(ENTRIES), self._mine(), named)
        rows = connection.execute(question.order_by(ENTRIES.c.reviewed_at, ENTRIES.c.id))
        return Earlier(Review(**row) for row in rows.mappings() if row["image"] in images)

    def _toggle(self, event: str, reviewer: str, pick: Callable[[str, Condition], "sa.Select[str]"]) -> list[str]:
        reviewer = signed(reviewer)

        def write(connection: sa.Connection) -> list[str]:
            target = connection.scalar(pick(reviewer, self._mine()))
            if target is None:
                return []
            entry = {"event": event, "action": uuid4().hex, "target": target, "reviewer": reviewer, "run": self._run}
            connection.execute(sa.insert(ENTRIES), {**entry, "reviewed_at": _stamp(connection)})
            touched = sa.select(ENTRIES.c.image).where(ENTRIES.c.action == target, ENTRIES.c.reviewer == reviewer)
            return list(dict.fromkeys(connection.scalars(touched.order_by(ENTRIES.c.id))))

        return self._database.do(write, writes=True)

    def _frame(self, question: "sa.Select[Any]") -> "pd.DataFrame":
        import pandas as pd  # Who signs a verdict need not wait for it.

        names = list(question.selected_columns.keys())

        def read(connection: sa.Connection) -> list[list[Any]]:
            columns: list[list[Any]] = [[] for _ in names]
            # In small parts: 50,000 rows alive at once keep Python's garbage collector busy for longer than the query.
            for part in connection.execute(question).partitions(FETCH):
                for column, values in zip(columns, zip(*part, strict=True), strict=True):
                    column.extend(values)
            return columns

        columns = self._database.do(read)
        kinds = (float if name.endswith(("_threshold", "_rate")) else "str" for name in names)
        named = zip(names, columns, kinds, strict=True)
        return pd.DataFrame({name: pd.Series(values, dtype=kind) for name, values, kind in named})


def _news(reviews: Sequence[Review], earlier: Earlier, imported: bool) -> list[Review]:
    """Those of `reviews` that are to be written, completed; each meets the ones before it."""
    new = []
    for review in map(earlier.completed, reviews):
        if imported or not earlier.repeats(review):
            earlier.add(review)
            new.append(review)
    return new


def _stamp(connection: sa.Connection) -> str:
    """Now, but never before the newest entry: a verdict given here is the newest, whatever other clocks say."""
    return max(now(), connection.scalar(sa.select(sa.func.max(ENTRIES.c.reviewed_at))) or "")


def _last_word(toggle: "sa.FromClause") -> Condition:
    """No later undo or redo speaks of the same action of the same reviewer."""
    later = ENTRIES.alias()
    same = (later.c.target == toggle.c.target, later.c.reviewer == toggle.c.reviewer)
    return ~sa.exists().where(*same, later.c.id > toggle.c.id)


def _counts(entry: "sa.FromClause") -> Condition:
    """The entry is a verdict, and the last word on it is not an undo."""
    undo = ENTRIES.alias()
    same = (undo.c.target == entry.c.action, undo.c.reviewer == entry.c.reviewer)
    return entry.c.target.is_(None) & ~sa.exists().where(*same, undo.c.event == "undo", _last_word(undo))


def _newest(mine: Condition) -> "sa.Subquery":
    """The newest verdict on each image that counts: COLUMNS; of two in one second, the one written later.

    Numbered in one pass: looked up image by image, PostgreSQL took a minute over 50,000 entries just imported, before
    it had counted them for its plans.
    """
    last = (ENTRIES.c.reviewed_at.desc(), ENTRIES.c.id.desc())
    place = sa.func.row_number().over(partition_by=ENTRIES.c.image, order_by=last).label("place")
    columns = (ENTRIES.c[name] for name in COLUMNS)
    numbered = sa.select(*columns, place).where(_counts(ENTRIES), mine).subquery()
    return sa.select(numbered).where(numbered.c.place == 1).subquery()


def _to_undo(reviewer: str, mine: Condition) -> "sa.Select[Any]":
    own = (mine, ENTRIES.c.reviewer == reviewer, ENTRIES.c.event == "review")
    return sa.select(ENTRIES.c.action).where(*own, _counts(ENTRIES)).order_by(ENTRIES.c.id.desc()).limit(1)


def _to_redo(reviewer: str, mine: Condition) -> "sa.Select[Any]":
    own = mine & (ENTRIES.c.reviewer == reviewer)
    newest = sa.select(sa.func.coalesce(sa.func.max(ENTRIES.c.id), 0)).where(own, ENTRIES.c.event == "review")
    undone = (own, ENTRIES.c.event == "undo", _last_word(ENTRIES), ENTRIES.c.id > newest.scalar_subquery())
    return sa.select(ENTRIES.c.target).where(*undone).order_by(ENTRIES.c.id.desc()).limit(1)
