"""The Parquet parts of an audit: their revisions, and their rows under the present names of the columns.

A part is never changed. Where one of its rows is made anew, all of them are written once more, as its next revision; of
all revisions the last counts.
"""

import io
import os
import re
import uuid
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from whalecam.store.schema import SCHEMA

EARLIER: Mapping[str, str] = {
    "label": "species",
    "group": "individual_id",
    "background_share": "leak",
    "background_share_label": "leak_label",
    "attention_score": "excess",
    "attention_score_label": "excess_label",
    "reliance": "needs",
    "reliance_on": "needs_property",
    "reliance_color": "needs_colour",
    "reliance_brightness": "needs_brightness",
    "reliance_texture": "needs_texture",
    "reliance_together": "needs_together",
    "reliance_swap": "needs_swap",
    "reliance_before": "needs_before",
    "reliance_after": "needs_after",
    "reliance_donor": "needs_donor",
    "reliance_image": "needs_picture",
    "swapped_accuracy": "swap_correct",
    "background_only_p": "p_water_only",
    "background_only_predicted": "water_predicted",
    "completeness_error": "residual",
}
"""Present name of a column → its name in parts of schema version 4 and before."""
EARLIER_COLOR = "colour"
"""The word for `color` among the values of `reliance_on` in those parts."""
REVISION = re.compile(r"(?P<first>.+?)(?:\.r(?P<number>\d{6}))?\.parquet")
"""The name of a part: that of its first revision, and the number of a later one."""


def encoded(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows as Parquet by the columns of SCHEMA; those that a row lacks are null."""
    target = io.BytesIO()
    _write(pa.Table.from_pylist(list(rows), schema=SCHEMA), target)
    return target.getvalue()


def _write(rows: pa.Table, target: Path | io.BytesIO) -> None:
    pq.write_table(rows, target, compression="zstd", row_group_size=64)


def first_of(name: str) -> str:
    """The name of a part without its revision."""
    match = REVISION.fullmatch(name)
    return match["first"] if match else name


def last_revisions(names: Sequence[str]) -> list[str]:
    """Of sorted names of parts, the last revision of each."""
    return list({first_of(name): name for name in names}.values())


def images_in(parts: Iterable[Path]) -> set[str]:
    """The names of the images that have a row in some parts."""
    return {name for part in parts for name in read_part(part, ["image"])["image"].to_pylist()}


def row_in(part: Path, image: str) -> pa.Table | None:
    """The row of an image by the columns of SCHEMA; None where the part has none."""
    names = read_part(part, ["image"])["image"].to_pylist()
    return whole_part(part).slice(names.index(image), 1).combine_chunks() if image in names else None


def replace_row(part: Path, image: str, row: pa.Table) -> bool:
    """Put a row in the place of an image's, in the revision after the last one of the part.

    Returns: False where the image is not among its rows.
    """
    while True:
        with suppress(FileNotFoundError):  # others wrote two revisions meanwhile
            rows = with_row(part, image, row)
            if rows is None or write_revision(part, rows):
                return rows is not None
        revisions = _revisions(part)
        if not revisions:  # the table was cleared
            return False
        part = revisions[-1]


def with_row(part: Path, image: str, row: pa.Table) -> pa.Table | None:
    """The rows of a part with `row` in the place of the image's; None where the image is not among them."""
    names = read_part(part, ["image"])["image"].to_pylist()
    if image not in names:
        return None
    rows, at = whole_part(part), names.index(image)
    return pa.concat_tables([rows.slice(0, at), row, rows.slice(at + 1)])


def write_revision(part: Path, rows: pa.Table) -> bool:
    """Write the revision after `part`, which appears whole; those before `part` are removed.

    Returns: False where somebody else wrote the next revision meanwhile, or that and later ones: of several, the next
    one may be gone again, so that its name is free, but never the last.
    """
    target = part.with_name(f"{first_of(part.name)}.r{_number(part) + 1:06d}.parquet")
    aside = target.with_suffix(f".{uuid.uuid4().hex[:8]}.writing")
    _write(rows, aside)
    try:
        os.link(aside, target)  # a rename would take the place of what is there
    except FileExistsError:
        return False
    finally:
        aside.unlink()
    revisions = _revisions(part)
    if revisions[-1:] != [target]:
        target.unlink(missing_ok=True)
        return False
    for earlier in revisions[:-1]:
        if earlier != part:  # which stays a while, for pages that are about to read it
            earlier.unlink(missing_ok=True)
    return True


def _revisions(part: Path) -> list[Path]:
    """All revisions of a part that there are, the last one last."""
    first = first_of(part.name)
    revisions = (path for path in part.parent.glob(f"{first}*.parquet") if first_of(path.name) == first)
    return sorted(revisions, key=_number)


def _number(part: Path) -> int:
    """Of a revision; 0 for the first one."""
    match = REVISION.fullmatch(part.name)
    return int(match["number"] or 0) if match else 0


def names_in(part: Path) -> set[str]:
    """The present names of the columns that a part has."""
    stored = set(pq.read_schema(part).names)
    return stored | {name for name, earlier in EARLIER.items() if earlier in stored}


def read_part(part: Path, columns: Sequence[str]) -> pa.Table:
    """Some columns of a part, by their present names. Raises KeyError for one that it lacks."""
    with pq.ParquetFile(part) as file:
        return _renamed(file.read(columns=_stored(part, file, columns)), columns)


def read_batches(part: Path, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
    """The same in batches of `rows` rows."""
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(rows, columns=_stored(part, file, columns)):
            yield from _renamed(pa.Table.from_batches([batch]), columns).combine_chunks().to_batches()


def whole_part(part: Path) -> pa.Table:
    """A part by the columns of SCHEMA; null in those that it lacks."""
    rows = read_part(part, [name for name in SCHEMA.names if name in names_in(part)])
    columns = [
        rows[field.name].cast(field.type) if field.name in rows.column_names else pa.nulls(len(rows), field.type)
        for field in SCHEMA
    ]
    return pa.table(columns, schema=SCHEMA)


def column_sql(name: str, stored: Collection[str]) -> str | None:
    """A column as SQL over files that have the columns `stored`; None where they lack it under either name."""
    earlier = EARLIER.get(name, name)
    if earlier == name or earlier not in stored:
        return f'"{name}"' if name in stored else None
    value = f'"{earlier}"' if name != "reliance_on" else f"replace(\"{earlier}\", '{EARLIER_COLOR}', 'color')"
    return f'coalesce("{name}", {value}) as "{name}"' if name in stored else f'{value} as "{name}"'


def _stored(part: Path, file: pq.ParquetFile, columns: Sequence[str]) -> list[str]:
    """The names of the columns in the file, which is read once for its schema and its rows."""
    stored = set(file.schema_arrow.names)
    present = [name if name in stored else EARLIER.get(name, name) for name in columns]
    if missing := [name for name, there in zip(columns, present, strict=True) if there not in stored]:
        raise KeyError(f"{part.name} has no column {missing[0]}")
    return present


def _renamed(table: pa.Table, columns: Sequence[str]) -> pa.Table:
    """Columns are put into the order of `columns`, in which Parquet need not give them."""
    present = {earlier: name for name, earlier in EARLIER.items() if name in columns and name not in table.column_names}
    table = table.rename_columns([present.get(name, name) for name in table.column_names]).select(list(columns))
    if "reliance_on" in columns and "reliance_on" in present.values():
        at = columns.index("reliance_on")
        table = table.set_column(at, "reliance_on", pc.replace_substring(table[at], EARLIER_COLOR, "color"))
    return table
