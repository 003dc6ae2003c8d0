"""The rows of one audit, held once for all sessions: the light columns compressed in memory, maps left on disk."""

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from whalecam.arrays import Progress, Report, silent
from whalecam.config import WRONG_MASK
from whalecam.errors import RunError
from whalecam.store.parts import column_sql
from whalecam.store.schema import SCHEMA
from whalecam.store.table.exchanges import CLASSES, RELIANCE, assessed, read_exchanges

HEAVY = ("maps", "logits", "mask_bits", "reliance_image")
"""What is read from the parts, for single images only."""
APART = ("embedding", "exchange_own", "exchange_own_donors", "exchange_other", "exchange_other_donors")
"""What no page asks for here."""
LIGHT = tuple(name for name in SCHEMA.names if name not in (*HEAVY, *APART))
"""What is held, by name: parts of earlier audits lack some of the other columns."""
_KINDS = {pa.string(): "varchar", pa.float32(): "float", pa.int16(): "smallint", pa.int32(): "int", pa.bool_(): "bool"}
_NULLS = {name: f'null::{_KINDS[SCHEMA.field(name).type]} as "{name}"' for name in LIGHT}
REVIEW_COLUMNS = ("image", "verdict", "reason", "note", "suggested_label", "reviewer", "reviewed_at")
NO_REVIEWS = pd.DataFrame(columns=list(REVIEW_COLUMNS))
MEMORY = "300MB"
BATCH = 65_536
TICK = 0.2
"""Seconds between two reports."""
KEPT = {"whole": 64, "picture": 64}
"""How many answers are kept: on many rows, and on single images, which push out only one another."""
SETTINGS: dict[str, Any] = {"memory_limit": MEMORY, "preserve_insertion_order": False}
"""Rows have no order of their own, and keeping the files' would cost a second copy while they are read."""
Values = Mapping[str, str | int | float | bytes | list[str]]
"""What stands for the `$name`s of a question in SQL."""
NO_VALUES: Values = MappingProxyType({})
OF_PARTS = "part in (select unnest($gone::varchar[]))"
COUNTING = ("set enable_progress_bar = true", "set enable_progress_bar_print = false", "set progress_bar_time = 1")
"""How far a question is, is counted on the cursor that is told so, and not printed."""


