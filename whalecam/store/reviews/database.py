"""How a database is reached: one transaction at a time, patient with other processes, errors in words."""

import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from random import random
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from whalecam.errors import ReviewError
from whalecam.extras import install
from whalecam.storage_errors import is_full
from whalecam.store.reviews.network_place import caution_of, network_filesystem

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

BUSY_MS = 5000
RETRY_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
SQLITE_BUSY, SQLITE_LOCKED = 5, 6
# Deadlock, and a lock that another process held for BUSY_MS.
POSTGRES_TRANSIENT = ("40P01", "55P03")
POSTGRES_LOCK = 0x5748414C45
"""The number of the advisory lock under which one process writes at a time."""


class Database:
    """SQLite or PostgreSQL by SQLAlchemy URL, with the tables that `prepare` makes. Safe for processes and threads.

    Raises ReviewError where the URL is none, its driver is missing, or the database cannot be reached.
    """

    def __init__(self, url: str, prepare: Callable[[sa.Connection], None]) -> None:
        self._engine = _engine(url)
        # A server's tables stay; a run folder may be deleted and made anew while the dashboard runs.
        self._prepare = prepare if self._engine.dialect.name == "sqlite" else lambda _: None
        self.do(prepare, writes=True)

    def do(self, work: Callable[[sa.Connection], T], writes: bool = False) -> T:
        """Run `work` in one transaction, again from the start where another process was in the way.

        One that `writes` runs while no other does. One that only reads should ask a single question.

        Raises ReviewError where the database is gone, broken, read-only or stays locked.
        """
        for wait in (*RETRY_SECONDS, None):
            try:
                with self._engine.connect().execution_options(writes=writes) as connection, connection.begin():
                    self._prepare(connection)
                    return work(connection)
            except DBAPIError as error:
                if wait is None or not _transient(error):
                    raise ReviewError(self._complaint(error.orig)) from error
                time.sleep(wait * (1 + random()))  # noqa: S311 - not a secret
        raise AssertionError("the last round returns or raises")

    def _complaint(self, cause: object) -> str:
        place = self._engine.url.render_as_string(hide_password=True)
        file = _file_of(self._engine.url)
        if file is not None and is_full(file.parent):
            return f"The journal of verdicts {place} cannot be used: its disk is full. Free some space."
        return (
            f"The journal of verdicts {place} cannot be used: {cause}. Check that the place exists and may be written "
            "to, or restore the journal from a copy."
        )


def journal_caution(url: str) -> str:
    """What to know of where a journal lies, as a sentence; "" where it is a good place, or no place at all."""
    try:
        return caution_of(_file_of(sa.make_url(url)))
    except ArgumentError:
        return ""


def texts(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> "pd.DataFrame":
    """Rows of a question as a table of texts."""
    import pandas as pd  # Who signs a verdict need not wait for it.

    return pd.DataFrame([tuple(row) for row in rows], columns=list(columns), dtype=str)


def _engine(url: str) -> sa.Engine:
    try:
        address = sa.make_url(url)
        make = ENGINES[address.get_backend_name()]
        return make(address)
    except (ArgumentError, NoSuchModuleError, ValueError, KeyError) as error:
        raise ReviewError(
            "The journal's address is not a database URL. It looks like sqlite:///reviews.sqlite or "
            "postgresql://user:password@host/name (WHALECAM_REVIEWS_URL)."
        ) from error
    except ImportError as error:
        raise ReviewError(
            f"The journal's database needs a driver that is not installed: {error}. "
            f"For PostgreSQL, install the extra postgres: {install('postgres')}"
        ) from error


def _file_of(address: sa.URL) -> Path | None:
    """Where a database lies that is a file; None for a server's and for one in memory."""
    is_file = address.get_backend_name() == "sqlite" and address.database not in (None, "", ":memory:")
    return Path(str(address.database)) if is_file else None


def _sqlite(address: sa.URL) -> sa.Engine:
    # No pool: a connection kept open would go on writing into a deleted file.
    engine = sa.create_engine(address, poolclass=NullPool)
    file = _file_of(address)
    is_remote = file is not None and bool(network_filesystem(file))
    sa.event.listen(engine, "connect", partial(_prepare_sqlite, mode="DELETE" if is_remote else "WAL"))
    sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _postgres(address: sa.URL) -> sa.Engine:
    patience = {} if "connect_timeout" in address.query else {"connect_timeout": BUSY_MS // 1000}
    engine = sa.create_engine(address, pool_pre_ping=True, connect_args=patience)
    sa.event.listen(engine, "begin", _begin_postgres)
    return engine


def _transient(error: DBAPIError) -> bool:
    code = getattr(error.orig, "sqlite_errorcode", None)
    if code is not None:
        return code & 0xFF in (SQLITE_BUSY, SQLITE_LOCKED)
    return (getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)) in POSTGRES_TRANSIENT


def _prepare_sqlite(connection: Any, _: object, mode: str) -> None:
    # The driver's own implicit transactions would start too late; `_begin_sqlite` opens them.
    connection.isolation_level = None
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")
    # A write-ahead log needs memory that all who use it share, which machines do not.
    connection.execute(f"PRAGMA journal_mode = {mode}")


def _begin_sqlite(connection: sa.Connection) -> None:
    # A writer takes its lock at once: a reader that turns writer later is refused without waiting.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _begin_postgres(connection: sa.Connection) -> None:
    # Numbers and moments of entries rest on those before: writers in turn, as SQLite has them, rather than transactions
    # that fail and start again. Let go at the commit, or when the process dies.
    if connection.get_execution_options().get("writes"):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {BUSY_MS}; SELECT pg_advisory_xact_lock({POSTGRES_LOCK})")


ENGINES = {"sqlite": _sqlite, "postgresql": _postgres}
