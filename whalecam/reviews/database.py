"""How a database is reached: one transaction at a time, patient with other processes, errors in words."""

import time
from collections.abc import Callable
from random import random
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from whalecam.errors import ReviewError

T = TypeVar("T")

BUSY_MS = 5000
RETRY_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SQLITE_BUSY, SQLITE_LOCKED = 5, 6
# Serialization failure, deadlock, and two processes that create the table at once.
POSTGRES_TRANSIENT = ("40001", "40P01", "23505", "42P07")


class Database:
    """SQLite or PostgreSQL by SQLAlchemy URL, with the tables of `schema`. Safe for several processes and threads.

    Raises ReviewError where the URL is none, its driver is missing, or the database cannot be reached.
    """

    def __init__(self, url: str, schema: sa.MetaData) -> None:
        self._schema = schema
        self._engine = _engine(url)
        self.do(lambda _: None, writes=True)

    def do(self, work: Callable[[sa.Connection], T], writes: bool = False) -> T:
        """Run `work` in one serializable transaction, again from the start where another process was in the way.

        Raises ReviewError where the database is gone, broken, read-only or stays locked.
        """
        for wait in (*RETRY_SECONDS, None):
            try:
                with self._engine.connect().execution_options(writes=writes) as connection, connection.begin():
                    # Each time, since a run folder may be deleted and made anew while the dashboard runs.
                    self._schema.create_all(connection)
                    return work(connection)
            except DBAPIError as error:
                if wait is None or not _transient(error):
                    raise ReviewError(self._complaint(error.orig)) from error
                time.sleep(wait * (1 + random()))  # noqa: S311 - not a secret
        raise AssertionError("the last round returns or raises")

    def _complaint(self, cause: object) -> str:
        place = self._engine.url.render_as_string(hide_password=True)
        return (
            f"The journal of verdicts {place} cannot be used: {cause}. Check that the place exists and may be written "
            "to, or restore the journal from a copy."
        )


def _engine(url: str) -> sa.Engine:
    try:
        if sa.make_url(url).get_backend_name() != "sqlite":
            return sa.create_engine(url, isolation_level="SERIALIZABLE", pool_pre_ping=True)
        # No pool: a connection kept open would go on writing into a deleted file.
        engine = sa.create_engine(url, poolclass=NullPool)
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise ReviewError(
            "The journal's address is not a database URL. It looks like sqlite:///reviews.sqlite or "
            "postgresql://user:password@host/name (WHALECAM_REVIEWS_URL)."
        ) from error
    except ImportError as error:
        raise ReviewError(f"The journal's database needs a driver that is not installed: {error}.") from error
    sa.event.listen(engine, "connect", _prepare_sqlite)
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _transient(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (SQLITE_BUSY, SQLITE_LOCKED)
    return (getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)) in POSTGRES_TRANSIENT


def _prepare_sqlite(connection: Any, _: object) -> None:
    # The driver's own implicit transactions would start too late; `_begin_sqlite` opens them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at once: a reader that turns writer later is refused without waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")
