"""What the cue test measured of each image, as the run folder has it: one Parquet part for each predicted class."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict, cast

import pyarrow as pa
import pyarrow.parquet as pq

from whalecam.errors import RunError
from whalecam.store.run import Run, next_part, parts_in

NUMBERS, UNITS = pa.list_(pa.float64()), pa.list_(pa.int64())
EXCHANGE = pa.struct(
    [
        ("name", pa.string()),
        ("null", pa.float64()),
        ("own", NUMBERS),
        ("other", NUMBERS),
        ("own_units", UNITS),
        ("other_units", UNITS),
        ("more", NUMBERS),
        ("is_loan", pa.bool_()),
    ]
)
PATCH = pa.struct(
    [
        ("rows", pa.int32()),
        ("columns", pa.int32()),
        ("cells", pa.list_(pa.int32())),
        ("share", pa.float64()),
        ("look", pa.list_(pa.float32())),
        ("erased", pa.float64()),
        ("placebo", NUMBERS),
    ]
)
SCHEMA = pa.schema(
    [
        ("image", pa.string()),
        ("label", pa.string()),
        ("predicted", pa.string()),
        ("unit", pa.int64()),
        ("fold", pa.int32()),
        ("before", pa.float64()),
        ("exchanges", pa.list_(EXCHANGE)),
        ("patch", PATCH),
    ]
)
STAMP, TEST_STAMP = b"whalecam.cues", b"whalecam.cue_test"
TEST = b"2"
"""The edition of the cue test: another one with each change of what is measured, so that no list mixes two."""


class ExchangeRow(TypedDict):
    """One property exchanged; see `explain.cues.cue_test.Exchange`. Older rows say nothing of `is_loan`."""

    name: str
    null: float
    own: list[float]
    other: list[float]
    own_units: list[int]
    other_units: list[int]
    more: list[float]
    is_loan: NotRequired[bool]


class PatchRow(TypedDict):
    """One patch erased; `cells` are numbers of cells, row by row. See `explain.cues.cue_test.Patch`."""

    rows: int
    columns: int
    cells: list[int]
    share: float
    look: list[float]
    erased: float
    placebo: list[float]


class CueRow(TypedDict):
    """One image: `unit` is one code for all images of a group, `before` the probability of the predicted class."""

    image: str
    label: str
    predicted: str
    unit: int
    fold: int
    before: float
    exchanges: list[ExchangeRow]
    patch: NotRequired[PatchRow | None]


def cue_rows(run: Run) -> list[CueRow]:
    """All rows of the run's present network, in the order of writing; empty where none were measured.

    Raises RunError for a part that cannot be read.
    """
    tables = (_table_of(part) for part in parts_in(run.cues))
    rows = (row for table in tables if _is_of_network(table.schema, run) for row in table.to_pylist())
    return cast(list[CueRow], list(rows))


def write_cue_rows(run: Run, rows: Iterable[CueRow]) -> None:
    """Add the rows of one predicted class; they appear whole or not at all."""
    run.cues.mkdir(exist_ok=True)
    schema = SCHEMA.with_metadata({STAMP: run.manifest.model_sha256.encode(), TEST_STAMP: TEST})
    target = next_part(run.cues)
    aside = target.with_suffix(".writing")
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), aside, compression="zstd")
    aside.replace(target)


def clear_cue_rows(run: Run, of_others: bool = False) -> None:
    """Forget what was measured; with `of_others` only what another network of the run or another edition gave."""
    for part in parts_in(run.cues):
        if of_others and _is_of_network(schema := _table_of(part, []).schema, run) and _is_of_edition(schema):
            continue
        part.unlink(missing_ok=True)


def earlier_classes(run: Run) -> frozenset[str]:
    """The predicted classes whose rows an earlier edition of the test measured: they are to be tested again.

    Raises RunError for a part that cannot be read.
    """
    tables = (_table_of(part, ["predicted"]) for part in parts_in(run.cues))
    earlier = (each for each in tables if _is_of_network(each.schema, run) and not _is_of_edition(each.schema))
    return frozenset(name for table in earlier for name in table["predicted"].to_pylist())


def classes_in(rows: Sequence[CueRow]) -> frozenset[str]:
    """The predicted classes of some rows."""
    return frozenset(row["predicted"] for row in rows)


def _table_of(part: Path, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        return pq.read_table(part, columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        raise RunError(f"{part} cannot be read: {error}. Delete it, then run again: whalecam cues RUN.") from error


def _is_of_network(schema: pa.Schema, run: Run) -> bool:
    stamp: bytes = (schema.metadata or {}).get(STAMP, b"")
    return stamp == run.manifest.model_sha256.encode()


def _is_of_edition(schema: pa.Schema) -> bool:
    stamp: bytes = (schema.metadata or {}).get(TEST_STAMP, b"")
    return stamp == TEST
