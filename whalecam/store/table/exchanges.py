"""What a run's networks predicted on exchanged backgrounds, read from the parts of its audit, and what it proves."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whalecam.assessment.reliance import Exchanges, reliance_of
from whalecam.store.parts import names_in, read_part

Number = TypeVar("Number", np.float64, np.int64)
SIDES = ("own", "other")
LISTS = tuple(f"exchange_{side}{what}" for side in SIDES for what in ("", "_donors"))
COLUMNS = ["image", "predicted", "reliance_swap", *LISTS]
RELIANCE = pa.schema(
    [
        ("image", pa.string()),
        ("p_value", pa.float32()),
        ("q_value", pa.float64()),
        ("reliance_probability", pa.float32()),
    ]
)
"""One row per image whose background was exchanged; null where donors lack. `q_value` is compared with a threshold, so
it is kept in the precision in which it was computed."""
CLASSES = pa.schema(
    [
        ("predicted", pa.string()),
        ("images", pa.int64()),
        ("donors", pa.int64()),
        ("gap", pa.float64()),
        ("p_value", pa.float64()),
        ("relies", pa.bool_()),
    ]
)
"""One row per predicted class: see `reliance.ClassTest`; `relies`: beyond chance."""


@dataclass(frozen=True)
class Exchanged:
    """The images whose background was exchanged, by name; `labels[code]` is what `exchanges.predicted` stands for."""

    images: list[str]
    labels: list[str]
    exchanges: Exchanges


def read_exchanges(parts: Sequence[Path]) -> pa.Table:
    """COLUMNS of the images that have a donor of another label.

    Parts of audits from before single exchanges were kept have no such images.
    """
    known = [part for part in parts if set(COLUMNS) <= names_in(part)]
    has_donors = pc.list_value_length(pc.field("exchange_other")) > 0
    read = [read_part(part, COLUMNS).filter(has_donors) for part in known]
    empty = pa.table({name: pa.array([], _kind(name)) for name in COLUMNS})
    return pa.concat_tables(read) if read else empty


def exchanged_of(rows: pa.Table) -> Exchanged:
    """What was predicted on exchanged backgrounds, from `read_exchanges`."""
    rows = _latest(rows)
    labels, predicted = np.unique(rows["predicted"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    sides = {side: _padded(rows[f"exchange_{side}"], np.float64(np.nan)) for side in SIDES}
    units = {side: _padded(rows[f"exchange_{side}_donors"], np.int64(-1)) for side in SIDES}
    drop = rows["reliance_swap"].to_numpy(zero_copy_only=False).astype(np.float64)
    probabilities = Exchanges(
        predicted=np.asarray(predicted, np.int64),
        before=drop + np.nanmean(sides["other"], axis=1) if len(rows) else np.empty(0),
        own=sides["own"],
        other=sides["other"],
        own_unit=units["own"],
        other_unit=units["other"],
    )
    return Exchanged(rows["image"].to_pylist(), labels.tolist(), probabilities)


def assessed(rows: pa.Table) -> tuple[pa.Table, pa.Table]:
    """What the exchanges of a run prove, by image (RELIANCE) and by predicted class (CLASSES).

    Args:
        rows: `read_exchanges` of all parts of the run.
    """
    read = exchanged_of(rows)
    proven = reliance_of(read.exchanges)
    by_image = (read.images, proven.p_value, proven.q_value, proven.probability)
    images = [pa.array(values, kind, from_pandas=True) for values, kind in zip(by_image, RELIANCE.types, strict=True)]
    classes = [
        {"predicted": read.labels[code], "relies": code in proven.relying, **vars(test)}
        for code, test in proven.classes.items()
    ]
    return pa.Table.from_arrays(images, schema=RELIANCE), pa.Table.from_pylist(classes, CLASSES)


def _kind(name: str) -> pa.DataType:
    if name in LISTS:
        return pa.list_(pa.int64() if name.endswith("donors") else pa.float32())
    return pa.float32() if name == "reliance_swap" else pa.string()


def _latest(rows: pa.Table) -> pa.Table:
    """The last row of each image, by name: two audits at a time may leave an image twice."""
    order = np.argsort(rows["image"].to_numpy(zero_copy_only=False).astype(str), kind="stable")
    rows = rows.take(pa.array(order)).combine_chunks()
    names = rows["image"].to_numpy(zero_copy_only=False)
    is_last = np.append(names[1:] != names[:-1], True)[: len(names)]
    return rows if is_last.all() else rows.filter(pa.array(is_last, pa.bool_()))


def _padded(lists: pa.ChunkedArray, empty: Number) -> NDArray[Number]:
    """Lists of any length as rows of one array, (N, longest), of the type of what fills them up."""
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), np.int64)
    padded = np.full((len(lengths), int(lengths.max(initial=0))), empty)
    padded[np.arange(padded.shape[1]) < lengths[:, None]] = np.asarray(pc.list_flatten(lists))
    return padded
