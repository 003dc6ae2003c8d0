"""Images that a reviewer put off: kept over a refresh, append-only, in the journal's database."""

import sqlalchemy as sa

from whalecam.store.reviews.database import Database
from whalecam.store.reviews.review import signed, storable
from whalecam.store.run import Run, now

ENTRIES = sa.Table(
    "whalecam_skips",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.String, nullable=False),
    sa.Column("image", sa.String),
    sa.Column("reviewer", sa.String, nullable=False),
    sa.Column("at", sa.String, nullable=False),
    sa.Index("whalecam_put_off", "run", "reviewer", "id"),
)
"""One row per skip; one without an image ends all skips of its reviewer so far."""


class Skips:
    """What reviewers of one run put off. Every method raises ReviewError as `Journal`'s do."""

    def __init__(self, url: str, run: str = "") -> None:
        self._database = Database(url, ENTRIES.metadata.create_all)
        self._run = run

    @classmethod
    def of(cls, run: Run) -> "Skips":
        return cls(run.reviews_url, run.reviews_key)

    def skip(self, image: str, reviewer: str) -> None:
        """Put an image off. Raises ReviewError without a reviewer's name."""
        self._append(storable("image", image), reviewer)

    def end(self, reviewer: str) -> None:
        """Put nothing off any more: every image goes back to its place."""
        self._append(None, reviewer)

    def standing(self, reviewer: str) -> tuple[str, ...]:
        """What the reviewer put off, each once, in the order of the last skip."""
        own = (ENTRIES.c.run == self._run, ENTRIES.c.reviewer == reviewer.strip())
        ended = sa.select(sa.func.coalesce(sa.func.max(ENTRIES.c.id), 0)).where(*own, ENTRIES.c.image.is_(None))
        question = sa.select(ENTRIES.c.image).where(*own, ENTRIES.c.id > ended.scalar_subquery())
        names = self._database.do(lambda connection: connection.scalars(question.order_by(ENTRIES.c.id)).all())
        return tuple(reversed(dict.fromkeys(reversed([str(name) for name in names]))))

    def _append(self, image: str | None, reviewer: str) -> None:
        entry = {"run": self._run, "image": image, "reviewer": signed(reviewer), "at": now()}
        self._database.do(lambda connection: connection.execute(sa.insert(ENTRIES), entry), writes=True)
