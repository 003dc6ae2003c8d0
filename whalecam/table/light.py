"""The few columns of a run's rows that fit into memory, whichever run it is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from whalecam.errors import RunError
from whalecam.table.cells import unpack_maps


def light_rows(parts: Sequence[Path], schema: pa.Schema) -> pd.DataFrame:
    """The columns of `schema` (with `image`) from Parquet parts, indexed by image; null where a part lacks a column."""
    tables = []
    for part in parts:
        held = set(pq.read_schema(part).names)
        found = pq.read_table(part, columns=[name for name in schema.names if name in held])
        empty = pa.nulls(found.num_rows)
        columns = [found[name] if name in held else empty for name in schema.names]
        tables.append(pa.table([column.cast(kind) for column, kind in zip(columns, schema.types, strict=True)], schema))
    joined = pa.concat_tables(tables) if tables else schema.empty_table()
    frame: pd.DataFrame = joined.to_pandas()
    return frame.set_index("image").sort_index()


def one_row(parts: Sequence[Path], image: str) -> dict[str, Any]:
    """One image's row with its maps, float32 (classes, h, w) or None. Raises RunError where no part holds it."""
    for part in parts:
        found = pq.read_table(part, filters=[("image", "==", image)]).to_pylist()
        if found:
            row: dict[str, Any] = found[0]
            return row | {"maps": unpack_maps(row["maps"], row["map_height"], row["map_width"])}
    raise RunError(f"This run has no row for '{image}'. Audit it, or pick a name from the table.")
