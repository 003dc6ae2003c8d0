"""Questions to the table of a run: filter, sort, page, aggregate. DuckDB over the Parquet parts."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from whalecam.config import SUSPECT_VERDICTS, WRONG_MASK, Thresholds
from whalecam.errors import RunError
from whalecam.schema import SCHEMA
from whalecam.table.cells import Overlay, bootstrap, unpack_maps, wilson
from whalecam.table.filters import ORDERS, Filters, where_of

HEAVY = ("maps", "logits", "mask_bits", "needs_picture")
LIGHT = tuple(name for name in SCHEMA.names if name not in (*HEAVY, "embedding", "verdict"))
REVIEW_COLUMNS = ("image", "verdict", "reason", "note", "suggested_label", "reviewer", "reviewed_at")
REJECTED = f"coalesce(reviews.reason = '{WRONG_MASK}', false)"
REJECTS = {
    "excess": "null",
    "needs": "null",
    "verdict": "'not_assessable'",
    "reason": "'mask rejected by ' || reviews.reviewer",
}
"""What becomes of a row whose mask a person rejected."""
NO_REVIEWS = pd.DataFrame(columns=list(REVIEW_COLUMNS))


class Table:
    """The rows of a run's audit, without their maps, joined with people's latest verdicts.

    Verdicts are computed here from the stored scores and `thresholds`, through the function given as `judge`
    (`leak.verdicts`), so a slider needs no model and no second rule. Each question has a cursor of its own, since
    Streamlit may start a page's next run while a stopped one is still asking.
    """

    def __init__(self, parts: Sequence[Path], judge: Any, thresholds: Thresholds, reviews: pd.DataFrame) -> None:
        if not parts:
            raise RunError("This run has no audited pictures yet. Audit it first: whalecam audit RUN.")
        self._con = duckdb.connect()
        self._changing = threading.Lock()
        files = [str(part) for part in parts]
        self._con.execute(
            f"create table rows as select {', '.join(LIGHT)}, filename as part, "
            "species = predicted as correct from read_parquet($files, filename = true)",
            {"files": files},
        )
        self._con.execute("alter table rows add column verdict varchar")
        self.judge(judge, thresholds)
        self.join(reviews)

    def judge(self, judge: Any, thresholds: Thresholds) -> None:
        """Recompute the automatic verdicts at other thresholds."""
        scores = self._ask("select image, excess, needs, reason from rows", {})
        scores["verdict"] = judge(
            scores["excess"].to_numpy(float), scores["needs"].to_numpy(float), _texts(scores["reason"]), thresholds
        )
        judged = pa.Table.from_pandas(scores[["image", "verdict"]], preserve_index=False)
        self._change("update rows set verdict = given.verdict from given where given.image = rows.image", judged)

    def join(self, reviews: pd.DataFrame) -> None:
        """Take people's latest verdicts in."""
        given = reviews.reindex(columns=list(REVIEW_COLUMNS)).astype(str)
        self._change("create or replace table reviews as select * from given", pa.Table.from_pandas(given))
        self._change(
            "create or replace view joined as select rows.* replace ("
            + ", ".join(
                f"case when {REJECTED} then {new} else rows.{name} end as {name}" for name, new in REJECTS.items()
            )
            + "), reviews.verdict as review, "
            "reviews.reason as review_reason, reviews.note as note, reviews.suggested_label as suggested_label, "
            "reviews.reviewer as reviewer, reviews.reviewed_at as reviewed_at from rows left join reviews using (image)"
        )

    def count(self, filters: Filters | None = None) -> int:
        where, values = where_of(filters or Filters())
        return int(self._one(f"select count(*) from joined where {where}", values)[0])

    def page(self, filters: Filters, order: str = "evidence", limit: int = 48, offset: int = 0) -> pd.DataFrame:
        """Some rows, without maps, in a stable order (ties by name)."""
        where, values = where_of(filters)
        return self._ask(
            f"select * exclude (part) from joined where {where} order by {ORDERS[order]}, image "
            "limit $limit offset $offset",
            {**values, "limit": limit, "offset": offset},
        )

    def all_rows(self, filters: Filters | None = None) -> pd.DataFrame:
        """Every row that passes, by name; for the export."""
        return self.page(filters or Filters(), "name", limit=2**31)

    def row(self, image: str) -> dict[str, Any]:
        """One image with its maps: `maps` float32 (classes, h, w) or None, `logits`, `mask_bits`."""
        found = self._ask("select * from joined where image = $image", {"image": image})
        if found.empty:
            raise RunError(f"This run has no row for '{image}'. Audit it, or pick a name from the table.")
        row: dict[str, Any] = {str(name): None if pd.isna(value) else value for name, value in found.iloc[0].items()}
        heavy = self._one(
            f"select {', '.join(HEAVY)} from read_parquet($part) where image = $image",
            {"part": row.pop("part"), "image": image},
        )
        row.update(zip(HEAVY, heavy, strict=True))
        row["maps"] = unpack_maps(row["maps"], row["map_height"], row["map_width"])
        return row

    def overlays_of(self, images: Sequence[str]) -> dict[str, Overlay]:
        """Maps and masks of a page of images; only the parts that hold them are opened."""
        wanted = {"images": list(images)}
        parts = self._ask("select distinct part from rows where list_contains($images, image)", wanted)["part"]
        if parts.empty:
            return {}
        found = self._rows(
            "select image, maps, map_height, map_width, mask_bits from read_parquet($parts) "
            "where list_contains($images, image)",
            {**wanted, "parts": parts.tolist()},
        )
        return {image: Overlay(unpack_maps(raw, h, w), bits) for image, raw, h, w, bits in found}

    def top(self) -> float:
        """A scale for maps that suits the whole run: the 99th percentile of the rows' `peak`, in logits."""
        return float(self._one("select coalesce(quantile_cont(peak, 0.99), 1) from rows where peak > 0", {})[0])

    def place(self, image: str, filters: Filters, order: str) -> tuple[int, str | None, str | None]:
        """Where an image stands in a filtered order: (0-based place or -1, the one before, the one after)."""
        where, values = where_of(filters)
        found = self._rows(
            "select place - 1, before, after from (select image, row_number() over w as place, lag(image) over w as "
            f"before, lead(image) over w as after from joined where {where} window w as (order by {ORDERS[order]}, "
            "image)) where image = $image",
            {**values, "image": image},
        )
        return found[0] if found else (-1, None, None)

    def names(self, column: str) -> list[str]:
        """The different texts of `species`, `predicted` or `mask_source`, sorted."""
        found = self._ask(f"select distinct {column} as name from rows where {column} is not null order by 1", {})
        return [str(name) for name in found["name"]]

    def overview(self) -> dict[str, Any]:
        """Counts and rates of the whole run; accuracy and loss on unseen pictures of known classes."""
        found = self._con.cursor().execute(
            "select count(*) as images, count(distinct species) as species, count(distinct nullif(individual_id, '')) "
            "as individuals, count(*) filter (predicted is null) as unreadable, "
            "count(*) filter (excess is not null) as assessable, "
            f"count(*) filter (verdict in {SUSPECT_VERDICTS}) as suspects, "
            "count(needs) as measured, count(*) filter (verdict = 'confirmed_leak') as confirmed, "
            "count(*) filter (verdict = 'hidden_reliance') as hidden, avg(bg_gap) as bg_gap, "
            "avg((water_predicted = species)::int) filter (not in_training) as water_only_accuracy, "
            "avg(correct::int) filter (not in_training and loss is not null) as accuracy, "
            "avg(loss) filter (not in_training) as loss, count(loss) filter (not in_training) as unseen, "
            "max(residual) as residual, count(review) as reviewed, count(*) filter (review = 'flag') as flagged "
            "from joined"
        )
        names = [column[0] for column in found.description]
        return dict(zip(names, found.fetchall()[0], strict=True))

    def verdicts(self) -> pd.DataFrame:
        """`verdict`, `images`."""
        return self._ask("select verdict, count(*) as images from joined group by 1 order by 2 desc", {})

    def reasons(self) -> pd.DataFrame:
        """`reason`, `images` of what could not be assessed."""
        return self._ask(
            "select reason, count(*) as images from joined where reason <> '' group by 1 order by 2 desc", {}
        )

    def quadrants(self, excess: float) -> pd.DataFrame:
        """The 2×2: `correct`, `on_animal` (excess below the threshold), `images`; assessable pictures only."""
        return self._ask(
            "select correct, excess < $excess as on_animal, count(*) as images from joined where excess is not null "
            "group by 1, 2",
            {"excess": excess},
        )

    def per_species(self) -> pd.DataFrame:
        """One row per species: counts, accuracy, share of leaks with its 95 % Wilson interval, medians.

        `share` is that of confirmed leaks where the second witness was asked, else that of suspects.

        `needs_low`, `needs_high`, `bg_gap_low`, `bg_gap_high` are 95 % bootstrap intervals of the means.
        """
        frame = self._ask(
            "select species, count(*) as images, avg(correct::int) as accuracy, count(excess) as assessable, "
            f"count(*) filter (verdict in {SUSPECT_VERDICTS}) as suspects, median(excess) as median_excess, "
            "count(needs) as measured, count(*) filter (verdict = 'confirmed_leak') as confirmed, "
            "median(needs) as median_needs, avg(needs) as mean_needs, avg(bg_gap) as bg_gap, "
            "count(*) filter (review = 'flag') as flagged from joined group by 1 order by 1",
            {},
        )
        leaks = frame["confirmed" if frame["measured"].sum() else "suspects"]
        bounds = [wilson(int(k), int(n)) for k, n in zip(leaks, frame["assessable"], strict=True)]
        frame[["share", "low", "high"]] = np.array(bounds, float).reshape(-1, 3)
        scores = self._ask("select species, needs, bg_gap from joined where needs is not null order by image", {})
        for name in ("needs", "bg_gap"):
            of = {str(species): part.to_numpy(float) for species, part in scores.groupby("species")[name]}
            pairs = [bootstrap(of.get(species, np.empty(0))) for species in frame["species"]]
            frame[[f"{name}_low", f"{name}_high"]] = np.array(pairs, float).reshape(-1, 2)
        return frame

    def majority(self) -> float:
        """Share of the most frequent species among the pictures `water_only_accuracy` is taken over."""
        found = self._rows(
            "select max(n) / sum(n) from (select count(*) as n from rows where not in_training and "
            "water_predicted is not null group by species)",
            {},
        )
        return float(found[0][0]) if found[0][0] is not None else float("nan")

    def confusion(self, unseen_only: bool = True) -> pd.DataFrame:
        """`species`, `predicted`, `images`."""
        where = "not in_training" if unseen_only else "true"
        return self._ask(
            f"select species, predicted, count(*) as images from rows where predicted is not null and {where} "
            "group by 1, 2 order by 1, 2",
            {},
        )

    def scores(self, limit: int = 20_000) -> pd.DataFrame:
        """`image`, `species`, `excess`, `needs`, `loss`, `verdict`, `correct` for charts; a sample above `limit`."""
        return self._ask(
            "select image, species, excess, needs, loss, verdict, correct from joined where excess is not null "
            "order by hash(image) limit $limit",
            {"limit": limit},
        )

    def _ask(self, question: str, values: dict[str, Any]) -> pd.DataFrame:
        return self._con.cursor().execute(question, values).df()

    def _one(self, question: str, values: dict[str, Any]) -> Any:
        return self._rows(question, values)[0]

    def _rows(self, question: str, values: dict[str, Any]) -> list[Any]:
        return self._con.cursor().execute(question, values).fetchall()

    def _change(self, statement: str, given: pa.Table | None = None) -> None:
        """Change the tables, one at a time; `given` can be selected from."""
        with self._changing:
            own = self._con.cursor()
            if given is not None:
                own.register("given", given)
            own.execute(statement)


def _texts(column: "pd.Series[Any]") -> NDArray[Any]:
    return column.fillna("").to_numpy(str)