class Store:
    """The rows of a run without their heavy columns, what its exchanged backgrounds prove, and the latest verdicts.

    A million rows take some 150 MB and 3 s to read. Each question has a cursor of its own, so sessions do not wait
    for one another. `version` is the caller's mark of the verdicts that were joined last.
    """

    def __init__(self) -> None:
        self._con = duckdb.connect(config={**SETTINGS, "temp_directory": tempfile.gettempdir()})
        self._con.execute("attach ':memory:' as audited (compress)")
        self._changing, self._answers = threading.RLock(), _no_answers()
        self._parts: frozenset[str] = frozenset()
        self._exchanges, self._rejected = read_exchanges(()), frozenset[str]()
        self.version: Any = None
        self._hold("proven", RELIANCE.empty_table())
        self._hold("classes", CLASSES.empty_table())
        self.join(NO_REVIEWS)

    def take(self, parts: Sequence[Path], report: Report = silent) -> None:
        """Read the parts that are not held yet, and forget those that are gone; everything anew where all are.

        Where `report` raises, what was held stays as it was. Raises RunError where there are no parts.
        """
        wanted = frozenset(str(part) for part in parts)
        if not wanted:
            raise RunError("This run has no audited images yet. Audit it first: whalecam audit RUN.")
        with self._changing:
            if wanted == self._parts:
                return
            fresh = not self._parts & wanted
            gone = () if fresh else sorted(self._parts - wanted)
            files = sorted(wanted - self._parts)
            images = self._images_of(gone)
            try:
                self._read(fresh, files, gone, LIGHT, "", report)
            except duckdb.Error:  # some parts are of an earlier audit, which knew fewer columns
                self._read(fresh, files, gone, self._present(files), ", union_by_name = true", report)
            self._assess([Path(file) for file in files], fresh, images)
            self._parts = wanted
            self._answers = _no_answers()
            # What compresses new rows; it can wait for the next part where somebody is just asking.
            with suppress(duckdb.TransactionException):
                self._con.cursor().execute("checkpoint audited")

    def _read(
        self, fresh: bool, files: list[str], gone: Sequence[str], present: Sequence[str], how: str, report: Report
    ) -> None:
        columns = [column_sql(name, present) or _NULLS[name] for name in LIGHT]
        read = f"select {', '.join(columns)}, filename as part from read_parquet($files, filename = true{how})"
        start = "create or replace table audited.rows as" if fresh else "insert into audited.rows"
        question = f"{start} select *, label = predicted as correct from ({read})"
        own = self._con.cursor()
        for setting in COUNTING:
            own.execute(setting)
        own.begin()
        try:
            if gone:
                own.execute(f"delete from audited.rows where {OF_PARTS}", {"gone": list(gone)})
            if files:
                _watched(own, question, {"files": files}, report)
            own.commit()
        finally:
            with suppress(duckdb.TransactionException):  # after a commit there is nothing to take back
                own.rollback()

    def _images_of(self, parts: Sequence[str]) -> pa.Array:
        """The images of parts that are audited."""
        question = f"select image from audited.rows where {OF_PARTS}"
        rows = self.rows(question, {"gone": list(parts)}) if parts else []
        return pa.array([image for (image,) in rows], pa.string())

    def _assess(self, parts: Sequence[Path], fresh: bool, gone: pa.Array) -> None:
        """Read the exchanges of new parts, and assess those of all parts together: each image bears on its class.

        Args: gone: images of parts that count no longer.
        """
        kept = self._exchanges.filter(pc.invert(pc.is_in(self._exchanges["image"], gone)))
        self._exchanges = pa.concat_tables([*([] if fresh else [kept]), read_exchanges(parts)])
        self._hold_assessed()

    def _hold_assessed(self) -> None:
        """Without the images whose mask a person rejected: what was exchanged there was not the background."""
        kept = self._exchanges
        if self._rejected:
            kept = kept.filter(pc.invert(pc.is_in(kept["image"], pa.array(sorted(self._rejected), pa.string()))))
        # Arrow keeps what it took to read the parts, and then to assess them, of which nothing is used again.
        pa.default_memory_pool().release_unused()
        for name, rows in zip(("proven", "classes"), assessed(kept), strict=True):
            self._hold(name, rows)
        pa.default_memory_pool().release_unused()

    def _present(self, files: list[str]) -> list[str]:
        sql = "select column_name from (describe select * from read_parquet($files, union_by_name = true))"
        return [name for (name,) in self.rows(sql, {"files": files})]

    def join(self, reviews: pd.DataFrame, version: Any = None) -> None:
        """Take people's latest verdicts in: any of REVIEW_COLUMNS, `image` once."""
        known = reviews.reindex(columns=list(REVIEW_COLUMNS)).astype(str)
        rejected = frozenset(known.loc[known["reason"] == WRONG_MASK, "image"])
        with self._changing:
            self._hold("reviews", pa.Table.from_pandas(known))
            if rejected != self._rejected:
                self._rejected = rejected
                self._hold_assessed()
            self._answers = _no_answers()
            self.version = version

    def _hold(self, name: str, rows: pa.Table) -> None:
        own = self._con.cursor()
        own.register("given", rows)
        own.execute(f"create or replace table audited.{name} as select * from given")

    def ask(self, question: str, values: Values = NO_VALUES) -> pd.DataFrame:
        """A question in SQL to `rows`, `proven`, `classes` and `reviews` of `audited`, with named values."""
        return self._con.cursor().execute(question, dict(values)).df()

    def batches(self, question: str) -> Iterator[pa.RecordBatch]:
        """The same in parts, as Arrow has it: one million answers are no objects of Python, nor all held here."""
        yield from self._con.cursor().sql(question).to_arrow_reader(BATCH)

    def rows(self, question: str, values: Values = NO_VALUES) -> list[Any]:
        """The same as tuples."""
        return self._con.cursor().execute(question, dict(values)).fetchall()

    def record(self, question: str) -> dict[str, object]:
        """The first row of an answer, by column."""
        cursor = self._con.cursor().execute(question)
        names = [column[0] for column in cursor.description]
        return dict(zip(names, cursor.fetchall()[0], strict=True))

    def answered(self, key: Any, find: Callable[[], Any], about: str = "whole") -> Any:
        """What `find` returns, asked once until rows or verdicts change; the last of KEPT are audited.

        Args: about: of KEPT.
        """
        with self._changing:
            answers = self._answers[about]
            if key in answers:
                answers.move_to_end(key)
                return answers[key]
        answer = find()
        with self._changing:  # into what was thrown away meanwhile, where rows or verdicts changed
            answers[key] = answer
            while len(answers) > KEPT[about]:
                answers.popitem(last=False)
        return answer


def _no_answers() -> dict[str, OrderedDict[Any, Any]]:
    return {about: OrderedDict() for about in KEPT}


def _watched(own: duckdb.DuckDBPyConnection, question: str, values: Values, report: Report) -> None:
    """Ask something long; where `report`, which hears how far it is, raises, it is broken off."""
    with ThreadPoolExecutor(1) as aside:
        running = aside.submit(own.execute, question, dict(values))
        try:
            while wait((running,), TICK).not_done:
                report(Progress("reading rows", max(0, int(own.query_progress())), 100))
        finally:
            if not running.done():
                own.interrupt()
        running.result()
