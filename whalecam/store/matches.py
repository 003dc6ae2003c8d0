"""The matches of individuals in a run folder: vectors, candidates with their maps, what the background test found."""

import io
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from whalecam.assessment import assess
from whalecam.assessment.match_reliance import PLACEBO_LIMIT, match_reliance
from whalecam.assessment.reliance import ClassTest, Exchanges
from whalecam.config import SUSPECT_ASSESSMENTS, Thresholds
from whalecam.errors import RunError
from whalecam.store.json_file import read_json, write_json
from whalecam.store.run import (
    MATCH_IMAGES,
    MATCH_NETWORK,
    MATCH_PAIRS,
    MATCH_QUERIES,
    MATCH_RECORD,
    Run,
    next_part,
    parts_in,
)

FLOAT, TEXT = pa.float32(), pa.string()
SCHEMAS: Mapping[str, pa.Schema] = {
    MATCH_IMAGES: pa.schema(
        {"image": TEXT, "individual": TEXT, "encounter": TEXT, "part": TEXT, "vector": pa.binary()}
    ),
    MATCH_PAIRS: pa.schema(
        {
            "query": TEXT,
            "rank": pa.int32(),
            "candidate": TEXT,
            "individual": TEXT,
            "similarity": FLOAT,
            "same_encounter": pa.bool_(),
            "query_share": FLOAT,
            "candidate_share": FLOAT,
            "query_attention": FLOAT,
            "candidate_attention": FLOAT,
            "query_map": pa.binary(),
            "candidate_map": pa.binary(),
            "map_height": pa.int32(),
            "map_width": pa.int32(),
            "query_width": pa.int32(),
            "query_height": pa.int32(),
            "candidate_width": pa.int32(),
            "candidate_height": pa.int32(),
            "completeness_error": FLOAT,
        }
    ),
    MATCH_QUERIES: pa.schema(
        {
            "query": TEXT,
            "individual": TEXT,
            "encounter": TEXT,
            "matched": TEXT,
            "candidate": TEXT,
            "similarity": FLOAT,
            "is_right": pa.bool_(),
            "same_encounter": pa.bool_(),
            "reason": TEXT,
            "before": FLOAT,
            "own": pa.list_(FLOAT),
            "own_donors": pa.list_(pa.int64()),
            "other": pa.list_(FLOAT),
            "other_donors": pa.list_(pa.int64()),
            "query_exchanged": FLOAT,
            "match_exchanged": FLOAT,
            "both_exchanged": FLOAT,
            "background_only": FLOAT,
            "rank_exchanged": FLOAT,
            "background_finds": pa.bool_(),
        }
    ),
}
"""The tables. `vector` is float32 of length 1, maps are float16; shares and attention scores are as in the audit. A
match is named by its query and its candidate."""


class ImageVector(TypedDict):
    """One image that can be looked up; `part` is its side of the split after a fit, else ""."""

    image: str
    individual: str
    encounter: str
    part: str
    vector: bytes


class Pair(TypedDict, total=False):
    """A query and one of its candidates, `rank` from 1; maps and shares are missing without positions or masks."""

    query: str
    rank: int
    candidate: str
    individual: str
    similarity: float
    same_encounter: bool | None
    query_share: float | None
    candidate_share: float | None
    query_attention: float | None
    candidate_attention: float | None
    query_map: bytes | None
    candidate_map: bytes | None
    map_height: int
    map_width: int
    query_width: int
    query_height: int
    candidate_width: int
    candidate_height: int
    completeness_error: float


class Query(TypedDict, total=False):
    """A query, its best candidate, and what became of the match; `reason`: why it was not tested, "" where it was.

    `background_finds`: whether the image that is most similar to the query without its subject is of its encounter.
    """

    query: str
    individual: str
    encounter: str
    matched: str
    candidate: str
    similarity: float
    is_right: bool | None
    same_encounter: bool | None
    reason: str
    before: float | None
    own: list[float]
    own_donors: list[int]
    other: list[float]
    other_donors: list[int]
    query_exchanged: float | None
    match_exchanged: float | None
    both_exchanged: float | None
    background_only: float | None
    rank_exchanged: float | None
    background_finds: bool | None


@dataclass(frozen=True, kw_only=True)
class Reached:
    """An accuracy as it is stored: of `queries`, shares in [0, 1]; None where there was none."""

    queries: int
    top1: float | None
    top5: float | None
    map5: float | None


