"""Questions to the table of a run: filter, sort, page, aggregate. DuckDB over the Parquet parts."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pyarrow.parquet as pq

from whalecam.assessment.sql import SPREAD, doubt_sql, joined_sql
from whalecam.config import Thresholds
from whalecam.errors import RunError
from whalecam.stats import Interval
from whalecam.store.parts import column_sql
from whalecam.store.table import facets, totals
from whalecam.store.table.facets import Facets
from whalecam.store.table.filters import ORDERS, Filters, where_of
from whalecam.store.table.image_metrics import values as values_of
from whalecam.store.table.stats import Overlay, unpack_maps
from whalecam.store.table.store import HEAVY, NO_REVIEWS, Store
from whalecam.store.table.typed_rows import ImageRow, Totals

SAMPLE, SMALL = 20_000, 200
FEW_LETTERS = 2
"""By so many letters at least a mistyped name may differ."""
_TERM = re.compile(r"(?P<what>.+?)(?P<how> desc| asc)?(?P<nulls> nulls last)?")


class Table:
    """The rows of a run's audit, without their maps, joined with people's latest verdicts.

    A view of a `Store` at some thresholds: images are assessed as rows are asked for, from the stored scores,
    by `assessment.assess`, so a slider needs no model and no second rule.
    """

    def __init__(
        self,
        parts: Sequence[Path],
        thresholds: Thresholds,
        reviews: pd.DataFrame = NO_REVIEWS,
        store: Store | None = None,
    ) -> None:
        """Args: store: rows that are held already, for which `reviews` and `parts` are not read."""
        self._store = store or Store()
        if store is None:
            self._store.take(parts)
            self._store.join(reviews)
        self.at(thresholds)

    def at(self, thresholds: Thresholds) -> None:
        """Take the assessments at other thresholds."""
        self._joined, self._thresholds = joined_sql(thresholds), thresholds

    def join(self, reviews: pd.DataFrame) -> None:
        """Take people's latest verdicts in."""
        self._store.join(reviews)

    def count(self, filters: Filters | None = None) -> int:
        where, values = where_of(filters or Filters())
        answer = self._answer(
            "count", lambda: self._store.rows(f"select count(*) from {self._joined} where {where}", values), filters
        )
        return int(answer[0][0])

    def page(self, filters: Filters, order: str = "evidence", limit: int = 48, offset: int = 0) -> pd.DataFrame:
        """Some rows, without maps, in a stable order (ties by name)."""
        where, values = where_of(filters)
        sql = f"select * exclude (part) from {self._joined} where {where} order by {self._order(order)}, image "
        values = {**values, "limit": limit, "offset": offset}

        def find() -> pd.DataFrame:
            return self._store.ask(sql + "limit $limit offset $offset", values)

        return self._frame("page", find, (filters, order, limit, offset)) if limit <= SMALL else find()

    def images(self, filters: Filters, order: str = "name", limit: int = 2**31) -> list[str]:
        """Names alone, in an order."""
        where, values = where_of(filters)
        sql = f"select image from {self._joined} where {where} order by {self._order(order)}, image limit $limit"
        return [image for (image,) in self._store.rows(sql, {**values, "limit": limit})]

    def all_rows(self, filters: Filters | None = None) -> pd.DataFrame:
        """Every row that passes, by name; for the export."""
        return self.page(filters or Filters(), "name", limit=2**31)

    def known(self, images: Sequence[str]) -> set[str]:
        """Those of `images` that have a row."""
        sql = "select image from audited.rows where image in (select unnest($images::varchar[]))"
        return {image for (image,) in self._store.rows(sql, {"images": list(images)})}

    def alike(self, name: str, most: int) -> list[str]:
        """The names nearest to a mistyped one, at most so many: those that a few letters make of it (Levenshtein)."""
        sql = (
            "select image from (select image, levenshtein(lower(image), lower($name)) as letters from audited.rows) "
            "where letters <= $few order by letters, image limit $most"
        )
        few = max(FEW_LETTERS, len(name) // 3)
        return [image for (image,) in self._store.rows(sql, {"name": name, "few": few, "most": most})]

    def row(self, image: str) -> ImageRow:
        """One image with its maps."""
        key = ("row", image, self._joined)
        answer: ImageRow = self._store.answered(key, lambda: self._row(image), about="picture")
        return answer.copy()

    def _row(self, image: str) -> ImageRow:
        matches = self._store.ask(f"select * from {self._joined} where image = $image", {"image": image})
        if matches.empty:
            raise RunError(f"This run has no row for '{image}'. Give a name as in the CSV, or audit it first.")
        row: dict[str, Any] = {str(name): None if pd.isna(value) else value for name, value in matches.iloc[0].items()}
        row |= self._heavy(Path(row.pop("part")), image)
        row["maps"] = unpack_maps(row["maps"], row["map_height"], row["map_width"])
        return cast(ImageRow, row)

    def _heavy(self, part: Path, image: str) -> dict[str, Any]:
        """HEAVY of one image; null for what its part lacks."""
        stored = pq.read_schema(part).names
        columns = [column_sql(name, stored) or f"null as {name}" for name in HEAVY]
        sql = f"select {', '.join(columns)} from read_parquet($part) where image = $image"
        return dict(zip(HEAVY, self._store.rows(sql, {"part": str(part), "image": image})[0], strict=True))

    def overlays_of(self, images: Sequence[str]) -> dict[str, Overlay]:
        """Maps and masks of a page of images; only the parts that hold them are opened."""
        wanted, among = {"images": list(images)}, "where image in (select unnest($images::varchar[]))"
        parts = self._store.rows(f"select distinct part from audited.rows {among}", wanted)
        if not parts:
            return {}
        matches = self._store.rows(
            f"select image, maps, map_height, map_width, mask_bits from read_parquet($parts) {among}",
            {**wanted, "parts": [part for (part,) in parts]},
        )
        return {image: Overlay(unpack_maps(raw, h, w), bits) for image, raw, h, w, bits in matches}

    def top(self) -> float:
        """A scale for maps that suits the whole run: the 99th percentile of the rows' `peak`, in logits."""
        sql = "select coalesce(quantile_cont(peak, 0.99), 1) from audited.rows where peak > 0"
        return float(self._store.answered("top", lambda: self._store.rows(sql))[0][0])

    def place(self, image: str, filters: Filters, order: str) -> tuple[int, str | None, str | None]:
        """Where an image stands in a filtered order: (0-based place or -1, the one before, the one after)."""
        neighbours: tuple[int, str | None, str | None] = self._answer(
            "place", lambda: self._place(image, filters, order), (image, filters, order)
        )
        return neighbours

    def _place(self, image: str, filters: Filters, order: str) -> tuple[int, str | None, str | None]:
        where, values = where_of(filters)
        among = f"(select image, {_sort_key(self._order(order))} as key from {self._joined} where {where})"
        here = self._store.rows(f"select key from {among} where image = $image", {**values, "image": image})
        if not here:
            return -1, None, None
        matches = self._store.rows(
            "select count(*) filter (key < $key), max_by(image, key) filter (key < $key), "
            f"min_by(image, key) filter (key > $key) from {among}",
            {**values, "key": here[0][0]},
        )
        return matches[0]  # type: ignore[no-any-return]

    def facets(self, filters: Filters) -> Facets:
        """How many images each choice of a filter would leave: see `facets.Facets`."""
        spans = self._answer("ends", lambda: facets.ends(self._store, self._joined))
        answer: Facets = self._answer(
            "facets", lambda: facets.facets(self._store, self._joined, filters, spans), filters
        )
        return answer

    def names(self, column: str) -> list[str]:
        """The different texts of `label`, `predicted` or `mask_source`, sorted."""
        sql = f"select distinct {column} as name from audited.rows where {column} is not null order by 1"
        return [str(name) for (name,) in self._store.answered(("names", column), lambda: self._store.rows(sql))]

    def overview(self) -> Totals:
        """See `totals.overview`."""
        answer: Totals = self._answer("overview", lambda: totals.overview(self._store, self._joined))
        return answer.copy()

    def assessments(self) -> pd.DataFrame:
        """`assessment`, `images`."""
        sql = f"select assessment, count(*) as images from {self._joined} group by 1 order by 2 desc, 1"
        return self._frame("assessments", lambda: self._store.ask(sql))

    def reasons(self) -> pd.DataFrame:
        """`reason`, `images` of what could not be assessed."""
        sql = f"select reason, count(*) as images from {self._joined} where reason <> '' group by 1 order by 2 desc, 1"
        return self._frame("reasons", lambda: self._store.ask(sql))

    def accuracy(self) -> Interval:
        """See `totals.accuracy`."""
        answer: Interval = self._store.answered("accuracy", lambda: totals.accuracy(self._store))
        return answer

    def unread(self) -> pd.DataFrame:
        """See `totals.unread`."""
        return self._frame("unread", lambda: totals.unread(self._store))

    def unassessed(self) -> pd.DataFrame:
        """See `totals.unassessed`."""
        return self._frame("unassessed", lambda: totals.unassessed(self._store, self._joined))

    def quadrants(self, attention_score: float) -> pd.DataFrame:
        """See `totals.quadrants`."""
        return self._frame(
            "quadrants", lambda: totals.quadrants(self._store, self._joined, attention_score), attention_score
        )

    def per_label(self) -> pd.DataFrame:
        """See `totals.per_label`."""
        return self._frame("per_label", lambda: totals.per_label(self._store, self._joined))

    def class_tests(self) -> pd.DataFrame:
        """One row per predicted class whose images were given other backgrounds: `exchanges.CLASSES`."""
        question = "select * from audited.classes order by predicted"
        frame: pd.DataFrame = self._store.answered("classes", lambda: self._store.ask(question)).copy(deep=False)
        return frame

    def majority(self) -> float:
        """See `totals.majority`."""
        return float(self._store.answered("majority", lambda: totals.majority(self._store)))

    def high_norm(self, limit: float) -> tuple[int, int]:
        """See `totals.high_norm`."""
        answer: tuple[int, int] = self._store.answered(
            ("high_norm", limit), lambda: totals.high_norm(self._store, limit)
        )
        return answer

    def confusion(self, unseen_only: bool = True) -> pd.DataFrame:
        """See `totals.confusion`."""
        return self._frame("confusion", lambda: totals.confusion(self._store, unseen_only), unseen_only)

    def scores(self, limit: int = SAMPLE) -> pd.DataFrame:
        """See `totals.scores`."""
        return self._frame("scores", lambda: totals.scores(self._store, self._joined, limit), limit)

    def values(self) -> pd.DataFrame:
        """See `values.values`; not kept, for it is as long as the table."""
        return values_of(self._store, self._joined)

    def _order(self, order: str) -> str:
        """ORDERS as SQL at these thresholds."""
        terms = ORDERS[order]
        if "doubt" not in terms:
            return terms
        question = f"select {SPREAD} from {self._joined}"
        spread = self._answer("spread", lambda: self._store.rows(question))[0]
        return terms.replace("doubt", doubt_sql(self._thresholds, spread))

    def _frame(self, name: str, find: Any, given: Any = None) -> pd.DataFrame:
        frame: pd.DataFrame = self._answer(name, find, given).copy(deep=False)
        return frame

    def _answer(self, name: str, find: Any, given: Any = None) -> Any:
        return self._store.answered((name, given, self._joined), find)


def _sort_key(terms: str) -> str:
    """An order as one value per row that sorts as the order does, ties by name."""
    matches = [match for term in f"{terms}, image".split(", ") if (match := _TERM.fullmatch(term))]
    keys = [f"{t['what']}, '{(t['how'] or ' asc').strip()}{t['nulls'] or ' nulls last'}'" for t in matches]
    return f"create_sort_key({', '.join(keys)})"
