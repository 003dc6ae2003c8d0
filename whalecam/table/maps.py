"""The stored maps of many pictures, one after the other, so that memory stays flat."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whalecam.table.cells import unpack_maps

COLUMNS = ["image", "predicted", "width", "height", "map_height", "map_width", "maps", "mask_bits", "leak"]
BATCH = 64


def stored_maps(parts: Sequence[Path], species: str, most: int) -> Iterator[dict[str, Any]]:
    """The rows of one species that have maps: COLUMNS, with `maps` as float32 (classes, h, w).

    Args:
        parts: the Parquet parts of an audit.
        species: the label, as in the CSV.
        most: how many at most; of more, a sample that is the same in every call.
    """
    found = []
    for part in parts:
        names = pq.read_table(part, columns=["image", "predicted"], filters=pc.field("species") == species)
        found += names.filter(names["predicted"].is_valid())["image"].to_pylist()
    if len(found) > most:
        chosen = np.random.default_rng(0).permutation(len(found))[:most]
        found = [sorted(found)[at] for at in chosen]
    wanted = set(found)
    for part in parts:
        for batch in pq.ParquetFile(part).iter_batches(BATCH, columns=COLUMNS):
            named = np.isin(batch["image"].to_numpy(zero_copy_only=False), list(wanted))
            for row in batch.filter(named.tolist()).to_pylist():
                yield row | {"maps": unpack_maps(row["maps"], row["map_height"], row["map_width"])}
