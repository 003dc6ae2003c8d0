"""The stored maps of many images, one after the other, so that memory stays flat."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whalecam.arrays import Progress, Report, silent
from whalecam.store.parts import read_batches, read_part
from whalecam.store.table.stats import unpack_maps
from whalecam.store.table.typed_rows import MapRow

NAMES = ["image", "label", "predicted", "map_height"]
COLUMNS = [*NAMES, "width", "height", "map_width", "maps", "mask_bits", "background_share"]
BATCH = 64


def stored_maps(parts: Sequence[Path], labels: Sequence[str], most: int, report: Report = silent) -> Iterator[MapRow]:
    """The rows of some labels that have maps.

    The maps of a part are read once, whatever the number of labels, and not at all where none is wanted.

    Args:
        parts: the Parquet parts of an audit.
        labels: as they stand, as in the CSV.
        most: how many of a label at most; of more, a sample that is the same in every call.
        report: told of each part that was read.
    """
    wanted = _wanted([read_part(part, NAMES) for part in parts], labels, most)
    for done, (part, chosen) in enumerate(zip(parts, wanted, strict=True), 1):
        if chosen.any():
            yield from _rows(part, chosen)
        report(Progress("reading maps", done, len(parts)))


def _wanted(tables: Sequence[pa.Table], names: Sequence[str], most: int) -> list[NDArray[np.bool_]]:
    """Per part, which of its rows `stored_maps` gives. Args: tables: NAMES of each part."""
    if not tables:
        return []
    whole = pa.concat_tables(tables)
    labels = whole["label"].to_numpy()
    mapped, chosen = whole["map_height"].is_valid().to_numpy(), np.zeros(len(whole), bool)
    for name in names:
        own = np.flatnonzero(mapped & (labels == name))
        if len(own) > most:
            by_name = own[np.argsort(whole["image"].take(own).to_numpy().astype(str), kind="stable")]
            own = by_name[np.random.default_rng(0).permutation(len(own))[:most]]
        chosen[own] = True
    return np.split(chosen, np.cumsum([len(table) for table in tables])[:-1])


def _rows(part: Path, chosen: NDArray[np.bool_]) -> Iterator[MapRow]:
    start = 0
    for batch in read_batches(part, COLUMNS, BATCH):
        for row in batch.filter(pa.array(chosen[start : start + len(batch)])).to_pylist():
            maps = unpack_maps(row["maps"], row["map_height"], row["map_width"])
            yield cast(MapRow, row | {"maps": maps})
        start += len(batch)