@dataclass(frozen=True, kw_only=True)
class MatchRecord:
    """How the matches of a run were made, and what they say as a whole.

    Attributes:
        network: in words; `resize`: how it sees an image; `encounter`: what an encounter is, in words.
        settings: what must stay the same for rows to stand in one table, as text.
        images, individuals, encounters: how many.
        split: the accuracy that a random split would have claimed; `with_encounter` and `without_encounter`: of the
            queries that have another encounter, with the gallery images of their own encounter and without;
            `placebo`: without as many others; `new_individual`: AUROC of the similarity, None without new ones.
        notes: what was guessed or could not be measured; a sentence each.
    """

    network: str
    resize: str
    encounter: str
    settings: str
    images: int
    individuals: int
    encounters: int
    random: Reached
    with_encounter: Reached
    without_encounter: Reached
    placebo: Reached
    new_individual: float | None = None
    notes: tuple[str, ...] = ()


class MatchTables:
    """The tables of one run, each in a folder, beside how they were made and the network whose vectors are compared."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._record, self._network = run.matches / MATCH_RECORD, run.matches / MATCH_NETWORK

    def parts(self, table: str) -> list[Path]:
        """The files of one table, out of MATCH_IMAGES, MATCH_PAIRS, MATCH_QUERIES, in the order of writing."""
        return parts_in(self.run.matches / table)

    def clear(self) -> None:
        """Forget all matches; verdicts of people stay."""
        shutil.rmtree(self.run.matches, ignore_errors=True)

    @property
    def record(self) -> MatchRecord | None:
        """None before the first matches are complete. Raises RunError for a file that is none."""
        if not self._record.is_file():
            return None
        content = read_json(self._record)
        try:
            for name in ("random", "with_encounter", "without_encounter", "placebo"):
                content[name] = Reached(**content[name])
            return MatchRecord(**content | {"notes": tuple(content["notes"])})
        except (TypeError, KeyError) as error:
            raise RunError(f"{self._record} is not a record of matches: {error}. Make the matches again.") from error

    def write_record(self, record: MatchRecord) -> None:
        self.run.matches.mkdir(exist_ok=True)
        write_json(self._record, asdict(record))

    def write_network(self, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self.run.matches.mkdir(exist_ok=True)
        save_file({name: np.ascontiguousarray(values) for name, values in tensors.items()}, self._network)

    def network(self) -> dict[str, NDArray[np.float32]]:
        """The weights by name. Raises RunError where there are none."""
        if not self._network.is_file():
            raise RunError(f"Run '{self.run.name}' has no network of its own for matches. Use: whalecam matches.")
        return cast(dict[str, NDArray[np.float32]], load_file(self._network))

    def add(self, table: str, rows: Sequence[ImageVector | Pair | Query]) -> None:
        """Store rows as one part of a table, which appears whole or not at all."""
        folder = self.run.matches / table
        folder.mkdir(parents=True, exist_ok=True)
        content, target = io.BytesIO(), next_part(folder)
        pq.write_table(pa.Table.from_pylist(list(rows), schema=SCHEMAS[table]), content, compression="zstd")
        aside = target.with_suffix(".writing")
        aside.write_bytes(content.getvalue())
        aside.replace(target)

    def read(self, table: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """All rows of a table; no rows where there is no part."""
        parts = self.parts(table)
        wanted = list(columns or SCHEMAS[table].names)
        read = [pq.read_table(part, columns=wanted) for part in parts]
        empty = SCHEMAS[table].empty_table().select(wanted)
        rows: pd.DataFrame = pa.concat_tables(read or [empty]).to_pandas()
        return rows

    def vectors(self) -> NDArray[np.float32]:
        """(N, D) in the order of MATCH_IMAGES."""
        rows = self.read(MATCH_IMAGES, ["vector"])["vector"]
        return (
            np.frombuffer(b"".join(rows), "<f4").reshape(len(rows), -1) if len(rows) else np.empty((0, 0), np.float32)
        )

    def queries_done(self) -> set[str]:
        """Queries that have a row."""
        return set(self.read(MATCH_QUERIES, ["query"])["query"])

    @cached_property
    def tested(self) -> "Tested":
        return tested(self.read(MATCH_QUERIES))

    def pairs_of(self, query: str) -> pd.DataFrame:
        """The candidates of one query with their maps, best first."""
        parts = self.parts(MATCH_PAIRS)
        read = [pq.read_table(part, filters=[("query", "==", query)]) for part in parts]
        rows: pd.DataFrame = pa.concat_tables(read or [SCHEMAS[MATCH_PAIRS].empty_table()]).to_pandas()
        return rows.drop_duplicates(["query", "rank"], keep="last").sort_values("rank").reset_index(drop=True)

    def assessed(self, thresholds: Thresholds = Thresholds()) -> pd.DataFrame:
        """One row per query by name, with its best candidate, `drop`, `q_value` and `assessment`.

        Attention is that of the query's map, or of the candidate's where that one lies more on the background. A match
        whose placebo drops by PLACEBO_LIMIT cannot be assessed unless it is listed: the editing alone makes another
        match.
        """
        rows = self.tested.rows
        columns = ["query", "rank", "query_share", "candidate_share", "query_attention", "candidate_attention"]
        best = self.read(MATCH_PAIRS, [*columns, "completeness_error"])
        best = best[best["rank"] == 1].drop_duplicates("query", keep="last").drop(columns="rank")
        rows = rows.merge(best, on="query", how="left")
        attention = rows[["query_attention", "candidate_attention"]].max(axis=1).to_numpy(np.float64)
        reason = np.array(["" if known else "no map" for known in np.isfinite(attention)], object)
        drop, rate = (rows[name].to_numpy(np.float64) for name in ("drop", "q_value"))
        assessment = assess(attention, drop, reason, thresholds, q_value=rate)
        is_broken = (rows["placebo"] >= PLACEBO_LIMIT) & ~np.isin(assessment, SUSPECT_ASSESSMENTS)
        assessment = np.where(is_broken, "not_assessable", assessment)
        return rows.assign(attention_score=attention, assessment=assessment)


@dataclass(frozen=True)
class Tested:
    """The queries with what their exchanges prove, and the tests of matches within and across encounters.

    Attributes:
        rows: of MATCH_QUERIES by name, with `drop`, `placebo`, `p_value` and `q_value`.
        tests: by "same encounter", "other encounter", "unknown encounter".
    """

    rows: pd.DataFrame
    tests: Mapping[str, ClassTest]


SIDES = {-1: "unknown encounter", 0: "other encounter", 1: "same encounter"}


def tested(queries: pd.DataFrame) -> Tested:
    """What the exchanges of all queries prove together, matches within and across encounters apart."""
    rows = queries.drop_duplicates("query", keep="last").sort_values("query").reset_index(drop=True)
    is_known = rows["before"].notna().to_numpy(bool)
    for name in ("drop", "placebo", "p_value", "q_value"):
        rows[name] = np.nan
    if not is_known.any():
        return Tested(rows, {})
    some = rows[is_known]
    side = np.array([-1 if same is None else int(same) for same in some["same_encounter"]], np.int64)
    exchanges = Exchanges(
        predicted=side,
        before=some["before"].to_numpy(np.float64),
        own=_padded(some["own"].to_list(), np.nan),
        other=_padded(some["other"].to_list(), np.nan),
        own_unit=_padded(some["own_donors"].to_list(), -1).astype(np.int64),
        other_unit=_padded(some["other_donors"].to_list(), -1).astype(np.int64),
    )
    encounters = [name or query for name, query in zip(some["encounter"], some["query"], strict=True)]
    proven = match_reliance(exchanges, np.unique(encounters, return_inverse=True)[1].astype(np.int64))
    columns = {"drop": exchanges.drop, "placebo": exchanges.placebo}
    for name, values in (columns | {"p_value": proven.p_value, "q_value": proven.q_value}).items():
        rows.loc[is_known, name] = values
    return Tested(rows, {SIDES[code]: test for code, test in proven.kinds.items()})


def _padded(lists: Sequence[Sequence[float]], empty: float) -> NDArray[np.float64]:
    longest = max((len(values) for values in lists), default=0)
    return np.array([[*values, *[empty] * (longest - len(values))] for values in lists], np.float64).reshape(
        -1, longest
    )


def map_of(raw: bytes | None, height: int, width: int) -> NDArray[np.float32] | None:
    """A stored map (h, w); None without."""
    return None if raw is None else np.frombuffer(raw, "<f2").reshape(height, width).astype(np.float32)


def has_matches(run: Run) -> bool:
    """Whether any match of the run was made."""
    return bool(MatchTables(run).parts(MATCH_QUERIES))
